//! The checkpoints of a directory: recovery points, log starts, high watermarks, ends of compaction.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    time::Duration,
};

use ottla_disk::is_full;
use ottla_types::{Millis, Offset, TopicPartition};

use super::{DataDir, LogDirs, durable::Waiting, slot::Slot};
use crate::{CutError, Expired, Log, LogState, checkpoint::offsets::OffsetCheckpoint};

/// Fingerprints of what the checkpoint files hold, so that nothing is written when nothing changed.
#[derive(Debug, Default)]
pub(super) struct Stored {
    recovery_points: Option<u64>,
    log_starts: Option<u64>,
    high_watermarks: Option<u64>,
    clean_offsets: Option<u64>,
}

type Entries = Vec<(TopicPartition, Offset)>;

impl LogDirs {
    /// Stores recovery points and log starts, for the broker to call every minute or so
    /// (`log.flush.offset.checkpoint.interval.ms`). First the files beside the logs are brought up to them.
    ///
    /// # Errors
    /// A directory has no room for it, and keeps what it has; the others are done. One that fails is offline then.
    pub fn checkpoint(&self) -> io::Result<()> {
        self.each_dir(|at, dir| self.checkpoint_dir(at, dir))
    }

    /// The same for one directory, number `at`.
    pub(super) fn checkpoint_dir(&self, at: usize, dir: &DataDir) -> io::Result<()> {
        rewrite(dir, || self.store_checkpoints(at, dir))
    }

    /// Stores recovery point and log start of a copy that is about to become the partition, in directory number `at`. Of the
    /// others it stores what it can without a look at their files, so that a move costs the same however many there are.
    pub(super) fn checkpoint_copy(&self, at: usize, copy: &Arc<Log>) -> io::Result<()> {
        let dir = &self.dirs[at];
        rewrite(dir, || {
            let _one_at_a_time = dir.checkpointing.lock();
            let point = self.with_reserve(dir, || {
                let mut waiting = Vec::new();
                let point = write_side_files(copy, &mut waiting)?;
                self.sync_side_files(at, waiting)?;
                Ok(point)
            })?;
            let (mut points, mut starts) = self.stored_already(at);
            points.retain(|(partition, _)| partition != copy.partition());
            points.push((copy.partition().clone(), point));
            starts.retain(|(_, start)| *start > Offset::ZERO);
            let mut stored = dir.stored.lock();
            let Stored { recovery_points, log_starts, .. } = &mut *stored;
            self.store(dir, OffsetCheckpoint::RecoveryPoint, points, recovery_points)?;
            self.store(dir, OffsetCheckpoint::LogStart, starts, log_starts)
        })
    }

    /// Recovery points that are stored, and log starts, of partitions and of copies; one of a copy may be lower.
    fn stored_already(&self, at: usize) -> (Entries, Entries) {
        let (mut points, mut starts) = (Entries::new(), Entries::new());
        let mut add = |partition: &TopicPartition, point: Offset, start: Offset| {
            points.push((partition.clone(), point));
            starts.push((partition.clone(), start));
        };
        for slot in self.slots_in(at) {
            match slot.loaded() {
                Some(log) => add(slot.partition(), log.recovery_point().min(log.flushed()), log.log_start()),
                None => add(slot.partition(), slot.start().recovery_point, slot.start().log_start),
            }
        }
        for (partition, log) in self.copies_to_come(at) {
            add(&partition, log.recovery_point(), log.log_start());
        }
        (points, starts)
    }

    /// Copies in directory number `at` that are not the partition yet.
    fn copies_to_come(&self, at: usize) -> Vec<(TopicPartition, Arc<Log>)> {
        let is_here = |partition: &TopicPartition| self.slot(partition).is_some_and(|slot| slot.dir_index() == at);
        let copies = self.copies_in(at).into_iter().map(|(partition, log, _)| (partition, log));
        copies.filter(|(partition, log)| !is_here(partition) && log.is_online()).collect()
    }

    fn store_checkpoints(&self, at: usize, dir: &DataDir) -> io::Result<()> {
        let _one_at_a_time = dir.checkpointing.lock();
        // Kept from being stored by a full disk it would keep segments that are to go.
        let (points, starts) = self.with_reserve(dir, || self.gather(at))?;
        let (copies, copy_starts) = self.with_reserve(dir, || self.gather_copies(at))?;
        let mut stored = dir.stored.lock();
        let Stored { recovery_points, log_starts, .. } = &mut *stored;
        let all = [points.clone(), copies].concat();
        self.store(dir, OffsetCheckpoint::RecoveryPoint, all, recovery_points)?;
        for (partition, point) in points {
            self.loaded(&partition).into_iter().for_each(|log| log.note_recovery_point(point));
        }
        self.store(dir, OffsetCheckpoint::LogStart, [starts, copy_starts].concat(), log_starts)
    }

