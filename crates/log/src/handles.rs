//! Open files with a bound: a file is opened when it is used and closed when others need its place.
//!
//! Invariants: at most `open_max` files stay open in the cache (a reader that holds a handle keeps its file readable
//! beyond that); a file that was used since the hand of the clock last passed is spared once.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use ottla_disk::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;

/// What the name of a file ends with whose removal was decided, as Kafka does it.
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

/// The open files of a set of directories.
#[derive(Debug)]
pub(crate) struct HandleCache {
    disk: Arc<dyn Disk>,
    open_max: usize,
    open: Mutex<VecDeque<Weak<Handle>>>,
}

/// A file by its path, open or not.
#[derive(Debug)]
pub(crate) struct Handle {
    cache: Arc<HandleCache>,
    dir: Arc<Path>,
    name: Box<str>,
    /// Whether the file has the name of one that is to be removed. Changes only while `file` is locked.
    retired: AtomicBool,
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    used: AtomicBool,
}

impl HandleCache {
    /// Keeps up to `open_max` files of `disk` open.
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Arc<Self> {
        Arc::new(Self { disk, open_max: open_max.max(1), open: Mutex::default() })
    }

    /// The disk that the files are on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// A file that need not exist yet; nothing is opened.
    pub(crate) fn handle(self: &Arc<Self>, dir: &Arc<Path>, name: String) -> Arc<Handle> {
        Arc::new(Handle {
            cache: Arc::clone(self),
            dir: Arc::clone(dir),
            name: name.into_boxed_str(),
            retired: AtomicBool::new(false),
            file: Mutex::default(),
            used: AtomicBool::new(true),
        })
    }

    /// Closes half of the files; whether there was one. Fewer may be open in this process than the cache may hold.
    fn close_half(&self) -> bool {
        let mut open = self.open.lock();
        let half = open.len().div_ceil(2);
        open.drain(..half).filter_map(|handle| handle.upgrade()).for_each(|handle| handle.close());
        half > 0
    }

    fn note_opened(&self, handle: &Arc<Handle>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(handle));
        let mut spared = open.len();
        while open.len() > self.open_max {
            let Some(oldest) = open.pop_front() else { break };
            let Some(oldest) = oldest.upgrade() else { continue };
            if spared > 0 && oldest.used.swap(false, Ordering::Relaxed) {
                spared -= 1;
                open.push_back(Arc::downgrade(&oldest));
            } else {
                oldest.close();
            }
        }
    }
}

impl Handle {
    /// Where the file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.path_as(self.retired.load(Ordering::Acquire))
    }

    fn path_as(&self, retired: bool) -> PathBuf {
        if retired { self.dir.join(format!("{}{DELETED_SUFFIX}", self.name)) } else { self.dir.join(&*self.name) }
    }

    /// The open file.
    ///
    /// # Errors
    /// `NotFound` where it does not exist, else as the file system says.
    pub(crate) fn get(self: &Arc<Self>) -> io::Result<Arc<dyn DiskFile>> {
        self.get_or_open(OpenMode::Write)
    }

    /// The open file, created empty where absent.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn get_or_create(self: &Arc<Self>) -> io::Result<Arc<dyn DiskFile>> {
        self.get_or_open(OpenMode::Create)
    }

    /// The open file; none where it does not exist.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn get_if_exists(self: &Arc<Self>) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match self.get() {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// No slot is locked while a file is opened or the cache is asked for room: the cache locks slots itself.
    fn get_or_open(self: &Arc<Self>, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &*self.file.lock() {
            self.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(file));
        }
        loop {
            let retired = self.retired.load(Ordering::Acquire);
            let opened = self.open_as(retired, if retired { OpenMode::Write } else { mode });
            let mut slot = self.file.lock();
            if let Some(file) = &*slot {
                return Ok(Arc::clone(file)); // somebody was faster
            }
            if self.retired.load(Ordering::Acquire) != retired {
                continue; // renamed meanwhile: this was no file, or a new one of the old name
            }
            let opened = opened?;
            *slot = Some(Arc::clone(&opened));
            drop(slot);
            self.cache.note_opened(self);
            return Ok(opened);
        }
    }

    fn open_as(&self, retired: bool, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path_as(retired);
        match self.cache.disk.open(&path, mode) {
            Err(error) if is_too_many(&error) && self.cache.close_half() => self.cache.disk.open(&path, mode),
            opened => opened,
        }
    }

    /// Gives the file the name of one that is to be removed; who still holds this handle goes on reading it. The new path;
    /// none where there was no file.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn retire(&self) -> io::Result<Option<PathBuf>> {
        let _nobody_opens = self.file.lock();
        let to = self.path_as(true);
        match self.cache.disk.rename(&self.path(), &to) {
            Ok(()) => {
                self.retired.store(true, Ordering::Release);
                Ok(Some(to))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets the open file; it is opened again at the next use.
    pub(crate) fn close(&self) {
        drop(self.file.lock().take());
    }

    /// Takes a file that is open under another name, and will have this one: it stays open until [`Handle::settle`].
    pub(crate) fn adopt(&self, file: Arc<dyn DiskFile>) {
        *self.file.lock() = Some(file);
    }

    /// The file that was adopted has its name now, and can be closed like any other.
    pub(crate) fn settle(self: &Arc<Self>) {
        if self.file.lock().is_some() {
            self.cache.note_opened(self);
        }
    }

    /// Closes and removes the file; no error where there is none.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.close();
        match self.cache.disk.remove_file(&self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// The process, or the system, has as many files open as it may.
fn is_too_many(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
