//! Producer state of a partition: which batches of which idempotent producer are there, and which transactions are open.
//!
//! Pure: [`ProducerStates::check`] reads and decides about a batch, [`ProducerStates::record`] is the only writer and is
//! called once the batch is in the log, on replay too. So a failed write leaves the state as it was.
//!
//! Invariants: a producer keeps at most five batches, all of its current epoch, in append order; an open
//! transaction of a producer is in `open` under its first offset exactly as long as the producer's entry names it.

mod entry;
mod snapshot;
mod verification;

use std::collections::{BTreeMap, HashMap};

use ottla_records::{BatchHeader, NO_SEQUENCE};
use ottla_types::{Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

pub use self::entry::BatchMark;
use self::entry::ProducerEntry;
pub use self::snapshot::SnapshotError;
pub(crate) use self::snapshot::{read_snapshot, snapshot_rows, write_snapshot};
use self::verification::Verifications;
pub use self::verification::{ToVerify, Verification, VerificationGuard};
use crate::AbortedTransaction;

/// Who appends a batch; producers are held to more rules than a leader's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: duplicates are found, sequences and epochs must fit.
    Client,
    /// A coordinator on this broker: epochs must fit, sequences are not looked at.
    Coordinator,
    /// The leader of the partition: what it has is taken over as it is, with its offsets and epochs.
    Replication,
}

/// Why a producer's batch cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// The batch is not the one that comes next (`OUT_OF_ORDER_SEQUENCE_NUMBER`).
    #[error("producer {producer}: sequence {found} where {last} was the last")]
    OutOfOrderSequence {
        /// Whose batch.
        producer: ProducerId,
        /// Base sequence of the batch.
        found: i32,
        /// Last sequence of the producer here, −1 for none of this epoch.
        last: i32,
    },
    /// A newer incarnation of the producer has written here (`INVALID_PRODUCER_EPOCH`).
    #[error("producer {producer}: epoch {found} is below {current}")]
    InvalidEpoch {
        /// Whose batch.
        producer: ProducerId,
        /// Epoch of the batch.
        found: ProducerEpoch,
        /// Newest epoch seen here.
        current: ProducerEpoch,
    },
    /// A batch outside a transaction while one of the producer is open (`INVALID_TXN_STATE`).
    #[error("producer {producer}: a batch outside of its open transaction")]
    NotInTransaction {
        /// Whose batch.
        producer: ProducerId,
    },
    /// A batch that would begin a transaction of which the coordinator does not know (`INVALID_TXN_STATE`).
    #[error("producer {producer}: a batch of no ongoing transaction")]
    NotVerified {
        /// Whose batch.
        producer: ProducerId,
    },
    /// A marker of a coordinator that has been replaced (`TRANSACTION_COORDINATOR_FENCED`).
    #[error("producer {producer}: coordinator epoch {found} is below {current}")]
    CoordinatorFenced {
        /// Whose transaction.
        producer: ProducerId,
        /// Coordinator epoch in the marker.
        found: i32,
        /// Newest seen here.
        current: i32,
    },
}

/// What [`ProducerStates::check`] says of a batch that is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be appended.
    Fresh,
    /// It is there already.
    Duplicate(BatchMark),
}

/// On what terms a batch is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) origin: Origin,
    pub(crate) verification: Verification,
    /// Version of transactions that a marker's transaction ran under.
    pub(crate) transaction_version: i8,
}

impl Terms {
    /// Neither verified nor of version 2.
    pub(crate) fn of(origin: Origin) -> Self {
        Self { origin, verification: Verification::Off, transaction_version: 0 }
    }
}

/// The end of a transaction, as its control record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Whether the transaction is committed; aborted otherwise.
    pub(crate) commit: bool,
    /// Epoch of the coordinator that decided.
    pub(crate) coordinator_epoch: i32,
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedTransaction {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// Offset of the marker.
    pub(crate) last_offset: Offset,
    pub(crate) aborted: bool,
}

