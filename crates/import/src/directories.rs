//! The directories of a Kafka broker: whose they are, what is in them, whether it can be served.
//!
//! Invariants: nothing is changed; while they are looked at and taken over, no broker runs on them (Kafka's lock is held).

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use ottla_disk::{Disk, DiskLock};
use ottla_log::files::{FileKind, parse_file_name};
use ottla_types::{BrokerId, PartitionIndex, TopicName, TopicPartition, Uuid};

use crate::{ImportError, report::Note};

/// Kafka's metadata log.
pub(crate) const KAFKA_METADATA: &str = "__cluster_metadata-0";
/// Left by a clean stop.
const CLEAN_STOP: &str = ".kafka_cleanshutdown";
/// Where a batch says its format.
const MAGIC_AT: u64 = 16;

/// Why a directory cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file system says so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Somebody uses it.
    #[error("a broker is running on it; stop it first")]
    InUse,
    /// No `meta.properties`, or one that cannot be read.
    #[error("no data directory of Kafka's: meta.properties is missing or not understood")]
    NoProperties,
    /// Of Kafka with ZooKeeper.
    #[error("written in ZooKeeper mode (meta.properties version 0); migrate it to KRaft with Kafka 3.9 first")]
    ZooKeeper,
    /// A cluster id that no new cluster has.
    #[error("cluster.id {0} is no UUID")]
    ClusterId(String),
    /// A partition's file beside the log.
    #[error("{partition}: partition.metadata is missing or not understood")]
    TopicId {
        /// The partition.
        partition: TopicPartition,
    },
    /// A message format that is no longer served.
    #[error(
        "{file} begins with message format {magic}, only format 2 is served; have Kafka write the topic anew (kafka-console-consumer into a new topic), or delete it"
    )]
    OldFormat {
        /// The segment.
        file: PathBuf,
        /// Its format.
        magic: i8,
    },
    /// Two directories hold it.
    #[error("{0} is in two directories")]
    Twice(TopicPartition),
}

/// A partition's directory.
#[derive(Clone, Debug)]
pub(crate) struct PartitionDir {
    pub(crate) path: PathBuf,
    /// None where Kafka was killed before it wrote the id, which it does before the first record.
    pub(crate) topic_id: Option<Uuid>,
    /// Id of the data directory that it is in.
    pub(crate) directory: Uuid,
    /// Number of that directory among those given.
    pub(crate) at: usize,
    /// The newest leader epoch that its checkpoint knows, −1 for none.
    pub(crate) leader_epoch: i32,
}

/// The directories of one broker.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) cluster_id: Uuid,
    pub(crate) node: BrokerId,
    pub(crate) partitions: BTreeMap<TopicPartition, PartitionDir>,
    pub(crate) notes: Vec<Note>,
    _locks: Vec<Box<dyn DiskLock>>,
}

impl Sources {
    /// Whether Kafka says that it was stopped cleanly, in each directory that has partitions.
    pub(crate) fn is_clean(&self) -> bool {
        !self.partitions.is_empty() && !self.notes.iter().any(|note| matches!(note, Note::Unclean(_)))
    }

    /// The number of the directory that has the metadata, and where it is in it.
    pub(crate) fn metadata_dir(&self) -> Option<(usize, PathBuf)> {
        self.paths.iter().map(|path| path.join(KAFKA_METADATA)).enumerate().find(|(_, path)| path.is_dir())
    }
}

