//! Making records durable.
//!
//! A flush covers what had been appended before it began. After a failed flush nothing that was not durable before can
//! be relied on (the kernel may have dropped the pages), so the log goes offline and is recovered at its next opening.

use std::{io, path::Path, sync::atomic::Ordering};

use ottla_disk::OpenMode;
use ottla_types::{Millis, Offset};
use parking_lot::MutexGuard;

use super::{Log, LogState};
use crate::{
    flusher::Flushed,
    segment::name::{FileKind, file_name},
};

/// Why records are not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The disk failed, now or before; the log is offline (`KAFKA_STORAGE_ERROR`).
    #[error("the log is offline")]
    Offline,
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
    /// The records were cut off before they were durable.
    #[error("the records were cut off")]
    Truncated,
}

/// A flush that began and did not end yet: nobody else flushes or cuts the log meanwhile.
pub(crate) struct Begun<'a> {
    _one_at_a_time: MutexGuard<'a, ()>,
    /// Since when the oldest record waits.
    since: i64,
    from: Offset,
    to: Offset,
}

impl Log {
    /// Makes everything that has been appended durable; the offset below which everything is. Answers who waits.
    ///
    /// # Errors
    /// The log is offline then, or was before.
    pub fn flush(&self) -> Result<Offset, FlushError> {
        let result = self.run_flush(|| self.log_end());
        self.answer(result);
        result
    }

