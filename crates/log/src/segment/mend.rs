//! What is known of a segment's damage, and making its indexes again while it is read.

use std::{io, sync::atomic::Ordering};

use ottla_disk::Disk;
use ottla_types::Millis;

use super::{Active, Anchor, Marks, Segment, Witness};
use crate::{
    AbortedTransaction, Damage, LogConfig,
    checkpoint::write_atomic,
    damage::indexes::IndexCheck,
    index::{ActiveIndex, Entry, offset_index::OffsetEntry, txn_index},
    segment::walk::WalkError,
};

impl Segment {
    /// What is known of its damage.
    pub(crate) fn damage(&self) -> &Marks {
        &self.damage
    }

    /// Whether missing offsets at the end of the segment have to be looked into.
    pub(crate) fn may_lack_its_end(&self) -> bool {
        !self.ends_early.load(Ordering::Acquire)
    }

    /// They are missing because compaction took them; whether that was not known.
    pub(crate) fn note_early_end(&self) -> bool {
        !self.ends_early.swap(true, Ordering::AcqRel)
    }

    /// The places that the offset index names, by position; of the active segment those in memory too.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn anchors(&self) -> io::Result<Vec<Anchor>> {
        let mut bytes = Vec::new();
        if let Some(file) = self.offset_index.get_if_exists()? {
            bytes.resize(file.len()? as usize, 0);
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
        }
        let unwritten = self.with_active(|active| active.offsets.unwritten()).flatten();
        if let Some((newest, position)) = unwritten {
            bytes.truncate(position as usize);
            bytes.extend_from_slice(&newest);
        }
        let anchor = |entry: OffsetEntry| Anchor {
            position: u64::from(entry.position),
            last: self.base.plus(i64::from(entry.relative)),
        };
        let mut anchors: Vec<_> = bytes.chunks_exact(OffsetEntry::LEN).map(OffsetEntry::decode).map(anchor).collect();
        anchors.sort_by_key(|anchor| anchor.position);
        Ok(anchors)
    }

    /// The indexes of a sealed segment, to be held against its batches.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn index_check(&self, interval_bytes: u32) -> io::Result<IndexCheck> {
        let (offsets, times) = (self.offset_index.get_if_exists()?, self.time_index.get_if_exists()?);
        IndexCheck::new(self.base, offsets.as_deref(), times.as_deref(), interval_bytes)
    }

    /// Puts indexes made from the log in the place of those of a sealed segment, while others read. The caller sees to it
    /// that the segment is not taken out of use meanwhile.
    ///
    /// # Errors
    /// As the file system says, or where there is a damage that is not known.
    pub(crate) fn replace_indexes(&self, disk: &dyn Disk, config: &LogConfig) -> Result<(), WalkError> {
        let (file, size) = (self.log.get()?, self.size()?);
        let mut active = Active::new(self.base, Millis::NONE);
        self.note_rest(&*file, &mut active, size, config)?;
        active.push_time_entry();
        write_atomic(disk, &self.offset_index.path(), &all(&active.offsets))?;
        write_atomic(disk, &self.time_index.path(), &all(&active.times))?;
        self.offset_index.close();
        self.time_index.close();
        let mut sealed = self.sealed.lock();
        (sealed.largest, sealed.largest_by) = (Some(active.largest), Witness::Batches);
        Ok(())
    }

    /// Whether so many entries are all that is in the index of aborted transactions.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn holds_aborted(&self, entries: usize) -> io::Result<bool> {
        let len = self.txn_index.get_if_exists()?.map_or(Ok(0), |file| file.len())?;
        Ok(len == (entries * txn_index::ENTRY_LEN) as u64)
    }

    /// The same for the index of aborted transactions.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn replace_aborted(&self, disk: &dyn Disk, aborted: &[AbortedTransaction]) -> io::Result<()> {
        let bytes: Vec<u8> = aborted.iter().flat_map(AbortedTransaction::encode).collect();
        write_atomic(disk, &self.txn_index.path(), &bytes)?;
        self.txn_index.close();
        self.has_txn_index.store(true, Ordering::Release);
        Ok(())
    }

    /// The damaged places that a cut at `position` leaves.
    pub(crate) fn damages_before(&self, position: u64) -> Vec<Damage> {
        self.damage.places().into_iter().filter(|damage| damage.end <= position && damage.position < position).collect()
    }
}

/// The bytes of an index none of which is in a file.
fn all<E: Entry>(index: &ActiveIndex<E>) -> Vec<u8> {
    index.unwritten().map(|(bytes, _)| bytes).unwrap_or_default()
}
