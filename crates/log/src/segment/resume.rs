//! Taking up an existing segment as the active one, rebuilding its indexes, cutting it.

use std::{io, sync::atomic::Ordering};

use ottla_disk::DiskFile;
use ottla_records::BatchHeader;
use ottla_types::{Millis, Offset};

use super::{
    Active, Sealed, Segment,
    active::LargestTimestamp,
    walk::{HeaderWalk, LONG, Placed, SHORT, WalkError},
};
use crate::{
    LogConfig,
    index::{self, ActiveIndex, Entry, offset_index::OffsetEntry, time_index::TimeEntry, txn_index},
};

/// Entries of an index that are read in one call when it is checked.
const CHECK_BLOCK: usize = 4096;

impl Segment {
    /// Makes the segment, whose log file is whole up to `size` but for damaged places that are known, the active one. Walks
    /// only over the batches behind the last index entry; where the indexes do not fit the log they are rebuilt. Whether they
    /// were, though the segment is not empty.
    ///
    /// # Errors
    /// As the file system says, or where a batch is damaged.
    pub(crate) fn resume(&self, size: u64, config: &LogConfig, now: Millis) -> Result<bool, WalkError> {
        let (active, rebuilt) = match self.resume_from_indexes(size, config, now) {
            Ok(Some(active)) => (active, false),
            Err(WalkError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            Ok(None) | Err(_) => (self.rebuild(size, config, now)?, size > 0),
        };
        *self.active.lock() = Some(Box::new(active));
        Ok(rebuilt)
    }

    /// None where the index does not fit the log.
    fn resume_from_indexes(&self, size: u64, config: &LogConfig, now: Millis) -> Result<Option<Active>, WalkError> {
        let file = self.log.get()?;
        let mut active = Active::new(self.base, now);
        let Some(index) = self.offset_index.get_if_exists()? else { return Ok(None) };
        let Some(times) = self.time_index.get_if_exists()? else { return Ok(None) };
        let entries = index::count::<OffsetEntry>(&*index)?;
        let time_entries = index::count::<TimeEntry>(&*times)?;
        if let Some(last) = entries.checked_sub(1) {
            let entry = index::read_entry::<OffsetEntry>(&*index, last)?;
            if !self.entry_fits(&*file, entry, size)? {
                return Ok(None);
            }
            active.first_timestamp = first_batch(&*file, size)?.map(|batch| batch.max_timestamp);
            active.offsets = ActiveIndex::resume(entries, Some(entry));
            active.skip_to(entry);
        }
        if let Some(last) = time_entries.checked_sub(1) {
            let entry = index::read_entry::<TimeEntry>(&*times, last)?;
            let batch_last = self.base.plus(i64::from(entry.relative));
            active.times = ActiveIndex::resume(time_entries, Some(entry));
            active.largest = Some(LargestTimestamp { timestamp: Millis(entry.timestamp), batch_last });
        }
        self.note_rest(&*file, &mut active, size, config)?;
        Ok(Some(active))
    }

    /// Whether a batch that ends at the entry's offset stands at its position.
    fn entry_fits(&self, file: &dyn DiskFile, entry: OffsetEntry, size: u64) -> Result<bool, WalkError> {
        let position = u64::from(entry.position);
        let expected = self.base.plus(i64::from(entry.relative));
        let found = HeaderWalk::new(file, position, size, SHORT).next().transpose()?;
        Ok(position > 0 && found.is_some_and(|found| found.header.last_offset() == expected))
    }

    /// Notes the batches from `active.size` to `size`; the first of them has its index entry already, if there is one.
    pub(super) fn note_rest(
        &self,
        file: &dyn DiskFile,
        active: &mut Active,
        size: u64,
        config: &LogConfig,
    ) -> Result<(), WalkError> {
        let damages = self.damage.places();
        for placed in HeaderWalk::new(file, active.size, size, LONG).without(damages.clone()) {
            let Placed { position, header } = placed?;
            if !active.fits_offset(header.last_offset()) {
                return Ok(()); // a batch from elsewhere; what follows is not this segment's
            }
            if position > active.size {
                active.hop(position, header.base_offset);
            }
            active.note(&header, config.index_interval_bytes);
        }
        if let Some(last) = damages.last().filter(|last| last.end == size) {
            active.hop(size, last.next);
        }
        Ok(())
    }

    /// Writes both indexes anew from the log.
    fn rebuild(&self, size: u64, config: &LogConfig, now: Millis) -> Result<Active, WalkError> {
        let file = self.log.get()?;
        for handle in [&self.offset_index, &self.time_index] {
            self.cut_index(&*handle.get_or_create()?, 0)?;
        }
        let mut active = Active::new(self.base, now);
        self.note_rest(&*file, &mut active, size, config)?;
        Ok(active)
    }

    /// Rebuilds the indexes of a sealed segment and leaves them written.
    ///
    /// # Errors
    /// As the file system says, or where a batch is damaged.
    pub(crate) fn rebuild_sealed(&self, size: u64, config: &LogConfig) -> Result<(), WalkError> {
        let active = self.rebuild(size, config, Millis::NONE)?;
        *self.active.lock() = Some(Box::new(active));
        let written = self.finish_indexes();
        self.seal();
        Ok(written?)
    }

    /// Where to start checking the batches of a log file of `len` bytes so that all behind the last index entry are
    /// checked. An offset index that does not fit the log is emptied; of the time index, entries are dropped until the
    /// last one fits.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn checked_start(&self, len: u64) -> io::Result<u64> {
        let start = self.checked_offset_index(len)?;
        let Some(times) = self.time_index.get_if_exists()? else { return Ok(start) };
        while let Some(last) = index::count::<TimeEntry>(&*times)?.checked_sub(1) {
            if self.time_entry_fits(index::read_entry(&*times, last)?)? {
                break;
            }
            self.cut_index(&*times, (last * TimeEntry::LEN) as u64)?;
        }
        Ok(start)
    }

