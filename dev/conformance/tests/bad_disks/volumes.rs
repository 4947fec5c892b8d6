//! Small volumes in a mount namespace of this process.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// A volume in memory, which can grow.
#[derive(Debug)]
pub(crate) struct Memory(PathBuf);

impl Memory {
    /// Mounts one of `mebibytes` at `path`.
    pub(crate) fn mount(path: &Path, mebibytes: u32) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs", text(path)?])?;
        Ok(Self(path.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Result<()> {
        let mut filler = std::fs::File::create(self.0.join("filler"))?;
        let full = std::io::copy(&mut std::io::repeat(1), &mut filler).expect_err("a small volume");
        ensure!(full.kind() == std::io::ErrorKind::StorageFull, "{full}");
        Ok(())
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, mebibytes: u32) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={mebibytes}m"), text(&self.0)?])
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l".as_ref(), self.0.as_os_str()]).output();
    }
}

/// A file system on a loop device over a file in a volume that is too small for it: what it cannot write back is an I/O
/// error.
#[derive(Debug)]
pub(crate) struct Loop {
    backing: Memory,
    image: PathBuf,
    path: PathBuf,
}

impl Loop {
    /// A file system that believes it has `mebibytes`, on `room` of them, mounted at `path`.
    pub(crate) fn mount(path: &Path, mebibytes: u32, room: u32) -> Result<Self> {
        let below = path.with_extension("backing");
        let backing = Memory::mount(&below, room)?;
        let image = below.join("image");
        std::fs::File::create(&image)?.set_len(u64::from(mebibytes) << 20)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)?])?;
        std::fs::create_dir_all(path)?;
        let this = Self { backing, image, path: path.to_owned() };
        this.attach()?;
        Ok(this)
    }

    /// From now on nothing can be written to a place that was not written before.
    pub(crate) fn break_off(&self) -> Result<()> {
        self.backing.fill()
    }

    fn attach(&self) -> Result<()> {
        run("mount", &["-o", "loop", text(&self.image)?, text(&self.path)?])
    }

    /// Unmounts it, gives the backing file all the room that it wants, and mounts it again as after a repair.
    pub(crate) fn repair(&self, mebibytes: u32) -> Result<()> {
        run("umount", &[text(&self.path)?])?;
        self.backing.resize(mebibytes)?;
        let checked = Command::new("e2fsck").args(["-f", "-y", text(&self.image)?]).output().context("e2fsck")?;
        ensure!(checked.status.code().is_some_and(|code| code < 4), "e2fsck: {checked:?}");
        self.attach()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l".as_ref(), self.path.as_os_str()]).output();
    }
}
