//! All checkers.

use crate::anomaly::Anomaly;
use crate::history::History;
use crate::index::Index;

mod aborted_read;
mod cycles;
mod duplicate;
mod inconsistent_offsets;
mod lost_write;
mod nonmonotonic_poll;
mod nonmonotonic_send;
mod offsets;
mod poll_skip;
mod precommitted_read;
mod processing;
mod reading;
mod torn_transaction;
mod unknown_error;
mod unseen;

/// Looks for one kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Checker {
    /// The name of its file.
    pub name: &'static str,
    run: fn(&Index<'_>) -> Vec<Anomaly>,
}

/// All there are.
pub const ALL: [Checker; 14] = [
    Checker { name: "lost_write", run: lost_write::run },
    Checker { name: "unseen", run: unseen::run },
    Checker { name: "duplicate", run: duplicate::run },
    Checker { name: "inconsistent_offsets", run: inconsistent_offsets::run },
    Checker { name: "aborted_read", run: aborted_read::run },
    Checker { name: "cycles", run: cycles::run },
    Checker { name: "precommitted_read", run: precommitted_read::run },
    Checker { name: "torn_transaction", run: torn_transaction::run },
    Checker { name: "poll_skip", run: poll_skip::run },
    Checker { name: "nonmonotonic_poll", run: nonmonotonic_poll::run },
    Checker { name: "nonmonotonic_send", run: nonmonotonic_send::run },
    Checker { name: "offsets", run: offsets::run },
    Checker { name: "processing", run: processing::run },
    Checker { name: "unknown_error", run: unknown_error::run },
];

/// Everything that is wrong with a history; nothing when nothing is.
pub fn check(history: &History) -> Vec<Anomaly> {
    check_with(history, &ALL)
}

/// What some of the checkers find.
pub fn check_with(history: &History, checkers: &[Checker]) -> Vec<Anomaly> {
    let index = Index::of(history);
    checkers.iter().flat_map(|checker| (checker.run)(&index)).collect()
}
