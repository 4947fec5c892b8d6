//! What the files of a data directory hold, as lines of text or of JSON: segments with their indexes and snapshots, the
//! checkpoints, the broker's own topics decoded, Kafka's metadata log and Ottla's.
//!
//! Invariants: files are only read; whatever they hold, nothing panics and no more than one batch (or one file beside the
//! logs) is in memory; damage is told with its file and position and does not end the look, where anything follows.

mod beside;
mod decode;
mod indexes;
mod metadata;
mod out;
mod own;
mod segment;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use ottla_log::files::{FileKind, parse_file_name};
use ottla_quorum::look::MetadataFile;

pub use self::decode::Decoder;
use self::out::Out;

/// What to show of which files.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Files, and directories whose files are all meant.
    pub paths: Vec<PathBuf>,
    /// Look into each record.
    pub deep: bool,
    /// Show keys and values too.
    pub print_data: bool,
    /// How keys and values are read.
    pub decoder: Decoder,
    /// Leave out what is not key or value of a record.
    pub skip_record_metadata: bool,
    /// Show no more of a log file than so many bytes.
    pub bytes_max: Option<u64>,
    /// Of indexes, show only what is wrong.
    pub index_faults_only: bool,
    /// Look at indexes alone, and not at the logs beside them.
    pub index_sanity: bool,
    /// JSON, an object a line, instead of text.
    pub json: bool,
}

/// Writes what the files hold to `to`; the number of damaged places, and of files that could not be read.
///
/// # Errors
/// `to` takes no more.
pub fn dump(request: &Request, to: &mut dyn Write) -> io::Result<usize> {
    let mut out = Out::new(to, request.json);
    for path in &request.paths {
        if path.is_dir() {
            let mut files = Vec::new();
            if let Err(error) = collect(path, &mut files) {
                out.begin(path)?;
                out.damage(None, &error)?;
            }
            for file in files {
                dump_file(request, &file, &mut out)?;
            }
        } else {
            dump_file(request, path, &mut out)?;
        }
    }
    out.finish()
}

/// The files below `dir` that can be shown, in the order of their names; others are left out.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files)?;
        } else if Content::of(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

/// What a file is, by its name and that of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Segment(FileKind, i64),
    /// A snapshot of Kafka's metadata.
    MetadataCheckpoint,
    OffsetCheckpoint,
    EpochCheckpoint,
    /// What Ottla knows of a partition's damage.
    Damage,
    Properties,
    PartitionMetadata,
    Json,
    Own(MetadataFile),
}

impl Content {
    fn of(path: &Path) -> Option<Self> {
        let mut name = path.file_name()?.to_str()?;
        for suffix in [".deleted", ".swap", ".cleaned"] {
            name = name.strip_suffix(suffix).unwrap_or(name);
        }
        if let Some((offset, kind)) = parse_file_name(name) {
            return Some(Self::Segment(kind, offset.0));
        }
        Some(match name {
            "recovery-point-offset-checkpoint"
            | "log-start-offset-checkpoint"
            | "replication-offset-checkpoint"
            | "cleaner-offset-checkpoint" => Self::OffsetCheckpoint,
            "leader-epoch-checkpoint" => Self::EpochCheckpoint,
            "ottla-damage" => Self::Damage,
            "meta.properties" => Self::Properties,
            "partition.metadata" => Self::PartitionMetadata,
            ".kafka_cleanshutdown" | "quorum-state" => Self::Json,
            name if name.ends_with(".checkpoint") => Self::MetadataCheckpoint,
            name => Self::Own(MetadataFile::of_name(name)?),
        })
    }
}

fn dump_file(request: &Request, path: &Path, out: &mut Out<'_>) -> io::Result<()> {
    out.begin(path)?;
    let Some(content) = Content::of(path) else {
        return out.damage(None, &"not a file that is known by this name");
    };
    let shown = match content {
        Content::Segment(FileKind::Log, base) => segment::show(request, path, Some(base), out),
        Content::MetadataCheckpoint => segment::show(request, path, None, out),
        Content::Segment(FileKind::OffsetIndex, base) => indexes::show_offsets(request, path, base, out),
        Content::Segment(FileKind::TimeIndex, base) => indexes::show_times(request, path, base, out),
        Content::Segment(FileKind::TxnIndex, _) => indexes::show_aborted(request, path, out),
        Content::Segment(FileKind::Snapshot, _) => indexes::show_producers(path, out),
        Content::OffsetCheckpoint => beside::show_lines(path, &["topic", "partition", "offset"], out),
        Content::EpochCheckpoint => beside::show_lines(path, &["epoch", "startOffset"], out),
        Content::Damage => beside::show_lines(path, &["segment", "position", "end", "firstOffset", "nextOffset"], out),
        Content::Properties => beside::show_properties(path, out),
        Content::PartitionMetadata => beside::show_partition_metadata(path, out),
        Content::Json => beside::show_json(path, out),
        Content::Own(file) => own::show(file, path, out),
    };
    match shown {
        Err(Failure::Read(error)) => out.damage(None, &error),
        Err(Failure::Write(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Why a file was not shown to its end.
enum Failure {
    /// It cannot be read.
    Read(io::Error),
    /// Nobody takes what is shown.
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

type Shows = Result<(), Failure>;

/// The whole of a small file.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::Read)
}
