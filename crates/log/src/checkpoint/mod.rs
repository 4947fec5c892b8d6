//! Small files beside the logs, in the forms that Kafka gives them.
//!
//! Invariants: a checkpoint is replaced as a whole: written to `NAME.tmp`, flushed, renamed, and the directory flushed;
//! what cannot be read is an error with the file's name, never a guess.

pub(crate) mod clean_shutdown;
pub(crate) mod damage;
pub(crate) mod epochs;
pub(crate) mod meta_properties;
pub(crate) mod offsets;
pub(crate) mod partition_metadata;

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use ottla_disk::{Disk, OpenMode};

/// Largest checkpoint that is read: room for millions of partitions.
const LEN_MAX: u64 = 1 << 30;

/// Why a file beside the logs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system says so.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file is not of the form it should have.
    #[error("{path}, line {line}: not understood", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// Replaces `path` durably.
///
/// # Errors
/// As the file system says; the old file is then still there, or the new one without a promise that it stays.
pub(crate) fn write_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut tmp = path.as_os_str().to_owned();
    tmp.push(".tmp");
    let tmp = PathBuf::from(tmp);
    let file = disk.open(&tmp, OpenMode::Create)?;
    file.set_len(0)?;
    if let Err(error) = file.write_all_at(&mut [IoSlice::new(bytes)], 0) {
        drop(file);
        let _ = disk.remove_file(&tmp); // on a full disk it would take the room of what is tried next
        return Err(error);
    }
    file.sync_data()?;
    drop(file);
    disk.rename(&tmp, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// Writes a file that is to take the place of `path`, beside it and without flushing it; [`name_unnamed`] does the rest once
/// somebody has. Not the file that [`write_atomic`] goes through, so that both may be under way.
///
/// # Errors
/// As the file system says; `path` is as it was.
pub(crate) fn write_unnamed(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unnamed = unnamed(path);
    write_plain(disk, &unnamed, bytes).inspect_err(|_| {
        let _ = disk.remove_file(&unnamed); // on a full disk it would take the room of what is tried next
    })
}

/// Replaces `path` by what [`write_unnamed`] wrote. That is so after a crash once the directory was flushed.
///
/// # Errors
/// As the file system says; the old file is then still there.
pub(crate) fn name_unnamed(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.rename(&unnamed(path), path)
}

fn unnamed(path: &Path) -> PathBuf {
    let mut unnamed = path.as_os_str().to_owned();
    unnamed.push(".next");
    unnamed.into()
}

/// Writes `path` in place without flushing it: for what can be known for torn and made again.
///
/// # Errors
/// As the file system says.
pub(crate) fn write_plain(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(&mut [IoSlice::new(bytes)], 0)
}

/// The whole file; none where there is no such file.
///
/// # Errors
/// As the file system says.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.len()?;
    if len > LEN_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

/// The lines behind `0\n<count>\n` of a text checkpoint, parsed one by one; none where there is no file, or an empty one: Kafka
/// makes them at its start and fills them later.
fn read_lines<T>(
    disk: &dyn Disk,
    path: &Path,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<Vec<T>>, CheckpointError> {
    let io = |source| CheckpointError::Io { path: path.to_owned(), source };
    let Some(bytes) = read_whole(disk, path).map_err(io)? else { return Ok(None) };
    let malformed = |line| CheckpointError::Malformed { path: path.to_owned(), line };
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = str::from_utf8(&bytes).map_err(|_| malformed(1))?;
    let mut lines = text.lines().enumerate();
    let mut next = || lines.next().map(|(at, line)| (at + 1, line));
    if next().map(|(_, line)| line.trim()) != Some("0") {
        return Err(malformed(1));
    }
    let count: usize = next().and_then(|(_, line)| line.trim().parse().ok()).ok_or_else(|| malformed(2))?;
    let mut entries = Vec::new();
    while let Some((number, line)) = next() {
        entries.push(parse(line).ok_or_else(|| malformed(number))?);
    }
    if entries.len() == count { Ok(Some(entries)) } else { Err(malformed(2)) }
}

#[cfg(test)]
mod tests;
