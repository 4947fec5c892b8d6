//! `partition.metadata` of a partition: `version: 0` and `topic_id: <id>`.

use std::{io, path::Path};

use ottla_disk::Disk;
use ottla_types::Uuid;

use super::{CheckpointError, read_whole, write_plain};

/// Name of the file.
pub(crate) const NAME: &str = "partition.metadata";

/// Writes the file in `dir`. It is not flushed here: the metadata of the cluster says the same, and who finds it torn
/// after a crash writes it again.
///
/// # Errors
/// As the file system says.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, topic_id: Uuid) -> io::Result<()> {
    write_plain(disk, &dir.join(NAME), format!("version: 0\ntopic_id: {topic_id}").as_bytes())
}

/// The topic id in `dir`; none where there is no file, or one that a crash tore.
///
/// # Errors
/// The file cannot be read or understood.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Uuid>, CheckpointError> {
    let path = dir.join(NAME);
    let bytes = read_whole(disk, &path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
    let Some(bytes) = bytes.filter(|bytes| !is_torn(bytes)) else { return Ok(None) };
    let parsed = str::from_utf8(&bytes).ok().and_then(parse);
    parsed.map(Some).ok_or(CheckpointError::Malformed { path, line: 1 })
}

/// Whether part of the file was not written: it is too short, or has a hole.
fn is_torn(bytes: &[u8]) -> bool {
    const BEFORE_ID: &[u8] = b"version: 0\ntopic_id: ";
    const ID_LEN: usize = 22;
    let is_short = match bytes.strip_prefix(BEFORE_ID) {
        Some(id) => id.len() < ID_LEN,
        None => BEFORE_ID.starts_with(bytes),
    };
    is_short || bytes.contains(&0)
}

fn parse(text: &str) -> Option<Uuid> {
    let mut lines = text.lines();
    if lines.next()?.strip_prefix("version:")?.trim() != "0" {
        return None;
    }
    lines.next()?.strip_prefix("topic_id:")?.trim().parse().ok()
}