/// What is known of a producer, for `DescribeProducers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerView {
    /// Id and epoch.
    pub producer: ProducerIdAndEpoch,
    /// Sequence of its last record, −1 for none.
    pub last_sequence: i32,
    /// Largest timestamp of its last batch.
    pub last_timestamp: Millis,
    /// Epoch of the coordinator that ended its last transaction, −1 for none.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
}

/// What a producer's next batch is checked against, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// Offset of its last record of data; none where only a marker is known.
    pub(crate) offset: Option<Offset>,
    pub(crate) epoch: ProducerEpoch,
}

/// The state of all producers of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerStates {
    producers: HashMap<ProducerId, ProducerEntry>,
    /// Open transactions by first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Ended ones whose marker is not below the high watermark yet: first offset to marker.
    unreplicated: BTreeMap<Offset, Offset>,
    verifications: Verifications,
}

impl ProducerStates {
    /// Says whether a transaction of the producer is open here; otherwise begins its verification.
    ///
    /// # Errors
    /// The producer has a newer epoch.
    pub(crate) fn verify(&mut self, now: Millis, ask: &ToVerify) -> Result<Verification, ProducerError> {
        if let Some(entry) = self.producers.get(&ask.producer.id) {
            entry.check_epoch(ask.producer)?;
            if entry.has_ongoing(ask.producer.epoch) {
                return Ok(Verification::Ongoing);
            }
        }
        Ok(Verification::Guard(self.verifications.begin(now, ask)))
    }

