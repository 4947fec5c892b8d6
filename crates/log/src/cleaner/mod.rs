//! Compaction: of each key only the last record stays.
//!
//! A pass over a log has two parts. First the dirty segments are read and an [`OffsetMap`] is built, from the digest of each
//! key to the offset of its last record. Then every segment up to the end of what was mapped is copied, in groups that make
//! one segment of several small ones, without the records that the map knows later ones for; each copy takes the place of
//! its group in one step (`Log::replace_segments`). Where the map is full the pass ends early, and the next
//! one goes on from there.
//!
//! - [`plan`]: what of a log may be compacted, and whether it is worth it; which segments make a group;
//! - [`transactions`]: which batches belong to aborted transactions, which markers nobody needs any more;
//! - [`source`], [`output`]: a segment read with its checksums, and one written with its indexes;
//! - [`pass`]: what becomes of each batch.
//!
//! Invariants:
//! - the active segment and what is not below the last stable offset are not touched; offsets never change;
//! - a reader who starts at the front finds the last value of every key, and one who is not slower than
//!   `delete.retention.ms` every deletion;
//! - what a producer's next batch is checked against survives: its last batch stays, at least its header;
//! - nothing is copied whose checksum is wrong: the pass ends and the log stays as it is.

mod offset_map;
mod output;
mod pass;
pub(crate) mod plan;
mod source;
mod transactions;

use std::{io, ops::ControlFlow};

use ottla_types::Offset;

pub(crate) use self::{
    output::CleanedSegment,
    pass::{Pass, PassInput},
};

/// What a cleaner has to work with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerSettings {
    /// Bytes for the map of one pass: this cleaner's share of `log.cleaner.dedupe.buffer.size`.
    pub dedupe_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full the map may get.
    pub load_factor: f64,
    /// Bytes for reading, and as many for writing: this cleaner's share of `log.cleaner.io.buffer.size`.
    pub io_bytes: usize,
    /// Key of the digests. Whoever does not know it cannot make two keys of one digest.
    pub digest_key: [u8; 16],
}

/// Whoever runs a pass is told of the bytes that were read and written, may delay by not returning, and may end it.
pub type Pace<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanStats {
    /// Where the dirty part began.
    pub from: Offset,
    /// Up to where the log is clean now.
    pub to: Offset,
    /// Bytes of the segments before.
    pub bytes_before: u64,
    /// Bytes of the segments that took their place.
    pub bytes_after: u64,
    /// Bytes read from segments.
    pub bytes_read: u64,
    /// Bytes written to segments.
    pub bytes_written: u64,
    /// Records in the segments before.
    pub records_before: u64,
    /// Records that stayed.
    pub records_after: u64,
    /// Distinct keys in the map.
    pub keys: u64,
    /// How full the map was, 0 to 100.
    pub map_percent: u8,
}

/// Why a log was not compacted to the end. It is as it was, or as far as whole groups were done.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// A batch is damaged; the log cannot be compacted.
    #[error("the segment at {segment} is damaged at byte {position}")]
    Damaged {
        /// Base offset of the segment.
        segment: Offset,
        /// Where in its file.
        position: u64,
    },
    /// Segments were removed meanwhile, or the log was closed. There is always a next time.
    #[error("the log changed meanwhile")]
    Changed,
    /// The caller ended it.
    #[error("stopped")]
    Stopped,
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
