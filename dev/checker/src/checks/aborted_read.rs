//! A value was read whose transaction was aborted, or that was refused, or that nobody sent.

use crate::anomaly::{Anomaly, Kind};
use crate::history::Outcome;
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for (key, reads) in &index.reads {
        for (offset, values) in reads {
            for (value, reader) in values {
                let what = match index.sender.get(&(*key, *value)) {
                    Some(id) if index.history.operation(*id).outcome != Outcome::Failed => continue,
                    Some(id) => format!("of {}, which did not happen", index.history.name(*id)),
                    None => "that nobody sent".to_owned(),
                };
                let reader = index.history.name(*reader);
                found.push(Anomaly::new(Kind::AbortedRead, format!("{reader} read {key} {value}@{offset} {what}")));
            }
        }
    }
    found
}
