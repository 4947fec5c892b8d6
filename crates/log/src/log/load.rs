//! Opening a log: after a clean stop from what the stop wrote, after a crash by [`recovery`].

mod harm;
mod recovery;
mod tidy;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, AtomicUsize},
    },
};

use arc_swap::ArcSwap;
use ottla_disk::{Disk, DiskFile};
use ottla_records::HEADER_LEN;
use ottla_types::{Millis, Offset, TopicPartition};
use parking_lot::{Mutex, RwLock};

use self::{recovery::Recovered, tidy::Listed};
use super::{Log, LogEnv, LogState, NO_OFFSET, Writer, compact::NEVER_CLEANED, lookup::batch_bytes, roll};
use crate::{
    AbortedTransaction, Damage, FoundBy, LogConfig,
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
    /// Whether the file with the recovery points could not be read: then anything may have been durable.
    pub recovery_point_lost: bool,
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
    /// Damaged places among what was durable that were not known before. Nothing was cut there.
    pub damages: Vec<Damage>,
    /// Where the log should begin, whose first segments are gone.
    pub lost_from: Option<Offset>,
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
    /// The disk failed. Damage is no error: see [`LoadReport::damages`].
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
    /// Whether what is remembered of damage has to be written again.
    damage_changed: bool,
    report: LoadReport,
}

impl Loading {
    fn disk(&self) -> &dyn Disk {
        &**self.env.handles.disk()
    }

    fn run(&self) -> io::Result<Loaded> {
        let Listed { mut segments, unindexed, without_log, is_damaged } = tidy::list_segments(self)?;
        if segments.is_empty() {
            return self.begin();
        }
        let remembered = is_damaged && harm::recall(self, &segments)?;
        let mut found = harm::mark_missing(self, &segments, &without_log)?;
        let mut recovered = match self.resume_clean(&segments)? {
            Some(log_end) => Recovered { log_end, ..Recovered::default() },
            None => recovery::run(self, &mut segments)?,
        };
        for segment in segments.iter().filter(|segment| unindexed.contains(&segment.base())) {
            self.index_sealed(segment)?;
        }
        recovered.report.lost_from = harm::lost_start(self, &segments, &without_log);
        found.append(&mut recovered.report.damages);
        recovered.report.damages = found;
        let loaded = self.finish(segments, recovered)?;
        let damage_changed = remembered || !loaded.report.damages.is_empty();
        Ok(Loaded { damage_changed, ..loaded })
    }

    /// A log without a segment. One that had records lost them all; their offsets are not given again.
    fn begin(&self) -> io::Result<Loaded> {
        let StartPoint { log_start, recovery_point, high_watermark, .. } = self.start;
        let start = log_start.max(Offset::ZERO);
        let lost = recovery_point > start;
        let base = if lost { recovery_point.max(high_watermark) } else { start };
        let segments = vec![Segment::create(&self.env.handles, &self.dir, base, self.now)?];
        let report =
            LoadReport { recovered: !self.start.clean, lost_from: lost.then_some(start), ..LoadReport::default() };
        let loaded = self.finish(segments, Recovered { log_end: base, report, ..Recovered::default() })?;
        Ok(Loaded { created: true, ..loaded })
    }

    /// Builds the indexes that somebody removed; the active segment has looked after its own.
    fn index_sealed(&self, segment: &Segment) -> io::Result<()> {
        if segment.with_active(|_| ()).is_some() {
            return Ok(());
        }
        match segment.rebuild_sealed(segment.size()?, &self.config) {
            Err(WalkError::Io(error)) => Err(error),
            // Readers walk from the start of the segment and find the damage where it is.
            Err(WalkError::Bad { .. }) => Ok(()),
            Ok(()) => {
                self.env.tally.index_rebuilt();
                Ok(())
            }
        }
    }

