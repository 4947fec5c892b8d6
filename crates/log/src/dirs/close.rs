//! The clean stop: after it nothing needs to be scanned.
//!
//! In this order: every log writes what a start needs, that is synced, the checkpoints are stored, the directory is marked. Invariant:
//! neither a checkpoint nor the mark says anything of what is not durable yet.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ottla_types::{BrokerEpoch, TopicPartition};
use parking_lot::Mutex;

use super::{LogDirs, durable::Waiting, open::for_each_parallel, slot::Slot};
use crate::checkpoint::clean_shutdown;

impl LogDirs {
    /// Flushes and closes every log, stores the checkpoints and marks the directories as cleanly stopped in `epoch`
    /// (−1 where the broker has none). A directory with a log that cannot be closed is not marked.
    ///
    /// # Errors
    /// A directory failed; the others are done.
    pub fn close(&self, epoch: BrokerEpoch) -> io::Result<()> {
        self.flusher.stop();
        for dir in self.dirs.iter().filter(|dir| dir.health.is_full()) {
            // What a clean stop writes is small. The next start makes another one.
            let _ = self.give_up_reserve(dir);
        }
        let clean: Vec<_> = (0..self.dirs.len()).map(|at| self.close_logs(at)).collect();
        if let Err(error) = self.deletions.remove_files(self.disk()) {
            tracing::warn!(%error, "files of removed segments remain");
        }
        self.checkpoint()?;
        self.checkpoint_high_watermarks()?;
        for (dir, clean) in self.dirs.iter().zip(clean) {
            if clean && dir.is_online() {
                clean_shutdown::write(self.disk(), &dir.path, epoch)?;
            }
        }
        Ok(())
    }

    /// Whether all logs of the directory are closed and whole.
    fn close_logs(&self, at: usize) -> bool {
        let (dir, threads) = (&self.dirs[at], self.settings.flush_threads.max(1));
        let _no_checkpoint = dir.checkpointing.lock();
        let clean = AtomicBool::new(true);
        let waiting = Mutex::new(Vec::new());
        for_each_parallel(threads, &self.slots_in(at), |slot| {
            clean.fetch_and(begin_close(slot, &waiting), Ordering::AcqRel);
        });
        let waiting = waiting.into_inner();
        let volume_failed = self.make_durable(dir, threads, Duration::ZERO, &waiting);
        for_each_parallel(threads, &waiting, |waiting| waiting.log.end_close(waiting.is_durable()));
        for closed in &waiting {
            closed.error().into_iter().for_each(|error| tell(closed.log.partition(), error));
        }
        clean.into_inner() && !volume_failed && waiting.iter().all(Waiting::is_durable)
    }
}

/// Whether the log of `slot` is whole as far as can be seen before it is synced.
fn begin_close(slot: &Slot, waiting: &Mutex<Vec<Waiting>>) -> bool {
    // Not opened: as it was. That is closed, unless a crash came before and it could not be recovered.
    let Some(log) = slot.loaded() else { return slot.start().clean };
    match log.begin_close() {
        Ok(written) => {
            let begun = written.map(|written| Waiting::new(Arc::clone(log), written));
            waiting.lock().extend(begun);
            true
        }
        Err(error) => {
            tell(slot.partition(), &error);
            false
        }
    }
}

fn tell(partition: &TopicPartition, error: &io::Error) {
    tracing::error!(%partition, %error, "a log was not closed");
}
