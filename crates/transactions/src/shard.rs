//! One partition of `__transaction_state`: routes requests, records and deadlines.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ottla_config::TransactionSettings;
use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Outcome, Shard, Ticket, Timers};
use ottla_types::{Millis, Offset, ProducerEpoch, ProducerIdAndEpoch, TopicPartition};

use crate::{
    add::{self, Add},
    admin::{self, Filters},
    end::{self, End},
    expire,
    init::{self, Init},
    markers::{self, Markers, Written},
    record::TransactionRecord,
    request::{TransactionReply, TransactionRequest},
    state::{State, Transaction},
};

/// What the machine decides.
pub(crate) type Decided = Decision<TransactionRecord, TransactionReply>;

/// A transactional id. What is beside [`Entry::hard`] is soft.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) hard: Transaction,
    /// The epoch before the present one, where its owner may not know yet that it changed.
    pub(crate) last_epoch: ProducerEpoch,
    /// Partitions whose markers are due.
    pub(crate) unmarked: BTreeSet<TopicPartition>,
    /// Whether the order for these markers was handed out.
    pub(crate) ordered: bool,
}

impl Entry {
    /// Whether a partition is in the transaction.
    pub(crate) fn is_in(&self, partition: &TopicPartition) -> bool {
        self.hard.partitions.contains(partition)
    }
}

/// See the file's head.
#[derive(Clone, Debug)]
pub struct TransactionShard {
    pub(crate) settings: Arc<TransactionSettings>,
    pub(crate) ids: HashMap<String, Entry>,
    pub(crate) markers: Markers,
    pub(crate) timers: Timers<String>,
}

impl TransactionShard {
    /// Empty, to be filled from the log.
    #[must_use]
    pub fn new(settings: Arc<TransactionSettings>) -> Self {
        Self { settings, ids: HashMap::new(), markers: Markers::default(), timers: Timers::default() }
    }

    /// How many transactional ids there are, and how many of them are in a transaction.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.ids.values().filter(|entry| entry.hard.state != State::Dead);
        all.fold((0, 0), |(ids, open), entry| (ids + 1, open + usize::from(entry.hard.state.is_open())))
    }

    /// What is known of an id; what expired is not.
    pub(crate) fn entry(&self, transactional_id: &str) -> Option<&Entry> {
        self.ids.get(transactional_id).filter(|entry| entry.hard.state != State::Dead)
    }

    /// Takes over what a record says.
    fn put(&mut self, transactional_id: String, hard: Transaction) {
        match expire::deadline(&self.settings, &hard) {
            Some(at) => self.timers.set(transactional_id.clone(), at),
            None => {
                self.timers.cancel(&transactional_id);
            }
        }
        let unmarked = hard.state.prepared().map(|_| hard.partitions.clone()).unwrap_or_default();
        match self.ids.get_mut(&transactional_id) {
            Some(entry) => (entry.hard, entry.unmarked) = (hard, unmarked),
            None => {
                let entry = Entry { hard, last_epoch: ProducerEpoch::NONE, unmarked, ordered: false };
                self.ids.insert(transactional_id, entry);
            }
        }
    }
}

impl Shard for TransactionShard {
    type Record = TransactionRecord;
    type Request = TransactionRequest;
    type Reply = TransactionReply;

    fn may_write(request: &TransactionRequest) -> bool {
        match request {
            TransactionRequest::AddPartitions { verify_only, .. } => !verify_only,
            TransactionRequest::Init { .. }
            | TransactionRequest::End { .. }
            | TransactionRequest::MarkersWritten { .. } => true,
            TransactionRequest::Describe { .. } | TransactionRequest::List { .. } | TransactionRequest::NextMarkers => {
                false
            }
        }
    }

    fn decide(&mut self, now: Millis, _: &MetadataImage, from: Ticket, request: TransactionRequest) -> Decided {
        match request {
            TransactionRequest::Init { version, transactional_id, timeout_ms, expected, fresh } => {
                let request = Init { version, transactional_id: &transactional_id, timeout_ms, expected, fresh };
                init::init(self, now, from, &request)
            }
            TransactionRequest::AddPartitions { version, transactional_id, producer, partitions, verify_only } => {
                let request = Add { version, transactional_id: &transactional_id, producer, partitions };
                if verify_only { add::verify(self, from, &request) } else { add::add(self, now, from, &request) }
            }
            TransactionRequest::End { version, transactional_id, producer, outcome, fresh } => {
                let request = End { version, transactional_id: &transactional_id, producer, outcome, fresh };
                end::end(self, now, from, &request)
            }
            TransactionRequest::Describe { transactional_id } => {
                Decision::reply(from, TransactionReply::Describe(admin::describe(self, transactional_id)))
            }
            TransactionRequest::List { states, producers, duration_ms } => {
                let filters = Filters { states: &states, producers: &producers, duration_ms };
                admin::list(self, now, from, &filters)
            }
            TransactionRequest::NextMarkers => markers::next(self, from),
            TransactionRequest::MarkersWritten { transactional_id, producer, decided, partitions } => {
                let written =
                    Written { transactional_id: &transactional_id, producer, decided, partitions: &partitions };
                markers::written(self, now, from, &written)
            }
        }
    }

    fn replay(&mut self, _: Offset, _: Option<ProducerIdAndEpoch>, record: TransactionRecord) {
        match record {
            TransactionRecord::State(key, Some(value)) => {
                if let Some(hard) = Transaction::of(value) {
                    self.put(key.transactional_id, hard);
                }
            }
            TransactionRecord::State(key, None) => {
                self.timers.cancel(&key.transactional_id);
                self.ids.remove(&key.transactional_id);
            }
            TransactionRecord::Other { .. } => {}
        }
    }

    /// No transaction writes to this partition.
    fn end_transaction(&mut self, _: ProducerIdAndEpoch, _: Outcome) {}

    fn loaded(&mut self, now: Millis, _: &MetadataImage) -> Decided {
        markers::loaded(self, now)
    }

    fn next_deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    fn expire(&mut self, now: Millis, _: &MetadataImage) -> Decided {
        match self.timers.pop(now) {
            Some(transactional_id) => expire::expire(self, now, &transactional_id),
            None => Decision::none(),
        }
    }
}
