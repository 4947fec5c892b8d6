//! Reading: from an offset to a range of a segment file.

use std::{io, sync::Arc};

use ottla_disk::FileSlice;
use ottla_types::Offset;

use super::{Log, LogState};
use crate::{
    AbortedTransaction,
    segment::{
        Place, Segment,
        walk::{Flaw, WalkError},
    },
};

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBound {
    /// All: followers.
    LogEnd,
    /// What all in-sync replicas have: consumers.
    HighWatermark,
    /// What is below every undecided transaction: consumers that read committed records.
    LastStable,
}

/// What a read found. All offsets are as of one moment before the read.
#[derive(Clone, Debug)]
pub struct ReadOut {
    /// The batches, from the one that holds the offset asked for; the last may be cut off. None where nothing is there
    /// yet, or none fits.
    pub records: Option<FileSlice>,
    /// Aborted transactions that the records may belong to; only with [`ReadBound::LastStable`].
    pub aborted: Vec<AbortedTransaction>,
    /// Whether even the first batch is cut off.
    pub first_batch_cut: bool,
    /// First offset of the log.
    pub log_start: Offset,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable: Offset,
    /// The log end.
    pub log_end: Offset,
}

impl ReadOut {
    /// Bytes found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.as_ref().map_or(0, |records| records.len)
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log (`OFFSET_OUT_OF_RANGE`).
    #[error("offset {from} where the log has {log_start} to {log_end}")]
    OutOfRange {
        /// What was asked for.
        from: Offset,
        /// First offset of the log.
        log_start: Offset,
        /// The log end.
        log_end: Offset,
    },
    /// The log was closed or deleted (`NOT_LEADER_OR_FOLLOWER`).
    #[error("the log is closed")]
    Closed,
    /// The directory of the log failed (`KAFKA_STORAGE_ERROR`).
    #[error("the log directory is offline")]
    Offline,
    /// What may hold the offset is damaged (`CORRUPT_MESSAGE`).
    #[error("the segment at {segment} is damaged at byte {position}{}", behind(*.next))]
    Damaged {
        /// Base offset of the segment.
        segment: Offset,
        /// Where in its file.
        position: u64,
        /// From where on the log can be read again, where that is known.
        next: Option<Offset>,
    },
    /// The disk failed (`KAFKA_STORAGE_ERROR`).
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadError {
    pub(super) fn of(segment: &Segment, error: WalkError) -> Self {
        let next = error.known().map(|damage| damage.next);
        match error {
            WalkError::Io(error) => Self::Io(error),
            WalkError::Bad { position, .. } => Self::Damaged { segment: segment.base(), position, next },
        }
    }
}

fn behind(next: Option<Offset>) -> String {
    next.map_or_else(String::new, |next| format!(", the log can be read again from offset {next} on"))
}

impl Log {
    /// Finds the batches from the one that holds `from`, at most `bytes_max` bytes, none at or behind the bound. With
    /// `min_one` the first batch is whole however large it is.
    ///
    /// # Errors
    /// The offset is not in the log, or the log cannot be read.
    pub fn read(&self, from: Offset, bytes_max: usize, min_one: bool, bound: ReadBound) -> Result<ReadOut, ReadError> {
        // A segment may be removed or replaced while it is looked at; then the log has changed, and is looked at anew.
        loop {
            let before = self.segments.load();
            let read = self.read_once(from, bytes_max, min_one, bound);
            if Arc::ptr_eq(&before, &self.segments.load()) {
                return read;
            }
        }
    }

    fn read_once(&self, from: Offset, bytes_max: usize, min_one: bool, bound: ReadBound) -> Result<ReadOut, ReadError> {
        let mut out = self.look(from)?;
        let end = match bound {
            ReadBound::LogEnd => out.log_end,
            ReadBound::HighWatermark => out.high_watermark,
            ReadBound::LastStable => out.last_stable,
        };
        if from >= end {
            return Ok(out);
        }
        // After the offsets: the list holds every segment that lies below them.
        let segments = self.segments.load();
        let first = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        for at in first..segments.len() {
            let next = segments.get(at + 1).map(|next| next.base());
            let found = self.past_damage(&segments[at..=at], || self.find_range(&segments[at], from, end, next))?;
            let Some(found) = found else { continue };
            found.slice(&segments[at], bytes_max, min_one, &mut out)?;
            if bound == ReadBound::LastStable && !out.is_empty() {
                out.aborted = collect_aborted(&segments[at..], from, end, &out)?;
            }
            break;
        }
        Ok(out)
    }

