//! One value of a key at several offsets.

use crate::anomaly::{Anomaly, Kind};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut places = index.places.clone();
    // Where the client was told that it is counts too, once it is known to be there.
    for send in &index.sends {
        if let (Some(offset), true) = (send.offset, index.happened(send.operation)) {
            places.entry((send.key, send.value)).or_default().insert(offset);
        }
    }
    let several = places.into_iter().filter(|(_, offsets)| offsets.len() > 1);
    let text = |((key, value), offsets)| {
        let offsets: std::collections::BTreeSet<crate::history::Offset> = offsets;
        let offsets: Vec<_> = offsets.iter().map(ToString::to_string).collect();
        format!("{key} {value} is at {}", offsets.join(", "))
    };
    several.map(|entry| Anomaly::new(Kind::Duplicate, text(entry))).collect()
}
