//! One offset of a key with several values: of readers, or of a reader and of whom it was told that his value is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::{Anomaly, Kind};
use crate::history::{Key, Offset, Value};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut values: BTreeMap<(&Key, Offset), BTreeSet<&Value>> = BTreeMap::new();
    for (key, reads) in &index.reads {
        for (offset, read) in reads {
            values.entry((key, *offset)).or_default().extend(read.keys().copied());
        }
    }
    for send in &index.sends {
        if let (Some(offset), true) = (send.offset, index.happened(send.operation)) {
            values.entry((send.key, offset)).or_default().insert(send.value);
        }
    }
    let several = values.into_iter().filter(|(_, values)| values.len() > 1);
    several
        .map(|((key, offset), values)| {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            Anomaly::new(Kind::InconsistentOffsets, format!("{key}@{offset} is {}", values.join(", ")))
        })
        .collect()
}
