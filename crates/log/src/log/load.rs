//! Opening a log: after a clean stop from what the stop wrote, after a crash by [`recovery`].

mod recovery;
mod tidy;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8},
    },
};

use arc_swap::ArcSwap;
use ottla_disk::{Disk, DiskFile};
use ottla_records::HEADER_LEN;
use ottla_types::{Millis, Offset, TopicPartition};
use parking_lot::{Mutex, RwLock};

use self::recovery::Recovered;
use super::{Log, LogEnv, LogState, NO_OFFSET, Writer, compact::NEVER_CLEANED, lookup::batch_bytes, roll};
use crate::{
    LogConfig,
    batch::marker_of,
    checkpoint::{self, CheckpointError},
    epochs::LeaderEpochs,
    producer_state::{CompletedTransaction, ProducerStates, read_snapshot, write_snapshot},
    segment::{
        Segment,
        name::{FileKind, file_name, parse_file_name},
        walk::{Placed, WalkError},
    },
    unsynced::Changes,
};

/// Largest control batch whose record is read; markers have 78 bytes.
const CONTROL_BATCH_MAX: usize = 64 * 1024;

/// What is known of a log before it is opened: the checkpoints' words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartPoint {
    /// Below it everything is durable.
    pub recovery_point: Offset,
    /// First offset that can be read.
    pub log_start: Offset,
    /// High watermark.
    pub high_watermark: Offset,
    /// Up to where compaction has been, if it has.
    pub clean_to: Option<Offset>,
    /// Whether the log was closed; then nothing is scanned.
    pub clean: bool,
}

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Whether it was recovered.
    pub recovered: bool,
    /// Bytes of batches that were checked.
    pub checked_bytes: u64,
    /// Bytes cut off behind the last whole batch.
    pub cut_bytes: u64,
    /// Segments that lay behind the cut and were removed.
    pub removed_segments: usize,
    /// Whether whole batches lay behind the first broken one: what a power failure leaves that wrote back pages out of
    /// order, or damage. They were not durable and are cut with it.
    pub hole: bool,
    /// Whether the log ends before the recovery point: it was cut shortly before the crash, or the disk lost what it
    /// had promised.
    pub shorter_than_recovery_point: bool,
    /// A broken batch among those that were durable. Nothing was cut.
    pub damage: Option<Damage>,
}

/// Where a log is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Base offset of the segment.
    pub segment: Offset,
    /// First byte that is not of a whole batch.
    pub position: u64,
    /// Offset at which the readable part ends.
    pub offset: Offset,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk failed.
    #[error("{partition}: {source}")]
    Io {
        /// Which log.
        partition: TopicPartition,
        /// What happened.
        source: io::Error,
    },
    /// No such partition in these directories.
    #[error("{0} is not here")]
    Absent(TopicPartition),
}

impl Log {
    /// Opens the log in `dir`, which exists.
    ///
    /// # Errors
    /// The disk failed. Damage is no error: see [`LoadReport::damage`].
    pub(crate) fn open(
        env: LogEnv,
        partition: TopicPartition,
        dir: Arc<Path>,
        start: StartPoint,
        config: LogConfig,
        now: Millis,
    ) -> Result<(Arc<Self>, LoadReport), LoadError> {
        let loading = Loading { env, dir, config, start, now };
        match loading.run() {
            Ok(loaded) => Ok(loaded.into_log(loading, partition)),
            Err(source) => Err(LoadError::Io { partition, source }),
        }
    }
}

struct Loading {
    env: LogEnv,
    dir: Arc<Path>,
    config: LogConfig,
    start: StartPoint,
    now: Millis,
}

struct Loaded {
    segments: Vec<Arc<Segment>>,
    producers: ProducerStates,
    snapshot_at: Option<Offset>,
    epochs: LeaderEpochs,
    epochs_changed: bool,
    log_end: Offset,
    log_start: Offset,
    /// Whether there was no log before.
    created: bool,
    report: LoadReport,
}

impl Loading {
    fn disk(&self) -> &dyn Disk {
        &**self.env.handles.disk()
    }

    fn run(&self) -> io::Result<Loaded> {
        let (mut segments, unindexed) = tidy::list_segments(self)?;
        if segments.is_empty() {
            segments.push(Segment::create(
                &self.env.handles,
                &self.dir,
                self.start.log_start.max(Offset::ZERO),
                self.now,
            )?);
            let report = LoadReport { recovered: !self.start.clean, ..LoadReport::default() };
            let log_end = segments[0].base();
            let loaded = self.finish(segments, Recovered { log_end, report, ..Recovered::default() })?;
            return Ok(Loaded { created: true, ..loaded });
        }
        let recovered = match self.resume_clean(&segments)? {
            Some(log_end) => Recovered { log_end, ..Recovered::default() },
            None => recovery::run(self, &mut segments)?,
        };
        for segment in segments.iter().filter(|segment| unindexed.contains(&segment.base())) {
            self.index_sealed(segment)?;
        }
        self.finish(segments, recovered)
    }

