//! A process' reading of a key jumps over values that can be read.

use super::reading::paces;
use crate::anomaly::{Anomaly, Kind};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for pace in paces(index) {
        let ((offset, value), key) = (pace.to, pace.key);
        if let Some(skipped) = index.visible_between(key, pace.from, offset) {
            let kind = if pace.is_internal { Kind::InternalPollSkip } else { Kind::PollSkip };
            let name = index.history.name(pace.operation);
            let text = format!("{name} came from {key}@{} to {value}@{offset}, but {skipped} can be read", pace.from);
            found.push(Anomaly::new(kind, text));
        }
    }
    found
}
