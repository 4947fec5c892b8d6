//! What is known of a transactional id: the states of Kafka, and the record that tells of them.

use std::collections::BTreeSet;

use ottla_coordinator::Outcome;
use ottla_types::{Millis, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TopicName, TopicPartition};
use ottla_wire::messages::{
    transaction_log_key::TransactionLogKey,
    transaction_log_value::{PartitionsSchema, TransactionLogValue},
};

use crate::record::TransactionRecord;

/// Version of transactions that bumps the epoch with every end.
pub(crate) const BUMPING_VERSION: i16 = 2;
/// Last epoch that a producer is given. The one above is only for fencing, so that fencing is always possible.
pub(crate) const EPOCH_MAX: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

/// Where a transactional id stands; the numbers are those of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// No transaction yet under this epoch.
    Empty = 0,
    /// Partitions were added.
    Ongoing = 1,
    /// To be committed, whatever happens.
    PrepareCommit = 2,
    /// To be aborted, whatever happens.
    PrepareAbort = 3,
    /// All markers of a commit are written.
    CompleteCommit = 4,
    /// All markers of an abort are written.
    CompleteAbort = 5,
    /// Expired.
    Dead = 6,
    /// About to be aborted and fenced. Kafka passes through it in memory only.
    PrepareEpochFence = 7,
}

impl State {
    pub(crate) const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// The state that a record's number stands for.
    pub(crate) fn of(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i8 == number)
    }

    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// How the transaction will have ended, where that is decided and markers are due.
    pub(crate) fn prepared(self) -> Option<Outcome> {
        match self {
            Self::PrepareCommit => Some(Outcome::Commit),
            Self::PrepareAbort => Some(Outcome::Abort),
            _ => None,
        }
    }

    /// Whether a transaction is open.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Ongoing | Self::PrepareEpochFence)
    }

    /// Whether nothing is under way, so that the id may expire or a transaction begin.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }
}

/// See the file's head. All of it is in the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transaction {
    /// Who may go on.
    pub(crate) producer: ProducerIdAndEpoch,
    /// The producer id before the last change, which is mostly the same.
    pub(crate) previous: ProducerId,
    /// The producer id after the end that is decided, if it is another.
    pub(crate) next: ProducerId,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// When it changed last. Grows, so that it names the decision in a [`MarkerOrder`](crate::MarkerOrder).
    pub(crate) updated: Millis,
    /// When the transaction began; none before the first.
    pub(crate) started: Millis,
    /// Version of transactions that the client used last: 0, which stands for 1 also, or 2.
    pub(crate) client_version: i16,
}

impl Transaction {
    /// An id that was never seen, under a producer id that nobody had.
    pub(crate) fn new(id: ProducerId, timeout_ms: i32, now: Millis) -> Self {
        Self {
            producer: ProducerIdAndEpoch { id, epoch: ProducerEpoch(0) },
            previous: id,
            next: ProducerId::NONE,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            updated: now,
            started: Millis::NONE,
            client_version: 0,
        }
    }

    /// This in another state; time does not run backwards.
    pub(crate) fn to(&self, state: State, now: Millis) -> Self {
        Self { state, previous: self.producer.id, updated: now.max(self.updated), ..self.clone() }
    }

    /// Whether the producer's epochs are used up.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.producer.epoch >= EPOCH_MAX
    }

    /// The epoch after this one.
    pub(crate) fn next_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.producer.epoch.0.saturating_add(1))
    }

    /// The end of this transaction is decided. With `bump`, late requests of it cannot be taken for those of the next one.
    pub(crate) fn prepare(&self, outcome: Outcome, client_version: i16, next: ProducerId, now: Millis) -> Self {
        let state = match outcome {
            Outcome::Commit => State::PrepareCommit,
            Outcome::Abort => State::PrepareAbort,
        };
        let bumps = client_version >= BUMPING_VERSION;
        let epoch = if bumps { self.next_epoch() } else { self.producer.epoch };
        Self {
            producer: ProducerIdAndEpoch { epoch, ..self.producer },
            next,
            // Two decisions of an id never have the same time.
            updated: now.max(self.updated.plus(1)),
            started: if self.state.is_open() { self.started } else { now },
            client_version,
            ..self.to(state, now)
        }
    }

    /// All markers are written.
    pub(crate) fn complete(&self, now: Millis) -> Self {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        Self {
            producer: self.goes_on_with(),
            next: ProducerId::NONE,
            partitions: BTreeSet::new(),
            ..self.to(state, now)
        }
    }

    /// With what the producer goes on after the end that is decided.
    pub(crate) fn goes_on_with(&self) -> ProducerIdAndEpoch {
        if self.next == ProducerId::NONE {
            self.producer
        } else {
            ProducerIdAndEpoch { id: self.next, epoch: ProducerEpoch(0) }
        }
    }

    /// The record of this.
    pub(crate) fn record(&self, transactional_id: &str) -> TransactionRecord {
        let value = TransactionLogValue {
            producer_id: self.producer.id.0,
            previous_producer_id: self.previous.0,
            next_producer_id: self.next.0,
            producer_epoch: self.producer.epoch.0,
            next_producer_epoch: ProducerEpoch::NONE.0,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.state as i8,
            transaction_partitions: (self.state != State::Empty).then(|| grouped(&self.partitions)),
            transaction_last_update_timestamp_ms: self.updated.0,
            transaction_start_timestamp_ms: self.started.0,
            client_transaction_version: self.client_version,
        };
        TransactionRecord::State(key(transactional_id), Some(value))
    }

    /// What a record says; nothing where its state has no meaning here.
    pub(crate) fn of(value: TransactionLogValue) -> Option<Self> {
        let state = State::of(value.transaction_status)?;
        let named = value.transaction_partitions.unwrap_or_default().into_iter().filter(|_| state != State::Empty);
        let partitions = named.filter_map(|topic| Some((TopicName::new(&topic.topic).ok()?, topic.partition_ids)));
        Some(Self {
            producer: ProducerIdAndEpoch {
                id: ProducerId(value.producer_id),
                epoch: ProducerEpoch(value.producer_epoch),
            },
            previous: ProducerId(value.previous_producer_id),
            next: ProducerId(value.next_producer_id),
            timeout_ms: value.transaction_timeout_ms,
            state,
            // A name that no topic can have is that of no partition that could take a marker.
            partitions: partitions
                .flat_map(|(topic, ids)| {
                    let of = move |id| TopicPartition { topic: topic.clone(), partition: PartitionIndex(id) };
                    ids.into_iter().map(of)
                })
                .collect(),
            updated: Millis(value.transaction_last_update_timestamp_ms),
            started: Millis(value.transaction_start_timestamp_ms),
            client_version: value.client_transaction_version,
        })
    }
}

/// The record by which a transactional id is forgotten.
pub(crate) fn tombstone(transactional_id: &str) -> TransactionRecord {
    TransactionRecord::State(key(transactional_id), None)
}

fn key(transactional_id: &str) -> TransactionLogKey {
    TransactionLogKey { transactional_id: transactional_id.to_owned() }
}

/// By topic, ascending.
fn grouped(partitions: &BTreeSet<TopicPartition>) -> Vec<PartitionsSchema> {
    let mut topics: Vec<PartitionsSchema> = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match topics.last_mut() {
            Some(last) if last.topic == topic.as_str() => last.partition_ids.push(partition.0),
            _ => {
                topics.push(PartitionsSchema { topic: topic.as_str().to_owned(), partition_ids: vec![partition.0] });
            }
        }
    }
    topics
}