    /// Builds the indexes that somebody removed; the active segment has looked after its own.
    fn index_sealed(&self, segment: &Segment) -> io::Result<()> {
        if segment.with_active(|_| ()).is_some() {
            return Ok(());
        }
        match segment.rebuild_sealed(segment.size()?, &self.config) {
            Err(WalkError::Io(error)) => Err(error),
            // Readers walk from the start of the segment and find the damage where it is.
            Err(WalkError::Bad { .. }) | Ok(()) => Ok(()),
        }
    }

    /// The log end after a clean stop; none where the log is not as a clean stop leaves it.
    fn resume_clean(&self, segments: &[Segment]) -> io::Result<Option<Offset>> {
        let Some(last) = segments.last().filter(|_| self.start.clean) else { return Ok(None) };
        let size = last.file()?.len()?;
        match last.resume(size, &self.config, self.now) {
            Ok(()) => {}
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { .. }) => return Ok(None),
        }
        let end = last.with_active(|active| (active.size == size).then_some(active.next_offset)).flatten();
        if end.is_some() {
            last.note_synced(size);
        }
        Ok(end)
    }

    fn finish(&self, segments: Vec<Segment>, recovered: Recovered) -> io::Result<Loaded> {
        let segments: Vec<_> = segments.into_iter().map(Arc::new).collect();
        let Recovered { log_end, mut report, epochs: found, reindex_from } = recovered;
        let first = segments.first().map_or(log_end, |segment| segment.base());
        let log_start = self.start.log_start.max(first).min(log_end);
        let (mut epochs, mut epochs_changed) = self.load_epochs(&segments, &mut report)?;
        epochs_changed |= found.into_iter().fold(false, |news, entry| epochs.assign(entry.epoch, entry.start) | news);
        epochs_changed |= epochs.truncate_from_end(log_end.plus(1)) | epochs.truncate_from_start(log_start);
        let before = reindex_from.map_or(log_end, |from| from.min(log_end));
        tidy::remove_snapshots_behind(self, before)?; // of batches that may be others now
        let snapshot = newest_snapshot(self.disk(), &self.dir, before)?;
        let snapshot_at = snapshot.as_ref().map(|(offset, _)| *offset);
        let (from, states) = snapshot.unwrap_or((Offset::ZERO, ProducerStates::default()));
        let snapshots = report.recovered.then_some((self.disk(), &*self.dir));
        let replay = Replay { segments: &segments, reindex_from, snapshots };
        let producers = match replay.run(states, from) {
            Ok(producers) => producers,
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { position, .. }) => {
                report.damage.get_or_insert(Damage { segment: first, position, offset: log_end });
                ProducerStates::default()
            }
        };
        let created = false;
        Ok(Loaded { segments, producers, snapshot_at, epochs, epochs_changed, log_end, log_start, created, report })
    }

    /// The epochs of the checkpoint; where it cannot be read, of the batches' own headers.
    fn load_epochs(&self, segments: &[Arc<Segment>], report: &mut LoadReport) -> io::Result<(LeaderEpochs, bool)> {
        match checkpoint::epochs::read(self.disk(), &self.dir) {
            Ok(Some(entries)) => return Ok((LeaderEpochs::from_entries(entries), false)),
            Ok(None) => {}
            Err(CheckpointError::Io { source, .. }) => return Err(source),
            Err(error) => tracing::warn!(%error, "leader epochs are read from the batches"),
        }
        let mut epochs = LeaderEpochs::default();
        for segment in segments {
            let walked = segment.walk(0, |_, placed| {
                epochs.assign(placed.header.partition_leader_epoch, placed.header.base_offset);
                Ok::<_, WalkError>(true)
            });
            match walked {
                Ok(()) => {}
                Err(WalkError::Io(error)) => return Err(error),
                Err(WalkError::Bad { position, .. }) => {
                    report.damage.get_or_insert(Damage { segment: segment.base(), position, offset: segment.base() });
                }
            }
        }
        Ok((epochs, true))
    }
}