    /// The log end after a clean stop; none where the log is not as a clean stop leaves it.
    fn resume_clean(&self, segments: &[Segment]) -> io::Result<Option<Offset>> {
        let Some(last) = segments.last().filter(|_| self.start.clean) else { return Ok(None) };
        let size = last.file()?.len()?;
        match last.resume(size, &self.config, self.now) {
            Ok(rebuilt) => self.tell_rebuilt(rebuilt),
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { .. }) => return Ok(None),
        }
        let end = last.with_active(|active| (active.size == size).then_some(active.next_offset)).flatten();
        let end = end.filter(|end| *end >= self.start.recovery_point); // else something is missing
        if end.is_some() {
            last.note_synced(size);
        }
        Ok(end)
    }

    fn tell_rebuilt(&self, rebuilt: bool) {
        if rebuilt {
            self.env.tally.index_rebuilt();
        }
    }

    fn finish(&self, segments: Vec<Segment>, recovered: Recovered) -> io::Result<Loaded> {
        let segments: Vec<_> = segments.into_iter().map(Arc::new).collect();
        let Recovered { log_end, mut report, epochs: found, reindex_from } = recovered;
        let first = segments.first().map_or(log_end, |segment| segment.base());
        let log_start = self.start.log_start.max(first).min(log_end);
        let (mut epochs, mut epochs_changed) = self.load_epochs(&segments, log_end, &mut report)?;
        epochs_changed |= found.into_iter().fold(false, |news, entry| epochs.assign(entry.epoch, entry.start) | news);
        epochs_changed |= epochs.truncate_from_end(log_end.plus(1)) | epochs.truncate_from_start(log_start);
        let before = reindex_from.map_or(log_end, |from| from.min(log_end));
        tidy::remove_snapshots_behind(self, before)?; // of batches that may be others now
        let snapshot = newest_snapshot(&self.env, &self.dir, before)?;
        let snapshot_at = snapshot.as_ref().map(|(offset, _)| *offset);
        let (from, states) = snapshot.unwrap_or((Offset::ZERO, ProducerStates::default()));
        let snapshots = report.recovered.then_some((self.disk(), &*self.dir));
        let replay = Replay { segments: &segments, reindex_from, snapshots };
        let producers = match replay.run(states.clone(), from) {
            Err(WalkError::Bad { .. }) => {
                harm::look(self, &segments, from, log_end, &mut report)?;
                replay.run(states, from)
            }
            replayed => replayed,
        };
        let producers = match producers {
            Ok(producers) => producers,
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { .. }) => ProducerStates::default(),
        };
        let (created, damage_changed) = (false, false);
        Ok(Loaded {
            segments,
            producers,
            snapshot_at,
            epochs,
            epochs_changed,
            log_end,
            log_start,
            created,
            damage_changed,
            report,
        })
    }

    /// The epochs of the checkpoint; where it cannot be read, of the batches' own headers.
    fn load_epochs(
        &self,
        segments: &[Arc<Segment>],
        log_end: Offset,
        report: &mut LoadReport,
    ) -> io::Result<(LeaderEpochs, bool)> {
        match checkpoint::epochs::read(self.disk(), &self.dir) {
            Ok(Some(entries)) => return Ok((LeaderEpochs::from_entries(entries), false)),
            Ok(None) => {}
            Err(CheckpointError::Io { source, .. }) => return Err(source),
            Err(error) => {
                self.env.tally.file_replaced();
                tracing::warn!(%error, "leader epochs are read from the batches");
            }
        }
        let epochs = match epochs_of(segments) {
            Err(WalkError::Bad { .. }) => {
                harm::look(self, segments, Offset::ZERO, log_end, report)?;
                epochs_of(segments)
            }
            epochs => epochs,
        };
        match epochs {
            Ok(epochs) => Ok((epochs, true)),
            Err(WalkError::Io(error)) => Err(error),
            Err(WalkError::Bad { .. }) => Ok((LeaderEpochs::default(), true)),
        }
    }
}

fn epochs_of(segments: &[Arc<Segment>]) -> Result<LeaderEpochs, WalkError> {
    let mut epochs = LeaderEpochs::default();
    for segment in segments {
        segment.walk(0, |_, placed| {
            epochs.assign(placed.header.partition_leader_epoch, placed.header.base_offset);
            Ok::<_, WalkError>(true)
        })?;
    }
    Ok(epochs)
}

