//! What every coordinator is: a machine for one partition of an internal topic, which decides and replays.
//!
//! Whoever runs a [`Shard`] appends the records of its decisions to that partition, replays them once they are in the
//! log, and lets the replies go once they are committed. Where an append fails, the shard is thrown away and built again
//! from the log, so that hard state is never ahead of it; tickets without a reply are then refused.
//!
//! Also here: what the families of coordinators share, deadlines by value and the patterns that clients send.
//!
//! Laws: replaying all records of the log gives the live hard state; the same state, time and request give the same
//! decision; a crash between decision and append loses only what nobody was told.

mod pattern;
mod timers;

use ottla_controller::MetadataImage;
use ottla_types::{Millis, Offset, ProducerIdAndEpoch};
pub use pattern::{InvalidPattern, Pattern};
pub use timers::Timers;

/// Names a request until it is answered, perhaps long after its own decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it wrote holds.
    Commit,
    /// What it wrote is void.
    Abort,
}

/// What follows from a request or from the passing of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<R, P> {
    /// To be appended, together or not at all.
    pub records: Vec<R>,
    /// Whose transaction the records are part of, if of one: they are replayed as that producer's, and hold or are void
    /// once it ends.
    pub transaction: Option<ProducerIdAndEpoch>,
    /// Sent once the records are committed. A ticket may be that of an earlier request that was parked.
    pub replies: Vec<(Ticket, P)>,
}

impl<R, P> Default for Decision<R, P> {
    fn default() -> Self {
        Self { records: Vec::new(), transaction: None, replies: Vec::new() }
    }
}

impl<R, P> Decision<R, P> {
    /// Nothing to write, nothing to say: the request is parked.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Only an answer.
    #[must_use]
    pub fn reply(to: Ticket, reply: P) -> Self {
        Self { replies: vec![(to, reply)], ..Self::default() }
    }

    /// Records and an answer.
    #[must_use]
    pub fn new(records: Vec<R>, to: Ticket, reply: P) -> Self {
        Self { records, transaction: None, replies: vec![(to, reply)] }
    }

    /// The same as part of a transaction of `producer`.
    #[must_use]
    pub fn in_transaction(self, producer: ProducerIdAndEpoch) -> Self {
        Self { transaction: Some(producer), ..self }
    }

    /// What `other` says, after this. Both have to be of one transaction, or of none.
    pub fn extend(&mut self, other: Self) {
        debug_assert_eq!(self.transaction, other.transaction);
        self.records.extend(other.records);
        self.replies.extend(other.replies);
    }
}

/// One partition of an internal topic. Hard state is what the records say and changes in [`Shard::replay`] alone; soft state
/// (who is waiting, heartbeats) may change in any call and dies with the shard.
pub trait Shard {
    /// What is written.
    type Record;
    /// What is asked.
    type Request;
    /// What is answered.
    type Reply;

    /// Whether a request is better not decided at all while the log takes no records, because it is likely to lead to some:
    /// soft state then outlives that time.
    fn may_write(_request: &Self::Request) -> bool {
        false
    }

    /// Decides a request.
    fn decide(
        &mut self,
        now: Millis,
        image: &MetadataImage,
        from: Ticket,
        request: Self::Request,
    ) -> Decision<Self::Record, Self::Reply>;

    /// Takes over one record that is in the log at `at`; `by` where it is part of a transaction.
    fn replay(&mut self, at: Offset, by: Option<ProducerIdAndEpoch>, record: Self::Record);

    /// A transaction ended.
    fn end_transaction(&mut self, by: ProducerIdAndEpoch, outcome: Outcome);

    /// The log was replayed to its end: from now on time passes.
    fn loaded(&mut self, now: Millis, image: &MetadataImage) -> Decision<Self::Record, Self::Reply>;

    /// When [`Shard::expire`] wants to be called next.
    fn next_deadline(&self) -> Option<Millis>;

    /// Decides what follows from `now` having come. To be called again while [`Shard::next_deadline`] is not later.
    fn expire(&mut self, now: Millis, image: &MetadataImage) -> Decision<Self::Record, Self::Reply>;
}
