//! The entries on disk: append-only files, each named by its first index.
//!
//! Invariants: indexes are consecutive over all segments; only the last segment is written to; what [`Segments::append`]
//! returned for is durable; a bad frame that was durable once is never cut away, it is an error that names its place.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use openraft::entry::RaftEntry;
use ottla_disk::{Disk, DiskFile, OpenMode};

use super::{
    OpenError,
    codec::{put_entry, take_entry},
    frame::{durable_before_a_later_frame, put_frame, read_frame},
};
use crate::raft::Entry;

/// A segment longer than this is closed, so that a snapshot can drop what it holds file by file.
const SEGMENT_LEN_MAX: u64 = 8 << 20;
const PREFIX: &str = "log-";

#[derive(Debug)]
struct Segment {
    first: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Where each entry's frame starts, from `first` on.
    positions: Vec<u64>,
}

impl Segment {
    fn next(&self) -> u64 {
        self.first + self.positions.len() as u64
    }
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segments: Vec<Segment>,
}

impl Segments {
    /// Opens what is there; `durable` is the last index known to be durable. Gives all entries found.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        durable: Option<u64>,
    ) -> Result<(Self, Vec<Entry>), OpenError> {
        let mut this = Self { disk: Arc::clone(disk), dir: dir.to_owned(), segments: Vec::new() };
        let mut entries: Vec<Entry> = Vec::new();
        let firsts = first_indexes(disk, dir)?;
        for (at, first) in firsts.iter().enumerate() {
            let expected = entries.last().map_or(*first, |last| last.index() + 1);
            let path = this.path(*first);
            if *first != expected {
                return Err(OpenError::Gap { path, expected });
            }
            let last = at + 1 == firsts.len();
            let (segment, found) = this.open_segment(*first, path, last, durable)?;
            entries.extend(found);
            this.segments.push(segment);
        }
        Ok((this, entries))
    }

    /// Whether there is a segment.
    pub(super) fn any(disk: &Arc<dyn Disk>, dir: &Path) -> Result<bool, OpenError> {
        Ok(!first_indexes(disk, dir)?.is_empty())
    }

    fn path(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{first:020}"))
    }

    fn open_segment(
        &self,
        first: u64,
        path: PathBuf,
        last: bool,
        durable: Option<u64>,
    ) -> Result<(Segment, Vec<Entry>), OpenError> {
        let bytes = super::read_file(&self.disk, &path)?;
        let (positions, entries, end) = scan(&path, &bytes, first)?;
        let next = first + positions.len() as u64;
        let torn = end < bytes.len();
        let was_durable =
            || durable.is_some_and(|durable| durable >= next) || durable_before_a_later_frame(&bytes, end);
        if torn && (!last || was_durable()) {
            return Err(OpenError::Damaged { path, position: end as u64 });
        }
        let file = self.disk.open(&path, OpenMode::Write).map_err(|error| OpenError::io(&path, error))?;
        if torn {
            tracing::warn!(path = %path.display(), position = end, "cut the torn end off the metadata log");
            file.set_len(end as u64).map_err(|error| OpenError::io(&path, error))?;
        }
        if last {
            // What a killed process wrote may still be unsynced; the next frame will call it durable.
            file.sync_data().map_err(|error| OpenError::io(&path, error))?;
        }
        Ok((Segment { first, path, file, len: end as u64, positions }, entries))
    }

    /// Index after the last entry; none where there is no segment.
    pub(super) fn next(&self) -> Option<u64> {
        self.segments.last().map(Segment::next)
    }

    /// Bytes of all segments.
    pub(super) fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Appends entries; they are durable on return.
    ///
    /// # Errors
    /// There is no room: everything is as it was. Else as the disk says; the segments must not be used any more then.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let Some(first) = entries.first().map(RaftEntry::index) else { return Ok(()) };
        self.roll_before(first)?;
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        assert_eq!(segment.next(), first, "entries of the metadata log are consecutive");
        let (mut bytes, mut body, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            positions.push(segment.len + bytes.len() as u64);
            body.clear();
            put_entry(&mut body, entry);
            put_frame(&mut bytes, segment.len, &body);
        }
        if let Err(error) = segment.file.write_all_at(&mut [IoSlice::new(&bytes)], segment.len) {
            segment.file.set_len(segment.len)?;
            return Err(error);
        }
        segment.file.sync_data().map_err(not_durable)?;
        segment.positions.extend(positions);
        segment.len += bytes.len() as u64;
        Ok(())
    }

    fn roll_before(&mut self, next: u64) -> io::Result<()> {
        if self.segments.last().is_some_and(|segment| segment.len < SEGMENT_LEN_MAX) {
            return Ok(());
        }
        let path = self.path(next);
        let file = self.disk.open(&path, OpenMode::Create)?;
        file.set_len(0)?;
        self.disk.sync_dir(&self.dir).map_err(not_durable)?;
        self.segments.push(Segment { first: next, path, file, len: 0, positions: Vec::new() });
        Ok(())
    }

    /// Drops entries `from` and later; durable on return.
    ///
    /// # Errors
    /// As the disk says; the segments must not be used any more then.
    pub(super) fn truncate(&mut self, from: u64) -> io::Result<()> {
        while self.segments.last().is_some_and(|segment| segment.first >= from) {
            self.remove(self.segments.len() - 1)?;
        }
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        let keep = (from - segment.first) as usize;
        if let Some(position) = segment.positions.get(keep).copied() {
            segment.file.set_len(position)?;
            segment.file.sync_data()?;
            segment.len = position;
            segment.positions.truncate(keep);
        }
        Ok(())
    }

    /// Removes the segments all of whose entries are before `index`; the next entry starts a new one where none is left.
    ///
    /// # Errors
    /// As the disk says; the segments must not be used any more then.
    pub(super) fn purge_before(&mut self, index: u64) -> io::Result<()> {
        while self.segments.first().is_some_and(|segment| segment.next() <= index) {
            self.remove(0)?;
        }
        Ok(())
    }

    fn remove(&mut self, at: usize) -> io::Result<()> {
        let segment = self.segments.remove(at);
        self.disk.remove_file(&segment.path)?;
        self.disk.sync_dir(&self.dir)
    }
}

/// What could not be synced may be lost whatever the disk says the next time, so a failure to is never one that is waited
/// out as a full disk is.
pub(super) fn not_durable(error: io::Error) -> io::Error {
    io::Error::other(format!("not durable: {error}"))
}

/// Positions and entries of the good frames at the start of `bytes`, and where they end.
fn scan(path: &Path, bytes: &[u8], first: u64) -> Result<(Vec<u64>, Vec<Entry>, usize), OpenError> {
    let (mut positions, mut entries, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(frame) = read_frame(&bytes[at..]) {
        let position = at as u64;
        let entry =
            take_entry(frame.body).map_err(|error| OpenError::Format { path: path.to_owned(), position, error })?;
        let expected = first + positions.len() as u64;
        if entry.index() != expected {
            return Err(OpenError::Gap { path: path.to_owned(), expected });
        }
        positions.push(position);
        entries.push(entry);
        at += frame.len();
    }
    Ok((positions, entries, at))
}

fn first_indexes(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<u64>, OpenError> {
    let listed = disk.list(dir).map_err(|error| OpenError::io(dir, error))?;
    let names = listed.iter().filter_map(|entry| entry.name.strip_prefix(PREFIX));
    let mut firsts: Vec<u64> = names.filter_map(|digits| digits.parse().ok()).collect();
    firsts.sort_unstable();
    Ok(firsts)
}
