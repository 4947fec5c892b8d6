//! A segment that is read from front to end, batch by batch, with its checksums.
//!
//! Invariants: every batch given is whole and its checksum right, and offsets rise; no more is held than the window asked
//! for, or the largest batch.

use std::{io, sync::Arc};

use ottla_disk::DiskFile;
use ottla_records::{BatchHeader, BatchRef, HEADER_LEN};
use ottla_types::Offset;

use super::CleanError;
use crate::segment::{Segment, walk::WalkError};

/// See the file's head.
pub(super) struct Source {
    file: Arc<dyn DiskFile>,
    segment: Offset,
    position: u64,
    end: u64,
    /// No batch may begin below this offset.
    next: Offset,
    window: Vec<u8>,
    window_at: u64,
    window_bytes: usize,
}

impl Source {
    /// Reads `segment` from the batch that holds `from` on.
    ///
    /// # Errors
    /// As the file system says, or where a batch on the way is damaged.
    pub(super) fn open(segment: &Segment, from: Offset, window_bytes: usize) -> Result<Self, CleanError> {
        let damaged = |error| match error {
            WalkError::Io(error) => CleanError::Io(error),
            WalkError::Bad { position, .. } => CleanError::Damaged { segment: segment.base(), position },
        };
        let position = if from <= segment.base() { 0 } else { segment.locate(from).map_err(damaged)?.position() };
        Ok(Self {
            file: segment.file()?,
            segment: segment.base(),
            position,
            end: segment.size()?,
            next: segment.base(),
            window: Vec::new(),
            window_at: 0,
            window_bytes: window_bytes.max(HEADER_LEN),
        })
    }

    /// Where the next batch begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the last batch was given.
    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// The next batch; none at the end.
    ///
    /// # Errors
    /// As the file system says, or where it is damaged.
    pub(super) fn next(&mut self) -> Result<Option<BatchRef<'_>>, CleanError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let damaged = CleanError::Damaged { segment: self.segment, position: self.position };
        let left = self.end - self.position;
        let Ok(header) = BatchHeader::parse(self.bytes(HEADER_LEN.min(left as usize))?) else { return Err(damaged) };
        let size = header.size_in_bytes();
        if size as u64 > left || header.base_offset < self.next {
            return Err(damaged);
        }
        self.bytes(size)?;
        let at = (self.position - self.window_at) as usize;
        self.position += size as u64;
        self.next = header.next_offset();
        let Ok(batch) = BatchRef::parse(&self.window[at..at + size]) else { return Err(damaged) };
        if batch.verify_crc().is_err() {
            return Err(damaged);
        }
        Ok(Some(batch))
    }

    /// `wanted` bytes from the position on, which lie before the end.
    fn bytes(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let skip = self.position.checked_sub(self.window_at).map_or(usize::MAX, |skip| skip as usize);
        let held = self.window.get(skip..).is_some_and(|bytes| bytes.len() >= wanted);
        if !held {
            let fill = (wanted.max(self.window_bytes) as u64).min(self.end - self.position) as usize;
            self.window.resize(fill, 0);
            self.window_at = self.position;
            self.file.read_exact_at(&mut self.window, self.position)?;
        }
        let at = (self.position - self.window_at) as usize;
        Ok(&self.window[at..at + wanted])
    }
}
