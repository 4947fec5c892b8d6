//! Room that is kept for a full disk: a file of zeros in each log directory.
//!
//! What frees room has to write first: a log start is stored before the segments below it go. Where there is no room for
//! that, the reserve is removed, and made again once there is room. Invariant: it is given up only for what is small and
//! leads to more room; appends are refused meanwhile.

use std::{
    io::{self, IoSlice},
    path::Path,
};

use ottla_disk::{Disk, OpenMode};

/// Name of the file. Kafka looks at directories only.
const NAME: &str = ".ottla-reserve";
/// Written at once.
const BLOCK: usize = 64 * 1024;
/// Least size: some blocks for each of the checkpoints, and for the indexes of a segment that is closed.
const BYTES_MIN: u64 = 1024 * 1024;
/// For each partition, its lines in two checkpoints that are written beside those that they replace.
const BYTES_PER_PARTITION: u64 = 128;

/// How large the reserve of a directory should be.
pub(super) fn bytes_for(partitions: usize) -> u64 {
    let wanted = BYTES_MIN + BYTES_PER_PARTITION * partitions as u64;
    wanted.next_multiple_of(BYTES_MIN)
}

/// Makes a reserve of at least `bytes`; a no-op where there is one.
///
/// # Errors
/// There is no room; what there was of it is gone.
pub(super) fn make(disk: &dyn Disk, dir: &Path, bytes: u64) -> io::Result<()> {
    let file = disk.open(&dir.join(NAME), OpenMode::Create)?;
    let mut at = file.len()?;
    let zeros = [0; BLOCK];
    while at < bytes {
        if let Err(error) = file.write_all_at(&mut [IoSlice::new(&zeros)], at) {
            drop(file);
            give_up(disk, dir)?;
            return Err(error);
        }
        at += BLOCK as u64;
    }
    Ok(())
}

/// Removes the reserve; whether there was one.
///
/// # Errors
/// As the file system says.
pub(super) fn give_up(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    match disk.remove_file(&dir.join(NAME)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