/// Locks and looks through the directories.
pub(crate) fn open(disk: &dyn Disk, paths: &[PathBuf]) -> Result<Sources, ImportError> {
    let mut sources: Option<Sources> = None;
    for (at, path) in paths.iter().enumerate() {
        let failed = |error| ImportError::Directory { path: path.clone(), error };
        let owner = owner(path).map_err(failed)?;
        let lock = lock(disk, path).map_err(failed)?;
        let sources = sources.get_or_insert_with(|| Sources {
            paths: paths.to_vec(),
            cluster_id: owner.cluster_id,
            node: owner.node,
            partitions: BTreeMap::new(),
            notes: Vec::new(),
            _locks: Vec::new(),
        });
        if (owner.cluster_id, owner.node) != (sources.cluster_id, sources.node) {
            let (cluster, node) = (owner.cluster_id.to_string(), owner.node);
            return Err(ImportError::OtherOwner { path: path.clone(), cluster, node });
        }
        sources._locks.push(lock);
        survey(path, at, owner.directory, sources).map_err(failed)?;
    }
    sources.ok_or(ImportError::NoMetadata)
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskLock>, DirectoryError> {
    disk.lock(&path.join(".lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => DirectoryError::InUse,
        _ => error.into(),
    })
}

struct Owner {
    cluster_id: Uuid,
    node: BrokerId,
    directory: Uuid,
}

fn owner(path: &Path) -> Result<Owner, DirectoryError> {
    let bytes = match fs::read(path.join("meta.properties")) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DirectoryError::NoProperties),
        Err(error) => return Err(error.into()),
    };
    let properties: HashMap<String, String> =
        java_properties::read(&*bytes).map_err(|_| DirectoryError::NoProperties)?;
    let value = |key: &str| properties.get(key).map(|value| value.trim());
    match value("version") {
        Some("1") => {}
        Some("0") => return Err(DirectoryError::ZooKeeper),
        _ => return Err(DirectoryError::NoProperties),
    }
    let cluster = value("cluster.id").ok_or(DirectoryError::NoProperties)?;
    let cluster_id = cluster.parse().map_err(|_| DirectoryError::ClusterId(cluster.to_owned()))?;
    let node = value("node.id").and_then(|id| id.parse().ok()).ok_or(DirectoryError::NoProperties)?;
    let directory = value("directory.id").and_then(|id| id.parse().ok()).unwrap_or_default();
    Ok(Owner { cluster_id, node: BrokerId(node), directory })
}

fn survey(path: &Path, at: usize, directory: Uuid, sources: &mut Sources) -> Result<(), DirectoryError> {
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !entry.file_type()?.is_dir() || name == KAFKA_METADATA {
            continue;
        }
        let Some(partition) = partition_of(&name) else {
            let what = match name.rsplit_once('-').map(|(_, suffix)| suffix) {
                Some("delete") => "a deleted partition; it goes",
                Some("future") => {
                    "a copy that Kafka was moving to another directory; the original is imported, this is not used"
                }
                Some("stray") => "a partition that Kafka's metadata did not know; it is left alone",
                _ => "no partition; it is left alone",
            };
            sources.notes.push(Note::Passed { path: entry.path(), what });
            continue;
        };
        let dir = partition_dir(&entry.path(), at, directory, &partition)?;
        if sources.partitions.insert(partition.clone(), dir).is_some() {
            return Err(DirectoryError::Twice(partition));
        }
    }
    // A directory for the metadata alone never says so.
    if !path.join(CLEAN_STOP).exists() && sources.partitions.values().any(|partition| partition.at == at) {
        sources.notes.push(Note::Unclean(path.to_owned()));
    }
    Ok(())
}

fn partition_of(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition = PartitionIndex(digits.parse().ok()?);
    (partition.to_string() == digits).then_some(())?;
    Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition })
}

fn partition_dir(
    path: &Path,
    at: usize,
    directory: Uuid,
    partition: &TopicPartition,
) -> Result<PartitionDir, DirectoryError> {
    let unknown = || DirectoryError::TopicId { partition: partition.clone() };
    let topic_id = match fs::read_to_string(path.join("partition.metadata")) {
        Ok(text) => {
            let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")?.trim().parse().ok());
            Some(id.ok_or_else(unknown)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let epochs = fs::read_to_string(path.join("leader-epoch-checkpoint")).unwrap_or_default();
    let last = epochs.lines().skip(2).last().and_then(|line| line.split_once(' ')?.0.parse().ok());
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !matches!(parse_file_name(name), Some((_, FileKind::Log))) {
            continue;
        }
        match magic(&file)? {
            Some(magic @ 0..2) => return Err(DirectoryError::OldFormat { file, magic }),
            Some(_) if topic_id.is_none() => return Err(unknown()),
            _ => {}
        }
    }
    Ok(PartitionDir { path: path.to_owned(), topic_id, directory, at, leader_epoch: last.unwrap_or(-1) })
}

/// The format of the first batch; formats only rise in a log. None for an empty segment.
fn magic(file: &Path) -> io::Result<Option<i8>> {
    let mut byte = [0];
    match File::open(file)?.read_exact_at(&mut byte, MAGIC_AT) {
        Ok(()) => Ok(Some(byte[0] as i8)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
