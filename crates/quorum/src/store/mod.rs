//! What the metadata quorum keeps on disk: hard state, log segments, snapshots, in one directory of their own.
//!
//! Synchronous; a thread of its own calls it. Invariants: what a call returned for is durable; after a crash the store
//! opens to all that was durable and to nothing half written; damage is an error that names file and position.

mod codec;
mod frame;
mod hard_state;
mod reserve;
mod segments;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use codec::FormatError;
use openraft::entry::RaftEntry;
use ottla_controller::ReplayError;
use ottla_disk::{Disk, DiskLock, OpenMode};
use segments::Segments;

pub(crate) use codec::take_entry;
pub(crate) use frame::{next_frame, read_frame};
pub(crate) use hard_state::HardState;
pub(crate) use snapshot::{Snapshot, decode_head as take_snapshot_head};

use crate::raft::{Entry, LogId, Vote};

/// Why the metadata log cannot be opened. Nothing was changed, but for a torn end that was cut off.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the disk said.
        error: io::Error,
    },
    /// Another process has it open.
    #[error("{path}: in use by another process", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Bytes that were durable once are not what was written. Restore the file, or the node from its peers.
    #[error("{path}: damaged at byte {position}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// First byte of the bad frame.
        position: u64,
    },
    /// Entries are missing.
    #[error("{path}: entry {expected} is missing", path = path.display())]
    Gap {
        /// The file in which it should be.
        path: PathBuf,
        /// Its index.
        expected: u64,
    },
    /// Entries that were durable once are missing from the end.
    #[error("{path}: the log ends before entry {expected}, which was durable", path = path.display())]
    Short {
        /// The directory.
        path: PathBuf,
        /// The entry's index.
        expected: u64,
    },
    /// Whole bytes that this version of the program cannot read.
    #[error("{path}: at byte {position}: {error}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// First byte of the frame.
        position: u64,
        /// What is wrong with it.
        error: FormatError,
    },
    /// Records that do not fit one another.
    #[error("{path}: {error}", path = path.display())]
    Replay {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        error: ReplayError,
    },
    /// There is a log, but the file with the vote is gone.
    #[error("{path}: holds a log but no hard state", path = path.display())]
    NoHardState {
        /// The directory.
        path: PathBuf,
    },
    /// The directory belongs to another node.
    #[error("{path}: belongs to node {found}, not to node {expected}", path = path.display())]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Its node.
        found: u64,
        /// This node.
        expected: u64,
    },
}

impl OpenError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

/// What was found at opening.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The vote.
    pub(crate) vote: Option<Vote>,
    /// The last entry that only a snapshot holds.
    pub(crate) purged: Option<LogId>,
    /// Entries after `purged`.
    pub(crate) entries: Vec<Entry>,
    /// The newest snapshot.
    pub(crate) snapshot: Option<Snapshot>,
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    hard_state: HardState,
    segments: Segments,
    _lock: Box<dyn DiskLock>,
}

impl Store {
    /// Opens the store of `node` in `dir`, created where absent.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, node: u64) -> Result<(Self, Recovered), OpenError> {
        create_dirs(disk, dir).map_err(|error| OpenError::io(dir, error))?;
        let lock = take_lock(disk, dir)?;
        remove_unfinished(disk, dir).map_err(|error| OpenError::io(dir, error))?;
        let hard_state = load_hard_state(disk, dir, node)?;
        if hard_state.node != node {
            return Err(OpenError::OtherNode { path: dir.to_owned(), found: hard_state.node, expected: node });
        }
        let snapshot = Snapshot::load(disk, dir)?.map(|(snapshot, _)| snapshot);
        let durable = hard_state.durable.map(|id| id.index);
        let (mut segments, mut entries) = Segments::open(disk, dir, durable)?;
        let mut purged = hard_state.purged;
        if let Some(snapshot) = &snapshot {
            drop_superseded(&mut segments, &mut entries, &mut purged, snapshot)
                .map_err(|error| OpenError::io(dir, error))?;
        }
        check_reaches(dir, &hard_state, purged, snapshot.as_ref(), &entries)?;
        let after = purged.map_or(0, |id| id.index + 1);
        entries.retain(|entry| entry.index() >= after);
        let vote = hard_state.vote;
        let this = Self { disk: Arc::clone(disk), dir: dir.to_owned(), hard_state, segments, _lock: lock };
        Ok((this, Recovered { vote, purged, entries, snapshot }))
    }

    /// Makes sure that there is a reserve for when the disk is full.
    pub(crate) fn keep_reserve(&self) -> io::Result<()> {
        reserve::keep(&self.disk, &self.dir)
    }

    /// Makes room of the reserve; whether there was one.
    pub(crate) fn give_up_reserve(&self) -> io::Result<bool> {
        reserve::give_up(&self.disk, &self.dir)
    }

    /// Bytes of the log.
    pub(crate) fn log_len(&self) -> u64 {
        self.segments.len()
    }

    pub(crate) fn save_vote(&mut self, vote: Vote) -> io::Result<()> {
        self.hard_state.vote = Some(vote);
        self.hard_state.save(&self.disk, &self.dir)
    }

    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.segments.append(entries)
    }

    /// Drops entries `from` and later.
    pub(crate) fn truncate(&mut self, from: u64) -> io::Result<()> {
        if self.hard_state.durable.is_some_and(|id| id.index >= from) {
            self.hard_state.durable = None;
            self.hard_state.save(&self.disk, &self.dir)?;
        }
        self.segments.truncate(from)
    }

    /// Drops entries up to `last`, which a snapshot holds.
    pub(crate) fn purge(&mut self, last: LogId) -> io::Result<()> {
        self.hard_state.purged = Some(last);
        self.hard_state.save(&self.disk, &self.dir)?;
        self.segments.purge_before(last.index + 1)
    }

    /// Notes before a stop that all up to `last` is durable, so that a later loss is seen.
    pub(crate) fn close(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.hard_state.durable = last;
        self.hard_state.save(&self.disk, &self.dir)
    }
}

