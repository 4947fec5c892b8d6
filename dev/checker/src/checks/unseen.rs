//! An acknowledged value lies above all that was read of its key, or nobody was told where.
//!
//! A history is expected to end with polls that read everything.

use crate::anomaly::{Anomaly, Kind};
use crate::history::Outcome;
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for send in &index.sends {
        if index.history.operation(send.operation).outcome != Outcome::Ok || index.is_read(send) {
            continue;
        }
        let highest = index.highest_read(send.key);
        if send.offset.is_none_or(|offset| highest.is_none_or(|highest| offset > highest)) {
            let (key, value, name) = (send.key, send.value, index.history.name(send.operation));
            let far = highest.map_or_else(|| "never read".to_owned(), |highest| format!("read up to {highest} only"));
            let place = send.offset.map_or_else(String::new, |offset| format!("@{offset}"));
            found.push(Anomaly::new(
                Kind::Unseen,
                format!("{key} {value}{place} of {name} was not seen; {key} was {far}"),
            ));
        }
    }
    found
}
