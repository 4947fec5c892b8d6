//! What can be wrong with a history.

use std::fmt;

/// A kind of fault, by the name that Jepsen's tests of Kafka give it where they know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An acknowledged value lies below one that was read, and nobody ever read it.
    LostWrite,
    /// An acknowledged value lies above all that was read: nobody came so far, or it is gone.
    Unseen,
    /// One value of a key at several offsets.
    Duplicate,
    /// One offset of a key with several values.
    InconsistentOffsets,
    /// A value was read that an aborted transaction wrote.
    AbortedRead,
    /// Transactions read from each other in a circle.
    Cycle,
    /// ... with the order of each process.
    CycleProcess,
    /// ... with the order in which operations ended and began.
    CycleRealtime,
    /// A transaction read what it had written itself.
    PrecommittedRead,
    /// Of one transaction some writes can be read and others not.
    TornTransaction,
    /// Two polls of a process jump over values.
    PollSkip,
    /// A poll gives what the process has had, or what lies before it.
    NonmonotonicPoll,
    /// A process' later send lies before its earlier one.
    NonmonotonicSend,
    /// [`Kind::PollSkip`] within one transaction or one poll.
    InternalPollSkip,
    /// [`Kind::NonmonotonicPoll`] within one transaction or one poll.
    InternalNonmonotonicPoll,
    /// [`Kind::NonmonotonicSend`] within one transaction.
    InternalNonmonotonicSend,
    /// A group's offset lies before one that was acknowledged earlier.
    OffsetBackwards,
    /// A group's offset is one that only aborted transactions committed, or nobody.
    AbortedOffset,
    /// Two outputs that can be read came from one input.
    ProcessedTwice,
    /// A group is past an input that has no output.
    PassedOver,
    /// A client was given an error that says nothing: whether it may try again, it cannot know.
    UnknownError,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 21] = [
        Kind::LostWrite,
        Kind::Unseen,
        Kind::Duplicate,
        Kind::InconsistentOffsets,
        Kind::AbortedRead,
        Kind::Cycle,
        Kind::CycleProcess,
        Kind::CycleRealtime,
        Kind::PrecommittedRead,
        Kind::TornTransaction,
        Kind::PollSkip,
        Kind::NonmonotonicPoll,
        Kind::NonmonotonicSend,
        Kind::InternalPollSkip,
        Kind::InternalNonmonotonicPoll,
        Kind::InternalNonmonotonicSend,
        Kind::OffsetBackwards,
        Kind::AbortedOffset,
        Kind::ProcessedTwice,
        Kind::PassedOver,
        Kind::UnknownError,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::LostWrite => "lost-write",
            Kind::Unseen => "unseen",
            Kind::Duplicate => "duplicate",
            Kind::InconsistentOffsets => "inconsistent-offsets",
            Kind::AbortedRead => "G1a",
            Kind::Cycle => "G1c",
            Kind::CycleProcess => "G1c-process",
            Kind::CycleRealtime => "G1c-realtime",
            Kind::PrecommittedRead => "precommitted-read",
            Kind::TornTransaction => "torn-transaction",
            Kind::PollSkip => "poll-skip",
            Kind::NonmonotonicPoll => "nonmonotonic-poll",
            Kind::NonmonotonicSend => "nonmonotonic-send",
            Kind::InternalPollSkip => "int-poll-skip",
            Kind::InternalNonmonotonicPoll => "int-nonmonotonic-poll",
            Kind::InternalNonmonotonicSend => "int-nonmonotonic-send",
            Kind::OffsetBackwards => "offset-backwards",
            Kind::AbortedOffset => "aborted-offset",
            Kind::ProcessedTwice => "processed-twice",
            Kind::PassedOver => "passed-over",
            Kind::UnknownError => "unknown-error",
        }
    }
}

/// One fault that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is.
    pub kind: Kind,
    /// Where, in words.
    pub text: String,
}

impl Anomaly {
    pub(crate) fn new(kind: Kind, text: String) -> Anomaly {
        Anomaly { kind, text }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.text)
    }
}
