//! A process' sends to a key lie in the log in another order than that in which they were sent.
//!
//! An aborted transaction's sends lie in the log too.

use std::collections::BTreeMap;

use crate::anomaly::{Anomaly, Kind};
use crate::history::{Key, Offset, OperationId, Process};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut last: BTreeMap<(Process, &Key), (Offset, OperationId)> = BTreeMap::new();
    let mut found = Vec::new();
    for send in &index.sends {
        let Some(offset) = send.offset else { continue };
        let process = index.history.operation(send.operation).process;
        let before = last.insert((process, send.key), (offset, send.operation));
        if let Some((earlier, operation)) = before.filter(|(earlier, _)| *earlier >= offset) {
            let internal = operation == send.operation;
            let kind = if internal { Kind::InternalNonmonotonicSend } else { Kind::NonmonotonicSend };
            let (name, key, value) = (index.history.name(send.operation), send.key, send.value);
            let text = format!("{name} sent {key} {value}@{offset} after {earlier}");
            found.push(Anomaly::new(kind, text));
        }
    }
    found
}