impl Loaded {
    fn into_log(self, loading: Loading, partition: TopicPartition) -> (Arc<Log>, LoadReport) {
        let Loading { env, dir, config, start, .. } = loading;
        let mut producers = self.producers;
        let high_watermark = start.high_watermark.max(self.log_start).min(self.log_end);
        producers.advance_high_watermark(high_watermark);
        let state = if self.report.damage.is_some() { LogState::Damaged } else { LogState::Online };
        let flushed = if start.clean && !self.report.recovered { self.log_end } else { start.recovery_point };
        // A log always has a last segment: `run` creates one where there is none.
        let active = self
            .segments
            .last()
            .map(Arc::clone)
            .unwrap_or_else(|| Arc::new(Segment::new(&env.handles, &dir, self.log_end, false)));
        let first_unstable = producers.first_unstable().map_or(NO_OFFSET, |offset| offset.0);
        let base = active.base();
        // Where the log is damaged the recovery point stays where it was: the next start must find the damage again.
        let flushed = if state == LogState::Damaged { flushed } else { flushed.min(self.log_end) };
        let log = Arc::new_cyclic(|this| Log {
            this: this.clone(),
            writer: Mutex::new(Writer {
                active,
                producers,
                roll_jitter_ms: roll::jitter_ms(&config, &partition, base),
                snapshot_at: self.snapshot_at,
            }),
            partition,
            dir,
            env,
            config: ArcSwap::from_pointee(config),
            segments: ArcSwap::from_pointee(self.segments),
            epochs: RwLock::new(self.epochs),
            log_start: AtomicI64::new(self.log_start.0),
            log_end: AtomicI64::new(self.log_end.0),
            high_watermark: AtomicI64::new(high_watermark.0),
            first_unstable: AtomicI64::new(first_unstable),
            flushed: AtomicI64::new(flushed.0),
            recovery_point: AtomicI64::new(start.recovery_point.min(flushed).0),
            clean_to: AtomicI64::new(start.clean_to.map_or(NEVER_CLEANED, |offset| offset.0)),
            dirty_since: AtomicI64::new(if flushed < self.log_end { loading.now.0 } else { Millis::NONE.0 }),
            state: AtomicU8::new(state as u8),
            unsynced_names: Changes::new(self.created || self.report.recovered),
            unsynced_epochs: Changes::new(self.epochs_changed),
            epochs_file: Mutex::default(),
            snapshots_dirty: Mutex::default(),
            flushing: Mutex::default(),
            flush_waiters: crate::flusher::FlushWaiters::default(),
        });
        (log, self.report)
    }
}

/// The newest producer snapshot not above `end` that can be read.
pub(super) fn newest_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    end: Offset,
) -> io::Result<Option<(Offset, ProducerStates)>> {
    for entry in disk.list(dir)?.into_iter().rev() {
        let Some((offset, FileKind::Snapshot)) = parse_file_name(&entry.name) else { continue };
        if offset > end {
            continue;
        }
        let path = dir.join(&entry.name);
        let bytes = checkpoint::read_whole(disk, &path)?.unwrap_or_default();
        match read_snapshot(&bytes) {
            Ok(states) => return Ok(Some((offset, states))),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a producer snapshot is passed over"),
        }
    }
    Ok(None)
}

/// Brings producer states up to the end of a log.
pub(super) struct Replay<'a> {
    pub(super) segments: &'a [Arc<Segment>],
    /// Aborted transactions whose marker is not below this are put into the index again.
    pub(super) reindex_from: Option<Offset>,
    /// Where the snapshots that belong to the beginnings of segments are written again.
    pub(super) snapshots: Option<(&'a dyn Disk, &'a Path)>,
}

impl Replay<'_> {
    /// The states at the log end, where `states` are those at `from`.
    pub(super) fn run(&self, mut states: ProducerStates, from: Offset) -> Result<ProducerStates, WalkError> {
        let first = self.segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        for segment in &self.segments[first..] {
            if let Some((disk, dir)) = self.snapshots.filter(|_| segment.base() > from) {
                let path = dir.join(file_name(segment.base(), FileKind::Snapshot));
                checkpoint::write_plain(disk, &path, &write_snapshot(&states))?;
            }
            let start = segment.locate(from)?.position();
            segment.walk(start, |file, placed| self.take_in(&mut states, segment, file, &placed, from))?;
        }
        Ok(states)
    }

    fn take_in(
        &self,
        states: &mut ProducerStates,
        segment: &Segment,
        file: &dyn DiskFile,
        placed: &Placed,
        from: Offset,
    ) -> Result<bool, WalkError> {
        let header = &placed.header;
        if header.base_offset < from || !header.has_producer_id() {
            return Ok(true);
        }
        let is_marker = header.attributes.is_control() && header.size_in_bytes() <= CONTROL_BATCH_MAX;
        let marker = if is_marker { marker_of(header, &batch_bytes(file, placed)?[HEADER_LEN..]) } else { None };
        let completed = states.record(header, marker.as_ref()).filter(|completed| completed.aborted);
        let wanted = |done: &CompletedTransaction| self.reindex_from.is_some_and(|from| done.last_offset >= from);
        if let Some(completed) = completed.filter(wanted) {
            segment.append_aborted(&states.aborted(&completed))?;
        }
        Ok(true)
    }
}
