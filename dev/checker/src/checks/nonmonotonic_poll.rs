//! A process' reading of a key goes back, or gives the same again.

use super::reading::paces;
use crate::anomaly::{Anomaly, Kind};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let back = paces(index).into_iter().filter(|pace| pace.to.0 <= pace.from);
    back.map(|pace| {
        let kind = if pace.is_internal { Kind::InternalNonmonotonicPoll } else { Kind::NonmonotonicPoll };
        let ((offset, value), name) = (pace.to, index.history.name(pace.operation));
        Anomaly::new(kind, format!("{name} came from {key}@{} to {value}@{offset}", pace.from, key = pace.key))
    })
    .collect()
}
