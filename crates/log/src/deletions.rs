//! What was taken out of use and stays on disk for a while: files of removed segments, directories of deleted partitions.
//!
//! A reader that planned its read before the removal still finds the bytes. Nothing waits in a task or a timer: each
//! entry has a deadline, and whoever looks after the logs calls [`Deletions::run`] with the time.
//!
//! Invariants: an entry already has the name that the next start takes for rubbish (`.deleted`, `-delete`), so that losing
//! this list in a crash loses no more than the delay; what could not be removed waits for the next call.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};

use ottla_disk::Disk;
use ottla_types::Millis;
use parking_lot::Mutex;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Deletions {
    waiting: Mutex<BinaryHeap<Reverse<Waiting>>>,
    /// `log.segment.delete.delay.ms`, for directories.
    directory_delay_ms: AtomicI64,
}

/// What becomes of what was taken out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is removed when it is due.
    Waits,
    /// It is removed now: its disk is full.
    Goes,
    /// It is left to the next start: its disk failed.
    IsLeft,
}

/// Ordered by deadline.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Millis,
    path: PathBuf,
    is_dir: bool,
}

impl Deletions {
    pub(crate) fn new(directory_delay_ms: i64) -> Self {
        Self { waiting: Mutex::default(), directory_delay_ms: AtomicI64::new(directory_delay_ms) }
    }

    /// Directories that are added from now on wait so long.
    pub(crate) fn set_directory_delay_ms(&self, delay_ms: i64) {
        self.directory_delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Files that were renamed at `now` go after `delay_ms`.
    pub(crate) fn add_files(&self, paths: impl IntoIterator<Item = PathBuf>, now: Millis, delay_ms: i64) {
        let due = after(now, delay_ms);
        self.waiting.lock().extend(paths.into_iter().map(|path| Reverse(Waiting { due, path, is_dir: false })));
    }

    /// A directory that was renamed at `now` goes after the directories' delay.
    pub(crate) fn add_directory(&self, path: PathBuf, now: Millis) {
        let due = after(now, self.directory_delay_ms.load(Ordering::Relaxed));
        self.waiting.lock().push(Reverse(Waiting { due, path, is_dir: true }));
    }

    /// Removes what is due, and what `fate` has something else to say of; how many files and directories.
    ///
    /// # Errors
    /// The first of what the file system says; the others were tried, and what is left is tried the next time.
    pub(crate) fn run(&self, disk: &dyn Disk, now: Millis, fate: impl Fn(&Path) -> Fate) -> io::Result<usize> {
        let mut due = Vec::new();
        let mut waiting = self.waiting.lock();
        if waiting.iter().any(|Reverse(each)| fate(&each.path) != Fate::Waits) {
            for Reverse(each) in std::mem::take(&mut *waiting) {
                match fate(&each.path) {
                    Fate::Waits => waiting.push(Reverse(each)),
                    Fate::Goes => due.push(each),
                    Fate::IsLeft => {}
                }
            }
        }
        while waiting.peek().is_some_and(|Reverse(first)| first.due <= now) {
            due.extend(waiting.pop().map(|Reverse(first)| first));
        }
        drop(waiting);
        self.remove(disk, due)
    }

    /// Removes all files whether they are due or not, for the stop: after a clean one no partition is looked into, and
    /// the files would stay. Directories are found by the next start.
    ///
    /// # Errors
    /// As [`Deletions::run`].
    pub(crate) fn remove_files(&self, disk: &dyn Disk) -> io::Result<usize> {
        let all = std::mem::take(&mut *self.waiting.lock()).into_iter().map(|Reverse(each)| each);
        let (directories, files): (Vec<_>, Vec<_>) = all.partition(|each| each.is_dir);
        self.waiting.lock().extend(directories.into_iter().map(Reverse));
        self.remove(disk, files)
    }

    fn remove(&self, disk: &dyn Disk, what: Vec<Waiting>) -> io::Result<usize> {
        let mut removed = 0;
        let mut result = Ok(());
        for each in what {
            let outcome = if each.is_dir { disk.remove_dir_all(&each.path) } else { disk.remove_file(&each.path) };
            match outcome {
                Ok(()) => removed += 1,
                // Its directory was removed first, or a start was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.waiting.lock().push(Reverse(each));
                    result = result.and(Err(error));
                }
            }
        }
        result.map(|()| removed)
    }
}

fn after(now: Millis, delay_ms: i64) -> Millis {
    Millis(now.0.saturating_add(delay_ms))
}