/// Creates `dir` and those above it; their names are durable on return.
fn create_dirs(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|above| !disk.exists(above)).collect();
    disk.create_dir_all(dir)?;
    for created in missing.into_iter().rev() {
        // The parent of a relative path's first part is the empty path: the working directory.
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_dir(parent)?;
    }
    Ok(())
}

/// Files under temporary names are what a crash interrupted.
fn remove_unfinished(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<()> {
    for entry in disk.list(dir)?.iter().filter(|entry| entry.name.ends_with(".tmp")) {
        disk.remove_file(&dir.join(&entry.name))?;
    }
    Ok(())
}

/// The hard state, made at the first start. Whoever has a log without one lost it, and with it a vote.
fn load_hard_state(disk: &Arc<dyn Disk>, dir: &Path, node: u64) -> Result<HardState, OpenError> {
    if let Some(found) = HardState::load(disk, dir)? {
        return Ok(found);
    }
    if Segments::any(disk, dir)? || Snapshot::load(disk, dir)?.is_some() {
        return Err(OpenError::NoHardState { path: dir.to_owned() });
    }
    let state = HardState { node, ..HardState::default() };
    state.save(disk, dir).map_err(|error| OpenError::io(dir, error))?;
    Ok(state)
}

fn take_lock(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    let path = dir.join("lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { path },
        _ => OpenError::Io { path, error },
    })
}

/// A snapshot that came from a leader may be ahead of the whole log: the log then starts anew after it.
fn drop_superseded(
    segments: &mut Segments,
    entries: &mut Vec<Entry>,
    purged: &mut Option<LogId>,
    snapshot: &Snapshot,
) -> io::Result<()> {
    if segments.next().is_none_or(|next| next <= snapshot.last.index) {
        segments.purge_before(u64::MAX)?;
        entries.clear();
        *purged = Some(snapshot.last);
    }
    Ok(())
}

fn check_reaches(
    dir: &Path,
    hard_state: &HardState,
    purged: Option<LogId>,
    snapshot: Option<&Snapshot>,
    entries: &[Entry],
) -> Result<(), OpenError> {
    let snapshot_end = snapshot.map_or(0, |snapshot| snapshot.last.index + 1);
    let expected = purged.map_or(0, |id| id.index + 1);
    if expected > snapshot_end {
        return Err(OpenError::Gap { path: dir.to_owned(), expected: snapshot_end });
    }
    if entries.first().is_some_and(|first| first.index() > expected) {
        return Err(OpenError::Gap { path: dir.to_owned(), expected });
    }
    let end = entries.last().map_or(snapshot_end, |last| last.index() + 1);
    match hard_state.durable {
        Some(durable) if durable.index >= end => {
            Err(OpenError::Short { path: dir.to_owned(), expected: durable.index })
        }
        _ => Ok(()),
    }
}

fn read_file(disk: &Arc<dyn Disk>, path: &Path) -> Result<Vec<u8>, OpenError> {
    let read = || {
        let file = disk.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    read().map_err(|error| OpenError::io(path, error))
}
