//! Data directories that a broker must not simply start on.
//!
//! Invariant: a directory with partitions and without the metadata that knows them is never served: their directories would be
//! put aside, and everybody's topics be gone.

use std::path::{Path, PathBuf};

use ottla_disk::{Disk, OpenMode};
use ottla_log::files::{FileKind, parse_file_name};
use ottla_quorum::METADATA_DIR;

/// Kafka's metadata log.
const KAFKA_METADATA: &str = "__cluster_metadata-0";
/// More than `meta.properties` has.
const PROPERTIES_READ: u64 = 64 * 1024;
/// What `ottla import-kafka` leaves in a directory until it is done.
const IMPORT_MARKER: &str = ".ottla-import";

/// Why a directory is not served.
#[derive(Debug, thiserror::Error)]
pub enum Foreign {
    /// Kafka's.
    #[error(
        "{path} was written by Apache Kafka; stop Kafka and run `ottla import-kafka --data-dir {all}` once (with --from, Kafka's files stay untouched)",
        path = path.display()
    )]
    Kafka {
        /// The directory.
        path: PathBuf,
        /// All that are configured, with commas.
        all: String,
    },
    /// Kafka's with ZooKeeper, whose metadata is elsewhere.
    #[error(
        "{path} was written by Apache Kafka in ZooKeeper mode (meta.properties version 0); migrate it to KRaft with Kafka 3.9, then run `ottla import-kafka`",
        path = path.display()
    )]
    ZooKeeper {
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
    let mut all: Vec<_> = log_dirs.to_vec();
    if !all.iter().any(|dir| dir == metadata_log_dir) {
        all.push(metadata_log_dir.to_owned());
    }
    if let Some(path) = all.iter().find(|path| disk.exists(&path.join(IMPORT_MARKER))) {
        return Err(Foreign::Unfinished { path: path.clone() });
    }
    if disk.exists(&metadata_log_dir.join(METADATA_DIR)) {
        return Ok(());
    }
    if let Some(path) = all.iter().find(|path| disk.exists(&path.join(KAFKA_METADATA))) {
        let all = all.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(",");
        return Err(Foreign::Kafka { path: path.clone(), all });
    }
    if let Some(path) = all.iter().find(|path| is_of_zookeeper(disk, path)) {
        return Err(Foreign::ZooKeeper { path: path.clone() });
    }
    let metadata = metadata_log_dir.to_owned();
    match log_dirs.iter().find(|path| holds_partitions(disk, path)) {
        Some(path) => Err(Foreign::NoMetadata { path: path.clone(), metadata }),
        None => Ok(()),
    }
}

/// One that cannot be read is told of when it is opened.
fn is_of_zookeeper(disk: &dyn Disk, path: &Path) -> bool {
    let read = disk.open(&path.join("meta.properties"), OpenMode::Read).and_then(|file| {
        let mut bytes = vec![0; usize::try_from(file.len()?.min(PROPERTIES_READ)).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    });
    let text = read.unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .any(|line| line.split_once('=').is_some_and(|(key, value)| (key.trim(), value.trim()) == ("version", "0")))
}

/// A directory that cannot be listed is told of when it is opened. Kafka before 2.8 wrote no `partition.metadata`.
fn holds_partitions(disk: &dyn Disk, path: &Path) -> bool {
    let entries = disk.list(path).unwrap_or_default();
    entries.iter().filter(|entry| entry.is_dir).any(|entry| {
        let dir = path.join(&entry.name);
        let is_segment = |name: &str| matches!(parse_file_name(name), Some((_, FileKind::Log)));
        disk.exists(&dir.join("partition.metadata"))
            || disk.list(&dir).unwrap_or_default().iter().any(|file| is_segment(&file.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::StdDisk;

    fn check_with(paths: &[&str]) -> Result<(), Foreign> {
        check_files(&paths.iter().map(|path| (*path, "")).collect::<Vec<_>>())
    }

    fn check_files(files: &[(&str, &str)]) -> Result<(), Foreign> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
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
        assert!(matches!(check_with(&["orders-0/00000000000000000000.log"]), Err(Foreign::NoMetadata { .. })));
        let zookeeper = [("meta.properties", "#\nversion = 0\nbroker.id=3\n")];
        assert!(matches!(check_files(&zookeeper), Err(Foreign::ZooKeeper { .. })));
        assert!(check_files(&[("meta.properties", "version=1\nnode.id=0\n")]).is_ok());
        let (data, metadata) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let check_both = || check(&StdDisk, &[data.path().to_owned()], metadata.path());
        assert!(check_both().is_ok());
        std::fs::create_dir(metadata.path().join("__cluster_metadata-0")).unwrap();
        let both = format!("{},{}", data.path().display(), metadata.path().display());
        assert!(matches!(check_both(), Err(Foreign::Kafka { all, .. }) if all == both), "metadata.log.dir counts too");
        let marker = [IMPORT_MARKER, "__ottla_metadata/hard-state"];
        assert!(matches!(check_with(&marker), Err(Foreign::Unfinished { .. })));
    }
}
