//! Names of partition directories.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use ottla_disk::Disk;
use ottla_types::{PartitionIndex, TopicName, TopicPartition};

/// Longest name of a directory.
const NAME_MAX: usize = 255;
/// `.` and 32 hexadecimal digits.
const MARK_LEN: usize = 1 + 32;
/// What the name of the folder ends with that a move fills.
const FUTURE_SUFFIX: &str = "-future";
/// The log of the metadata quorum has the form of a partition, but is none.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// What the directory of that name holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DirKind {
    /// A partition's log.
    Partition(TopicPartition),
    /// A deleted partition's log, to be removed.
    Retired,
    /// A partition's log that the metadata does not know, left alone.
    Stray,
    /// The copy of a move that was not finished.
    Future(TopicPartition),
    /// Something else, left alone.
    Other,
}

/// Tells from its name what a directory holds.
pub(super) fn kind_of(name: &str) -> DirKind {
    if name.contains('.') && name.ends_with(Aside::Deleted.suffix()) {
        return DirKind::Retired;
    }
    if name.contains('.') && name.ends_with(Aside::Stray.suffix()) {
        return DirKind::Stray;
    }
    if let Some(partition) = name.strip_suffix(FUTURE_SUFFIX).and_then(marked) {
        return DirKind::Future(partition);
    }
    partition_of(name).map_or(DirKind::Other, DirKind::Partition)
}

/// The partition in `topic-partition.<32 hex digits>`.
fn marked(name: &str) -> Option<TopicPartition> {
    let (partition, digits) = name.rsplit_once('.')?;
    let is_mark = digits.len() + 1 == MARK_LEN && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_mark { partition_of(partition) } else { None }
}

/// The name of the folder in which a partition is copied; none where it would be too long.
pub(super) fn future_name(partition: &TopicPartition) -> Option<String> {
    let name = format!("{partition}.{:016x}{:016x}{FUTURE_SUFFIX}", hash(partition, 0), 0);
    (name.len() <= NAME_MAX).then_some(name)
}

fn partition_of(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if !plain || topic == METADATA_TOPIC {
        return None;
    }
    Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition: PartitionIndex(digits.parse().ok()?) })
}

/// Why a partition's directory gets another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// It is to be removed.
    Deleted,
    /// The metadata does not know it.
    Stray,
}

impl Aside {
    fn suffix(self) -> &'static str {
        match self {
            Self::Deleted => "-delete",
            Self::Stray => "-stray",
        }
    }
}

/// A name that is free for the directory of a partition that is put aside: `topic-partition.<32 hex digits>-<why>`.
pub(super) fn aside_path(disk: &dyn Disk, dir: &Path, partition: &TopicPartition, why: Aside) -> PathBuf {
    let suffix = why.suffix();
    let parent = dir.parent().unwrap_or(Path::new("."));
    let mut prefix = partition.to_string();
    prefix.truncate(NAME_MAX - MARK_LEN - suffix.len()); // names are ASCII
    let path = |salt: u64| parent.join(format!("{prefix}.{:016x}{:016x}{suffix}", hash(partition, salt), salt));
    let mut salt = 0;
    while disk.exists(&path(salt)) {
        salt += 1;
    }
    path(salt)
}

fn hash(partition: &TopicPartition, salt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (partition, salt).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_its_name() {
        let partition = |topic: &str, partition| {
            DirKind::Partition(TopicPartition {
                topic: TopicName::new(topic).unwrap(),
                partition: PartitionIndex(partition),
            })
        };
        let future = |topic: &str, index| match partition(topic, index) {
            DirKind::Partition(partition) => DirKind::Future(partition),
            other => other,
        };
        for (name, expected) in [
            ("a-0", partition("a", 0)),
            ("a-b-17", partition("a-b", 17)),
            ("a.b-3", partition("a.b", 3)),
            ("a-0.0123456789abcdef0123456789abcdef-delete", DirKind::Retired),
            ("a-delete-4", partition("a-delete", 4)),
            ("a-0.0123456789abcdef0123456789abcdef-future", future("a", 0)),
            ("a-0.0123456789abcdef-future", DirKind::Other),
            ("a-future-4", partition("a-future", 4)),
            ("a-0.0123456789abcdef0123456789abcdef-stray", DirKind::Stray),
            ("a-stray-4", partition("a-stray", 4)),
            ("__cluster_metadata-0", DirKind::Other),
            ("lost+found", DirKind::Other),
            ("remote-log-index-cache", DirKind::Other),
            ("a-", DirKind::Other),
            ("-1", DirKind::Other),
            ("a-01", DirKind::Other),
            ("a-99999999999", DirKind::Other),
            ("a", DirKind::Other),
        ] {
            assert_eq!(kind_of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_retired_name_is_free_and_fits() {
        let dir = tempfile::tempdir().unwrap();
        let topic = "t".repeat(249);
        let partition = TopicPartition { topic: TopicName::new(&topic).unwrap(), partition: PartitionIndex(99_999) };
        let from = dir.path().join(partition.to_string());
        let first = aside_path(&crate::StdDisk, &from, &partition, Aside::Deleted);
        std::fs::create_dir(&first).unwrap();
        let second = aside_path(&crate::StdDisk, &from, &partition, Aside::Deleted);
        std::fs::create_dir(&second).unwrap();
        assert_ne!(first, second);
        for path in [first, second] {
            assert_eq!(kind_of(path.file_name().unwrap().to_str().unwrap()), DirKind::Retired);
        }
    }
}
