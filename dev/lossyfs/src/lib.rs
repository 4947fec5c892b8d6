//! A file system that any program can use and that loses, when its power is cut, what was not synced.
//!
//! It is the simulated disk of the testkit, mounted through `/dev/fuse`: after a cut any subset of the un-synced writes is gone, torn
//! at sectors of 512 bytes, and any subset of the un-synced names; only `fsync` of a file keeps its content, only `fsync` of
//! a directory its names. So a real process with real system calls can be asked what it lost. All of it is in memory, and a cut
//! that has a seed loses the same each time where the same was written.
//!
//! Needs `/dev/fuse` and the right to mount (root, or `fusermount3`); no library of the system.

mod attributes;
mod inodes;
mod service;

use std::{
    io,
    path::{Path, PathBuf},
};

use fuser::{BackgroundSession, Config, MountOption};
use ottla_testkit::SimDisk;

use self::service::Service;

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// Whether file systems of this kind can be mounted here at all: there is a device to do it with.
#[must_use]
pub fn is_possible() -> bool {
    std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok()
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct LossyFs {
    path: PathBuf,
    /// What is mounted.
    disk: SimDisk,
    session: Option<BackgroundSession>,
}

impl LossyFs {
    /// Mounts an empty one at `path`, an existing directory.
    ///
    /// # Errors
    /// As the system says.
    pub fn mount(path: &Path) -> io::Result<Self> {
        let mut this = Self { path: path.to_owned(), disk: SimDisk::new(0), session: None };
        this.attach()?;
        Ok(this)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the power: what is not synced is lost as `seed` says, all of it where there is none. From now on everything that is asked
    /// of the file system fails, until [`LossyFs::power_on`].
    pub fn power_cut(&mut self, seed: Option<u64>) {
        self.disk = match seed {
            Some(seed) => self.disk.crash(seed),
            None => self.disk.power_cut(),
        };
    }

    /// Mounts what is left after a cut. Nobody may use the file system at that moment.
    ///
    /// # Errors
    /// As the system says.
    pub fn power_on(&mut self) -> io::Result<()> {
        self.detach()?;
        self.attach()
    }

    fn attach(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("lossy".to_owned()), MountOption::DefaultPermissions];
        config.n_threads = Some(THREADS);
        self.session = Some(fuser::spawn_mount(Service::new(self.disk.clone()), &self.path, &config)?);
        Ok(())
    }

    /// Whoever still has a file open there keeps it; the name is free at once.
    fn detach(&mut self) -> io::Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH)?;
        // What the threads end with only says that it was unmounted, in one of several ways.
        let _ = session.join();
        Ok(())
    }
}

impl Drop for LossyFs {
    fn drop(&mut self) {
        let _ = self.detach();
    }
}
