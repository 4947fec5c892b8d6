//! The log of one partition: appends under a short lock, reads that never wait for them.
//!
//! Invariants:
//! - log start ≤ high watermark ≤ log end, last stable ≤ high watermark; each is an atomic with one writer at a time;
//! - `flushed` never passes what a flush has made durable, and falls only with the log end;
//! - readers see a list of segments that is replaced as a whole, and never a byte of a batch that was not written whole;
//! - after a write that could not be undone, or a flush that failed, the log is offline until it is opened again.

mod append;
mod compact;
mod cut;
mod damage;
mod expire;
mod flush;
mod load;
mod lookup;
mod read;
mod roll;
mod side_files;
mod swap;

use std::{
    io,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use ottla_disk::Disk;
use ottla_types::{LeaderEpoch, Millis, Offset, ProducerId, TopicPartition};
use parking_lot::{Mutex, RwLock};

pub use self::{
    append::{AppendError, Appended},
    cut::CutError,
    expire::Expired,
    flush::FlushError,
    load::{LoadError, LoadReport, StartPoint},
    lookup::{LookupError, TimestampOffset},
    read::{ReadBound, ReadError, ReadOut},
};
pub(crate) use self::{
    damage::{Verdict, judge},
    load::aborted_of,
    side_files::Written,
};
use crate::{
    EpochEnd, EpochStart, LogConfig, ProducerView,
    damage::Tally,
    deletions::Deletions,
    epochs::LeaderEpochs,
    flusher::{FlushWaiters, Flusher},
    handles::HandleCache,
    health::DirHealth,
    producer_state::ProducerStates,
    segment::Segment,
    unsynced::Changes,
};

/// What a log needs of its surroundings.
#[derive(Clone, Debug)]
pub(crate) struct LogEnv {
    pub(crate) handles: Arc<HandleCache>,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) deletions: Arc<Deletions>,
    pub(crate) health: Arc<DirHealth>,
    /// Whether the volume can be synced with one call for many logs.
    pub(crate) syncs_volume: bool,
    pub(crate) tally: Arc<Tally>,
}

/// Whether a log can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogState {
    /// All is well, but for places that [`Log::damages`] names.
    Online = 0,
    /// Writing or flushing failed; nothing is appended any more.
    Offline = 1,
    /// Closed or deleted.
    Closed = 2,
}

/// No first unstable offset.
const NO_OFFSET: i64 = i64::MAX;

/// The log of one partition.
#[derive(Debug)]
pub struct Log {
    this: Weak<Self>,
    partition: TopicPartition,
    dir: Arc<Path>,
    env: LogEnv,
    config: ArcSwap<LogConfig>,
    segments: ArcSwap<Vec<Arc<Segment>>>,
    writer: Mutex<Writer>,
    epochs: RwLock<LeaderEpochs>,
    log_start: AtomicI64,
    log_end: AtomicI64,
    high_watermark: AtomicI64,
    first_unstable: AtomicI64,
    flushed: AtomicI64,
    /// The stored recovery point.
    recovery_point: AtomicI64,
    /// Up to where compaction has been, −1 for nowhere.
    clean_to: AtomicI64,
    /// When the oldest record that is not flushed was appended, −1 for none.
    dirty_since: AtomicI64,
    state: AtomicU8,
    /// Names of files in the directory, and of the directory itself.
    unsynced_names: Changes,
    /// Leader epochs, of which the file knows those that are durable.
    unsynced_epochs: Changes,
    /// Held by whoever replaces their file.
    epochs_file: Mutex<()>,
    /// Producer snapshots that were written and not flushed.
    snapshots_dirty: Mutex<Vec<Offset>>,
    flushing: Mutex<()>,
    /// How many places of the segments are known to be damaged.
    damaged_places: AtomicUsize,
    remembering: Mutex<()>,
    pub(crate) flush_waiters: FlushWaiters,
}

/// What only the one who appends (or cuts) touches.
#[derive(Debug)]
struct Writer {
    active: Arc<Segment>,
    producers: ProducerStates,
    /// What is taken off `segment.ms` for the active segment.
    roll_jitter_ms: i64,
    /// Offset of the newest producer snapshot.
    snapshot_at: Option<Offset>,
}

impl Log {
    /// Which partition this is.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Directory of the partition.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the log can be used.
    #[must_use]
    pub fn state(&self) -> LogState {
        match self.state.load(Ordering::Acquire) {
            0 if self.env.health.is_failed() => LogState::Offline,
            0 => LogState::Online,
            1 => LogState::Offline,
            _ => LogState::Closed,
        }
    }

    /// Whether the directory of the log failed: nothing of it is written or read any more.
    #[must_use]
    pub fn lost_its_directory(&self) -> bool {
        self.env.health.is_failed()
    }

