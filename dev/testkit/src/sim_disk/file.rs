//! Open files of the simulated disk.

use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::PathBuf,
    sync::Arc,
};

use ottla_disk::DiskFile;
use parking_lot::Mutex;

use super::{
    fault::OperationKind,
    tree::{ByteChange, FileNode},
    world::World,
};

/// Longest file, bytes: what a signed 64-bit position can name.
const LEN_MAX: u64 = i64::MAX as u64;

pub(super) struct SimFile {
    world: Arc<Mutex<World>>,
    node: Arc<FileNode>,
    path: PathBuf,
    writable: bool,
}

impl SimFile {
    /// A new handle; called with the world locked, which is `world` itself.
    pub(super) fn new(world: Arc<Mutex<World>>, node: Arc<FileNode>, path: PathBuf, writable: bool) -> Self {
        node.0.lock().handles += 1;
        Self { world, node, path, writable }
    }

    fn writable(&self) -> io::Result<()> {
        // EBADF, as for a descriptor that is not open for writing.
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(9)) }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut world = self.world.lock();
        let admitted = world.faults.admit(OperationKind::Read, &self.path)?;
        let len = world.read_len(buf.len());
        admitted.finish(self.node.0.lock().live.read(&mut buf[..len], position))
    }

    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], position + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.writable()?;
        let mut world = self.world.lock();
        let admitted = world.faults.admit(OperationKind::Write, &self.path)?;
        let mut bytes = parts.iter().map(|part| &**part).collect::<Vec<_>>().concat();
        if position.checked_add(bytes.len() as u64).is_none_or(|end| end > LEN_MAX) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.truncate(admitted.bytes_max);
        let wanted = bytes.len();
        let mut file = self.node.0.lock();
        bytes.truncate(file.live.fitting(position, wanted, world.free()));
        let fits = bytes.len() == wanted;
        let before = file.live.allocated();
        if !bytes.is_empty() {
            file.change(ByteChange::Write { position, bytes });
        }
        world.used += file.live.allocated() - before;
        if fits { admitted.finish(()) } else { Err(io::Error::from_raw_os_error(28)) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        let mut world = self.world.lock();
        let admitted = world.faults.admit(OperationKind::SetLen, &self.path)?;
        if len > LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut file = self.node.0.lock();
        let before = file.live.allocated();
        file.change(ByteChange::SetLen(len));
        world.used -= before - file.live.allocated();
        admitted.finish(())
    }

    fn len(&self) -> io::Result<u64> {
        let admitted = self.world.lock().faults.admit(OperationKind::Read, &self.path)?;
        admitted.finish(self.node.0.lock().live.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        match world.faults.admit(OperationKind::SyncData, &self.path) {
            Ok(_) if std::mem::take(&mut self.node.0.lock().write_failed) => {
                self.node.0.lock().settle(|| world.dice.coin());
                Err(io::Error::from_raw_os_error(5))
            }
            Ok(admitted) => {
                self.node.0.lock().settle(|| true);
                admitted.finish(())
            }
            Err(error) if world.faults.crashed => Err(error),
            // The pages count as clean now: later syncs do not write them, reads still see them.
            Err(error) => {
                self.node.0.lock().settle(|| world.dice.coin());
                Err(error)
            }
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        if world.faults.crashed {
            return; // the file may live on under a new disk, which counts its own handles
        }
        let mut file = self.node.0.lock();
        file.handles -= 1;
        if !file.in_use() {
            world.used -= file.live.allocated();
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).finish_non_exhaustive()
    }
}