impl Loaded {
    fn into_log(self, loading: Loading, partition: TopicPartition) -> (Arc<Log>, LoadReport) {
        let Loading { env, dir, config, start, .. } = loading;
        let mut producers = self.producers;
        let high_watermark = start.high_watermark.max(self.log_start).min(self.log_end);
        producers.advance_high_watermark(high_watermark);
        let flushed = if start.clean && !self.report.recovered { self.log_end } else { start.recovery_point };
        // A log always has a last segment: `run` creates one where there is none.
        let active = self
            .segments
            .last()
            .map(Arc::clone)
            .unwrap_or_else(|| Arc::new(Segment::new(&env.handles, &dir, self.log_end, false)));
        let first_unstable = producers.first_unstable().map_or(NO_OFFSET, |offset| offset.0);
        let base = active.base();
        let flushed = flushed.min(self.log_end);
        self.report.tell(&partition, self.log_start);
        env.tally.found(FoundBy::Recovery, self.report.damages.len() + usize::from(self.report.lost_from.is_some()));
        let places: usize = self.segments.iter().map(|segment| segment.damage().places().len()).sum();
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
            state: AtomicU8::new(LogState::Online as u8),
            unsynced_names: Changes::new(self.created || self.report.recovered),
            unsynced_epochs: Changes::new(self.epochs_changed),
            epochs_file: Mutex::default(),
            damaged_places: AtomicUsize::new(places),
            remembering: Mutex::default(),
            snapshots_dirty: Mutex::default(),
            flushing: Mutex::default(),
            flush_waiters: crate::flusher::FlushWaiters::default(),
        });
        log.tell_due();
        if self.damage_changed {
            log.remember_damage();
        }
        (log, self.report)
    }
}

impl LoadReport {
    fn tell(&self, partition: &TopicPartition, log_start: Offset) {
        for damage in &self.damages {
            tracing::error!(%partition, ?damage, "records that were durable are damaged; their offsets are refused");
        }
        if let Some(lost) = self.lost_from {
            tracing::error!(%partition, from = lost.0, to = log_start.0, "the beginning of the log is gone");
        }
    }
}

/// The newest producer snapshot not above `end` that can be read.
pub(super) fn newest_snapshot(env: &LogEnv, dir: &Path, end: Offset) -> io::Result<Option<(Offset, ProducerStates)>> {
    let disk = &**env.handles.disk();
    for entry in disk.list(dir)?.into_iter().rev() {
        let Some((offset, FileKind::Snapshot)) = parse_file_name(&entry.name) else { continue };
        if offset > end {
            continue;
        }
        let path = dir.join(&entry.name);
        let bytes = checkpoint::read_whole(disk, &path)?.unwrap_or_default();
        match read_snapshot(&bytes) {
            Ok(states) => return Ok(Some((offset, states))),
            Err(error) => {
                env.tally.file_replaced();
                tracing::warn!(path = %path.display(), %error, "a producer snapshot is passed over");
            }
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
            let start = match segment.locate(from) {
                Ok(place) => place.position(),
                Err(error) => error.known().map(|damage| damage.end).ok_or(error)?,
            };
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
        let completed = record(states, file, placed)?;
        let wanted = |done: &CompletedTransaction| self.reindex_from.is_some_and(|from| done.last_offset >= from);
        if let Some(completed) = completed.filter(wanted) {
            segment.append_aborted(&states.aborted(&completed))?;
        }
        Ok(true)
    }
}

/// Takes in a batch of a producer; the transaction that it aborts.
fn record(
    states: &mut ProducerStates,
    file: &dyn DiskFile,
    placed: &Placed,
) -> Result<Option<CompletedTransaction>, WalkError> {
    let header = &placed.header;
    let is_marker = header.attributes.is_control() && header.size_in_bytes() <= CONTROL_BATCH_MAX;
    let marker = if is_marker { marker_of(header, &batch_bytes(file, placed)?[HEADER_LEN..]) } else { None };
    Ok(states.record(header, marker.as_ref()).filter(|completed| completed.aborted))
}

/// The aborted transactions whose markers lie in a segment, as its batches tell; `states` are those at its beginning.
///
/// # Errors
/// As the file system says, or where a batch is damaged.
pub(crate) fn aborted_of(segment: &Segment, mut states: ProducerStates) -> Result<Vec<AbortedTransaction>, WalkError> {
    let mut aborted = Vec::new();
    segment.walk(0, |file, placed| {
        if placed.header.has_producer_id()
            && let Some(completed) = record(&mut states, file, &placed)?
        {
            aborted.push(states.aborted(&completed));
        }
        Ok::<_, WalkError>(true)
    })?;
    Ok(aborted)
}
