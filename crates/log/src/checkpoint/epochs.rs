//! `leader-epoch-checkpoint` of a partition: `0`, the count, then `<epoch> <start offset>` per line.

use std::{fmt::Write, io, path::Path};

use ottla_disk::Disk;
use ottla_types::{LeaderEpoch, Offset};

use super::{CheckpointError, name_unnamed, read_lines, write_atomic, write_unnamed};
use crate::EpochStart;

/// Name of the file.
pub(crate) const NAME: &str = "leader-epoch-checkpoint";

/// Replaces the file in `dir`.
///
/// # Errors
/// As the file system says.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, entries: &[EpochStart]) -> io::Result<()> {
    write_atomic(disk, &dir.join(NAME), text(entries).as_bytes())
}

/// Writes what is to replace the file in `dir` once it is flushed.
///
/// # Errors
/// As the file system says.
pub(crate) fn write_next(disk: &dyn Disk, dir: &Path, entries: &[EpochStart]) -> io::Result<()> {
    write_unnamed(disk, &dir.join(NAME), text(entries).as_bytes())
}

/// Replaces the file in `dir` by what [`write_next`] wrote; the name is not flushed.
///
/// # Errors
/// As the file system says.
pub(crate) fn name_next(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    name_unnamed(disk, &dir.join(NAME))
}

fn text(entries: &[EpochStart]) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start); // writing to a string cannot fail
    }
    text
}

/// The entries of the file in `dir`, none where there is no file.
///
/// # Errors
/// The file cannot be read or understood.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Vec<EpochStart>>, CheckpointError> {
    read_lines(disk, &dir.join(NAME), |line| {
        let (epoch, start) = line.split_once(' ')?;
        Some(EpochStart { epoch: LeaderEpoch(epoch.parse().ok()?), start: Offset(start.trim().parse().ok()?) })
    })
}
