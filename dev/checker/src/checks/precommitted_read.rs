//! A transaction read what it had written itself.

use crate::anomaly::{Anomaly, Kind};
use crate::history::{OperationKind, Step};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let transactions = index.history.numbered().filter(|(_, it)| it.kind == OperationKind::Transaction);
    for (id, operation) in transactions {
        for step in &operation.steps {
            let Step::Poll { key, records } = step else { continue };
            for (offset, value) in records {
                if index.sender.get(&(key, value)) == Some(&id) {
                    let name = index.history.name(id);
                    found.push(Anomaly::new(
                        Kind::PrecommittedRead,
                        format!("{name} read its own {key} {value}@{offset}"),
                    ));
                }
            }
        }
    }
    found
}