    /// Of a partition that begins, the checkpoints may speak of one before it that had the same name: what was durable of
    /// that one would be missed here after a crash.
    pub(super) fn forget_outdated(&self, partition: &TopicPartition) -> io::Result<()> {
        for (at, dir) in self.dirs.iter().enumerate().filter(|(_, dir)| dir.is_online()) {
            let is_outdated = dir.outdated.lock().contains(partition);
            if is_outdated {
                self.checkpoint_dir(at, dir)?;
            }
        }
        Ok(())
    }

    /// Removes the segments of opened logs that lie wholly below their log start; how many. The log starts are stored
    /// first: a log whose first segment is missing without a word of it was damaged. So is a recovery point not below the
    /// new first segment: a recovery trusts no producer snapshot above it, and what the removed segments said of producers
    /// is nowhere else.
    ///
    /// # Errors
    /// A directory failed.
    pub fn remove_old_segments(&self, now: Millis) -> io::Result<usize> {
        let mut starts: Vec<_> = self.loaded_logs().into_iter().map(|log| (log.log_start(), log)).collect();
        starts.retain(|(start, log)| log.has_segments_below(*start));
        // One that cannot be flushed is offline from then on, and keeps what it has.
        starts.retain(|(start, log)| log.flushed() >= *start || log.flush_sealed().is_ok());
        self.checkpoint()?;
        starts.iter().map(|(start, log)| log.remove_segments_below(*start, now)).sum()
    }

    /// Lets go, of `logs`, what their `retention.ms` and `retention.bytes` do not keep, and removes it; how many segments.
    /// A log that fails is told about and left as it is.
    ///
    /// # Errors
    /// A directory failed.
    pub fn expire(&self, logs: &[Arc<Log>], now: Millis) -> io::Result<usize> {
        for log in logs {
            match self.expire_one(log, now) {
                Ok(None) => {}
                Ok(Some(expired)) => {
                    tracing::info!(partition = %log.partition(), start = expired.start.0, reason = ?expired.reason, "segments expire");
                }
                Err(CutError::NotOnline(_)) => {}        // closed meanwhile
                Err(_) if log.lost_its_directory() => {} // has been told about
                Err(error) => tracing::warn!(partition = %log.partition(), %error, "retention of a log failed"),
            }
        }
        self.remove_old_segments(now)
    }

    /// Closing a segment that is to go takes some room.
    fn expire_one(&self, log: &Log, now: Millis) -> Result<Option<Expired>, CutError> {
        match log.expire_segments(now) {
            Err(CutError::Io(error)) if is_full(&error) => {
                let dir = self.slot(log.partition()).map(|slot| &self.dirs[slot.dir_index()]);
                let dir = dir.ok_or(CutError::Io(error))?;
                self.give_up_reserve(dir)?;
                log.expire_segments(now)
            }
            done => done,
        }
    }

    /// Stores high watermarks, for the broker to call every few seconds
    /// (`replica.high.watermark.checkpoint.interval.ms`).
    ///
    /// # Errors
    /// A directory has no room for it, and keeps what it has; the others are done. One that fails is offline then.
    pub fn checkpoint_high_watermarks(&self) -> io::Result<()> {
        self.each_dir(|at, dir| {
            let high_watermark = |slot: &Arc<Slot>| {
                let offset = slot.loaded().map_or(slot.start().high_watermark, |log| log.high_watermark());
                (slot.partition().clone(), offset)
            };
            let entries = self.slots_in(at).iter().map(high_watermark).collect();
            let mut stored = dir.stored.lock();
            self.store(dir, OffsetCheckpoint::HighWatermark, entries, &mut stored.high_watermarks)
        })
    }

    /// Stores up to where compaction has been in the logs of directory number `at`. A log that it never was in has no entry.
    pub(super) fn store_clean_offsets(&self, at: usize) -> io::Result<()> {
        let dir = &self.dirs[at];
        let clean_to = |slot: &Arc<Slot>| {
            let offset = slot.loaded().map_or(slot.start().clean_to, |log| log.clean_to())?;
            Some((slot.partition().clone(), offset))
        };
        let mut stored = dir.stored.lock();
        let entries: Entries = self.slots_in(at).iter().filter_map(clean_to).collect();
        if entries.is_empty() && stored.clean_offsets.is_none() {
            return Ok(()); // a directory without compacted logs has no such file
        }
        self.store(dir, OffsetCheckpoint::Cleaner, entries, &mut stored.clean_offsets)
    }

