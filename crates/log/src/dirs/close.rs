//! The clean stop: after it nothing needs to be scanned.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use ottla_types::BrokerEpoch;

use super::{LogDirs, open::for_each_parallel};
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
        let slots = self.slots_in(at);
        let clean = AtomicBool::new(true);
        for_each_parallel(self.settings.flush_threads.max(1), &slots, |slot| {
            let Some(log) = slot.loaded() else {
                // Not opened: as it was. That is closed, unless a crash came before and it could not be recovered.
                clean.fetch_and(slot.start().clean, Ordering::AcqRel);
                return;
            };
            if let Err(error) = log.close() {
                tracing::error!(partition = %slot.partition(), %error, "a log was not closed");
                clean.store(false, Ordering::Release);
            }
        });
        clean.into_inner()
    }
}
