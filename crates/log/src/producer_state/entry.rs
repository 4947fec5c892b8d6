//! What is kept of one producer.

use ottla_records::{BatchHeader, NO_SEQUENCE, sequence_plus};
use ottla_types::{Millis, Offset, ProducerEpoch, ProducerIdAndEpoch};

use super::{Marker, ProducerError};

/// Batches kept per producer: as many as a producer may have in flight (`max.in.flight.requests.per.connection` ≤ 5).
const BATCHES_MAX: usize = 5;

/// Where a producer's batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Its largest timestamp.
    pub timestamp: Millis,
}

/// State of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: ProducerEpoch,
    /// −1 before the first marker.
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: Millis,
    pub(crate) transaction_start: Option<Offset>,
    batches: [Option<BatchMark>; BATCHES_MAX], // oldest first, filled from the front
}

impl ProducerEntry {
    pub(crate) fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: Millis::NONE,
            transaction_start: None,
            batches: [None; BATCHES_MAX],
        }
    }

    /// The newest batch.
    pub(crate) fn last(&self) -> Option<&BatchMark> {
        self.batches.iter().flatten().next_back()
    }

    /// Sequence of the last record, −1 for none.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.last().map_or(NO_SEQUENCE, |mark| mark.last_sequence)
    }

    /// The batch of the same epoch and sequences, if it is among those kept.
    pub(super) fn find(&self, batch: &BatchHeader) -> Option<BatchMark> {
        if batch.producer_epoch != self.epoch {
            return None;
        }
        let sequences = (batch.base_sequence, batch.last_sequence());
        self.batches.iter().flatten().find(|mark| (mark.first_sequence, mark.last_sequence) == sequences).copied()
    }

    /// Whether a transaction of this epoch is open.
    pub(super) fn has_ongoing(&self, epoch: ProducerEpoch) -> bool {
        self.transaction_start.is_some() && self.epoch == epoch
    }

    pub(super) fn check_epoch(&self, producer: ProducerIdAndEpoch) -> Result<(), ProducerError> {
        if producer.epoch >= self.epoch { Ok(()) } else { Err(self.invalid_epoch(producer)) }
    }

    fn invalid_epoch(&self, producer: ProducerIdAndEpoch) -> ProducerError {
        ProducerError::InvalidEpoch { producer: producer.id, found: producer.epoch, current: self.epoch }
    }

    /// With version 2 of transactions a marker has a newer epoch than what it ends, so one with the current epoch is late: it
    /// was meant for the transaction before. Where none is open it is a retry and harmless; and the last epoch that there is
    /// has none above it.
    pub(super) fn check_marker(
        &self,
        batch: &BatchHeader,
        marker: &Marker,
        transaction_version: i8,
    ) -> Result<(), ProducerError> {
        self.check_epoch(batch.producer())?;
        let is_late = batch.producer_epoch == self.epoch && self.epoch.0 != i16::MAX;
        if transaction_version >= 2 && is_late && self.transaction_start.is_some() {
            return Err(self.invalid_epoch(batch.producer()));
        }
        self.check_coordinator(batch, marker)
    }

    fn check_coordinator(&self, batch: &BatchHeader, marker: &Marker) -> Result<(), ProducerError> {
        if marker.coordinator_epoch >= self.coordinator_epoch {
            return Ok(());
        }
        Err(ProducerError::CoordinatorFenced {
            producer: batch.producer_id,
            found: marker.coordinator_epoch,
            current: self.coordinator_epoch,
        })
    }

    /// A new epoch begins at 0; within an epoch each batch follows the last one. A producer of which only a marker is
    /// left has no last sequence: its next batch must be 0 too, for the marker's epoch is known.
    pub(super) fn check_sequence(&self, batch: &BatchHeader) -> Result<(), ProducerError> {
        let last = if batch.producer_epoch == self.epoch { self.last_sequence() } else { NO_SEQUENCE };
        let expected = if last == NO_SEQUENCE { 0 } else { sequence_plus(last, 1) };
        if batch.base_sequence == expected {
            return Ok(());
        }
        Err(ProducerError::OutOfOrderSequence { producer: batch.producer_id, found: batch.base_sequence, last })
    }

    /// Takes in a batch of data.
    pub(super) fn push(&mut self, batch: &BatchHeader) {
        self.enter_epoch(batch.producer_epoch);
        let mark = BatchMark {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            first_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        };
        self.last_timestamp = batch.max_timestamp;
        self.push_mark(mark);
    }

    fn push_mark(&mut self, mark: BatchMark) {
        match self.batches.iter_mut().find(|slot| slot.is_none()) {
            Some(free) => *free = Some(mark),
            None => {
                self.batches.rotate_left(1);
                self.batches[BATCHES_MAX - 1] = Some(mark);
            }
        }
    }

    /// The entry as a snapshot tells it: of the batches only the newest.
    pub(super) fn restore(
        epoch: ProducerEpoch,
        coordinator_epoch: i32,
        last_timestamp: Millis,
        transaction_start: Option<Offset>,
        last: Option<BatchMark>,
    ) -> Self {
        let mut batches = [None; BATCHES_MAX];
        batches[0] = last;
        Self { epoch, coordinator_epoch, last_timestamp, transaction_start, batches }
    }

    /// Takes in a marker; the caller closes the transaction.
    pub(super) fn end_transaction(&mut self, batch: &BatchHeader, marker: &Marker) {
        self.enter_epoch(batch.producer_epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = batch.max_timestamp;
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches = [None; BATCHES_MAX];
        }
    }
}
