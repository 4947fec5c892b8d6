//! `.index`: from the offset of a batch to its position in the segment.
//!
//! Entry, 8 bytes, big endian: last offset of the batch relative to the segment's base (i32), position of the batch (i32).

use super::Entry;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of a batch minus the segment's base offset.
    pub(crate) relative: u32,
    /// Where the batch starts.
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { relative: word(0), position: word(4) }
    }

    fn key(self) -> i64 {
        i64::from(self.relative)
    }
}
