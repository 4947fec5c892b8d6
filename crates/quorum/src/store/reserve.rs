//! Room that is kept beside the metadata for when the disk is full: a file of zeros.
//!
//! What makes room has to be written first: that a topic is deleted, say. Invariant: whoever gives the reserve up takes
//! nothing from then on but what is urgent, until there is a reserve again.

use std::{io, io::IoSlice, path::Path, sync::Arc};

use ottla_disk::{Disk, OpenMode};

const NAME: &str = "reserve";
/// Written at once.
const BLOCK: usize = 64 * 1024;
/// Room for some ten thousand changes of partitions.
const BYTES: u64 = 1024 * 1024;

/// Makes the reserve; a no-op where there is one.
pub(super) fn keep(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<()> {
    let path = dir.join(NAME);
    let file = disk.open(&path, OpenMode::Create)?;
    let mut at = file.len()?;
    let zeros = [0; BLOCK];
    while at < BYTES {
        if let Err(error) = file.write_all_at(&mut [IoSlice::new(&zeros)], at) {
            drop(file);
            disk.remove_file(&path)?;
            return Err(error);
        }
        at += BLOCK as u64;
    }
    Ok(())
}

/// Removes the reserve; whether there was one.
pub(super) fn give_up(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<bool> {
    match disk.remove_file(&dir.join(NAME)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