    /// An empty answer with the offsets of this moment, in an order that keeps each below the next.
    fn look(&self, from: Offset) -> Result<ReadOut, ReadError> {
        if self.state() == LogState::Closed {
            return Err(ReadError::Closed);
        }
        if self.lost_its_directory() {
            return Err(ReadError::Offline);
        }
        let last_stable = self.last_stable();
        let high_watermark = self.high_watermark();
        let log_end = self.log_end();
        let log_start = self.log_start();
        if from < log_start || from > log_end {
            return Err(ReadError::OutOfRange { from, log_start, log_end });
        }
        Ok(ReadOut {
            records: None,
            aborted: Vec::new(),
            first_batch_cut: false,
            log_start,
            high_watermark,
            last_stable: last_stable.min(high_watermark),
            log_end,
        })
    }

    /// The bytes of `segment` from the batch that holds `from` to `end`; none where it holds none.
    fn find_range(
        &self,
        segment: &Arc<Segment>,
        from: Offset,
        end: Offset,
        next: Option<Offset>,
    ) -> Result<Option<Range>, ReadError> {
        let found = find_quickly(segment, from, end, next);
        // Asked afterwards: what is found out on the way counts.
        if !segment.damage().is_suspect() {
            return found.map_err(|error| ReadError::of(segment, error));
        }
        self.mend_index(segment);
        find_before_damage(segment, from, end, next).map_err(|error| ReadError::of(segment, error))
    }
}

fn find_quickly(
    segment: &Segment,
    from: Offset,
    end: Offset,
    next: Option<Offset>,
) -> Result<Option<Range>, WalkError> {
    let whole = next.is_some_and(|next| next <= end);
    let known = if whole { None } else { segment.locate_both(from, end) };
    Ok(match known {
        Some((start, end)) => range(start, end.position()),
        None => range(start_in(segment, from, next)?, end_in(segment, end, whole)?),
    })
}

/// The same without a byte of what is known to be damaged.
fn find_before_damage(
    segment: &Segment,
    from: Offset,
    end: Offset,
    next: Option<Offset>,
) -> Result<Option<Range>, WalkError> {
    let whole = next.is_some_and(|next| next <= end);
    let (start, end) = (start_in(segment, from, next)?, end_in(segment, end, whole)?);
    let places = segment.damage().places();
    let damaged = places.iter().find(|damage| damage.position > start.position());
    Ok(range(start, damaged.map_or(end, |damage| end.min(damage.position))))
}

fn range(start: Place, end: u64) -> Option<Range> {
    match start {
        Place::Batch { position, len } if position < end => Some(Range { position, first_len: len, end }),
        _ => None,
    }
}

/// Where the batch that holds `from` is, in a segment behind which the next one begins at `next`.
fn start_in(segment: &Segment, from: Offset, next: Option<Offset>) -> Result<Place, WalkError> {
    let Some(next) = next else { return segment.locate(from) };
    match segment.find_batch(from)? {
        Some(found) if found.header.last_offset() >= next => {
            let flaw = Flaw::Place(found.header.last_offset());
            Err(WalkError::Bad { position: found.position, flaw })
        }
        Some(found) => Ok(Place::of(&found)),
        None if from >= segment.base() && segment.may_lack_its_end() => {
            Err(WalkError::Bad { position: segment.size()?, flaw: Flaw::Place(from) })
        }
        None => Ok(Place::End(segment.size()?)),
    }
}

fn end_in(segment: &Segment, end: Offset, whole: bool) -> Result<u64, WalkError> {
    if whole { Ok(segment.size()?) } else { segment.position_of(end) }
}

/// Bytes of a segment file.
struct Range {
    position: u64,
    /// Bytes of the first batch.
    first_len: u64,
    end: u64,
}

impl Range {
    fn slice(&self, segment: &Segment, bytes_max: usize, min_one: bool, out: &mut ReadOut) -> io::Result<()> {
        let at_most = if min_one { (bytes_max as u64).max(self.first_len) } else { bytes_max as u64 };
        let len = (self.end - self.position).min(at_most);
        out.first_batch_cut = len < self.first_len;
        if len > 0 {
            out.records = Some(FileSlice { file: segment.file()?, position: self.position, len: len as usize });
        }
        Ok(())
    }
}

/// Aborted transactions that overlap what was read, from the segments that hold their markers: the first of
/// `segments` and those behind it.
fn collect_aborted(
    segments: &[Arc<Segment>],
    from: Offset,
    end: Offset,
    out: &ReadOut,
) -> Result<Vec<AbortedTransaction>, ReadError> {
    if !segments.iter().any(|segment| segment.has_aborted()) {
        return Ok(Vec::new());
    }
    let read_to = out.records.as_ref().map_or(0, |records| records.position + records.len as u64);
    let next = segments.get(1).map_or(end, |next| next.base().min(end));
    let upper = segments[0].upper_bound_offset(read_to)?.map_or(next, |bound| bound.min(next));
    let mut aborted = Vec::new();
    let mut complete = false;
    for segment in segments {
        segment.walk_aborted(|entry| {
            if entry.last_offset >= from && entry.first_offset < upper {
                aborted.push(entry);
            }
            complete = entry.last_stable_offset >= upper;
            !complete
        })?;
        if complete {
            break;
        }
    }
    Ok(aborted)
}
