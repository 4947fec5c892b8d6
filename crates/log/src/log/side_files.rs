//! The files beside the segments: written while the log is used and when it is closed, synced before anything vouches for them.
//!
//! That is done in two steps, so that many logs can share a sync of their volume: every log writes ([`Written`]), then the files
//! are synced, by each log for itself or for all at once, and only then are they counted on. Leader epochs have a third step,
//! for their file takes the place of another one: it gets its name once its content is durable.
//!
//! Invariant: what is flushed, and that a log is closed, is said after the files are durable, never before.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use ottla_types::Offset;

use super::{FlushError, Log, LogState};
use crate::{
    checkpoint,
    segment::Segment,
    unsynced::{Changes, Mark},
};

/// What a log has beside its segments that is written and perhaps not durable; of a log that is being closed, the segments
/// and snapshots too.
#[derive(Debug)]
pub(crate) struct Written {
    /// Below it everything is durable once these files are.
    pub(crate) to: Offset,
    indexes: Vec<(Arc<Segment>, Mark)>,
    names: Option<Mark>,
    epochs: Option<Mark>,
    /// Where the log is being closed: whether it has records or snapshots that are not durable.
    closing: Option<bool>,
}

impl Written {
    /// Whether there is nothing to sync.
    pub(crate) fn is_durable(&self) -> bool {
        self.indexes.is_empty() && self.names.is_none() && self.epochs.is_none() && self.closing != Some(true)
    }

    /// Whether leader epochs are among it.
    pub(crate) fn has_epochs(&self) -> bool {
        self.epochs.is_some()
    }
}

impl Log {
    /// Writes index entries that are only in memory, up to what is flushed at least. Once everything is durable that is written then,
    /// leader epochs too, the recovery point may be stored.
    ///
    /// # Errors
    /// As the file system says; the old recovery point holds then.
    pub(crate) fn write_side_files(&self) -> io::Result<Written> {
        let flushed = self.flushed();
        let writer = self.writer.lock();
        writer.active.write_indexes()?;
        drop(writer);
        Ok(self.written(flushed, None))
    }

    /// As [`Log::write_side_files`], of a log that nothing is appended to any more, with all that a restart needs to scan nothing.
    fn write_closing_files(&self) -> io::Result<Written> {
        let _one_at_a_time = self.flushing.lock();
        let log_end = self.log_end();
        let mut writer = self.writer.lock();
        writer.active.finish_indexes()?;
        self.write_snapshot(&mut writer, log_end)?;
        drop(writer);
        let unsynced = self.flushed() < log_end || !self.snapshots_dirty.lock().is_empty();
        Ok(self.written(log_end, Some(unsynced)))
    }

    fn written(&self, to: Offset, closing: Option<bool>) -> Written {
        let segments = self.segments.load();
        let unsynced = |segment: &Arc<Segment>| Some((Arc::clone(segment), segment.unsynced_indexes().pending()?));
        Written {
            to,
            indexes: segments.iter().filter_map(unsynced).collect(),
            names: self.unsynced_names.pending(),
            epochs: self.unsynced_epochs.pending(),
            closing,
        }
    }

    /// Makes all of it durable by itself.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn sync_written(&self, written: &Written) -> io::Result<()> {
        for (segment, _) in &written.indexes {
            let synced = segment.sync_indexes()?;
            self.unsynced_names.note_if(synced); // an index file is created when its first entries are written
        }
        if written.closing == Some(true) {
            self.sync(self.flushed().min(written.to), written.to)?;
        }
        self.sync_names()?;
        self.sync_epochs()?;
        self.note_flushed(written);
        Ok(())
    }

    fn sync_epochs(&self) -> io::Result<()> {
        let _one_at_a_time = self.epochs_file.lock();
        let Some(unsynced) = self.unsynced_epochs.pending() else { return Ok(()) };
        checkpoint::epochs::write(self.disk(), &self.dir, &self.epochs())?;
        self.unsynced_epochs.settle(unsynced);
        Ok(())
    }

    /// Writes the leader epochs, for somebody else to sync.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn write_epochs(&self, written: &Written) -> io::Result<()> {
        match written.epochs {
            Some(_) => checkpoint::epochs::write_next(self.disk(), &self.dir, &self.epochs()),
            None => Ok(()),
        }
    }

    /// Gives what [`Log::write_epochs`] wrote its name. It is durable, and the name is to be made so.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn name_epochs(&self, written: &Written) -> io::Result<()> {
        let _one_at_a_time = self.epochs_file.lock();
        match written.epochs {
            // Who closed the log meanwhile has written newer ones.
            Some(mark) if !self.unsynced_epochs.is_durable(mark) => {
                checkpoint::epochs::name_next(self.disk(), &self.dir)
            }
            _ => Ok(()),
        }
    }

    /// Somebody else made all of it durable.
    pub(crate) fn note_durable(&self, written: &Written) {
        let settle = |changes: &Changes, mark: Option<Mark>| mark.into_iter().for_each(|mark| changes.settle(mark));
        for (segment, mark) in &written.indexes {
            segment.unsynced_indexes().settle(*mark);
        }
        settle(&self.unsynced_names, written.names);
        settle(&self.unsynced_epochs, written.epochs);
        if written.closing.is_some() {
            self.snapshots_dirty.lock().clear();
        }
        self.note_flushed(written);
    }

    /// Of a log that is closed everything is flushed.
    fn note_flushed(&self, written: &Written) {
        if written.closing.is_some() {
            self.flushed.store(written.to.0, Ordering::Release);
        }
    }

    /// Flushes everything, writes all that a restart needs to scan nothing, and closes the files. Nothing is appended from
    /// the beginning of this call on.
    ///
    /// # Errors
    /// As the file system says, or the log is offline or damaged; the next start must then recover.
    pub fn close(&self) -> io::Result<()> {
        let Some(written) = self.begin_close()? else { return Ok(()) };
        let synced = self.sync_written(&written);
        self.end_close(synced.is_ok());
        synced
    }

    /// The first half of [`Log::close`]: what is given back is to be synced, and [`Log::end_close`] called then. None for a log
    /// that was closed before.
    ///
    /// # Errors
    /// As [`Log::close`], and the log is closed.
    pub(crate) fn begin_close(&self) -> io::Result<Option<Written>> {
        let before = self.state();
        if before == LogState::Closed {
            return Ok(None);
        }
        let writer = self.writer.lock(); // who appends right now is waited for
        self.worsen(LogState::Closed);
        drop(writer);
        let written = match before {
            LogState::Online => self.write_closing_files(),
            _ => Err(io::Error::other("the log is not whole")),
        };
        if written.is_err() {
            self.end_close(false);
        }
        written.map(Some)
    }

    /// The second half: answers who waits, and closes the files.
    pub(crate) fn end_close(&self, durable: bool) {
        if durable {
            self.flush_waiters.answer(self.flushed());
        }
        self.flush_waiters.fail(FlushError::Closed);
        self.close_files();
    }

    /// Closes the open files; what uses them later opens them again.
    pub fn close_files(&self) {
        self.segments.load().iter().for_each(|segment: &Arc<Segment>| segment.close());
    }
}
