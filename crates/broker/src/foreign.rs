//! Data directories that a broker must not simply start on.
//!
//! Invariant: a directory with partitions and without the metadata that knows them is never served: their directories would be
//! put aside, and everybody's topics be gone.

use std::path::{Path, PathBuf};

use ottla_disk::Disk;
use ottla_quorum::METADATA_DIR;

/// Kafka's metadata log.
const KAFKA_METADATA: &str = "__cluster_metadata-0";
/// What `ottla import-kafka` leaves in a directory until it is done.
const IMPORT_MARKER: &str = ".ottla-import";

/// Why a directory is not served.
#[derive(Debug, thiserror::Error)]
pub enum Foreign {
    /// Kafka's.
    #[error(
        "{path} was written by Apache Kafka; stop Kafka and run `ottla import-kafka --data-dir {path}` once (with --from, Kafka's files stay untouched)",
        path = path.display()
    )]
    Kafka {
        /// The directory.
        path: PathBuf,
    },
    /// Half of one.
    #[error("{path}: an import from Apache Kafka was begun and not finished; give the same `ottla import-kafka` again", path = path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// Without metadata.
    #[error(
        "{path} holds partitions, but there is no metadata in {metadata}; if Apache Kafka wrote it, run `ottla import-kafka` once, else name the right metadata.log.dir",
        path = path.display(), metadata = metadata.display()
    )]
    NoMetadata {
        /// The directory.
        path: PathBuf,
        /// Where the metadata should be.
        metadata: PathBuf,
    },
}

/// Looks at the directories before anything is changed in them.
///
/// # Errors
/// One of them is not to be served.
pub(crate) fn check(disk: &dyn Disk, log_dirs: &[PathBuf], metadata_log_dir: &Path) -> Result<(), Foreign> {
    if let Some(path) = log_dirs.iter().find(|path| disk.exists(&path.join(IMPORT_MARKER))) {
        return Err(Foreign::Unfinished { path: path.clone() });
    }
    if disk.exists(&metadata_log_dir.join(METADATA_DIR)) {
        return Ok(());
    }
    if let Some(path) = log_dirs.iter().find(|path| disk.exists(&path.join(KAFKA_METADATA))) {
        return Err(Foreign::Kafka { path: path.clone() });
    }
    let metadata = metadata_log_dir.to_owned();
    match log_dirs.iter().find(|path| holds_partitions(disk, path)) {
        Some(path) => Err(Foreign::NoMetadata { path: path.clone(), metadata }),
        None => Ok(()),
    }
}

/// A directory that cannot be listed is told of when it is opened.
fn holds_partitions(disk: &dyn Disk, path: &Path) -> bool {
    let entries = disk.list(path).unwrap_or_default();
    entries.iter().any(|entry| entry.is_dir && disk.exists(&path.join(&entry.name).join("partition.metadata")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::StdDisk;

    fn check_with(paths: &[&str]) -> Result<(), Foreign> {
        let dir = tempfile::tempdir().unwrap();
        for path in paths {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        check(&StdDisk, &[dir.path().to_owned()], dir.path())
    }

    #[test]
    fn only_what_is_known_is_served() {
        let partition = "orders-0/partition.metadata";
        let kafka = "__cluster_metadata-0/quorum-state";
        assert!(check_with(&[]).is_ok(), "a new directory");
        assert!(check_with(&["meta.properties"]).is_ok(), "a first start that was cut short");
        assert!(check_with(&[partition, "__ottla_metadata/hard-state"]).is_ok());
        assert!(check_with(&[partition, kafka, "__ottla_metadata/hard-state"]).is_ok(), "imported in place");
        assert!(matches!(check_with(&[partition, kafka]), Err(Foreign::Kafka { .. })));
        assert!(matches!(check_with(&[partition]), Err(Foreign::NoMetadata { .. })));
        let marker = [IMPORT_MARKER, "__ottla_metadata/hard-state"];
        assert!(matches!(check_with(&marker), Err(Foreign::Unfinished { .. })));
    }
}
