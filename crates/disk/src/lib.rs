//! The contracts between Ottla and the machine it runs on: a disk and a clock.
//!
//! The log engine and the metadata log see files only through [`Disk`] and [`DiskFile`], so that the same code runs on a
//! real file system, on a simulated disk that loses what was not flushed, and later on io_uring. All calls are blocking.
//!
//! Durability: bytes written are durable once [`DiskFile::sync_data`] of that file returned; a created, renamed or
//! removed name is durable once [`Disk::sync_dir`] of its directory returned; [`Disk::sync_volume`], where
//! [`Disk::syncs_volume`] says that there is one, is both for all files and directories of a volume. Nothing else may be assumed.

use std::{
    fmt::Debug,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use ottla_types::Millis;

/// How a file is opened. Every mode that writes can read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, read only.
    Read,
    /// An existing file.
    Write,
    /// An existing file, or a new empty one.
    Create,
    /// A new empty one; `AlreadyExists` where there is one.
    CreateNew,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Name without its directory; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Room on the volume that holds a directory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the volume.
    pub total: u64,
    /// What this process may still write.
    pub usable: u64,
}

/// A file system.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// As the file system says; `NotFound` and `AlreadyExists` as [`OpenMode`] says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a directory and those above it; no error where it exists.
    ///
    /// # Errors
    /// As the file system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or a directory, replacing a file of the new name atomically.
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; open handles go on reading it.
    ///
    /// # Errors
    /// `NotFound` where there is none, else as the file system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all that it holds.
    ///
    /// # Errors
    /// `NotFound` where there is none, else as the file system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// What a directory holds, sorted by name.
    ///
    /// # Errors
    /// `NotFound` where there is none, else as the file system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Whether a file or directory of that name is there.
    fn exists(&self, path: &Path) -> bool;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the file system says; the names may then be lost in a crash.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything durable that was written before to files of the volume of `dir`, names too: one call in place of
    /// many where many files wait.
    ///
    /// # Errors
    /// `Unsupported` where nobody knows that such a call makes anything durable. Else as the file system says; which file it
    /// could not write is not known then, and each has to be asked.
    fn sync_volume(&self, dir: &Path) -> io::Result<()>;
    /// Whether [`Disk::sync_volume`] keeps its promise on the volume of `dir`. Where it does not, files are synced one by one.
    fn syncs_volume(&self, dir: &Path) -> bool;
    /// Room on the volume of `dir`.
    ///
    /// # Errors
    /// As the file system says.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// Takes an exclusive lock on a file, created where absent, held until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` while another process holds it, else as the file system says.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// A lock on a file, released on drop.
pub trait DiskLock: Send + Sync + Debug {}

/// An open file. Positions and lengths are bytes from the start.
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Reads into `buf` from `position`; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// As the file system says.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `parts`, one after the other, at `position`.
    ///
    /// # Errors
    /// As the file system says; any prefix may then have been written.
    fn write_all_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file to `len`.
    ///
    /// # Errors
    /// As the file system says.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length of the file.
    ///
    /// # Errors
    /// As the file system says.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds no byte.
    ///
    /// # Errors
    /// As the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// When the content last changed, where the file system tells.
    ///
    /// # Errors
    /// As the file system says.
    fn modified(&self) -> io::Result<Option<Millis>> {
        Ok(None)
    }
    /// Returns when what was written before the call, and the length, is durable.
    ///
    /// # Errors
    /// As the file system says; what was written since the last good call must then be taken for lost.
    fn sync_data(&self) -> io::Result<()>;
    /// Sets room aside for `len` bytes from `from` on, which are going to be written, where that makes the writing cheaper; the
    /// length of the file stays. [`DiskFile::set_len`] gives back what lies behind the end. Nothing may depend on it.
    ///
    /// # Errors
    /// As the file system says; room for a part of it may then be set aside.
    fn set_aside(&self, from: u64, len: u64) -> io::Result<()> {
        let _ = (from, len);
        Ok(())
    }
    /// The descriptor, for `sendfile`; none where the file lives in memory.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Reads exactly `buf.len()` bytes from `position`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before, else as the file system says.
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let read = self.read_at(buf, position)?;
        if read == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A range of a file that is to be sent or read later. The handle keeps the file readable after its name is gone.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The file.
    pub file: Arc<dyn DiskFile>,
    /// First byte.
    pub position: u64,
    /// Number of bytes.
    pub len: usize,
}

impl FileSlice {
    /// Reads the whole range.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file was cut meanwhile, else as the file system says.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut buf = vec![0; self.len];
        self.file.read_exact_at(&mut buf, self.position)?;
        Ok(buf.into())
    }
}

/// Tells the time. Machines never hold one: they are given `now`.
pub trait Clock: Send + Sync + Debug + 'static {
    /// Wall clock.
    fn now(&self) -> Millis;
}

/// Whether an operation failed because the volume, or somebody's share of it, is full: it can be done once there is room.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