    fn each_dir(&self, run: impl Fn(usize, &DataDir) -> io::Result<()>) -> io::Result<()> {
        let mut result = Ok(());
        for (at, dir) in self.dirs.iter().enumerate().filter(|(_, dir)| dir.is_online()) {
            match run(at, dir) {
                Err(_) if !dir.is_online() => {} // has been told about
                Err(error) => result = Err(error),
                Ok(()) => {}
            }
        }
        result
    }

    /// Recovery points and log starts, for which everything beside the logs is durable; a log that was not opened keeps what it
    /// had.
    fn gather(&self, at: usize) -> io::Result<(Entries, Entries)> {
        let (mut points, mut starts) = (Entries::new(), Entries::new());
        let mut waiting = Vec::new();
        for slot in self.slots_in(at) {
            let start = slot.start();
            let (point, log_start) = match slot.loaded() {
                // What was not flushed is scanned after a crash, whatever the files beside it say: they wait until it is.
                Some(log) if log.flushed() == log.recovery_point() => (log.recovery_point(), log.log_start()),
                Some(log) => match write_side_files(log, &mut waiting) {
                    Err(error) if was_taken_away(log, &error) => continue,
                    point => (point?, log.log_start()),
                },
                None => (start.recovery_point, start.log_start),
            };
            points.push((slot.partition().clone(), point));
            if log_start > Offset::ZERO {
                starts.push((slot.partition().clone(), log_start));
            }
        }
        let gone = self.sync_side_files(at, waiting)?;
        points.retain(|(partition, _)| !gone.contains(partition));
        starts.retain(|(partition, _)| !gone.contains(partition));
        Ok((points, starts))
    }

    /// The same of the copies that moves make: with the next name of its folder a copy is the partition.
    fn gather_copies(&self, at: usize) -> io::Result<(Entries, Entries)> {
        let (mut points, mut starts) = (Entries::new(), Entries::new());
        let mut waiting = Vec::new();
        for (partition, log) in self.copies_to_come(at) {
            points.push((partition.clone(), write_side_files(&log, &mut waiting)?));
            if log.log_start() > Offset::ZERO {
                starts.push((partition, log.log_start()));
            }
        }
        self.sync_side_files(at, waiting)?;
        Ok((points, starts))
    }

    /// On this thread alone: nobody waits for it, and appends go on meanwhile. Partitions that were deleted in the meantime.
    fn sync_side_files(&self, at: usize, waiting: Vec<Waiting>) -> io::Result<HashSet<TopicPartition>> {
        let bearable = Duration::from_millis(self.settings.checkpoint_syncs_ms);
        self.make_durable(&self.dirs[at], 1, bearable, &waiting);
        let mut gone = HashSet::new();
        for waiting in waiting {
            let log = Arc::clone(&waiting.log);
            match waiting.into_error() {
                None => {}
                Some(error) if was_taken_away(&log, &error) => drop(gone.insert(log.partition().clone())),
                Some(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    fn store(
        &self,
        dir: &DataDir,
        which: OffsetCheckpoint,
        mut entries: Entries,
        stored: &mut Option<u64>,
    ) -> io::Result<()> {
        entries.sort_unstable();
        let mut hasher = DefaultHasher::new();
        entries.hash(&mut hasher);
        let fingerprint = hasher.finish();
        if *stored != Some(fingerprint) {
            self.with_reserve(dir, || which.write(self.disk(), &dir.path, &entries))?;
            *stored = Some(fingerprint);
        }
        Ok(())
    }

    pub(super) fn slots_in(&self, at: usize) -> Vec<Arc<Slot>> {
        self.partitions.read().values().filter(|slot| slot.dir_index() == at).cloned().collect()
    }
}

/// Runs what writes the checkpoints of `dir` anew. They speak of no partition then that is gone.
fn rewrite(dir: &DataDir, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let outdated = std::mem::take(&mut *dir.outdated.lock());
    let stored = run();
    if stored.is_err() {
        dir.outdated.lock().extend(outdated);
    }
    stored
}

/// The recovery point of `log` once what is added to `waiting` is durable.
fn write_side_files(log: &Arc<Log>, waiting: &mut Vec<Waiting>) -> io::Result<Offset> {
    let written = log.write_side_files()?;
    let point = written.to;
    if !written.is_durable() {
        waiting.push(Waiting::new(Arc::clone(log), written));
    }
    Ok(point)
}

/// Whether an error comes of the partition's deletion, which renames its folder.
fn was_taken_away(log: &Log, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && log.state() == LogState::Closed
}
