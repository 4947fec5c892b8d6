//! `.kafka_cleanshutdown`: everything in the directory was flushed and closed. `{"version":0,"brokerEpoch":N}`.

use std::{io, path::Path};

use ottla_disk::Disk;
use ottla_types::BrokerEpoch;

use super::{read_whole, write_atomic};

/// Name of the file.
pub(crate) const NAME: &str = ".kafka_cleanshutdown";

/// Writes the file in `dir`.
///
/// # Errors
/// As the file system says.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, epoch: BrokerEpoch) -> io::Result<()> {
    write_atomic(disk, &dir.join(NAME), format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}").as_bytes())
}

/// Reads the file in `dir`: none where there is none, else the broker epoch, −1 where it says none (older Kafka left the
/// file empty; a stop was clean all the same).
///
/// # Errors
/// As the file system says.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<BrokerEpoch>> {
    let Some(bytes) = read_whole(disk, &dir.join(NAME))? else { return Ok(None) };
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let known = json.get("version").and_then(serde_json::Value::as_i64) == Some(0);
    let epoch = json.get("brokerEpoch").and_then(serde_json::Value::as_i64).filter(|_| known);
    Ok(Some(BrokerEpoch(epoch.unwrap_or(-1))))
}

/// Removes the file in `dir` durably: from now on a stop is a crash.
///
/// # Errors
/// As the file system says.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    match disk.remove_file(&dir.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => disk.sync_dir(dir),
    }
}
