//! Cutting a log: its end on a follower that went another way than its leader, its start for `DeleteRecords`.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use ottla_types::{Millis, Offset};

use super::{
    Log, LogState, Writer,
    load::{self, Replay},
    roll,
};
use crate::{
    FlushError, MoveError,
    producer_state::ProducerStates,
    segment::{
        Segment,
        name::{FileKind, parse_file_name},
        walk::WalkError,
    },
};

/// Why a log was not cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// `DeleteRecords` up to an offset that is above the high watermark, or negative (`OFFSET_OUT_OF_RANGE`).
    #[error("offset {to} where the high watermark is {high_watermark}")]
    OutOfRange {
        /// What was asked for.
        to: Offset,
        /// The high watermark.
        high_watermark: Offset,
    },
    /// The log is closed or offline (`KAFKA_STORAGE_ERROR`).
    #[error("the log is {0:?}")]
    NotOnline(LogState),
    /// A batch on the way is damaged (`KAFKA_STORAGE_ERROR`).
    #[error("the log is damaged near offset {0}")]
    Damaged(Offset),
    /// The disk failed; the log is offline then (`KAFKA_STORAGE_ERROR`).
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Log {
    /// Raises the log start to `to`; what it is then. Records below it cannot be read any more; their segments go with
    /// [`LogDirs::remove_old_segments`](crate::LogDirs::remove_old_segments).
    ///
    /// # Errors
    /// `to` is above the high watermark, or the log cannot be used.
    pub fn delete_records(&self, to: Offset) -> Result<Offset, CutError> {
        let high_watermark = self.high_watermark();
        if to > high_watermark || to < Offset::ZERO {
            return Err(CutError::OutOfRange { to, high_watermark });
        }
        self.raise_log_start(to)
    }

    /// Raises the log start to `to` as the leader says; on a follower, whose high watermark may lag.
    ///
    /// # Errors
    /// The log cannot be used.
    pub fn raise_log_start(&self, to: Offset) -> Result<Offset, CutError> {
        let _writer = self.writer.lock();
        self.check_writable()?;
        let before = self.log_start.fetch_max(to.min(self.log_end()).0, Ordering::AcqRel);
        if before < to.0 && self.epochs.write().truncate_from_start(self.log_start()) {
            self.unsynced_epochs.note();
        }
        self.high_watermark.fetch_max(self.log_start().0, Ordering::AcqRel);
        Ok(self.log_start())
    }

    /// Whether segments lie wholly below `start`.
    pub(crate) fn has_segments_below(&self, start: Offset) -> bool {
        self.segments.load().get(1).is_some_and(|second| second.base() <= start)
    }

    /// Removes segments that lie wholly below `start`, a log start that is stored; how many. The active segment stays.
    ///
    /// # Errors
    /// As the file system says; what could not be removed is gone from the log all the same.
    pub(crate) fn remove_segments_below(&self, start: Offset, now: Millis) -> io::Result<usize> {
        let _no_flush = self.flushing.lock(); // it would miss the files and take the log for broken
        let writer = self.writer.lock();
        let segments = self.segments.load_full();
        let kept_from = segments.windows(2).take_while(|pair| pair[1].base() <= start).count();
        if kept_from == 0 {
            return Ok(0);
        }
        self.segments.store(Arc::new(segments[kept_from..].to_vec()));
        drop(writer);
        if segments[..kept_from].iter().any(|segment| segment.damage().any()) {
            self.remember_damage();
        }
        self.remove_snapshots(|offset| offset <= segments[kept_from - 1].base())?;
        self.retire_segments(&segments[..kept_from], now)?;
        Ok(kept_from)
    }

    /// Renames the files of segments that are no longer in the list; they are removed after `file.delete.delay.ms`.
    pub(super) fn retire_segments(&self, segments: &[Arc<Segment>], now: Millis) -> io::Result<()> {
        let delay_ms = self.config.load().file_delete_delay_ms;
        segments.iter().try_for_each(|segment| {
            self.env.deletions.add_files(segment.retire()?, now, delay_ms);
            Ok(())
        })
    }

    /// Cuts everything from `to` on; whether there was anything. Where `to` lies within a batch, the whole batch goes.
    ///
    /// # Errors
    /// The log is offline then, or could not be used before.
    pub fn truncate_to(&self, to: Offset, now: Millis) -> Result<bool, CutError> {
        if to >= self.log_end() {
            return self.check_writable().map(|()| false);
        }
        self.cut(|writer, segments| {
            if to < segments[0].base() {
                self.start_over(writer, segments, to, now)
            } else {
                self.cut_end(writer, segments, to, now)
            }
        })?;
        Ok(true)
    }

    /// Drops everything and begins anew at `start`.
    ///
    /// # Errors
    /// The log is offline then, or could not be used before.
    pub fn truncate_fully_and_start_at(&self, start: Offset, now: Millis) -> Result<(), CutError> {
        self.cut(|writer, segments| self.start_over(writer, segments, start, now))
    }

    /// Runs `cut` while nobody appends or flushes; tells those who wait for what is gone, once others may again.
    fn cut(&self, cut: impl FnOnce(&mut Writer, &[Arc<Segment>]) -> Result<(), WalkError>) -> Result<(), CutError> {
        let no_flush = self.flushing.lock();
        let mut writer = self.writer.lock();
        self.check_writable()?;
        let result = cut(&mut writer, &self.segments.load_full());
        drop((writer, no_flush));
        result.map_err(|error| {
            self.go_offline();
            self.cut_error(error)
        })?;
        self.flush_waiters.fail_beyond(|| self.log_end(), FlushError::Truncated);
        Ok(())
    }

    fn check_writable(&self) -> Result<(), CutError> {
        match self.state() {
            LogState::Online => Ok(()),
            other => Err(CutError::NotOnline(other)),
        }
    }

    fn cut_error(&self, error: WalkError) -> CutError {
        match error {
            WalkError::Io(error) => CutError::Io(error),
            WalkError::Bad { .. } => CutError::Damaged(self.log_end()),
        }
    }

    fn cut_end(
        &self,
        writer: &mut Writer,
        segments: &[Arc<Segment>],
        to: Offset,
        now: Millis,
    ) -> Result<(), WalkError> {
        let kept = segments.partition_point(|segment| segment.base() <= to).max(1);
        let last = &segments[kept - 1];
        let (end, position) = match last.find_batch(to) {
            Ok(Some(batch)) => (to.min(batch.header.base_offset), batch.position),
            Ok(None) => (to, last.size()?),
            // What is damaged goes as a whole.
            Err(error) => error.known().map(|damage| (to.min(damage.first), damage.position)).ok_or(error)?,
        };
        let end = end.max(last.base());
        self.segments.store(Arc::new(segments[..kept].to_vec()));
        self.set_end(end);
        self.retire_segments(&segments[kept..], now)?;
        let config = self.config.load();
        let fresh = Arc::new(Segment::new(&self.env.handles, &self.dir, last.base(), true));
        fresh.damage().replace(last.damages_before(position));
        fresh.cut(position, end)?;
        fresh.resume(position, &config, now)?;
        let mut list = segments[..kept].to_vec();
        list[kept - 1] = Arc::clone(&fresh);
        self.segments.store(Arc::new(list));
        writer.active = fresh;
        self.remember_damage();
        self.reload_state(writer, end)
    }

    fn start_over(
        &self,
        writer: &mut Writer,
        segments: &[Arc<Segment>],
        start: Offset,
        now: Millis,
    ) -> Result<(), WalkError> {
        self.set_end(start);
        self.log_start.store(start.0, Ordering::Release);
        self.high_watermark.store(start.0, Ordering::Release);
        self.retire_segments(segments, now)?;
        let fresh = Arc::new(Segment::create(&self.env.handles, &self.dir, start, now)?);
        self.segments.store(Arc::new(vec![Arc::clone(&fresh)]));
        self.remember_damage();
        writer.active = fresh;
        writer.roll_jitter_ms = roll::jitter_ms(&self.config.load(), &self.partition, start);
        self.reload_state(writer, start)
    }

    /// Everything that may not lie beyond the end.
    fn set_end(&self, end: Offset) {
        self.high_watermark.fetch_min(end.0, Ordering::AcqRel);
        self.flushed.fetch_min(end.0, Ordering::AcqRel);
        self.clean_to.fetch_min(end.0, Ordering::AcqRel);
        self.log_start.fetch_min(end.0, Ordering::AcqRel);
        self.log_end.store(end.0, Ordering::Release);
    }

    /// Epochs and producers as they were when the log ended at `end`.
    fn reload_state(&self, writer: &mut Writer, end: Offset) -> Result<(), WalkError> {
        self.unsynced_names.note();
        let cut = self.epochs.write().truncate_from_end(end);
        self.unsynced_epochs.note_if(cut);
        self.remove_snapshots(|offset| offset > end)?;
        self.disk().sync_dir(&self.dir)?; // a snapshot that came back after a crash would speak of other batches
        writer.producers = ProducerStates::default();
        let segments = self.segments.load_full();
        let start = load::newest_snapshot(&self.env, &self.dir, end)?;
        writer.snapshot_at = start.as_ref().map(|(offset, _)| *offset);
        let (from, states) = start.unwrap_or((Offset::ZERO, ProducerStates::default()));
        let replay = Replay { segments: &segments, reindex_from: None, snapshots: None };
        writer.producers = replay.run(states, from)?;
        writer.producers.advance_high_watermark(self.high_watermark());
        self.publish_unstable(&writer.producers);
        Ok(())
    }

    pub(super) fn remove_snapshots(&self, goes: impl Fn(Offset) -> bool) -> io::Result<()> {
        for entry in self.disk().list(&self.dir)? {
            let parsed = parse_file_name(&entry.name);
            if parsed.is_some_and(|(offset, kind)| kind == FileKind::Snapshot && goes(offset)) {
                self.disk().remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// Has another log take the place of this one, while nobody appends or flushes: `run` makes it, of all that is here. Then
    /// this one is closed, and whoever waits for a flush of it is answered, for the other one is durable.
    ///
    /// # Errors
    /// Those of `run`; this log goes on then.
    pub(crate) fn hand_over<T>(
        &self,
        run: impl FnOnce(&mut ProducerStates) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        let no_flush = self.flushing.lock();
        let mut writer = self.writer.lock();
        self.check_writable()?;
        let done = run(&mut writer.producers)?;
        self.worsen(LogState::Closed);
        self.flushed.fetch_max(self.log_end().0, Ordering::AcqRel);
        drop((writer, no_flush));
        self.flush_waiters.answer(self.log_end());
        self.close_files();
        Ok(done)
    }

    /// Takes the producers of a log that this one is a copy of.
    pub(crate) fn take_over_producers(&self, producers: ProducerStates) {
        let mut writer = self.writer.lock();
        writer.producers = producers;
        writer.producers.advance_high_watermark(self.high_watermark());
        self.publish_unstable(&writer.producers);
    }

    /// Takes the log out of use and gives its directory the name `to`, which is not synced; it can be removed later.
    ///
    /// # Errors
    /// As the file system says; the log is closed all the same.
    pub(crate) fn retire(&self, to: &Path) -> io::Result<()> {
        self.worsen(LogState::Closed);
        self.flush_waiters.fail(FlushError::Closed);
        let _no_flush = self.flushing.lock();
        let _no_append = self.writer.lock();
        self.close_files();
        self.disk().rename(&self.dir, to)
    }
}
