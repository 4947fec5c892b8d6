//! The indexes of a closed segment held against its batches.
//!
//! Invariant: what [`IndexCheck`] finds right leads no reader past a record, and what the log writes itself it finds right.

use ottla_disk::DiskFile;
use ottla_types::Offset;
use std::io;

use crate::{
    index::{Entry, offset_index::OffsetEntry, time_index::TimeEntry},
    segment::walk::Placed,
};

/// An offset index that ends so many intervals before its segment has lost its end.
const INTERVALS_MAX: u64 = 4;

/// Takes the batches of a segment one after the other.
#[derive(Debug)]
pub(crate) struct IndexCheck {
    base: Offset,
    offsets: Vec<OffsetEntry>,
    offsets_at: usize,
    /// A batch that ends here has to come yet.
    awaited: Option<Offset>,
    times: Vec<TimeEntry>,
    times_at: usize,
    /// Newest time so far.
    newest: Option<i64>,
    wrong: bool,
    interval_bytes: u64,
    /// Bytes since the last entry.
    unnamed_bytes: u64,
    longest_batch: u64,
}

impl IndexCheck {
    /// Of the segment at `base`; an index that is not there is wrong.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn new(
        base: Offset,
        offsets: Option<&dyn DiskFile>,
        times: Option<&dyn DiskFile>,
        interval_bytes: u32,
    ) -> io::Result<Self> {
        let mut wrong = false;
        let offsets = entries::<OffsetEntry>(offsets, &mut wrong)?;
        let times = entries::<TimeEntry>(times, &mut wrong)?;
        wrong |= !offsets.windows(2).all(|two| two[0].relative < two[1].relative && two[0].position < two[1].position);
        wrong |= !times.windows(2).all(|two| two[0].timestamp < two[1].timestamp && two[0].relative <= two[1].relative);
        Ok(Self {
            base,
            offsets,
            offsets_at: 0,
            awaited: None,
            times,
            times_at: 0,
            newest: None,
            wrong,
            interval_bytes: interval_bytes.into(),
            unnamed_bytes: 0,
            longest_batch: 0,
        })
    }

    /// The next sound batch.
    pub(crate) fn take(&mut self, placed: &Placed) {
        self.take_offset(placed);
        self.take_time(placed);
    }

    fn take_offset(&mut self, placed: &Placed) {
        let last = placed.header.last_offset();
        if let Some(entry) = self.offsets.get(self.offsets_at)
            && u64::from(entry.position) <= placed.position
        {
            let named = self.base.plus(i64::from(entry.relative));
            // Kafka names the end of all that was appended at once, which may be several batches.
            self.wrong |= u64::from(entry.position) != placed.position || named < last || self.awaited.is_some();
            self.awaited = Some(named);
            self.offsets_at += 1;
            self.unnamed_bytes = 0;
        }
        let bytes = placed.header.size_in_bytes() as u64;
        self.unnamed_bytes += bytes;
        self.longest_batch = self.longest_batch.max(bytes);
        if let Some(awaited) = self.awaited.filter(|awaited| *awaited <= last) {
            self.wrong |= awaited != last;
            self.awaited = None;
        }
    }

    fn take_time(&mut self, placed: &Placed) {
        let header = &placed.header;
        if header.records_count > 0 {
            self.newest = self.newest.max(Some(header.max_timestamp.0));
        }
        while let Some(entry) = self.times.get(self.times_at) {
            let named = self.base.plus(i64::from(entry.relative));
            if named > header.last_offset() {
                break;
            }
            self.wrong |= named < header.base_offset
                || header.max_timestamp.0 != entry.timestamp
                || self.newest != Some(entry.timestamp);
            self.times_at += 1;
        }
    }

    /// Whether the indexes are as they should be, now that all batches were taken.
    pub(crate) fn is_right(&self) -> bool {
        let complete = self.offsets_at == self.offsets.len()
            && self.awaited.is_none()
            && self.times_at == self.times.len()
            && self.newest.filter(|newest| *newest >= 0) == self.times.last().map(|entry| entry.timestamp);
        // The interval may have been another one when the index was written, and one entry less costs little.
        let reaches_end = self.unnamed_bytes <= INTERVALS_MAX * self.interval_bytes + self.longest_batch;
        complete && reaches_end && !self.wrong
    }
}

fn entries<E: Entry>(file: Option<&dyn DiskFile>, wrong: &mut bool) -> io::Result<Vec<E>> {
    let Some(file) = file else {
        *wrong = true;
        return Ok(Vec::new());
    };
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    *wrong |= !bytes.len().is_multiple_of(E::LEN);
    Ok(bytes.chunks_exact(E::LEN).map(E::decode).collect())
}
