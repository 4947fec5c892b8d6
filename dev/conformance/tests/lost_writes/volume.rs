//! The file system itself, without a broker.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
};

use anyhow::{Result, ensure};
use ottla_log::StdDisk;
use ottla_lossyfs::LossyFs;

/// What is synced stays, what is not goes, and a sync of the whole volume is not taken for one that makes anything durable.
pub(crate) fn keeps_its_word() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("ottla-lossy-").tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let mut volume = LossyFs::mount(folder.path())?;
    fs::create_dir(at("dir"))?;
    let mut file = File::create(at("dir/file"))?;
    file.write_all(b"synced")?;
    file.sync_data()?;
    File::open(at("dir"))?.sync_all()?;
    File::open(folder.path())?.sync_all()?;
    file.write_all_at(b"later!", 0)?;
    fs::write(at("dir/other"), b"never synced")?;
    fs::rename(at("dir/file"), at("dir/renamed"))?;
    ensure!(
        fs::read(at("dir/renamed"))? == b"later!" && !at("dir/file").exists(),
        "it is not seen while there is power"
    );
    // Every program's `sync -f` succeeds here, and does nothing: the kernel does not pass it on.
    rustix::fs::syncfs(File::open(folder.path())?)?;
    ensure!(!ottla_disk::Disk::syncs_volume(&StdDisk, folder.path()), "a sync of this volume is worth nothing");
    drop(file);
    volume.power_cut(None);
    ensure!(fs::read(at("dir/renamed")).is_err() && fs::write(at("new"), b"").is_err(), "it works without power");
    volume.power_on()?;
    ensure!(fs::read(at("dir/file"))? == b"synced", "what was synced is lost, or what was not is there");
    ensure!(!at("dir/other").exists() && !at("dir/renamed").exists(), "names that were not synced are there");
    for seed in 0..20 {
        fs::write(at("dir/file"), vec![1; 10_000])?;
        volume.power_cut(Some(seed));
        volume.power_on()?;
        let left = fs::read(at("dir/file"))?;
        ensure!(left.len() <= 10_000, "{} bytes", left.len());
    }
    Ok(())
}
