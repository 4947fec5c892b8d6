//! A segment: a file of record batches and its indexes.
//!
//! Only the last segment of a log is active; what is known of it in memory is in [`Active`]. A sealed segment keeps
//! nothing in memory but its names: files are opened when they are read, and sizes are asked for once.
//!
//! Invariants: one writer at a time (the log's lock); a reader waits for no file access of the writer; a batch that was
//! not written whole is cut off again, or the segment reports [`WriteFailure::Torn`] and must not be appended to.

pub(crate) mod active;
mod ahead;
mod lookup;
mod mend;
pub(crate) mod name;
mod resume;
pub(crate) mod walk;

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ottla_disk::{DiskFile, is_full};
use ottla_records::{BatchHeader, HEADER_LEN};
use ottla_types::{Millis, Offset};
use parking_lot::Mutex;

pub(crate) use self::active::{Active, LargestTimestamp, Place};
use self::{
    ahead::Ahead,
    name::{FileKind, file_name},
    walk::{HeaderWalk, LONG, Placed, WalkError},
};
use crate::{
    AbortedTransaction,
    cleaner::CleanedSegment,
    damage::{Marks, check::Anchor},
    handles::{Handle, HandleCache},
    index::{self, Hint, time_index::TimeEntry, txn_index},
    unsynced::Changes,
};

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The file is as it was before.
    Clean(io::Error),
    /// Part of the batch may stand behind the end of the segment, and could not be cut off.
    Torn(io::Error),
}

/// What was found out of a sealed segment, so that it is asked for once.
#[derive(Clone, Copy, Debug, Default)]
struct Sealed {
    size: Option<u64>,
    largest: Option<Option<LargestTimestamp>>,
    /// Who says so.
    largest_by: Witness,
}

/// Who says what the largest timestamp of a segment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// The index alone.
    #[default]
    Index,
    /// The batch that the index names, too.
    Batch,
    /// All batches.
    Batches,
}

/// A segment of a log.
#[derive(Debug)]
pub(crate) struct Segment {
    base: Offset,
    log: Arc<Handle>,
    offset_index: Arc<Handle>,
    time_index: Arc<Handle>,
    txn_index: Arc<Handle>,
    has_txn_index: AtomicBool,
    active: Mutex<Option<Box<Active>>>,
    /// Whether part of a batch may stand behind the end, which a full disk did not let go.
    torn: AtomicBool,
    /// Entries of the index of aborted transactions that found no room in it; readers see them.
    unwritten_aborted: Mutex<Vec<AbortedTransaction>>,
    /// What is known of a sealed segment; nothing of an active one.
    sealed: Mutex<Sealed>,
    /// Bytes of the log file that are known to be durable.
    synced: AtomicU64,
    unsynced_indexes: Changes,
    /// What is known of its damage.
    damage: Marks,
    /// In the offset index.
    last_found: Hint,
    ahead: Ahead,
    /// Whether it was looked into that offsets are missing at its end, and nothing was found wrong.
    ends_early: AtomicBool,
}

impl Segment {
    /// A segment whose files are there, or will be.
    pub(crate) fn new(handles: &Arc<HandleCache>, dir: &Arc<Path>, base: Offset, has_txn_index: bool) -> Self {
        let handle = |kind| handles.handle(dir, file_name(base, kind));
        Self {
            base,
            log: handle(FileKind::Log),
            offset_index: handle(FileKind::OffsetIndex),
            time_index: handle(FileKind::TimeIndex),
            txn_index: handle(FileKind::TxnIndex),
            has_txn_index: AtomicBool::new(has_txn_index),
            active: Mutex::default(),
            torn: AtomicBool::new(false),
            unwritten_aborted: Mutex::default(),
            sealed: Mutex::default(),
            synced: AtomicU64::new(0),
            unsynced_indexes: Changes::default(),
            damage: Marks::default(),
            last_found: Hint::default(),
            ahead: Ahead::default(),
            ends_early: AtomicBool::new(false),
        }
    }

