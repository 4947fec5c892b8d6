//! `ottla-damage` of a partition: its damaged places, so that a restart knows them. `0`, the count, then
//! `<segment> <first byte> <byte behind> <first offset> <offset behind>` per line. Not there where there is no damage; Kafka
//! does not know the name and leaves it alone.

use std::{fmt::Write, io, path::Path};

use ottla_disk::Disk;
use ottla_types::Offset;

use super::{CheckpointError, read_lines, write_atomic};
use crate::Damage;

/// Name of the file.
pub(crate) const NAME: &str = "ottla-damage";

/// Replaces the file in `dir`, or removes it where nothing is damaged.
///
/// # Errors
/// As the file system says.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, damages: &[Damage]) -> io::Result<()> {
    if damages.is_empty() {
        return match disk.remove_file(&dir.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| disk.sync_dir(dir)),
        };
    }
    let mut text = format!("0\n{}\n", damages.len());
    for Damage { segment, position, end, first, next } in damages {
        let _ = writeln!(text, "{segment} {position} {end} {first} {next}"); // writing to a string cannot fail
    }
    write_atomic(disk, &dir.join(NAME), text.as_bytes())
}

/// The damaged places that the file in `dir` names, none where there is no file.
///
/// # Errors
/// The file cannot be read or understood.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Vec<Damage>, CheckpointError> {
    Ok(read_lines(disk, &dir.join(NAME), parse)?.unwrap_or_default())
}

fn parse(line: &str) -> Option<Damage> {
    let mut words = line.split_ascii_whitespace();
    let mut offset = || words.next()?.parse().ok().map(Offset);
    let segment = offset()?;
    let (position, end) = (offset()?.0, offset()?.0);
    let (first, next) = (offset()?, offset()?);
    let (position, end) = (u64::try_from(position).ok()?, u64::try_from(end).ok()?);
    let sound = position <= end && first <= next && segment <= first;
    (words.next().is_none() && sound).then_some(Damage { segment, position, end, first, next })
}