    /// Whether a batch that ends at the entry's offset has its timestamp.
    fn time_entry_fits(&self, entry: TimeEntry) -> io::Result<bool> {
        let last = self.base.plus(i64::from(entry.relative));
        match self.find_batch(last) {
            Ok(found) => Ok(found.is_some_and(|found| {
                found.header.last_offset() == last && found.header.max_timestamp.0 == entry.timestamp
            })),
            Err(WalkError::Io(error)) => Err(error),
            Err(WalkError::Bad { .. }) => Ok(false),
        }
    }

    fn checked_offset_index(&self, len: u64) -> io::Result<u64> {
        let Some(index) = self.offset_index.get_if_exists()? else { return Ok(0) };
        let Some(last) = index::count::<OffsetEntry>(&*index)?.checked_sub(1) else { return Ok(0) };
        let entry = index::read_entry::<OffsetEntry>(&*index, last)?;
        match self.entry_fits(&*self.log.get()?, entry, len) {
            Ok(true) => return Ok(u64::from(entry.position)),
            Err(WalkError::Io(error)) => return Err(error),
            Ok(false) | Err(WalkError::Bad { .. }) => {}
        }
        self.cut_index(&*index, 0)?;
        if let Some(times) = self.time_index.get_if_exists()? {
            self.cut_index(&*times, 0)?;
        }
        Ok(0)
    }

    /// A clean stop has to make that durable, or cut entries would come back.
    fn cut_index(&self, index: &dyn DiskFile, len: u64) -> io::Result<()> {
        if len < index.len()? {
            index.set_len(len)?;
            self.unsynced_indexes.note();
        }
        Ok(())
    }

    /// Cuts index entries that do not belong to the first `size` bytes of the log or break the order, as a crash may
    /// leave them: entries of batches that were lost, pages of zeros.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn trim_indexes(&self, size: u64, end: Offset) -> io::Result<()> {
        if let Some(file) = self.offset_index.get_if_exists()? {
            let mut last: Option<OffsetEntry> = None;
            let kept = kept::<OffsetEntry>(&*file, |entry| {
                let rises = last.is_none_or(|last| entry.relative > last.relative && entry.position > last.position);
                let fits = u64::from(entry.position) < size
                    && entry.position > 0
                    && self.base.plus(i64::from(entry.relative)) < end;
                last = Some(entry);
                rises && fits
            })?;
            self.cut_index(&*file, kept)?;
        }
        if let Some(file) = self.time_index.get_if_exists()? {
            let mut last: Option<TimeEntry> = None;
            let kept = kept::<TimeEntry>(&*file, |entry| {
                let rises = last.is_none_or(|last| entry.timestamp > last.timestamp && entry.relative > last.relative);
                last = Some(entry);
                rises && self.base.plus(i64::from(entry.relative)) < end
            })?;
            self.cut_index(&*file, kept)?;
        }
        if self.has_txn_index.load(Ordering::Acquire)
            && let Some(file) = self.txn_index.get_if_exists()?
        {
            self.cut_index(&*file, txn_index::kept(&*file, self.base, end)?)?;
        }
        Ok(())
    }

    /// Cuts the log file at `position`, before which all batches end below `end`, and the indexes with it.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn cut(&self, position: u64, end: Offset) -> io::Result<()> {
        *self.active.lock() = None;
        *self.sealed.lock() = Sealed::default();
        self.log.get()?.set_len(position)?;
        self.synced.fetch_min(position, Ordering::AcqRel);
        self.trim_indexes(position, end)
    }
}

/// Bytes of the entries at the front that `keep` says yes to.
fn kept<E: Entry>(file: &dyn DiskFile, mut keep: impl FnMut(E) -> bool) -> io::Result<u64> {
    let len = file.len()?;
    let mut bytes = vec![0; (len as usize).min(CHECK_BLOCK * E::LEN)];
    let mut kept = 0;
    'file: loop {
        let read = file.read_at(&mut bytes, kept)?;
        for entry in bytes[..read].chunks_exact(E::LEN) {
            if !keep(E::decode(entry)) {
                break 'file;
            }
            kept += E::LEN as u64;
        }
        if read < bytes.len() || read < E::LEN {
            break;
        }
    }
    Ok(kept)
}

fn first_batch(file: &dyn DiskFile, size: u64) -> Result<Option<BatchHeader>, WalkError> {
    Ok(HeaderWalk::new(file, 0, size, SHORT).next().transpose()?.map(|placed| placed.header))
}
