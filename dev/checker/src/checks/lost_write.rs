//! An acknowledged value lies below one that was read, and nobody ever read it.
//!
//! A reader gives a partition's values in the order of their offsets, so that nobody will.

use crate::anomaly::{Anomaly, Kind};
use crate::history::Outcome;
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for send in &index.sends {
        let acknowledged = index.history.operation(send.operation).outcome == Outcome::Ok;
        let Some(offset) = send.offset.filter(|_| acknowledged && !index.is_read(send)) else { continue };
        if let Some(highest) = index.highest_read(send.key).filter(|highest| *highest >= offset) {
            let (key, value, name) = (send.key, send.value, index.history.name(send.operation));
            let text = format!("{key} {value}@{offset} of {name} was never read, but {key} was read up to {highest}");
            found.push(Anomaly::new(Kind::LostWrite, text));
        }
    }
    found
}
