//! The real disk: `std::fs` and the vectored calls of the kernel.
//!
//! Invariants: a write is retried until all of it is written or the kernel reports an error; a read is short only at the
//! end of the file. Files are created readable by owner and group only: they hold other people's data. A volume is synced
//! with one call only where that call is known to make everything durable, and to say so where it did not. What a file system
//! calls durable is believed only where it would have said so if it were not.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::Path,
    sync::{Arc, OnceLock},
    time::UNIX_EPOCH,
};

use ottla_disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Space};
use ottla_types::Millis;
use rustix::fs::{FallocateFlags, FlockOperation, StatVfsMountFlags};

use self::volume::Volume;

/// Owner reads and writes, group reads.
const FILE_MODE: u32 = 0o640;
/// Owner does all, group lists.
const DIR_MODE: u32 = 0o750;
/// Nothing is set aside where less than this is free: who writes gets it.
const SET_ASIDE_ROOM_MIN: u64 = 1024 * 1024 * 1024;
/// Most slices that one `pwritev` takes on Linux (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdDisk;

impl Disk for StdDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(false);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(StdFile { file: options.open(path)?, volume: OnceLock::new() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = File::open(dir)?;
        dir.sync_all()?;
        volume::confirm(&dir, volume::around(&dir)?)
    }

    /// The descriptor is a new one each time. That loses no error: what nobody has been told of, the kernel tells the next
    /// who asks.
    fn sync_volume(&self, dir: &Path) -> io::Result<()> {
        let dir = File::open(dir)?;
        let volume = volume::of(&dir)?.ok_or(io::ErrorKind::Unsupported)?;
        rustix::fs::syncfs(&dir)?;
        if volume.wants_flush() {
            dir.sync_all()?;
        }
        // A file system that failed and made itself read-only has nothing to sync any more, and syncs that with success.
        if rustix::fs::fstatvfs(&dir)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        volume::confirm(&dir, Some(volume))
    }

    fn syncs_volume(&self, dir: &Path) -> bool {
        File::open(dir).is_ok_and(|dir| volume::of(&dir).is_ok_and(|volume| volume.is_some()))
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let volume = rustix::fs::statvfs(dir)?;
        Ok(Space {
            total: volume.f_blocks.saturating_mul(volume.f_frsize),
            usable: volume.f_bavail.saturating_mul(volume.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // The lock that Apache Kafka takes on this file: neither broker starts on a directory that the other one uses.
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(StdLock { _file: file }))
    }
}

/// The kernel releases the lock when the descriptor is closed.
#[derive(Debug)]
struct StdLock {
    _file: File,
}

impl DiskLock for StdLock {}

#[derive(Debug)]
struct StdFile {
    file: File,
    /// What file system it is on, once that was asked; some send the question to another machine.
    volume: OnceLock<Option<Volume>>,
}

impl StdFile {
    fn volume(&self) -> io::Result<Option<Volume>> {
        if let Some(volume) = self.volume.get() {
            return Ok(*volume);
        }
        let volume = volume::around(&self.file)?;
        Ok(*self.volume.get_or_init(|| volume))
    }
}

impl DiskFile for StdFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match rustix::io::pread(&self.file, &mut buf[done..], position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, mut parts: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0); // leaves out empty parts, which would read as "nothing written"
        while !parts.is_empty() {
            let batch = &parts[..parts.len().min(SLICES_MAX)];
            match rustix::io::pwritev(&self.file, batch, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn set_aside(&self, from: u64, len: u64) -> io::Result<()> {
        if !self.volume()?.is_some_and(Volume::gains_from_setting_aside) {
            return Ok(());
        }
        let volume = rustix::fs::fstatfs(&self.file)?;
        if (volume.f_bavail as u64).saturating_mul(volume.f_bsize as u64) >= SET_ASIDE_ROOM_MIN {
            rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, len)?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn modified(&self) -> io::Result<Option<Millis>> {
        let since_epoch = self.file.metadata()?.modified()?.duration_since(UNIX_EPOCH);
        Ok(since_epoch.ok().and_then(|time| i64::try_from(time.as_millis()).ok()).map(Millis))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        volume::confirm(&self.file, self.volume()?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

mod volume;

#[cfg(test)]
mod tests;