    /// Decides whether a batch of an idempotent producer may be appended.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn check(
        &self,
        batch: &BatchHeader,
        marker: Option<&Marker>,
        terms: Terms,
    ) -> Result<Verdict, ProducerError> {
        let origin = terms.origin;
        if origin == Origin::Replication || !batch.has_producer_id() {
            return Ok(Verdict::Fresh);
        }
        let entry = self.producers.get(&batch.producer_id);
        if batch.attributes.is_control() {
            match (entry, marker) {
                (Some(entry), Some(marker)) => entry.check_marker(batch, marker, terms.transaction_version)?,
                (Some(entry), None) => entry.check_epoch(batch.producer())?,
                (None, _) => {}
            }
            return Ok(Verdict::Fresh);
        }
        if origin == Origin::Client
            && let Some(mark) = entry.and_then(|entry| entry.find(batch))
        {
            return Ok(Verdict::Duplicate(mark));
        }
        if let Some(entry) = entry {
            entry.check_epoch(batch.producer())?;
        }
        let ongoing = entry.is_some_and(|entry| entry.has_ongoing(batch.producer_epoch));
        let is_transactional = batch.attributes.is_transactional();
        if is_transactional && !ongoing && !self.verifications.admits(batch, terms.verification) {
            return Err(ProducerError::NotVerified { producer: batch.producer_id });
        }
        if origin == Origin::Client {
            self.check_sequence(entry, batch)?;
        }
        if !is_transactional && entry.is_some_and(|entry| entry.transaction_start.is_some()) {
            return Err(ProducerError::NotInTransaction { producer: batch.producer_id });
        }
        Ok(Verdict::Fresh)
    }

    fn check_sequence(&self, entry: Option<&ProducerEntry>, batch: &BatchHeader) -> Result<(), ProducerError> {
        let found = batch.base_sequence;
        let refused = |last| Err(ProducerError::OutOfOrderSequence { producer: batch.producer_id, found, last });
        if let Some(under_way) = self.verifications.get(batch.producer_id) {
            // With version 2 each transaction begins at 0 here, whatever has become of the batches before.
            if under_way.bumps_epochs && found != 0 && entry.is_none_or(|entry| entry.last().is_none()) {
                return refused(NO_SEQUENCE);
            }
            if found > under_way.lowest_sequence {
                return refused(entry.map_or(NO_SEQUENCE, ProducerEntry::last_sequence));
            }
        }
        entry.map_or(Ok(()), |entry| entry.check_sequence(batch))
    }

    /// Takes in a batch that is in the log. `batch` has its final offsets. Gives the transaction that it ends.
    pub(crate) fn record(&mut self, batch: &BatchHeader, marker: Option<&Marker>) -> Option<CompletedTransaction> {
        if !batch.has_producer_id() {
            return None;
        }
        if batch.attributes.is_transactional() {
            self.verifications.appended(batch);
        }
        if batch.attributes.is_control() {
            return marker.and_then(|marker| self.record_marker(batch, marker));
        }
        let entry = self.producers.entry(batch.producer_id).or_insert_with(|| ProducerEntry::new(batch.producer_epoch));
        entry.push(batch);
        if batch.attributes.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(batch.base_offset);
            self.open.insert(batch.base_offset, batch.producer_id);
        }
        None
    }

    fn record_marker(&mut self, batch: &BatchHeader, marker: &Marker) -> Option<CompletedTransaction> {
        let entry = self.producers.entry(batch.producer_id).or_insert_with(|| ProducerEntry::new(batch.producer_epoch));
        entry.end_transaction(batch, marker);
        let first_offset = entry.transaction_start.take()?;
        self.open.remove(&first_offset);
        let last_offset = batch.last_offset();
        self.unreplicated.insert(first_offset, last_offset);
        Some(CompletedTransaction {
            producer_id: batch.producer_id,
            first_offset,
            last_offset,
            aborted: !marker.commit,
        })
    }

    /// The entry for the index of aborted transactions; to be asked right after [`ProducerStates::record`].
    pub(crate) fn aborted(&self, done: &CompletedTransaction) -> AbortedTransaction {
        let oldest_open = self.open.keys().next().copied();
        AbortedTransaction {
            producer_id: done.producer_id,
            first_offset: done.first_offset,
            last_offset: done.last_offset,
            last_stable_offset: oldest_open.unwrap_or(done.last_offset.plus(1)),
        }
    }

    /// First offset of the oldest transaction that is open, or ended by a marker not below the high watermark yet.
    pub(crate) fn first_unstable(&self) -> Option<Offset> {
        let oldest = |offset: Option<&Offset>| offset.copied();
        match (oldest(self.open.keys().next()), oldest(self.unreplicated.keys().next())) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Transactions whose marker lies below the high watermark are stable from now on.
    pub(crate) fn advance_high_watermark(&mut self, high_watermark: Offset) {
        self.unreplicated.retain(|_, marker| *marker >= high_watermark);
    }

    /// Forgets producers without an open transaction that have not written for `expiration_ms`.
    pub(crate) fn expire(&mut self, now: Millis, expiration_ms: i64) {
        self.producers
            .retain(|_, entry| entry.transaction_start.is_some() || now.since(entry.last_timestamp) < expiration_ms);
        self.verifications.expire(now, expiration_ms);
    }

    /// The last record of each producer.
    pub(crate) fn last_records(&self) -> HashMap<ProducerId, LastRecord> {
        let last = |entry: &ProducerEntry| LastRecord {
            offset: entry.last().map(|mark| mark.last_offset),
            epoch: entry.epoch,
        };
        self.producers.iter().map(|(&id, entry)| (id, last(entry))).collect()
    }

    /// Number of producers, and of verifications under way.
    pub(crate) fn len(&self) -> usize {
        self.producers.len() + self.verifications.len()
    }

    /// All producers, in no order.
    pub(crate) fn views(&self) -> impl Iterator<Item = ProducerView> {
        self.producers.iter().map(|(&id, entry)| ProducerView {
            producer: ProducerIdAndEpoch { id, epoch: entry.epoch },
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            transaction_start: entry.transaction_start,
        })
    }

    /// One producer's current epoch and whether a transaction of it is open.
    pub(crate) fn view(&self, producer: ProducerId) -> Option<ProducerView> {
        self.producers.get(&producer).map(|entry| ProducerView {
            producer: ProducerIdAndEpoch { id: producer, epoch: entry.epoch },
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            transaction_start: entry.transaction_start,
        })
    }

    fn insert(&mut self, id: ProducerId, entry: ProducerEntry) {
        if let Some(first) = entry.transaction_start {
            self.open.insert(first, id);
        }
        self.producers.insert(id, entry);
    }
}

#[cfg(test)]
mod tests;
