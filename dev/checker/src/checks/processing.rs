//! Each input has an output, and only one: what processing exactly once means beyond what was sent and read.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::{Anomaly, Kind};
use crate::history::{Key, Offset, OperationKind, Step};
use crate::index::{Index, Send};

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut outputs: BTreeMap<(&Key, Offset), Vec<&Send<'_>>> = BTreeMap::new();
    for send in &index.sends {
        let there = index.is_read(send) || index.happened(send.operation);
        if let Some((key, offset)) = send.source.filter(|_| there) {
            outputs.entry((key, *offset)).or_default().push(send);
        }
    }
    let mut found = Vec::new();
    for ((key, offset), sends) in &outputs {
        // One operation may make several outputs of an input.
        if sends.iter().any(|send| send.operation != sends[0].operation) {
            let words: Vec<_> = sends.iter().map(|send| format!("{} {}", send.key, send.value)).collect();
            found.push(Anomaly::new(Kind::ProcessedTwice, format!("{key}@{offset} became {}", words.join(" and "))));
        }
    }
    let sources: BTreeSet<_> = index.sends.iter().filter_map(|send| send.source).map(|(key, _)| key).collect();
    for (key, position) in found_positions(index).into_iter().filter(|(key, _)| sources.contains(key)) {
        for offset in index.reads.get(key).into_iter().flat_map(BTreeMap::keys).filter(|offset| **offset < position) {
            if !outputs.contains_key(&(key, *offset)) {
                let text = format!("{key}@{offset} became nothing, though its group is at {position}");
                found.push(Anomaly::new(Kind::PassedOver, text));
            }
        }
    }
    found
}

/// The furthest that any group was found to be, by key.
fn found_positions<'a>(index: &Index<'a>) -> BTreeMap<&'a Key, Offset> {
    let questions = index.history.operations.iter().filter(|operation| operation.kind == OperationKind::Fetched);
    let mut furthest: BTreeMap<&Key, Offset> = BTreeMap::new();
    for step in questions.flat_map(|operation| &operation.steps) {
        if let Step::Offsets { positions, .. } = step {
            for (key, offset) in positions {
                let known = furthest.entry(key).or_insert(*offset);
                *known = (*known).max(*offset);
            }
        }
    }
    furthest
}