    /// Whether appends are refused until there is room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.env.health.is_full()
    }

    /// States only get worse.
    fn worsen(&self, state: LogState) {
        self.state.fetch_max(state as u8, Ordering::AcqRel);
    }

    /// First offset that can be read.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// Offset of the next record (LEO).
    #[must_use]
    pub fn log_end(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    /// Offset below which all in-sync replicas hold the records.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// Offset below which every transaction is decided; not above the high watermark (LSO), nor below the log start where a
    /// transaction is open whose beginning was deleted.
    #[must_use]
    pub fn last_stable(&self) -> Offset {
        // The high watermark first: a transaction that opens afterwards lies above it.
        let high_watermark = self.high_watermark();
        let unstable = Offset(self.first_unstable.load(Ordering::Acquire));
        high_watermark.min(unstable.max(self.log_start()))
    }

    /// Offset below which everything is durable (recovery point).
    #[must_use]
    pub fn flushed(&self) -> Offset {
        Offset(self.flushed.load(Ordering::Acquire))
    }

    /// The recovery point that is stored: never above [`Log::flushed`].
    #[must_use]
    pub(crate) fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Acquire))
    }

    pub(crate) fn note_recovery_point(&self, stored: Offset) {
        self.recovery_point.store(stored.0, Ordering::Release);
    }

    /// Whether all is well.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.state() == LogState::Online
    }

    /// Moves the high watermark up to `to`, at most to the log end; what it is then. It never moves back here.
    pub fn advance_high_watermark(&self, to: Offset) -> Offset {
        let to = to.min(self.log_end());
        let before = self.high_watermark.fetch_max(to.0, Ordering::AcqRel);
        if before < to.0 && self.first_unstable.load(Ordering::Acquire) != NO_OFFSET {
            let mut writer = self.writer.lock();
            writer.producers.advance_high_watermark(self.high_watermark());
            self.publish_unstable(&writer.producers);
        }
        self.high_watermark()
    }

    fn publish_unstable(&self, producers: &ProducerStates) {
        let first = producers.first_unstable().map_or(NO_OFFSET, |offset| offset.0);
        self.first_unstable.store(first, Ordering::Release);
    }

    /// Replaces the configuration; it holds from the next append on.
    pub fn set_config(&self, config: LogConfig) {
        self.config.store(Arc::new(config));
        self.tell_due();
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Bytes of all segments' log files.
    ///
    /// # Errors
    /// As the file system says.
    pub fn size(&self) -> io::Result<u64> {
        self.over_segments(|segments| segments.iter().map(|segment| segment.size()).sum())
    }

    /// Base offsets of all segments, oldest first.
    #[must_use]
    pub fn segment_bases(&self) -> Vec<Offset> {
        self.segments.load().iter().map(|segment| segment.base()).collect()
    }

    /// The newest leader epoch.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.read().latest()
    }

    /// All leader epochs, oldest first.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochStart> {
        self.epochs.read().entries().to_vec()
    }

    /// Epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.read().epoch_at(offset)
    }

    /// Where `epoch` ends in this log: none for an epoch that is unknown (−1) or above all that this log knows.
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.read().end_offset_for(epoch, self.log_end())
    }

    /// This replica leads in `epoch` from the log end on.
    pub fn begin_epoch(&self, epoch: LeaderEpoch) {
        let writer = self.writer.lock();
        self.assign_epoch(epoch, self.log_end());
        drop(writer);
    }

    fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) {
        if self.epochs.read().latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        if self.epochs.write().assign(epoch, start) {
            self.unsynced_epochs.note();
        }
    }

    /// All producers that are remembered.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerView> {
        self.writer.lock().producers.views().collect()
    }

    /// One producer, if it is remembered.
    #[must_use]
    pub fn producer(&self, id: ProducerId) -> Option<ProducerView> {
        self.writer.lock().producers.view(id)
    }

    /// Forgets producers that have been silent for `expiration_ms` (`producer.id.expiration.ms`); one with an open transaction
    /// stays.
    pub fn expire_producers(&self, now: Millis, expiration_ms: i64) {
        let mut writer = self.writer.lock();
        if writer.producers.len() > 0 {
            writer.producers.expire(now, expiration_ms);
        }
    }

    /// Looks at the segments, and again where some of them were removed or replaced under the look.
    fn over_segments<T, E>(&self, look: impl Fn(&[Arc<Segment>]) -> Result<T, E>) -> Result<T, E> {
        loop {
            let segments = self.segments.load();
            let looked = look(&segments);
            if Arc::ptr_eq(&segments, &self.segments.load()) {
                return looked; // else once more: each time round the list is another one
            }
        }
    }

    fn disk(&self) -> &dyn Disk {
        &**self.env.handles.disk()
    }
}

#[cfg(test)]
mod tests;
