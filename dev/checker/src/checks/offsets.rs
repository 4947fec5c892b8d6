//! Offsets of groups: they never go back behind what was acknowledged, and only what was committed is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::anomaly::{Anomaly, Kind};
use crate::history::{Key, Offset, Operation, OperationId, OperationKind, Outcome, Step};
use crate::index::Index;

/// One group's offset of one key, committed or found by an operation.
#[derive(Clone, Copy)]
struct Entry<'a> {
    id: OperationId,
    operation: &'a Operation,
    offset: Offset,
}

type Place<'a> = (&'a Arc<str>, &'a Key);

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for (place, entries) in entries(index) {
        backwards(index, place, &entries, &mut found);
        never_committed(index, place, &entries, &mut found);
    }
    found
}

/// What was acknowledged or found before the highest that had been acknowledged when it was asked for.
fn backwards(index: &Index<'_>, (group, key): Place<'_>, entries: &[Entry<'_>], found: &mut Vec<Anomaly>) {
    let acknowledged = |entry: &&Entry<'_>| entry.operation.outcome == Outcome::Ok;
    let mut ends: Vec<_> = entries.iter().filter(acknowledged).filter(|entry| !entry.is_found()).collect();
    ends.sort_by_key(|entry| entry.operation.end);
    let mut ends = ends.into_iter().peekable();
    let mut highest: Option<&Entry<'_>> = None;
    for entry in entries.iter().filter(acknowledged) {
        while let Some(ended) = ends.next_if(|it| it.operation.end.is_some_and(|end| end < entry.operation.begin)) {
            if highest.is_none_or(|highest| highest.offset <= ended.offset) {
                highest = Some(ended);
            }
        }
        let Some(highest) = highest.filter(|highest| highest.offset > entry.offset) else { continue };
        if !entries.iter().any(|other| other.may_come_late() && other.offset == entry.offset) {
            let (name, earlier) = (index.history.name(entry.id), index.history.name(highest.id));
            let text = format!("{name}: {group} at {key}={}, after {} of {earlier}", entry.offset, highest.offset);
            found.push(Anomaly::new(Kind::OffsetBackwards, text));
        }
    }
}

fn never_committed(index: &Index<'_>, (group, key): Place<'_>, entries: &[Entry<'_>], found: &mut Vec<Anomaly>) {
    for entry in entries.iter().filter(|entry| entry.is_found() && entry.offset.0 >= 0) {
        let possible = |other: &Entry<'_>| !other.is_found() && other.operation.outcome != Outcome::Failed;
        if !entries.iter().any(|other| possible(other) && other.offset == entry.offset) {
            let text =
                format!("{}: {group} at {key}={}, which nobody committed", index.history.name(entry.id), entry.offset);
            found.push(Anomaly::new(Kind::AbortedOffset, text));
        }
    }
}

/// By group and key, in the order in which they were asked for.
fn entries<'a>(index: &Index<'a>) -> BTreeMap<Place<'a>, Vec<Entry<'a>>> {
    let mut entries: BTreeMap<Place<'a>, Vec<Entry<'a>>> = BTreeMap::new();
    for (id, operation) in index.history.numbered() {
        for step in &operation.steps {
            let Step::Offsets { group, positions } = step else { continue };
            for (key, offset) in positions {
                entries.entry((group, key)).or_default().push(Entry { id, operation, offset: *offset });
            }
        }
    }
    entries
}

impl Entry<'_> {
    fn is_found(&self) -> bool {
        self.operation.kind == OperationKind::Fetched
    }

    /// A commit alone that nobody knows the end of may arrive after others.
    fn may_come_late(&self) -> bool {
        self.operation.kind == OperationKind::Offsets && self.operation.outcome == Outcome::Unknown
    }
}
