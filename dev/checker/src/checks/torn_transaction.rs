//! Of one transaction some parts are there and others not: writes, and offsets of groups.
//!
//! The marker of a transaction reaches its partitions at different times. So a part counts as missing only where readers
//! came past its place, or where its key was read to the end after all writers had ended.

use std::sync::Arc;

use crate::anomaly::{Anomaly, Kind};
use crate::history::{History, Key, Offset, Operation, OperationKind, Outcome, Step};
use crate::index::{Index, Send};

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut add = |text| found.push(Anomaly::new(Kind::TornTransaction, text));
    for (id, sends) in index.transactions() {
        let operation = index.history.operation(id);
        if operation.outcome == Outcome::Failed {
            continue; // What can be read of it was read though it was aborted.
        }
        let name = index.history.name(id);
        let (read, unread): (Vec<&Send<'_>>, Vec<_>) = sends.into_iter().partition(|send| index.is_read(send));
        match read.first() {
            Some(one) => {
                for send in unread.into_iter().filter(|send| is_missing(index, send)) {
                    let (key, value) = (send.key, send.value);
                    add(format!("of {name} {} {} can be read, {key} {value} not", one.key, one.value));
                }
                if let Some(behind) = offsets(operation).find_map(|commit| behind(index, commit)) {
                    add(format!("of {name} {} {} can be read, but {behind}", one.key, one.value));
                }
            }
            None => {
                let missing = unread.iter().find(|send| is_missing(index, send));
                let own = offsets(operation).find(|commit| is_only_its(index.history, operation, commit));
                if let Some((send, (group, key, at))) = missing.zip(own) {
                    add(format!(
                        "of {name} the offset {key}={at} of {group} is there, {} {} not",
                        send.key, send.value
                    ));
                }
            }
        }
    }
    found
}

/// True when it would have been read if it could be.
fn is_missing(index: &Index<'_>, send: &Send<'_>) -> bool {
    let passed = |offset| index.highest_read(send.key).is_some_and(|highest| highest >= offset);
    send.offset.is_some_and(passed) || index.drained.contains_key(send.key)
}

type Commit<'a> = (&'a Arc<str>, &'a Key, Offset);

fn offsets(operation: &Operation) -> impl Iterator<Item = Commit<'_>> {
    operation.steps.iter().flat_map(|step| {
        let Step::Offsets { group, positions } = step else { return Vec::new() };
        positions.iter().map(|(key, offset)| (group, key, *offset)).collect()
    })
}

fn found(history: &History) -> impl Iterator<Item = (&Operation, Commit<'_>)> {
    let questions = history.operations.iter().filter(|operation| operation.kind == OperationKind::Fetched);
    questions.flat_map(|operation| offsets(operation).map(move |found| (operation, found)))
}

/// The group's offset was found before this, although all writers had ended.
fn behind(index: &Index<'_>, (group, key, committed): Commit<'_>) -> Option<String> {
    let quiet = index.drained.values().min()?;
    let late = found(index.history).filter(|(operation, _)| operation.begin >= *quiet);
    let (_, (_, _, at)) =
        late.into_iter().find(|(_, (of, at, offset))| *of == group && *at == key && *offset < committed)?;
    Some(format!("{group} is at {key}={at}, not at {committed}"))
}

/// The group's offset was found to be this, and only this transaction can have made it so.
fn is_only_its(history: &History, operation: &Operation, commit: &Commit<'_>) -> bool {
    let others = history.operations.iter().filter(|other| {
        let commits = matches!(other.kind, OperationKind::Transaction | OperationKind::Offsets);
        commits && !std::ptr::eq(*other, operation) && other.outcome != Outcome::Failed
    });
    found(history).any(|(_, found)| found == *commit) && !others.flat_map(offsets).any(|other| other == *commit)
}
