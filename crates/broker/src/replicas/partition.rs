//! One partition as its leader serves it.
//!
//! Invariants: the high watermark passes a record only when it is as durable as the topic's flush settings ask for; every
//! waiting fetch hears of each move of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI32, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ottla_config::TopicConfig;
use ottla_coordinator::Outcome;
use ottla_disk::{Clock, is_full};
use ottla_log::{
    AppendError, Appended, Assigned, Cleanup, CreateError, Log, LogConfig, LogDirs, LogState, MoveError, Origin,
    ProducerError, Verification,
};
use ottla_records::{CheckedBatch, ControlType};
use ottla_types::{ErrorCode, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerIdAndEpoch, TopicPartition, Uuid};
use parking_lot::Mutex;

use super::Topic;
use crate::waits::Waits;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: TopicPartition,
    pub(crate) topic_id: Uuid,
    leads: AtomicBool,
    leader_epoch: AtomicI32,
    log_config: ArcSwap<LogConfig>,
    /// None until it is first used. A move to another directory puts another one in its place.
    log: ArcSwapOption<Log>,
    opening: Mutex<()>,
    /// Where the metadata says that it lies.
    assigned: Mutex<Assigned>,
    dirs: Arc<LogDirs>,
    waits: Arc<Waits>,
    clock: Arc<dyn Clock>,
}

/// Why a partition cannot serve now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// Another broker leads, or none.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// The client's leader epoch is older than the leader's.
    #[error("the leader epoch is newer than the client's")]
    FencedEpoch,
    /// The client's leader epoch is newer than what this broker knows.
    #[error("the client knows a newer leader epoch")]
    UnknownEpoch,
    /// The directory that it lies in cannot be used.
    #[error("the log directory of the partition is offline")]
    Offline,
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] CreateError),
}

impl From<&Unavailable> for ErrorCode {
    fn from(reason: &Unavailable) -> Self {
        match reason {
            Unavailable::NotLeader => Self::NotLeaderOrFollower,
            Unavailable::FencedEpoch => Self::FencedLeaderEpoch,
            Unavailable::UnknownEpoch => Self::UnknownLeaderEpoch,
            Unavailable::Offline | Unavailable::Log(_) => Self::KafkaStorageError,
        }
    }
}

/// How a transaction ended, as each of its partitions is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Whose transaction. With version 2 the epoch is above that of its records.
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) outcome: Outcome,
    /// Leader epoch of the coordinator's partition.
    pub(crate) coordinator_epoch: i32,
    /// Version of transactions that it ran under.
    pub(crate) transaction_version: i8,
}

impl Marker {
    fn batch(&self, now: Millis) -> CheckedBatch {
        let end = match self.outcome {
            Outcome::Commit => ControlType::Commit,
            Outcome::Abort => ControlType::Abort,
        };
        CheckedBatch::marker(self.producer, end, self.coordinator_epoch, now)
    }
}

/// What a client, or the coordinator of transactions, is told of an append that failed.
pub(crate) fn append_error_code(partition: &TopicPartition, error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Producer(error) => producer_error_code(error),
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        // Not met by whoever writes without offsets; a log that is not where it is believed to be is no client's fault.
        AppendError::OffsetOrder { .. } => {
            tracing::error!(%partition, %error, "append refused");
            ErrorCode::KafkaStorageError
        }
        // That the directory is full was told when it was found, and that it failed, too.
        AppendError::Full | AppendError::NotOnline(_) => {
            tracing::debug!(%partition, %error, "append refused");
            ErrorCode::KafkaStorageError
        }
        AppendError::Io(error) if is_full(error) => {
            tracing::debug!(%partition, %error, "append failed");
            ErrorCode::KafkaStorageError
        }
        AppendError::Io(_) | AppendError::WentOffline(_) => {
            tracing::error!(%partition, %error, "append failed");
            ErrorCode::KafkaStorageError
        }
    }
}

/// The same where the producer's state forbids it.
pub(crate) fn producer_error_code(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        ProducerError::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerError::NotInTransaction { .. } | ProducerError::NotVerified { .. } => ErrorCode::InvalidTxnState,
        ProducerError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
    }
}

