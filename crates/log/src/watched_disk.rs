//! A disk that tells the health of each log directory what goes wrong in it.
//!
//! Whatever the engine does with a file goes through here, so no code that reads or writes has to tell a bad disk from a
//! full one. Invariant: after a directory failed nothing in it is read, written or synced any more through this disk; what
//! was opened before can still be sent by descriptor, which whoever does checks.

use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
};

use ottla_disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Space};
use ottla_types::Millis;
use parking_lot::Mutex;

use crate::health::{DirHealth, Work};

/// The directory failed before.
#[derive(Debug, thiserror::Error)]
#[error("the log directory is offline")]
struct Offline;

/// A sync of a volume failed before.
#[derive(Debug, thiserror::Error)]
#[error("a sync of the volume failed before: files are synced one by one from then on")]
struct Distrusted;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct WatchedDisk {
    disk: Arc<dyn Disk>,
    dirs: Vec<Arc<DirHealth>>,
    /// Whether a sync of a volume failed; one is made at a time.
    volume_failed: Mutex<bool>,
}

impl WatchedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, dirs: Vec<Arc<DirHealth>>) -> Self {
        Self { disk, dirs, volume_failed: Mutex::new(false) }
    }

    /// The directory that `path` lies in; the innermost where one lies in another.
    fn health(&self, path: &Path) -> Option<&Arc<DirHealth>> {
        let around = self.dirs.iter().filter(|dir| path.starts_with(dir.path()));
        around.max_by_key(|dir| dir.path().as_os_str().len())
    }

    fn watch<T>(&self, path: &Path, work: Work, run: impl FnOnce(&dyn Disk) -> io::Result<T>) -> io::Result<T> {
        let Some(health) = self.health(path) else { return run(&*self.disk) };
        check(health)?;
        run(&*self.disk).inspect_err(|error| health.note(&*self.disk, work, error))
    }
}

fn check(health: &DirHealth) -> io::Result<()> {
    if health.is_failed() { Err(io::Error::other(Offline)) } else { Ok(()) }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.watch(path, Work::Other, |disk| disk.open(path, mode))?;
        let Some(health) = self.health(path) else { return Ok(file) };
        Ok(Arc::new(WatchedFile { file, disk: Arc::clone(&self.disk), health: Arc::clone(health) }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.watch(path, Work::Other, |disk| disk.create_dir_all(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.watch(from, Work::Other, |disk| disk.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.watch(path, Work::Other, |disk| disk.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.watch(path, Work::Other, |disk| disk.remove_dir_all(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.watch(dir, Work::Other, |disk| disk.list(dir))
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.watch(dir, Work::Sync, |disk| disk.sync_dir(dir))
    }

    /// What fails here may be a file of somebody else on the volume: the syncs of the directory's own files tell. The kernel tells a
    /// failure once, and has dropped what it could not write: the next sync of the volume succeeds, also for a file that lost something
    /// and was not asked about the first time. So after a failure there is none any more until the next start; the directories may
    /// be on one volume.
    fn sync_volume(&self, dir: &Path) -> io::Result<()> {
        self.health(dir).map_or(Ok(()), |health| check(health))?;
        let mut failed = self.volume_failed.lock();
        if *failed {
            return Err(io::Error::other(Distrusted));
        }
        self.disk.sync_volume(dir).inspect_err(|error| {
            *failed = true;
            tracing::error!(directory = %dir.display(), %error, "a sync of the volume failed; there is none any more");
        })
    }

    fn syncs_volume(&self, dir: &Path) -> bool {
        self.disk.syncs_volume(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.watch(dir, Work::Other, |disk| disk.space(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }
}

struct WatchedFile {
    file: Arc<dyn DiskFile>,
    disk: Arc<dyn Disk>,
    health: Arc<DirHealth>,
}

impl WatchedFile {
    fn watch<T>(&self, work: Work, run: impl FnOnce(&dyn DiskFile) -> io::Result<T>) -> io::Result<T> {
        check(&self.health)?;
        run(&*self.file).inspect_err(|error| self.health.note(&*self.disk, work, error))
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.watch(Work::Other, |file| file.read_at(buf, position))
    }

    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.watch(Work::Other, |file| file.read_exact_at(buf, position))
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.watch(Work::Other, |file| file.write_all_at(parts, position))
    }

    /// Not watched: a disk is full, or bad, for whoever writes to it.
    fn set_aside(&self, from: u64, len: u64) -> io::Result<()> {
        check(&self.health)?;
        self.file.set_aside(from, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.watch(Work::Other, |file| file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.watch(Work::Other, |file| file.len())
    }

    fn modified(&self) -> io::Result<Option<Millis>> {
        self.watch(Work::Other, |file| file.modified())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch(Work::Sync, |file| file.sync_data())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}
