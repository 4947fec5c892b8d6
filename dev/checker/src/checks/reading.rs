//! How a process came from one record of a key to the next.
//!
//! A process that assigns or seeks says where its next record is. Where a group moved a key in between, nothing follows from
//! what was before.

use std::collections::BTreeMap;

use crate::history::{Key, Offset, OperationId, Step, Value};
use crate::index::Index;

/// From one place to the next.
pub(super) struct Pace<'a> {
    /// Who.
    pub(super) operation: OperationId,
    /// What.
    pub(super) key: &'a Key,
    /// The place that it had come to.
    pub(super) from: Offset,
    /// The record that came next.
    pub(super) to: (Offset, &'a Value),
    /// Both within one transaction or one poll.
    pub(super) is_internal: bool,
}

/// Where a process stands in a key.
struct Stand {
    at: Offset,
    by: Option<OperationId>,
}

/// All of them, process by process.
pub(super) fn paces<'a>(index: &Index<'a>) -> Vec<Pace<'a>> {
    let mut paces = Vec::new();
    for operations in index.by_process().into_values() {
        let mut stands: BTreeMap<&Key, Stand> = BTreeMap::new();
        for (id, operation) in operations {
            for step in &operation.steps {
                take(&mut stands, id, step, &mut paces);
            }
        }
    }
    paces
}

fn take<'a>(stands: &mut BTreeMap<&'a Key, Stand>, operation: OperationId, step: &'a Step, paces: &mut Vec<Pace<'a>>) {
    match step {
        Step::Poll { key, records } => {
            for (offset, value) in records {
                if let Some(stand) = stands.get(key) {
                    let is_internal = stand.by == Some(operation);
                    paces.push(Pace { operation, key, from: stand.at, to: (*offset, value), is_internal });
                }
                stands.insert(key, Stand { at: *offset, by: Some(operation) });
            }
        }
        Step::Seek(positions) => {
            let stand = |next: &Offset| Stand { at: Offset(next.0.saturating_sub(1)), by: None };
            stands.extend(positions.iter().map(|(key, next)| (key, stand(next))));
        }
        Step::Rebalance(keys) => stands.retain(|key, _| !keys.contains(key)),
        Step::Anew => stands.clear(),
        Step::Send { .. } | Step::Offsets { .. } | Step::Drained(_) => {}
    }
}
