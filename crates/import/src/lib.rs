//! Data directories that Apache Kafka wrote in KRaft mode, made Ottla's: the records stay as they are, the metadata is read
//! from `__cluster_metadata` and written into Ottla's own log.
//!
//! Invariants: the source is never changed; until the last step there is nothing that a broker would start on, and a crash
//! at any step leaves either that or a finished import, so that the same command can be given again; what is not carried
//! over is refused or named.

mod convert;
mod directories;
mod give_back;
mod kafka_metadata;
mod report;
mod take_over;

use std::{path::PathBuf, sync::Arc};

use ottla_controller::FeatureRange;
use ottla_log::StdDisk;
use ottla_types::BrokerId;

pub use self::{
    convert::Unsuitable,
    directories::DirectoryError,
    give_back::{GivenBack, give_back},
    kafka_metadata::MetadataError,
    report::{Note, Report},
    take_over::{MARKER, Step},
};

/// What to import.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// All `log.dirs` of the Kafka broker, and its `metadata.log.dir` if that is another.
    pub from: Vec<PathBuf>,
    /// Where Ottla's data is to be; the same as `from` to import in place.
    pub to: Vec<PathBuf>,
    /// What Ottla can run.
    pub features: Vec<FeatureRange>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A directory.
    #[error("{path}: {error}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: DirectoryError,
    },
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// What the metadata or the directories say cannot be served.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// No directory of those given holds metadata.
    #[error("none of the directories holds __cluster_metadata-0; name all of log.dirs, and metadata.log.dir")]
    NoMetadata,
    /// They are not of one broker.
    #[error("{path} belongs to cluster {cluster} and node {node}, the directories before it do not", path = path.display())]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// Its cluster.
        cluster: String,
        /// Its node.
        node: BrokerId,
    },
    /// Each directory has checkpoints of its own, which must not be mixed.
    #[error("{from} directories are to become {to}; name as many to write to as to read from")]
    Count {
        /// Directories to read from.
        from: usize,
        /// Directories to write to.
        to: usize,
    },
    /// There is something else.
    #[error("{path} is not empty, and no import was begun there", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// On the way back.
    #[error("{path} was not stopped cleanly; start it once more and stop it with SIGTERM", path = path.display())]
    NotStopped {
        /// The directory.
        path: PathBuf,
    },
    /// Files could not be taken over. The same command tries again.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the file system says.
        error: std::io::Error,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// Imported now.
    Imported(Report),
    /// It had been imported before; nothing was changed.
    AlreadyImported,
}

/// Imports; `before` is asked before each step that changes something, and may end it there as a crash would.
///
/// # Errors
/// Nothing is imported.
pub fn import(request: &Request, before: &mut dyn FnMut(Step) -> std::io::Result<()>) -> Result<Outcome, ImportError> {
    let in_place = request.from == request.to;
    if request.from.len() != request.to.len() {
        return Err(ImportError::Count { from: request.from.len(), to: request.to.len() });
    }
    if take_over::is_imported(&request.to) {
        return Ok(Outcome::AlreadyImported);
    }
    let disk: Arc<dyn ottla_disk::Disk> = Arc::new(StdDisk);
    if take_over::only_markers_remain(&request.to) {
        take_over::remove_markers(&disk, &request.to, before)?;
        return Ok(Outcome::AlreadyImported);
    }
    let sources = directories::open(&*disk, &request.from)?;
    let (metadata_at, metadata_dir) = sources.metadata_dir().ok_or(ImportError::NoMetadata)?;
    let kafka = kafka_metadata::read(&metadata_dir, sources.is_clean())?;
    let mut report = Report::new(&sources);
    let image = convert::image(&kafka, &sources, &request.features, &mut report)?;
    let metadata = take_over::Metadata { dir: &request.to[metadata_at], node: sources.node, image: &image };
    report.metadata_dir.clone_from(&request.to[metadata_at]);
    report.metadata_dir_has_partitions = sources.partitions.values().any(|partition| partition.at == metadata_at);
    if in_place {
        take_over::in_place(&disk, &metadata, before)?;
    } else {
        take_over::copy(&disk, &sources, &request.to, &metadata, before)?;
    }
    Ok(Outcome::Imported(report))
}