impl Partition {
    pub(crate) fn new(
        topic: &Topic,
        index: PartitionIndex,
        assigned: Assigned,
        dirs: Arc<LogDirs>,
        waits: Arc<Waits>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            id: TopicPartition { topic: topic.name.clone(), partition: index },
            topic_id: topic.id,
            leads: AtomicBool::new(false),
            leader_epoch: AtomicI32::new(LeaderEpoch::UNKNOWN.0),
            log_config: ArcSwap::from_pointee(log_config(&topic.config())),
            log: ArcSwapOption::empty(),
            opening: Mutex::new(()),
            assigned: Mutex::new(assigned),
            dirs,
            waits,
            clock,
        }
    }

    /// Epoch of the leader.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Ordering::Acquire))
    }

    /// The log, if this broker leads the partition and the client's view of it (−1 for none) is not off.
    ///
    /// # Errors
    /// What the client is to be told.
    pub(crate) fn leader_log(&self, client_epoch: LeaderEpoch) -> Result<Arc<Log>, Unavailable> {
        if !self.leads.load(Ordering::Acquire) {
            return Err(if self.is_offline() { Unavailable::Offline } else { Unavailable::NotLeader });
        }
        let current = self.leader_epoch();
        if client_epoch != LeaderEpoch::UNKNOWN && client_epoch < current {
            return Err(Unavailable::FencedEpoch);
        }
        if client_epoch > current {
            return Err(Unavailable::UnknownEpoch);
        }
        self.log()
    }

    /// The log, opened on first use.
    pub(crate) fn log(&self) -> Result<Arc<Log>, Unavailable> {
        if let Some(log) = self.log.load_full() {
            return if log.lost_its_directory() { Err(Unavailable::Offline) } else { Ok(log) };
        }
        let _once = self.opening.lock();
        if let Some(log) = self.log.load_full() {
            return Ok(log);
        }
        let log = self.open()?;
        self.take(Arc::clone(&log));
        Ok(log)
    }

    /// Serves from `log` from now on.
    fn take(&self, log: Arc<Log>) {
        log.set_config((**self.log_config.load()).clone());
        log.begin_epoch(self.leader_epoch());
        // The only replica holds everything that is committed.
        log.advance_high_watermark(log.log_end());
        self.log.store(Some(log));
    }

    /// Whether the directory that it lies in, or may lie in, cannot be used.
    pub(crate) fn is_offline(&self) -> bool {
        match &*self.log.load() {
            Some(log) => log.lost_its_directory(),
            None => !self.dirs.is_usable(&self.id, *self.assigned.lock()),
        }
    }

    /// The directory of the partition. One of another topic of the same name (its deletion was cut short by a crash, or it
    /// came from elsewhere) is put aside.
    fn open(&self) -> Result<Arc<Log>, CreateError> {
        let assigned = *self.assigned.lock();
        let open = || self.dirs.open_assigned(&self.id, self.topic_id, assigned, self.clock.now());
        match open() {
            Err(CreateError::OtherTopic { found, .. }) => {
                let path = self.dirs.put_aside(&self.id)?;
                tracing::warn!(
                    partition = %self.id,
                    topic_id = %found,
                    path = %path.display(),
                    "the directory of another topic of this name was put aside"
                );
                open()
            }
            opened => opened,
        }
    }

    /// Where the metadata says that it lies.
    pub(super) fn assign(&self, assigned: Assigned) {
        *self.assigned.lock() = assigned;
    }

    /// The directory that it lies in, where the metadata says another one, or none.
    pub(crate) fn unassigned_directory(&self) -> Option<Uuid> {
        let found = self.dirs.directory_of(&self.id)?;
        (found != self.assigned.lock().directory && !self.is_offline()).then_some(found)
    }

    /// The log, if it has been opened.
    pub(crate) fn opened_log(&self) -> Option<Arc<Log>> {
        self.log.load_full()
    }

    /// What serves in the place of `log`, which a move closed.
    pub(crate) fn moved_from(&self, log: &Arc<Log>) -> Option<Arc<Log>> {
        if log.state() != LogState::Closed {
            return None;
        }
        let _no_move = self.opening.lock(); // one that closed the log has put another in its place when this is got
        self.log.load_full().filter(|current| !Arc::ptr_eq(current, log))
    }

    /// Serves from the copy that a move made, once it has everything. Appends wait meanwhile.
    ///
    /// # Errors
    /// The log goes on where it is.
    pub(crate) fn finish_move(&self) -> Result<(), MoveError> {
        let _nobody_looks_for_it = self.opening.lock();
        let log = self.dirs.finish_move(&self.id, self.clock.now())?;
        self.take(log);
        self.waits.data_arrived((self.topic_id, self.id.partition));
        Ok(())
    }

    /// Appends to `log`, or to the one that a move put in its place; `log` is the one then.
    fn append_to(
        &self,
        log: &mut Arc<Log>,
        append: impl Fn(&Log) -> Result<Appended, AppendError>,
    ) -> Result<Appended, AppendError> {
        loop {
            let appended = append(log);
            if let Err(AppendError::NotOnline(LogState::Closed)) = appended
                && let Some(current) = self.moved_from(log)
            {
                *log = current;
                continue;
            }
            return Ok(self.appended(log, appended?));
        }
    }

    /// Appends a producer's checked batch; when it need not be flushed first, consumers may read it at once.
    ///
    /// # Errors
    /// See [`append_error_code`].
    pub(crate) fn append(
        &self,
        log: &mut Arc<Log>,
        batch: &CheckedBatch,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.append_verified(log, batch, Origin::Client, Verification::Off, now)
    }

    /// The same for a batch that may begin a transaction only as `verification` says; see [`Log::verify`].
    ///
    /// # Errors
    /// See [`append_error_code`].
    pub(crate) fn append_verified(
        &self,
        log: &mut Arc<Log>,
        batch: &CheckedBatch,
        origin: Origin,
        verification: Verification,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.append_to(log, |log| log.append_verified(batch, self.leader_epoch(), origin, verification, now))
    }

    /// Ends a transaction here. As with other records, [`Appended::flush_to`] says what has to be flushed first.
    ///
    /// # Errors
    /// See [`append_error_code`].
    pub(crate) fn append_marker(
        &self,
        log: &mut Arc<Log>,
        marker: &Marker,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        let batch = marker.batch(now);
        self.append_to(log, |log| log.append_marker(&batch, self.leader_epoch(), marker.transaction_version, now))
    }

    fn appended(&self, log: &Log, appended: Appended) -> Appended {
        if appended.flush_to.is_none() && !appended.duplicate {
            self.commit(log, appended.last_offset.plus(1));
        }
        appended
    }

    /// Lets consumers read up to `to`, which was written to `log` or to the one before it.
    pub(crate) fn commit(&self, log: &Log, to: Offset) {
        match &*self.log.load() {
            Some(current) => current.advance_high_watermark(to),
            None => log.advance_high_watermark(to),
        };
        self.waits.data_arrived((self.topic_id, self.id.partition));
    }

    pub(super) fn configure(&self, config: &TopicConfig) {
        let config = log_config(config);
        self.log_config.store(Arc::new(config.clone()));
        if let Some(log) = &*self.log.load() {
            log.set_config(config);
        }
    }

    pub(crate) fn lead(&self, leads: bool, epoch: LeaderEpoch) {
        self.leader_epoch.store(epoch.0, Ordering::Release);
        self.leads.store(leads, Ordering::Release);
        if let Some(log) = &*self.log.load() {
            log.begin_epoch(epoch);
        }
        self.waits.data_arrived((self.topic_id, self.id.partition));
    }

    /// Makes the directory where there is none. One that is there is looked into when it is first used.
    pub(super) fn ensure_directory(&self) -> Result<(), Unavailable> {
        if self.dirs.contains(&self.id) { Ok(()) } else { self.log().map(drop) }
    }

    /// Its directory is about to be deleted.
    pub(super) fn give_up(&self) {
        self.leads.store(false, Ordering::Release);
    }

    /// Who waits for its records is told that there are none.
    pub(super) fn is_gone(&self) {
        self.waits.data_arrived((self.topic_id, self.id.partition));
    }
}

fn log_config(topic: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: u32::try_from(topic.segment_bytes).unwrap_or(u32::MAX),
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: u32::try_from(topic.segment_index_bytes).unwrap_or(u32::MAX),
        index_interval_bytes: u32::try_from(topic.index_interval_bytes).unwrap_or(u32::MAX),
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        cleanup: Cleanup { delete: topic.cleanup_policy.delete, compact: topic.cleanup_policy.compact },
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        delete_retention_ms: topic.delete_retention_ms,
    }
}
