//! What happens while a directory is full, and how it ends.

use std::{io, sync::atomic::Ordering};

use ottla_disk::is_full;

use super::{DataDir, LogDirs, reserve};

impl LogDirs {
    /// Keeps a reserve in each directory, and lets a full one take appends again where there is room; for the broker to
    /// call every second or so. Whether a directory takes appends again.
    pub fn look_after_space(&self) -> bool {
        let mut is_news = false;
        for dir in self.dirs.iter().filter(|dir| dir.is_online()) {
            is_news |= self.look_at_space(dir);
        }
        is_news
    }

    fn look_at_space(&self, dir: &DataDir) -> bool {
        let bytes = reserve::bytes_for(dir.partitions.load(Ordering::Acquire));
        if !dir.health.is_full() {
            // Beyond what is kept, or a disk that is nearly full would be called full.
            if !dir.has_reserve(bytes)
                && self.room(dir) > 2 * bytes
                && reserve::make(self.disk(), &dir.path, bytes).is_ok()
            {
                dir.note_reserve(bytes);
            }
            return false;
        }
        // Twice the reserve, so that what is given back is not gone with the next append.
        if self.room(dir) <= 2 * bytes || reserve::make(self.disk(), &dir.path, bytes).is_err() {
            return false;
        }
        dir.note_reserve(bytes);
        dir.health.has_room();
        true
    }

    fn room(&self, dir: &DataDir) -> u64 {
        self.disk().space(&dir.path).map_or(0, |space| space.usable)
    }

    /// Runs what is small and leads to more room; where there is none for it, again with the directory's reserve.
    pub(super) fn with_reserve<T>(&self, dir: &DataDir, run: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match run() {
            Err(error) if is_full(&error) => {
                if self.give_up_reserve(dir)? {
                    run()
                } else {
                    Err(error)
                }
            }
            done => done,
        }
    }

    /// Makes room of the reserve; whether there was one.
    pub(super) fn give_up_reserve(&self, dir: &DataDir) -> io::Result<bool> {
        dir.note_reserve(0);
        reserve::give_up(self.disk(), &dir.path)
    }
}
