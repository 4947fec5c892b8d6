//! Appending: stamp the header, write the batch with one call, move the log end.

use std::{io, sync::Arc, sync::atomic::Ordering};

use ottla_records::{BatchHeader, CheckedBatch, HEADER_LEN};
use ottla_types::{LeaderEpoch, Millis, Offset, TimestampType};

use super::{Log, LogState, Writer};
use crate::{
    Origin, ProducerError, ToVerify, Verification,
    batch::marker_of,
    producer_state::{BatchMark, Marker, Terms, Verdict},
    segment::WriteFailure,
};

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Time of the append where the topic's timestamps are those of the append, else −1.
    pub log_append_time: Millis,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// Whether the batch had been there before and nothing was written.
    pub duplicate: bool,
    /// What must be durable before this append is answered ([`Log::when_flushed`]); none by default.
    pub flush_to: Option<Offset>,
}

/// Why a batch is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer's state forbids it.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// It is larger than a segment may be (`RECORD_LIST_TOO_LARGE`).
    #[error("a batch of {size} bytes where segments have {segment_bytes}")]
    LargerThanSegment {
        /// Bytes of the batch.
        size: usize,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// A replicated batch that does not follow the last one.
    #[error("offset {found} where the log ends at {log_end}")]
    OffsetOrder {
        /// Base offset of the batch.
        found: Offset,
        /// Where it should begin at the least.
        log_end: Offset,
    },
    /// The log is not online; see [`Log::state`] (`KAFKA_STORAGE_ERROR`).
    #[error("the log is {0:?}")]
    NotOnline(LogState),
    /// The disk is full; the log is as it was before (`KAFKA_STORAGE_ERROR`).
    #[error("the log directory is full")]
    Full,
    /// The disk failed; the log is as it was before (`KAFKA_STORAGE_ERROR`).
    #[error("the batch was not written: {0}")]
    Io(#[source] io::Error),
    /// The disk failed and the log is offline now (`KAFKA_STORAGE_ERROR`).
    #[error("the batch was not written, the log is offline: {0}")]
    WentOffline(#[source] io::Error),
}

impl Log {
    /// Appends a batch of a producer or coordinator as the leader in `epoch`; with [`Origin::Replication`] the batch
    /// keeps the offsets and the epoch that its header has.
    ///
    /// # Errors
    /// The batch is not in the log.
    pub fn append(
        &self,
        batch: &CheckedBatch,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.append_on(batch, epoch, Terms::of(origin), now)
    }

    /// Appends a batch, which begins a transaction only where `verification` allows it; see [`Log::verify`].
    ///
    /// # Errors
    /// The batch is not in the log.
    pub fn append_verified(
        &self,
        batch: &CheckedBatch,
        epoch: LeaderEpoch,
        origin: Origin,
        verification: Verification,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.append_on(batch, epoch, Terms { verification, ..Terms::of(origin) }, now)
    }

    /// Appends the marker of a transaction that ran under `transaction_version`.
    ///
    /// # Errors
    /// The marker is not in the log.
    pub fn append_marker(
        &self,
        marker: &CheckedBatch,
        epoch: LeaderEpoch,
        transaction_version: i8,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.append_on(marker, epoch, Terms { transaction_version, ..Terms::of(Origin::Coordinator) }, now)
    }

    /// Says whether a transaction of the producer is open here. Otherwise its verification begins: the coordinator is asked,
    /// and where it agrees, the batch is appended with what this gave.
    ///
    /// # Errors
    /// The producer has a newer epoch.
    pub fn verify(&self, ask: &ToVerify, now: Millis) -> Result<Verification, ProducerError> {
        self.writer.lock().producers.verify(now, ask)
    }

    fn append_on(
        &self,
        batch: &CheckedBatch,
        epoch: LeaderEpoch,
        terms: Terms,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        let marker = marker_of(&batch.header, &batch.body);
        let mut writer = self.writer.lock();
        self.check_online()?;
        let header = self.place(batch, epoch, terms.origin)?;
        if let Verdict::Duplicate(mark) = writer.producers.check(&header, marker.as_ref(), terms)? {
            return Ok(self.duplicate(&header, mark));
        }
        if self.is_full() {
            return Err(AppendError::Full);
        }
        self.roll_if_due(&mut writer, &header, now).map_err(AppendError::Io)?;
        self.write(&writer, batch, &header)?;
        self.take_in(&mut writer, &header, marker.as_ref());
        Ok(self.appended(&header, now))
    }

    fn check_online(&self) -> Result<(), AppendError> {
        match self.state() {
            LogState::Online => Ok(()),
            other => Err(AppendError::NotOnline(other)),
        }
    }

    /// The header with its final offset and epoch.
    fn place(&self, batch: &CheckedBatch, epoch: LeaderEpoch, origin: Origin) -> Result<BatchHeader, AppendError> {
        let log_end = self.log_end();
        let mut header = batch.header;
        if origin != Origin::Replication {
            header.base_offset = log_end;
            header.partition_leader_epoch = epoch;
        } else if header.base_offset < log_end {
            return Err(AppendError::OffsetOrder { found: header.base_offset, log_end });
        }
        let (size, segment_bytes) = (header.size_in_bytes(), self.config.load().segment_bytes);
        if size > segment_bytes as usize {
            return Err(AppendError::LargerThanSegment { size, segment_bytes });
        }
        Ok(header)
    }

    fn write(&self, writer: &Writer, batch: &CheckedBatch, header: &BatchHeader) -> Result<(), AppendError> {
        let mut head: [u8; HEADER_LEN] = batch.head;
        head[..8].copy_from_slice(&header.base_offset.0.to_be_bytes());
        head[12..16].copy_from_slice(&header.partition_leader_epoch.0.to_be_bytes());
        let interval_bytes = self.config.load().index_interval_bytes;
        writer.active.append(header, &head, &batch.body, interval_bytes).map_err(|failure| match failure {
            WriteFailure::Clean(error) => AppendError::Io(error),
            WriteFailure::Torn(error) => {
                self.worsen(LogState::Offline);
                tracing::error!(partition = %self.partition, %error, "a torn batch could not be cut off");
                AppendError::WentOffline(error)
            }
        })
    }

    /// Everything that follows from the batch being in the file.
    pub(super) fn take_in(&self, writer: &mut Writer, header: &BatchHeader, marker: Option<&Marker>) {
        self.assign_epoch(header.partition_leader_epoch, header.base_offset);
        let completed = writer.producers.record(header, marker);
        if let Some(completed) = completed.filter(|completed| completed.aborted) {
            let entry = writer.producers.aborted(&completed);
            if let Err(error) = writer.active.append_aborted(&entry) {
                // Readers of committed records would see aborted ones.
                self.worsen(LogState::Offline);
                tracing::error!(partition = %self.partition, %error, "an aborted transaction was not indexed");
            }
        }
        if header.has_producer_id() {
            self.publish_unstable(&writer.producers);
        }
        self.log_end.store(header.next_offset().0, Ordering::Release);
    }

    fn appended(&self, header: &BatchHeader, now: Millis) -> Appended {
        let end = header.next_offset();
        let unflushed = end.0.saturating_sub(self.flushed().0);
        let flush_due = unflushed >= self.config.load().flush_messages;
        self.note_dirty(now);
        Appended {
            first_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: append_time(header),
            log_start_offset: self.log_start(),
            duplicate: false,
            flush_to: flush_due.then_some(end),
        }
    }

    fn duplicate(&self, header: &BatchHeader, mark: BatchMark) -> Appended {
        let end = mark.last_offset.plus(1);
        let waits = self.config.load().flush_messages == 1 && self.flushed() < end;
        let is_append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        Appended {
            first_offset: mark.first_offset,
            last_offset: mark.last_offset,
            log_append_time: if is_append_time { mark.timestamp } else { Millis::NONE },
            log_start_offset: self.log_start(),
            duplicate: true,
            flush_to: waits.then_some(end),
        }
    }

    /// This log, to be held beyond the call.
    pub(super) fn shared(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }
}

fn append_time(header: &BatchHeader) -> Millis {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => Millis::NONE,
    }
}
