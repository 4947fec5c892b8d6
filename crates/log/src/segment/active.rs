//! What is kept in memory of the segment that is appended to: its end, its newest batches, its newest index entries.
//!
//! Invariants: `size` and `next_offset` move together; `marks` are the newest batches without a hole, the last of them
//! ends at `size`; the largest timestamp covers every batch of the segment.

use std::collections::VecDeque;

use ottla_records::BatchHeader;
use ottla_types::{Millis, Offset};

use super::walk::Placed;
use crate::{
    LogConfig,
    index::{ActiveIndex, Entry, Lookup, offset_index::OffsetEntry, time_index::TimeEntry},
};

/// Newest batches whose places are kept: a consumer at the tail then finds its batch without a read.
const MARKS_MAX: usize = 64;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Last offset of the batch relative to the segment's base.
    relative_last: u32,
    position: u32,
}

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A batch starts here and is this long, both in bytes.
    Batch {
        /// Where it starts.
        position: u64,
        /// How long it is.
        len: u64,
    },
    /// Behind the last batch.
    End(u64),
}

impl Place {
    /// Of a batch that was found.
    pub(crate) fn of(placed: &Placed) -> Self {
        Self::Batch { position: placed.position, len: placed.header.size_in_bytes() as u64 }
    }

    /// First byte.
    pub(crate) fn position(self) -> u64 {
        match self {
            Self::Batch { position, .. } | Self::End(position) => position,
        }
    }
}

/// The largest timestamp of a segment and the last offset of the first batch that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LargestTimestamp {
    pub(crate) timestamp: Millis,
    pub(crate) batch_last: Offset,
}

/// The in-memory side of the active segment.
#[derive(Debug)]
pub(crate) struct Active {
    base: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) size: u64,
    pub(crate) offsets: ActiveIndex<OffsetEntry>,
    pub(crate) times: ActiveIndex<TimeEntry>,
    pub(crate) largest: Option<LargestTimestamp>,
    /// Largest timestamp of the first batch: from when `segment.ms` counts.
    pub(crate) first_timestamp: Option<Millis>,
    /// When the segment became active, where there is no timestamp to count from.
    pub(crate) created: Millis,
    marks: VecDeque<Mark>,
    bytes_since_entry: u32,
}

impl Active {
    /// An empty segment, or the part of one up to `size`, which the indexes cover.
    pub(crate) fn new(base: Offset, created: Millis) -> Self {
        Self {
            base,
            next_offset: base,
            size: 0,
            offsets: ActiveIndex::resume(0, None),
            times: ActiveIndex::resume(0, None),
            largest: None,
            first_timestamp: None,
            created,
            marks: VecDeque::new(),
            bytes_since_entry: 0,
        }
    }

    /// Takes in a batch that was written at `size`; whether a block of index entries should be written.
    pub(crate) fn note(&mut self, batch: &BatchHeader, interval_bytes: u32) -> bool {
        let last = batch.last_offset();
        // A batch that compaction emptied has a time, and no record of it.
        let has_records = batch.records_count > 0;
        if has_records && self.largest.is_none_or(|largest| batch.max_timestamp > largest.timestamp) {
            self.largest = Some(LargestTimestamp { timestamp: batch.max_timestamp, batch_last: last });
        }
        self.first_timestamp = self.first_timestamp.or(Some(batch.max_timestamp));
        let relative_last = self.relative(last);
        let position = self.size as u32; // fits: segments stay below 2 GiB
        let mut full = false;
        if self.bytes_since_entry > interval_bytes {
            full = self.offsets.push(OffsetEntry { relative: relative_last, position });
            full |= self.push_time_entry();
            self.bytes_since_entry = 0;
        }
        let len = batch.size_in_bytes();
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(len as u32);
        self.push_mark(Mark { relative_last, position });
        self.size += len as u64;
        self.next_offset = batch.next_offset();
        full
    }

    /// Goes on after `entry`, the last entry of the index: the batches before it are not walked.
    pub(crate) fn skip_to(&mut self, entry: OffsetEntry) {
        self.size = u64::from(entry.position);
        self.bytes_since_entry = 0;
    }

    /// Goes on at `position`, before which bytes are damaged; no batch there begins below `next`. What lies before is found by
    /// the index.
    pub(crate) fn hop(&mut self, position: u64, next: Offset) {
        self.marks.clear();
        self.size = position;
        self.next_offset = self.next_offset.max(next);
    }

    /// Adds an entry with the largest timestamp unless the last entry has it; whether a block is full.
    pub(crate) fn push_time_entry(&mut self) -> bool {
        let Some(largest) = self.largest else { return false };
        if self.times.last().is_some_and(|last| last.key() >= largest.timestamp.0) || largest.timestamp.0 < 0 {
            return false;
        }
        let relative = self.relative(largest.batch_last);
        self.times.push(TimeEntry { timestamp: largest.timestamp.0, relative })
    }

    fn push_mark(&mut self, mark: Mark) {
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
    }

    /// The first batch that ends at `target` or behind it, if that can be told from memory.
    pub(crate) fn place(&self, target: Offset) -> Option<Place> {
        if target >= self.next_offset {
            return Some(Place::End(self.size));
        }
        let target = i64::max(target.0 - self.base.0, 0) as u64;
        let at = self.marks.partition_point(|mark| u64::from(mark.relative_last) < target);
        let all_known = self.marks.front().is_some_and(|first| first.position == 0);
        if at == 0 && !all_known {
            return None;
        }
        let mark = self.marks.get(at)?;
        let end = self.marks.get(at + 1).map_or(self.size, |next| u64::from(next.position));
        let position = u64::from(mark.position);
        Some(Place::Batch { position, len: end - position })
    }

    /// Where to start looking for `target`.
    pub(crate) fn lookup(&self, target: Offset) -> Lookup<OffsetEntry> {
        self.offsets.lookup(target.0.saturating_sub(self.base.0))
    }

    /// Whether a batch that ends at `last` has a relative offset here.
    pub(crate) fn fits_offset(&self, last: Offset) -> bool {
        last.0.checked_sub(self.base.0).is_some_and(|relative| (0..=i64::from(i32::MAX)).contains(&relative))
    }

    /// Whether one of the indexes can take no more entries.
    pub(crate) fn index_full(&self, config: &LogConfig) -> bool {
        let bytes = config.segment_index_bytes as usize;
        // one place in the time index is kept for the entry that is added when the segment is closed
        self.offsets.len() >= bytes / OffsetEntry::LEN || self.times.len() + 1 >= bytes / TimeEntry::LEN
    }

    fn relative(&self, offset: Offset) -> u32 {
        (offset.0 - self.base.0) as u32 // fits: `fits_offset` was asked before the batch was written
    }
}
