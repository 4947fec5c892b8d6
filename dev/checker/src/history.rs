//! A history: what clients asked for and what they were told.
//!
//! Its text has one line per moment, `TIME PROCESS EVENT`, more events of the same moment behind `;`. `#` begins a remark.
//! Times are whole numbers of one clock for all processes; lines may come in any order of processes, but each process'
//! own in its order.
//!
//! | event | meaning |
//! |---|---|
//! | `begin` | a transaction begins |
//! | `send KEY VALUE` | a value is sent to a key, which is a partition; alone, or in the transaction. Values of a key are unique |
//! | `send KEY VALUE <KEY:OFFSET` | ... made from the input at that place |
//! | `acked KEY VALUE @OFFSET` | it was acknowledged; `send KEY VALUE @OFFSET` is both |
//! | `refused KEY VALUE` | a value sent alone is not there |
//! | `polled KEY OFFSET=VALUE …` | a poll gave these; nothing where none are named |
//! | `offsets GROUP KEY=OFFSET …` | the offsets of a group are to be committed, alone or in the transaction |
//! | `commit` | the transaction is to be committed: without this it cannot be |
//! | `ok`, `fail`, `unknown` | how the transaction, or the commit of offsets alone, ended |
//! | `assign KEY=OFFSET …`, `seek KEY=OFFSET …` | the process reads on from there |
//! | `subscribe` | a group says what the process reads |
//! | `assigned KEY …`, `revoked KEY …` | it did |
//! | `fetched GROUP KEY=OFFSET …` | the group's offsets, as the coordinator knows them |
//! | `drained KEY …` | all writers had ended, and the process has read these keys to their very end |
//! | `note …` | for people, to the end of the line; errors that clients were given are looked at |
//!
//! Invariant: an operation without an end may have happened, unless it is a transaction that nobody asked to commit.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use read::ReadError;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Arc<str>);

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub Arc<str>);

/// A process' number in [`History::processes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub usize);

/// An operation's number in [`History::operations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub usize);

/// A place in a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// By key.
pub type Positions = BTreeMap<Key, Offset>;

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// All of it or nothing.
    Transaction,
    /// One send outside of transactions.
    Send,
    /// One poll outside of transactions.
    Poll,
    /// A commit of offsets outside of transactions.
    Offsets,
    /// A question for a group's offsets.
    Fetched,
    /// The process reads something else from here on.
    Move,
}

/// What is known of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not happen, and will not.
    Failed,
    /// It may have happened, or may happen yet.
    Unknown,
}

/// A part of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A value was sent.
    Send {
        /// Where to.
        key: Key,
        /// What.
        value: Value,
        /// Where it is, when that was told.
        offset: Option<Offset>,
        /// The input that it was made from.
        source: Option<(Key, Offset)>,
    },
    /// Values were read.
    Poll {
        /// Where from.
        key: Key,
        /// What, in the order in which they came.
        records: Vec<(Offset, Value)>,
    },
    /// A group's offsets, to be committed or found.
    Offsets {
        /// Whose.
        group: Arc<str>,
        /// Which.
        positions: Positions,
    },
    /// The next poll of these keys gives what lies there.
    Seek(Positions),
    /// Where the next poll of these keys begins is the group's business.
    Rebalance(Vec<Key>),
    /// All keys of before are given up.
    Anew,
    /// These keys were read to their end, and nothing more comes.
    Drained(Vec<Key>),
}

/// What a process did, from asking to knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub process: Process,
    /// What.
    pub kind: OperationKind,
    /// When it began.
    pub begin: u64,
    /// When its end was known, if it was.
    pub end: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Its parts in order.
    pub steps: Vec<Step>,
}

/// What a process said for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who.
    pub process: Process,
    /// When.
    pub time: u64,
    /// In its words.
    pub text: String,
}

/// All operations, in the order in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Names of the processes.
    pub processes: Vec<String>,
    /// What they did.
    pub operations: Vec<Operation>,
    /// What they noted, and when.
    pub notes: Vec<Note>,
}

impl History {
    /// Reads the text of a history.
    pub fn read(text: &str) -> Result<History, ReadError> {
        read::read(text)
    }

    /// Each operation with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (OperationId, &Operation)> {
        self.operations.iter().enumerate().map(|(number, operation)| (OperationId(number), operation))
    }

    /// One operation.
    pub fn operation(&self, id: OperationId) -> &Operation {
        &self.operations[id.0]
    }

    /// An operation in words: `a's transaction of 17`.
    pub fn name(&self, id: OperationId) -> String {
        let operation = self.operation(id);
        let kind = match operation.kind {
            OperationKind::Transaction => "transaction",
            OperationKind::Send => "send",
            OperationKind::Poll => "poll",
            OperationKind::Offsets => "commit of offsets",
            OperationKind::Fetched => "question for offsets",
            OperationKind::Move => "move",
        };
        format!("{}'s {kind} of {}", self.processes[operation.process.0], operation.begin)
    }

    /// How much there is in it.
    pub fn describe(&self) -> String {
        let transactions = || self.operations.iter().filter(|it| it.kind == OperationKind::Transaction);
        let with = |outcome| transactions().filter(|it| it.outcome == outcome).count();
        let steps = || self.operations.iter().flat_map(|operation| &operation.steps);
        let sends = steps().filter(|step| matches!(step, Step::Send { .. })).count();
        let records = |step: &Step| if let Step::Poll { records, .. } = step { records.len() } else { 0 };
        format!(
            "{} transactions ({} committed, {} aborted, {} unknown), {sends} sends, {} records polled",
            transactions().count(),
            with(Outcome::Ok),
            with(Outcome::Failed),
            with(Outcome::Unknown),
            steps().map(records).sum::<usize>(),
        )
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