    /// Creates the empty log file and makes the segment the active one.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn create(handles: &Arc<HandleCache>, dir: &Arc<Path>, base: Offset, now: Millis) -> io::Result<Self> {
        let segment = Self::new(handles, dir, base, false);
        if let Err(error) = segment.begin_empty() {
            // A file of that name would be taken for the end of the log, which may go on in another one.
            segment.log.remove()?;
            return Err(error);
        }
        *segment.active.lock() = Some(Box::new(Active::new(base, now)));
        Ok(segment)
    }

    fn begin_empty(&self) -> io::Result<()> {
        let file = self.log.get_or_create()?;
        // Cut to nothing, even where there is nothing, a file is written back when it is closed (ext4), be it to be deleted.
        if file.len()? > 0 {
            file.set_len(0)?;
        }
        self.offset_index.remove()?;
        self.time_index.remove()?;
        self.txn_index.remove()
    }

    /// The sealed segment that a compacted copy is. Its files need not have their names yet.
    pub(crate) fn of_copy(handles: &Arc<HandleCache>, dir: &Arc<Path>, copy: CleanedSegment) -> Self {
        let has_txn_index = copy.files.iter().any(|(kind, _)| *kind == FileKind::TxnIndex);
        let segment = Self::new(handles, dir, copy.base, has_txn_index);
        *segment.sealed.lock() =
            Sealed { size: Some(copy.size), largest: Some(copy.largest), largest_by: Witness::Batches };
        segment.note_synced(copy.size);
        for (kind, file) in copy.files {
            match kind {
                FileKind::Log => segment.log.adopt(file),
                FileKind::OffsetIndex => segment.offset_index.adopt(file),
                FileKind::TimeIndex => segment.time_index.adopt(file),
                FileKind::TxnIndex => segment.txn_index.adopt(file),
                FileKind::Snapshot => {}
            }
        }
        segment
    }

    /// The files of the copy have their names.
    pub(crate) fn settle(&self) {
        for handle in [&self.log, &self.offset_index, &self.time_index, &self.txn_index] {
            handle.settle();
        }
    }

    /// First offset that the segment may hold.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// The open log file.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.log.get()
    }

    /// Bytes of the log file.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn size(&self) -> io::Result<u64> {
        if let Some(active) = &*self.active.lock() {
            return Ok(active.size);
        }
        if let Some(size) = self.sealed.lock().size {
            return Ok(size);
        }
        let size = self.log.get()?.len()?;
        self.sealed.lock().size = Some(size);
        Ok(size)
    }

    /// Looks at the in-memory side; none for a sealed segment.
    pub(crate) fn with_active<R>(&self, look: impl FnOnce(&Active) -> R) -> Option<R> {
        self.active.lock().as_deref().map(look)
    }

    /// Writes a batch behind the last one. `batch` is the header as it stands in `head`.
    ///
    /// # Errors
    /// Says whether the segment can still be appended to.
    pub(crate) fn append(
        &self,
        batch: &BatchHeader,
        head: &[u8; HEADER_LEN],
        body: &[u8],
        interval_bytes: u32,
    ) -> Result<(), WriteFailure> {
        let file = self.log.get().map_err(WriteFailure::Clean)?;
        let end = self.with_active(|active| active.size).ok_or_else(sealed).map_err(WriteFailure::Clean)?;
        self.cut_torn(&*file, end).map_err(WriteFailure::Clean)?;
        self.ahead.prepare(&*file, end, end + batch.size_in_bytes() as u64);
        if let Err(error) = file.write_all_at(&mut [IoSlice::new(head), IoSlice::new(body)], end) {
            return Err(match file.set_len(end) {
                Ok(()) => WriteFailure::Clean(error),
                // Some file systems need room to make room; what stands there is cut off before the next batch.
                Err(cut) if is_full(&cut) => {
                    self.torn.store(true, Ordering::Release);
                    WriteFailure::Clean(error)
                }
                Err(_) => WriteFailure::Torn(error),
            });
        }
        let block_full = self.active.lock().as_mut().is_some_and(|active| active.note(batch, interval_bytes));
        if block_full && let Err(error) = self.write_indexes() {
            // The entries stay in memory; the next block, the roll or the close tries again.
            tracing::debug!(segment = self.base.0, %error, "index entries were not written");
        }
        Ok(())
    }

    fn cut_torn(&self, file: &dyn DiskFile, end: u64) -> io::Result<()> {
        if self.torn.load(Ordering::Acquire) {
            file.set_len(end)?;
            self.torn.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Adds an entry to the index of aborted transactions. One that finds no room stays in memory until it does; the
    /// segment is not closed before.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn append_aborted(&self, entry: &AbortedTransaction) -> io::Result<()> {
        let mut unwritten = self.unwritten_aborted.lock();
        unwritten.push(*entry);
        self.has_txn_index.store(true, Ordering::Release);
        match self.write_aborted(&mut unwritten) {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn write_aborted(&self, unwritten: &mut Vec<AbortedTransaction>) -> io::Result<()> {
        while let Some(entry) = unwritten.first() {
            let written = self.txn_index.get_or_create().and_then(|file| txn_index::append(&*file, entry));
            self.unsynced_indexes.note();
            written?;
            unwritten.remove(0);
        }
        Ok(())
    }

    /// Calls `each` with the aborted transactions of this segment until it says false.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn walk_aborted(&self, mut each: impl FnMut(AbortedTransaction) -> bool) -> io::Result<()> {
        if !self.has_txn_index.load(Ordering::Acquire) {
            return Ok(());
        }
        // Held while the file is read, so that an entry is found in one place or the other.
        let unwritten = self.unwritten_aborted.lock();
        let mut goes_on = true;
        if let Some(file) = self.txn_index.get_if_exists()? {
            txn_index::walk(&*file, |entry| {
                goes_on = each(entry);
                goes_on
            })?;
        }
        for entry in &*unwritten {
            if !goes_on {
                break;
            }
            goes_on = each(*entry);
        }
        Ok(())
    }

    /// Whether readers of committed records have transactions to leave out here.
    pub(crate) fn has_aborted(&self) -> bool {
        self.has_txn_index.load(Ordering::Acquire)
    }

    /// The headers from `position` to the end of the segment.
    ///
    /// # Errors
    /// `each` gets the error that ends the walk; an error of its own ends it too.
    pub(crate) fn walk<E: From<WalkError>>(
        &self,
        position: u64,
        mut each: impl FnMut(&dyn DiskFile, Placed) -> Result<bool, E>,
    ) -> Result<(), E> {
        let file = self.log.get().map_err(WalkError::Io)?;
        let size = self.size().map_err(WalkError::Io)?;
        for placed in HeaderWalk::new(&*file, position, size, LONG).without(self.damage.places()) {
            if !each(&*file, placed?)? {
                break;
            }
        }
        Ok(())
    }

    /// The largest timestamp in the segment; none where there is no batch.
    ///
    /// # Errors
    /// As the file system says, or where a batch is damaged.
    pub(crate) fn largest_timestamp(&self) -> Result<Option<LargestTimestamp>, WalkError> {
        if let Some(largest) = self.with_active(|active| active.largest) {
            return Ok(largest);
        }
        if let Some(largest) = self.sealed.lock().largest {
            return Ok(largest);
        }
        let largest = match self.last_time_entry()? {
            Some(largest) => Some(largest),
            None => self.walk_for_largest()?,
        };
        self.sealed.lock().largest = Some(largest);
        Ok(largest)
    }

    /// The same where a wrong index must not decide: the batch that the index names is asked.
    ///
    /// # Errors
    /// As [`Segment::largest_timestamp`].
    pub(crate) fn sure_largest_timestamp(&self) -> Result<Option<LargestTimestamp>, WalkError> {
        let is_active = self.with_active(|active| active.largest).is_some();
        let said = self.largest_timestamp()?;
        if is_active || self.sealed.lock().largest_by > Witness::Index {
            return Ok(said);
        }
        let entry = said.map(|said| TimeEntry {
            timestamp: said.timestamp.0,
            relative: (said.batch_last.0 - self.base.0) as u32, // it comes from such an entry, or from a batch of here
        });
        if entry.is_some() && self.checked_time_entry(entry)?.is_none() {
            return self.largest_timestamp_of_batches();
        }
        self.sealed.lock().largest_by = Witness::Batch;
        Ok(said)
    }

    /// The same from the batches alone.
    ///
    /// # Errors
    /// As [`Segment::largest_timestamp`].
    pub(crate) fn largest_timestamp_of_batches(&self) -> Result<Option<LargestTimestamp>, WalkError> {
        if self.sealed.lock().largest_by == Witness::Batches || self.with_active(|_| ()).is_some() {
            return self.largest_timestamp();
        }
        let largest = self.walk_for_largest()?;
        let mut sealed = self.sealed.lock();
        (sealed.largest, sealed.largest_by) = (Some(largest), Witness::Batches);
        Ok(largest)
    }

    /// Largest timestamp of the first batch; none where there is no batch.
    ///
    /// # Errors
    /// As the file system says, or where the batch is damaged.
    pub(crate) fn first_timestamp(&self) -> Result<Option<Millis>, WalkError> {
        if let Some(first) = self.with_active(|active| active.first_timestamp) {
            return Ok(first);
        }
        let (file, size) = (self.log.get()?, self.size()?);
        let first = HeaderWalk::new(&*file, 0, size, HEADER_LEN).without(self.damage.places()).next().transpose()?;
        Ok(first.map(|placed| placed.header.max_timestamp))
    }

    /// Bytes of the offset index and of the time index.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn index_bytes(&self) -> io::Result<(u64, u64)> {
        let bytes = |handle: &Arc<Handle>| handle.get_if_exists()?.map_or(Ok(0), |file| file.len());
        Ok((bytes(&self.offset_index)?, bytes(&self.time_index)?))
    }

    fn last_time_entry(&self) -> io::Result<Option<LargestTimestamp>> {
        let Some(file) = self.time_index.get_if_exists()? else { return Ok(None) };
        let Some(last) = index::count::<TimeEntry>(&*file)?.checked_sub(1) else { return Ok(None) };
        let entry = index::read_entry::<TimeEntry>(&*file, last)?;
        let batch_last = self.base.plus(i64::from(entry.relative));
        Ok(Some(LargestTimestamp { timestamp: Millis(entry.timestamp), batch_last }))
    }

    fn walk_for_largest(&self) -> Result<Option<LargestTimestamp>, WalkError> {
        let mut largest: Option<LargestTimestamp> = None;
        self.walk(0, |_, placed| {
            let timestamp = placed.header.max_timestamp;
            let has_records = placed.header.records_count > 0;
            if has_records && largest.is_none_or(|largest| timestamp > largest.timestamp) {
                largest = Some(LargestTimestamp { timestamp, batch_last: placed.header.last_offset() });
            }
            Ok::<_, WalkError>(true)
        })?;
        Ok(largest)
    }

    /// Writes the index entries that are only in memory. The entries are taken out and marked as written under the lock
    /// that readers take, the writing is outside of it.
    ///
    /// # Errors
    /// As the file system says; the entries stay in memory.
    pub(crate) fn write_indexes(&self) -> io::Result<()> {
        self.write_aborted(&mut self.unwritten_aborted.lock())?;
        let (offsets, times) = match &*self.active.lock() {
            Some(active) => (active.offsets.unwritten(), active.times.unwritten()),
            None => return Ok(()),
        };
        if let Some((bytes, position)) = offsets {
            self.write_index(&self.offset_index, &bytes, position)?;
            self.active.lock().iter_mut().for_each(|active| active.offsets.note_written());
        }
        if let Some((bytes, position)) = times {
            self.write_index(&self.time_index, &bytes, position)?;
            self.active.lock().iter_mut().for_each(|active| active.times.note_written());
        }
        Ok(())
    }

    fn write_index(&self, index: &Arc<Handle>, bytes: &[u8], position: u64) -> io::Result<()> {
        let written = index.get_or_create().and_then(|file| file.write_all_at(&mut [IoSlice::new(bytes)], position));
        self.unsynced_indexes.note();
        written
    }

    /// Adds the last time entry, writes the indexes and creates those files that are missing, as Kafka leaves a segment
    /// that it closes.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn finish_indexes(&self) -> io::Result<()> {
        if let Some(active) = &mut *self.active.lock() {
            active.push_time_entry();
        }
        for handle in [&self.offset_index, &self.time_index] {
            if handle.get_if_exists()?.is_none() {
                handle.get_or_create()?;
                self.unsynced_indexes.note();
            }
        }
        self.write_indexes()
    }

    /// The segment is not appended to from now on.
    pub(crate) fn seal(&self) {
        let mut active = self.active.lock();
        let Some(was) = active.take() else { return };
        *self.sealed.lock() = Sealed { size: Some(was.size), largest: Some(was.largest), largest_by: Witness::Batches };
        drop(active);
        if let Ok(file) = self.log.get() {
            Ahead::give_back(&*file, was.size);
        }
    }

    /// Makes the log file durable, and the indexes of a sealed segment.
    ///
    /// # Errors
    /// As the file system says; what was written since the last flush is then to be taken for lost.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let size = self.size()?;
        if self.synced.load(Ordering::Acquire) < size {
            self.log.get()?.sync_data()?;
            self.synced.fetch_max(size, Ordering::AcqRel);
        }
        if self.active.lock().is_none() {
            self.sync_indexes()?;
        }
        Ok(())
    }

    /// Makes what was written to the indexes durable; whether there was anything.
    ///
    /// # Errors
    /// As the file system says; the next call tries again.
    pub(crate) fn sync_indexes(&self) -> io::Result<bool> {
        let Some(unsynced) = self.unsynced_indexes.pending() else { return Ok(false) };
        for handle in [&self.offset_index, &self.time_index, &self.txn_index] {
            if let Some(file) = handle.get_if_exists()? {
                file.sync_data()?;
            }
        }
        self.unsynced_indexes.settle(unsynced);
        Ok(true)
    }

    /// What was written to the indexes and how far that is durable.
    pub(crate) fn unsynced_indexes(&self) -> &Changes {
        &self.unsynced_indexes
    }

    /// What is in the file is durable: so it was found at the start, or a flush said so.
    pub(crate) fn note_synced(&self, size: u64) {
        self.synced.fetch_max(size, Ordering::AcqRel);
    }

    /// Removes all files of the segment.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for handle in [&self.log, &self.offset_index, &self.time_index, &self.txn_index] {
            handle.remove()?;
        }
        Ok(())
    }

    /// Gives all files of the segment the names of files that are to be removed, and says which those are. Who still reads
    /// the segment goes on.
    ///
    /// # Errors
    /// As the file system says; the files before the one that failed have their new names.
    pub(crate) fn retire(&self) -> io::Result<Vec<PathBuf>> {
        let handles = [&self.log, &self.offset_index, &self.time_index, &self.txn_index];
        handles.into_iter().filter_map(|handle| handle.retire().transpose()).collect()
    }

    /// When the log file last changed, where the file system tells.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn modified(&self) -> io::Result<Option<Millis>> {
        self.log.get()?.modified()
    }

    /// Closes the files; they open again when they are used.
    pub(crate) fn close(&self) {
        for handle in [&self.log, &self.offset_index, &self.time_index, &self.txn_index] {
            handle.close();
        }
    }
}

fn sealed() -> io::Error {
    io::Error::other("the segment is sealed")
}

#[cfg(test)]
mod tests;
