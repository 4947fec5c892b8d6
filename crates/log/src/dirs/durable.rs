//! Making durable what many logs of a directory wrote beside their segments: at a checkpoint and at the stop.
//!
//! By itself each log costs a sync for every file, so that a stop with thousands of partitions takes seconds. One sync of the
//! volume covers all of them, but also writes what nobody asked for. So a few are synced one by one, which shows what that costs, and
//! the others as is expected to cost less; at a checkpoint, for which nobody waits, one by one as long as that is bearable.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{DataDir, LogDirs, open::for_each_parallel};
use crate::{Log, log::Written};

/// So many logs are synced one by one in any case: enough to see what it costs, and of so few that it does not matter.
const ONE_BY_ONE: usize = 8;

/// A log whose files are to be synced, and whether that went wrong.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) log: Arc<Log>,
    pub(super) written: Written,
    failed: OnceLock<io::Error>,
}

impl Waiting {
    pub(super) fn new(log: Arc<Log>, written: Written) -> Self {
        Self { log, written, failed: OnceLock::new() }
    }

    /// Why its files are not durable; none where they are.
    pub(super) fn into_error(self) -> Option<io::Error> {
        self.failed.into_inner()
    }

    pub(super) fn is_durable(&self) -> bool {
        self.failed.get().is_none()
    }

    pub(super) fn error(&self) -> Option<&io::Error> {
        self.failed.get()
    }

    /// Nothing more is done once something failed.
    fn attempt(&self, run: impl FnOnce(&Log, &Written) -> io::Result<()>) {
        if self.failed.get().is_none()
            && let Err(error) = run(&self.log, &self.written)
        {
            let _ = self.failed.set(error);
        }
    }
}

impl LogDirs {
    /// Makes durable what `waiting`, logs of one directory, wrote, on up to `threads` threads; each knows afterwards whether it is.
    /// Their volume is synced only where one by one they would take longer than `bearable`.
    ///
    /// Whether a sync of the volume failed on the way: then each was synced by itself, but an error that belongs to
    /// a file of theirs may have been told to that sync alone.
    pub(super) fn make_durable(&self, dir: &DataDir, threads: usize, bearable: Duration, waiting: &[Waiting]) -> bool {
        let (done, todo): (Vec<_>, Vec<_>) = waiting.iter().partition(|waiting| waiting.written.is_durable());
        done.into_iter().for_each(|waiting| waiting.log.note_durable(&waiting.written));
        let tried = if dir.syncs_volume { todo.len().min(ONE_BY_ONE) } else { todo.len() };
        let (first, rest) = todo.split_at(tried);
        self.sync_each(threads, first);
        if rest.is_empty() {
            return false;
        }
        let mut pace = self.side_pace.lock();
        let is_bearable = pace.one_by_one(rest.len(), threads).is_none_or(|takes| takes < bearable.as_secs_f64());
        let alone = is_bearable || !pace.prefers_shared(rest.len(), threads);
        drop(pace);
        if alone {
            self.sync_each(threads, rest);
            return false;
        }
        let begin = Instant::now();
        let synced = self.sync_together(dir, threads, rest);
        self.side_pace.lock().note_shared(begin.elapsed());
        if !synced {
            self.sync_each(threads, rest);
        }
        !synced
    }

    fn sync_each(&self, threads: usize, waiting: &[&Waiting]) {
        for_each_parallel(threads, waiting, |waiting| {
            let begin = Instant::now();
            waiting.attempt(Log::sync_written);
            self.side_pace.lock().note_single(begin.elapsed());
        });
    }

    /// Leader epochs take the place of older ones, so that they are durable before they have their name, and the name after that.
    fn sync_together(&self, dir: &DataDir, threads: usize, waiting: &[&Waiting]) -> bool {
        let with_epochs: Vec<_> = waiting.iter().filter(|waiting| waiting.written.has_epochs()).collect();
        for_each_parallel(threads, &with_epochs, |waiting| waiting.attempt(Log::write_epochs));
        if self.disk().sync_volume(&dir.path).is_err() {
            return false;
        }
        if !with_epochs.is_empty() {
            for_each_parallel(threads, &with_epochs, |waiting| waiting.attempt(Log::name_epochs));
            if self.disk().sync_volume(&dir.path).is_err() {
                return false;
            }
        }
        waiting
            .iter()
            .filter(|waiting| waiting.is_durable())
            .for_each(|waiting| waiting.log.note_durable(&waiting.written));
        true
    }
}
