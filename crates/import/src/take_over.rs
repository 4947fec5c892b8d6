//! The steps by which directories become Ottla's.
//!
//! In place only the metadata log is added, under its name in one step. A copy is marked as unfinished in every directory
//! before anything else is written there; the metadata log gets its name when all else is durable, and then the marks go.
//!
//! Segments that nothing is ever appended to again are linked, where the file system can; all else is copied, because it
//! would be changed in the source too.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_controller::MetadataImage;
use ottla_disk::{Disk, OpenMode};
use ottla_log::files::{FileKind, parse_file_name};
use ottla_quorum::{METADATA_DIR, seed};
use ottla_types::BrokerId;

use crate::{ImportError, directories::Sources};

/// A file that says that an import into its directory was begun and not finished.
pub const MARKER: &str = ".ottla-import";
/// The metadata log before it gets its name.
const UNFINISHED: &str = "__ottla_metadata.importing";
/// Files beside the partitions that say where things stand.
const BESIDE: [&str; 6] = [
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
    ".kafka_cleanshutdown",
    "meta.properties",
];

/// A step that changes something; a crash may come before any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mark in a directory.
    Mark(PathBuf),
    /// What an earlier try left goes.
    Clear(PathBuf),
    /// A file comes along.
    File(PathBuf),
    /// The metadata is written.
    Metadata,
    /// The metadata gets its name: from here on it is imported.
    Commit,
    /// A mark goes.
    Unmark(PathBuf),
}

/// What is written where.
pub(crate) struct Metadata<'a> {
    /// The directory that gets it: the one that has Kafka's, so that one `metadata.log.dir` is right for both.
    pub(crate) dir: &'a Path,
    pub(crate) node: BrokerId,
    pub(crate) image: &'a MetadataImage,
}

type Before<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, ImportError> {
    result.map_err(|error| ImportError::Io { path: path.to_owned(), error })
}

/// Whether all was done before.
pub(crate) fn is_imported(to: &[PathBuf]) -> bool {
    only_markers_remain(to) && !to.iter().any(|dir| dir.join(MARKER).exists())
}

/// Whether all was done but for the marks.
pub(crate) fn only_markers_remain(to: &[PathBuf]) -> bool {
    to.iter().any(|dir| dir.join(METADATA_DIR).exists())
}

/// Removes the marks.
pub(crate) fn remove_markers(disk: &Arc<dyn Disk>, to: &[PathBuf], before: Before<'_>) -> Result<(), ImportError> {
    for dir in to {
        let marker = dir.join(MARKER);
        at(&marker, before(Step::Unmark(dir.clone())))?;
        match fs::remove_file(&marker) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => at(&marker, removed.and_then(|()| disk.sync_dir(dir)))?,
        }
    }
    Ok(())
}

/// Adds the metadata to Kafka's own directories.
pub(crate) fn in_place(disk: &Arc<dyn Disk>, metadata: &Metadata<'_>, before: Before<'_>) -> Result<(), ImportError> {
    write_metadata(disk, metadata, before)
}

fn write_metadata(disk: &Arc<dyn Disk>, metadata: &Metadata<'_>, before: Before<'_>) -> Result<(), ImportError> {
    let Metadata { dir, node, image } = *metadata;
    let (unfinished, finished) = (dir.join(UNFINISHED), dir.join(METADATA_DIR));
    at(&unfinished, before(Step::Metadata))?;
    if unfinished.exists() {
        at(&unfinished, fs::remove_dir_all(&unfinished))?;
    }
    at(&unfinished, seed(disk, &unfinished, node, image))?;
    at(&unfinished, disk.sync_dir(dir))?;
    at(&finished, before(Step::Commit))?;
    at(&finished, fs::rename(&unfinished, &finished))?;
    at(&finished, disk.sync_dir(dir))
}

/// Makes new directories of Kafka's, which stay as they are.
pub(crate) fn copy(
    disk: &Arc<dyn Disk>,
    sources: &Sources,
    to: &[PathBuf],
    metadata: &Metadata<'_>,
    before: Before<'_>,
) -> Result<(), ImportError> {
    for dir in to {
        mark(disk, dir, before)?;
    }
    for (from, to) in sources.paths.iter().zip(to) {
        for source in BESIDE.map(|name| from.join(name)).iter().filter(|source| source.exists()) {
            at(source, before(Step::File(source.clone())))?;
            copy_file(disk, source, &to.join(source.file_name().unwrap_or_default()), false)?;
        }
    }
    for dir in sources.partitions.values() {
        let Some(target) = to.get(dir.at) else { continue };
        copy_partition(disk, &dir.path, target, before)?;
    }
    for dir in to {
        at(dir, disk.sync_dir(dir))?;
    }
    write_metadata(disk, metadata, before)?;
    remove_markers(disk, to, before)
}

/// Marks a directory as begun; what an earlier try left there goes.
fn mark(disk: &Arc<dyn Disk>, dir: &Path, before: Before<'_>) -> Result<(), ImportError> {
    let marker = dir.join(MARKER);
    at(dir, disk.create_dir_all(dir))?;
    if !marker.exists() {
        if at(dir, fs::read_dir(dir))?.next().is_some() {
            return Err(ImportError::NotEmpty { path: dir.to_owned() });
        }
        at(&marker, before(Step::Mark(dir.to_owned())))?;
        at(&marker, fs::write(&marker, b"an import was begun here; give its command again\n"))?;
        at(&marker, sync_file(disk, &marker))?;
        return at(dir, disk.sync_dir(dir));
    }
    at(dir, before(Step::Clear(dir.to_owned())))?;
    for entry in at(dir, fs::read_dir(dir))? {
        let path = at(dir, entry)?.path();
        if path != marker {
            at(&path, if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) })?;
        }
    }
    Ok(())
}

fn copy_partition(disk: &Arc<dyn Disk>, from: &Path, to: &Path, before: Before<'_>) -> Result<(), ImportError> {
    let to = to.join(from.file_name().unwrap_or_default());
    at(&to, disk.create_dir_all(&to))?;
    let mut files = Vec::new();
    for entry in at(from, fs::read_dir(from))? {
        let path = at(from, entry)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    let segment = |path: &Path| match parse_file_name(path.file_name()?.to_str()?)? {
        (base, FileKind::Log) => Some(base),
        _ => None,
    };
    let active = files.iter().filter_map(|path| segment(path)).max();
    for path in files {
        at(&path, before(Step::File(path.clone())))?;
        let sealed = segment(&path).is_some_and(|base| Some(base) != active);
        copy_file(disk, &path, &to.join(path.file_name().unwrap_or_default()), sealed)?;
    }
    at(&to, disk.sync_dir(&to))
}

/// Brings a file over durably; with `link` as another name of the same file, where that can be.
fn copy_file(disk: &Arc<dyn Disk>, from: &Path, to: &Path, link: bool) -> Result<(), ImportError> {
    if link && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    at(to, fs::copy(from, to).and_then(|_| sync_file(disk, to)))
}

fn sync_file(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<()> {
    disk.open(path, OpenMode::Read)?.sync_data()
}
