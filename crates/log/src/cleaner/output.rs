//! The copy of a group of segments, with its indexes, in files named `.cleaned` until it takes their place.
//!
//! As long as batches come as they stand in the group's first segment, nothing is written: a group that compaction leaves
//! as it is costs no writing at all, and one that changes late has its beginning copied when the change comes.
//!
//! Invariant: what is finished is durable, names included. What is dropped unfinished may leave files; the next pass begins
//! with their removal, as does the next opening of the log, for a `.cleaned` file says that nothing was decided yet.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::{Disk, DiskFile, OpenMode};
use ottla_records::BatchHeader;
use ottla_types::{Millis, Offset};

use crate::{
    AbortedTransaction, LogConfig,
    segment::{
        Active, LargestTimestamp,
        name::{FileKind, cleaned_name},
    },
};

/// See the file's head.
pub(crate) struct Output<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    base: Offset,
    interval_bytes: u32,
    buffer_bytes: usize,
    /// What the first segment of the group holds; none once the copy is written to.
    prefix_of: Option<Arc<dyn DiskFile>>,
    log: Option<Arc<dyn DiskFile>>,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    active: Active,
    aborted: Vec<AbortedTransaction>,
}

/// A copy that is complete and durable.
#[derive(Debug)]
pub(crate) struct CleanedSegment {
    pub(crate) base: Offset,
    pub(crate) size: u64,
    pub(crate) largest: Option<LargestTimestamp>,
    /// The open files, by kind; one of aborted transactions only where there are any.
    pub(crate) files: Vec<(FileKind, Arc<dyn DiskFile>)>,
}

impl<'a> Output<'a> {
    /// A copy of the group that begins with a segment at `base` whose log file is `first`.
    pub(super) fn new(
        disk: &'a dyn Disk,
        dir: &'a Path,
        base: Offset,
        first: Arc<dyn DiskFile>,
        config: &LogConfig,
        buffer_bytes: usize,
    ) -> Self {
        Self {
            disk,
            dir,
            base,
            interval_bytes: config.index_interval_bytes,
            buffer_bytes: buffer_bytes.max(4096),
            prefix_of: Some(first),
            log: None,
            buffer: Vec::new(),
            written: 0,
            active: Active::new(base, Millis::NONE),
            aborted: Vec::new(),
        }
    }

    /// Bytes of the copy so far.
    pub(super) fn size(&self) -> u64 {
        self.active.size
    }

    /// Whether all of it stands at the front of the group's first segment, and nothing was written.
    pub(super) fn is_untouched(&self) -> bool {
        self.prefix_of.is_some()
    }

    /// A batch from the group, as it is; `in_place` says that it is the next one of the group's first segment.
    pub(super) fn keep(&mut self, header: &BatchHeader, bytes: &[u8], in_place: bool) -> io::Result<()> {
        if self.prefix_of.is_some() && in_place {
            self.active.note(header, self.interval_bytes);
            return Ok(());
        }
        self.push(header, bytes)
    }

    /// A batch that is not the group's own, or not in the group's order.
    pub(super) fn push(&mut self, header: &BatchHeader, bytes: &[u8]) -> io::Result<()> {
        self.touch()?;
        self.active.note(header, self.interval_bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= self.buffer_bytes {
            self.flush()?;
        }
        Ok(())
    }

    /// An aborted transaction whose marker is the next batch.
    pub(super) fn push_aborted(&mut self, entry: AbortedTransaction) {
        self.aborted.push(entry);
    }

    /// From here on the copy differs from the group's first segment.
    pub(super) fn touch(&mut self) -> io::Result<()> {
        let Some(first) = self.prefix_of.take() else { return Ok(()) };
        self.create()?;
        while self.written < self.active.size {
            let len = (self.active.size - self.written).min(self.buffer_bytes as u64) as usize;
            self.buffer.resize(len, 0);
            first.read_exact_at(&mut self.buffer, self.written)?;
            self.flush()?;
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let file = open_empty(self.disk, &self.path(FileKind::Log))?;
        self.log = Some(Arc::clone(&file));
        Ok(file)
    }

    fn flush(&mut self) -> io::Result<()> {
        let log = match &self.log {
            Some(log) => Arc::clone(log),
            None => self.create()?,
        };
        log.write_all_at(&mut [IoSlice::new(&self.buffer)], self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn path(&self, kind: FileKind) -> PathBuf {
        self.dir.join(cleaned_name(self.base, kind))
    }

    /// Writes what is left and makes all of it durable.
    pub(super) fn finish(&mut self) -> io::Result<CleanedSegment> {
        self.touch()?;
        self.flush()?;
        self.active.push_time_entry();
        let mut files: Vec<(FileKind, Arc<dyn DiskFile>)> = Vec::new();
        files.extend(self.log.take().map(|log| (FileKind::Log, log)));
        let offsets = self.active.offsets.unwritten().map(|(bytes, _)| bytes).unwrap_or_default();
        let times = self.active.times.unwritten().map(|(bytes, _)| bytes).unwrap_or_default();
        let aborted: Vec<u8> = self.aborted.iter().flat_map(|entry| entry.encode()).collect();
        for (kind, bytes) in
            [(FileKind::OffsetIndex, offsets), (FileKind::TimeIndex, times), (FileKind::TxnIndex, aborted)]
        {
            if kind == FileKind::TxnIndex && bytes.is_empty() {
                continue; // there is such a file only where it has an entry
            }
            let file = open_empty(self.disk, &self.path(kind))?;
            file.write_all_at(&mut [IoSlice::new(&bytes)], 0)?;
            files.push((kind, file));
        }
        files.iter().try_for_each(|(_, file)| file.sync_data())?;
        self.disk.sync_dir(self.dir)?;
        Ok(CleanedSegment { base: self.base, size: self.active.size, largest: self.active.largest, files })
    }

    /// Removes what was written.
    pub(super) fn discard(&self) {
        for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex] {
            // What cannot be removed now is removed when the log is opened next.
            let _ = self.disk.remove_file(&self.path(kind));
        }
    }
}

fn open_empty(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    Ok(file)
}