    /// Makes the sealed segments durable. The active one, to which others write meanwhile, is left alone.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub(crate) fn flush_sealed(&self) -> Result<Offset, FlushError> {
        let active_base = || self.segments.load().last().map_or(Offset::ZERO, |active| active.base());
        let result = self.run_flush(active_base);
        self.answer(result);
        result
    }

    /// Answers who waits, outside of any lock. Nobody can wait for more than the log end unless the log was cut.
    fn answer(&self, result: Result<Offset, FlushError>) {
        match result {
            Ok(flushed) => {
                self.flush_waiters.answer(flushed);
                self.flush_waiters.fail_beyond(|| self.log_end(), FlushError::Truncated);
            }
            Err(error) => self.flush_waiters.fail(error),
        }
    }

    /// Calls `done` once everything below `to` is durable: at once where it is already, else from a flushing thread.
    /// Many such calls share one flush.
    pub fn when_flushed(&self, to: Offset, done: Flushed) {
        match self.shared() {
            Some(log) => self.env.flusher.when_flushed(log, to, done),
            None => done(Err(FlushError::Closed)),
        }
    }

    /// Flushes in the background when the oldest record that is not durable has waited `flush.ms`; whether it does.
    pub fn flush_if_due(&self, now: Millis) -> bool {
        let Some(at) = self.due_at() else { return false };
        let due = at <= now;
        if due {
            self.when_flushed(self.log_end(), Box::new(|_| ()));
        } else {
            self.env.flusher.comes_due(at);
        }
        due
    }

    /// When the oldest record that is not durable will have waited `flush.ms`.
    fn due_at(&self) -> Option<Millis> {
        let since = Millis(self.dirty_since.load(Ordering::Acquire));
        (since != Millis::NONE).then(|| since.plus(self.config.load().flush_ms))
    }

    /// There is a record that waits since then, if none has waited longer.
    pub(super) fn note_dirty(&self, since: Millis) {
        if self.dirty_since.compare_exchange(Millis::NONE.0, since.0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.tell_due();
        }
    }

    /// Tells who looks at all logs when there will be something to do for this one.
    pub(super) fn tell_due(&self) {
        if let Some(at) = self.due_at() {
            self.env.flusher.comes_due(at);
        }
    }

    fn run_flush(&self, target: impl FnOnce() -> Offset) -> Result<Offset, FlushError> {
        let begun = self.begin_flush(self.flushing.lock(), target)?;
        let synced = if begun.from < begun.to { self.sync(begun.from, begun.to) } else { Ok(()) };
        self.end_flush(begun, synced)
    }

    /// The first half of a flush that many logs share. None where somebody else flushes or cuts this one now; an error
    /// where there is nothing to flush any more, which those who wait have been told then.
    pub(crate) fn begin_shared_flush(&self) -> Result<Option<Begun<'_>>, FlushError> {
        let Some(one_at_a_time) = self.flushing.try_lock() else { return Ok(None) };
        let begun = self.begin_flush(one_at_a_time, || self.log_end());
        begun.map(Some).inspect_err(|error| self.answer(Err(*error)))
    }

    /// The second half: the volume was synced in between, and with it names and snapshots, which the next flush of this log
    /// alone syncs again. Where that failed nobody knows whose files it was, and this
    /// log's are synced by themselves.
    pub(crate) fn end_shared_flush(&self, begun: Begun<'_>, volume_synced: bool) {
        let synced = if volume_synced { Ok(()) } else { self.sync(begun.from, begun.to) };
        let result = self.end_flush(begun, synced);
        self.answer(result);
    }

    /// The directory whose volume this log is on.
    pub(crate) fn volume(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Whether this log's flush may be one sync of its volume.
    pub(crate) fn syncs_volume(&self) -> bool {
        self.env.syncs_volume
    }

    /// Whether all that was written to the volume is durable now.
    pub(crate) fn sync_volume(&self) -> bool {
        self.disk().sync_volume(self.volume()).is_ok()
    }

    fn begin_flush<'a>(
        &'a self,
        one_at_a_time: MutexGuard<'a, ()>,
        target: impl FnOnce() -> Offset,
    ) -> Result<Begun<'a>, FlushError> {
        match self.state() {
            LogState::Online => {}
            LogState::Offline => return Err(FlushError::Offline),
            LogState::Closed => return Err(FlushError::Closed),
        }
        // An append sets the time again from here on, which may be too early for it but never too late.
        let since = self.dirty_since.swap(Millis::NONE.0, Ordering::AcqRel);
        let (from, to) = (self.flushed(), target());
        Ok(Begun { _one_at_a_time: one_at_a_time, since, from, to })
    }

    fn end_flush(&self, begun: Begun<'_>, synced: io::Result<()>) -> Result<Offset, FlushError> {
        if let Err(error) = synced {
            tracing::error!(partition = %self.partition, %error, "a flush failed, the log is offline");
            self.go_offline();
            return Err(FlushError::Offline);
        }
        self.flushed.fetch_max(begun.to.0, Ordering::AcqRel);
        if begun.to < self.log_end() {
            self.note_dirty(Millis(begun.since));
        }
        Ok(self.flushed())
    }

    /// The segments that hold offsets from `from` to `to`, producer snapshots, and the names of all.
    pub(super) fn sync(&self, from: Offset, to: Offset) -> io::Result<()> {
        let segments = self.segments.load_full();
        let first = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        for segment in segments[first..].iter().take_while(|segment| segment.base() < to) {
            segment.sync()?;
        }
        self.sync_snapshots()?;
        self.sync_names()
    }

    /// The names of new files, and of the directory itself.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        let Some(unsynced) = self.unsynced_names.pending() else { return Ok(()) };
        self.disk().sync_dir(&self.dir)?;
        self.dir.parent().map_or(Ok(()), |parent: &Path| self.disk().sync_dir(parent))?;
        self.unsynced_names.settle(unsynced);
        Ok(())
    }

    pub(crate) fn go_offline(&self) {
        self.worsen(LogState::Offline);
    }

    pub(super) fn sync_snapshots(&self) -> io::Result<()> {
        let written = std::mem::take(&mut *self.snapshots_dirty.lock());
        for at in written {
            let path = self.dir.join(file_name(at, FileKind::Snapshot));
            match self.disk().open(&path, OpenMode::Write) {
                Ok(file) => file.sync_data()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // cut off since
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
