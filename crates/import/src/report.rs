//! What an import says: what came along, and by name what did not.

use std::{fmt, path::PathBuf};

use ottla_types::BrokerId;

use crate::directories::Sources;

/// What an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The broker was killed.
    Unclean(PathBuf),
    /// The metadata log ends within a batch, as a crash leaves it.
    Torn {
        /// The file.
        path: PathBuf,
        /// Where.
        position: usize,
    },
    /// Directories that hold no topic's partition.
    Passed {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A setting that means nothing here.
    Config {
        /// Topic, broker, group.
        resource: String,
        /// The key.
        key: String,
        /// Why it stays behind.
        why: String,
    },
    /// Records of a kind that is not served.
    LeftBehind {
        /// Of which kind.
        what: &'static str,
        /// Each of them.
        names: Vec<String>,
    },
    /// A feature that is not run here.
    Feature {
        /// Its name.
        name: String,
        /// The level it had.
        level: i16,
    },
    /// A feature that is run from a higher level on.
    Raised {
        /// Its name.
        name: String,
        /// The level it had.
        from: i16,
        /// The level it has.
        to: i16,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclean(path) => {
                write!(f, "{}: Kafka was not stopped cleanly; the first start recovers the logs", path.display())
            }
            Self::Torn { path, position } => {
                write!(f, "{}: torn at byte {position}; what follows was never acknowledged", path.display())
            }
            Self::Passed { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Config { resource, key, why } => write!(f, "{resource}: {key} is left out: {why}"),
            Self::LeftBehind { what, names } => {
                write!(f, "{} {what} left out, which are not served yet: {}", names.len(), names.join("; "))
            }
            Self::Feature { name, level } => write!(f, "feature {name}={level} is left out"),
            Self::Raised { name, from, to } => {
                write!(f, "feature {name}={from} is raised to {to}, the lowest there is")
            }
        }
    }
}

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Report {
    /// `cluster.id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node: BrokerId,
    /// The directory with Ottla's metadata: `metadata.log.dir`, where it is not the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// Whether it is one of `log.dirs`, too.
    pub metadata_dir_has_partitions: bool,
    /// Topics that came along.
    pub topics: usize,
    /// Their partitions.
    pub partitions: usize,
    /// Settings that came along.
    pub configs: usize,
    /// What an operator should know.
    pub notes: Vec<Note>,
}

impl Report {
    pub(crate) fn new(sources: &Sources) -> Self {
        let cluster_id = sources.cluster_id.to_string();
        Self {
            cluster_id,
            node: sources.node,
            metadata_dir: PathBuf::new(),
            metadata_dir_has_partitions: false,
            topics: 0,
            partitions: 0,
            configs: 0,
            notes: sources.notes.clone(),
        }
    }
}
