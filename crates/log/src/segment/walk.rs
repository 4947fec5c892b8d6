//! Walking over the headers of the batches in a segment file, without reading their records.
//!
//! Invariants: reads a window of bounded size at a time, whatever the batches claim; every batch given lies wholly
//! before `end` and behind the one before in offsets; places that are known to be damaged are passed over where they are named;
//! the walk ends after its first error.

use std::io;

use ottla_disk::DiskFile;
use ottla_records::{BatchError, BatchHeader, HEADER_LEN};
use ottla_types::Offset;

use crate::Damage;

/// Window for finding one batch near an index entry: the usual distance between two entries.
pub(crate) const SHORT: usize = 4096;
/// Window for walking far.
pub(crate) const LONG: usize = 64 * 1024;

/// A batch and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Where the batch starts in the file.
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Placed {
    /// First byte behind the batch.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size_in_bytes() as u64
    }
}

/// Why a walk ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What stands there is no batch that can be relied on.
    #[error("no batch at byte {position}: {flaw}")]
    Bad {
        /// Where.
        position: u64,
        /// Why.
        flaw: Flaw,
    },
}

/// What is wrong with a place where a batch should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    /// There is no whole one.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It does not lie behind the one before.
    #[error("offset {0} does not follow")]
    Order(Offset),
    /// It reaches further than the index, or the name of the file, allows.
    #[error("offset {0} does not belong there")]
    Place(Offset),
    /// It is known to be damaged.
    #[error("damaged up to offset {}", .0.next)]
    Known(Damage),
}

impl WalkError {
    /// The damage that was met, where it is known.
    pub(crate) fn known(&self) -> Option<Damage> {
        match self {
            Self::Bad { flaw: Flaw::Known(damage), .. } => Some(*damage),
            _ => None,
        }
    }
}

/// An iterator over headers.
pub(crate) struct HeaderWalk<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    window_max: usize,
    ended: bool,
    /// No batch may begin below this offset.
    next: Offset,
    /// Damaged places that are passed over, the last one first.
    skipped: Vec<Damage>,
}

impl<'a> HeaderWalk<'a> {
    /// Walks over the batches of `file` from `position`, where one must start, to `end`.
    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64, window_max: usize) -> Self {
        let (next, skipped) = (Offset(i64::MIN), Vec::new());
        Self { file, position, end, window: Vec::new(), window_at: 0, window_max, ended: false, next, skipped }
    }

    /// The same without the damaged places, which are in order. Begun within one, the walk begins behind it.
    pub(crate) fn without(mut self, mut damages: Vec<Damage>) -> Self {
        damages.reverse();
        self.skipped = damages;
        self
    }

    fn step(&mut self) -> Result<Placed, WalkError> {
        let position = self.position;
        let bytes = self.header_bytes()?;
        let header = BatchHeader::parse(bytes).map_err(|error| WalkError::Bad { position, flaw: error.into() })?;
        let placed = Placed { position, header };
        if placed.end() > self.end {
            let have = (self.end - position) as usize;
            let flaw = BatchError::Incomplete { have, need: header.size_in_bytes() }.into();
            return Err(WalkError::Bad { position, flaw });
        }
        if header.base_offset < self.next {
            return Err(WalkError::Bad { position, flaw: Flaw::Order(header.base_offset) });
        }
        self.position = placed.end();
        self.next = header.next_offset();
        Ok(placed)
    }

    fn skip_damaged(&mut self) {
        while let Some(damage) = self.skipped.pop_if(|damage| damage.position <= self.position) {
            self.position = self.position.max(damage.end);
            self.next = damage.first;
        }
    }

    /// The bytes at `position`: a whole header, or what there is of it.
    fn header_bytes(&mut self) -> io::Result<&[u8]> {
        let skip = self.position.checked_sub(self.window_at).map_or(usize::MAX, |skip| skip as usize);
        if self.window.get(skip..).is_some_and(|bytes| bytes.len() >= HEADER_LEN) {
            return Ok(&self.window[skip..]);
        }
        // Batches that are longer than the window are hopped over: there only the header is worth reading.
        let far = skip > self.window.len() && !self.window.is_empty();
        let wanted = if far { HEADER_LEN } else { self.window_max };
        self.window.resize(wanted.min((self.end - self.position) as usize), 0);
        let read = self.file.read_at(&mut self.window, self.position)?;
        self.window.truncate(read);
        self.window_at = self.position;
        Ok(&self.window)
    }
}

impl Iterator for HeaderWalk<'_> {
    type Item = Result<Placed, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_damaged();
        if self.ended || self.position >= self.end {
            return None;
        }
        let step = self.step();
        self.ended = step.is_err();
        Some(step)
    }
}
