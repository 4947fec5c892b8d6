//! `.timeindex`: from a time to an offset before which no record is as young.
//!
//! Entry, 12 bytes, big endian: largest timestamp of the segment so far (i64), last offset of the batch that holds it,
//! relative to the segment's base (i32). Timestamps rise strictly.

use super::Entry;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// Largest timestamp of all records up to the batch, milliseconds.
    pub(crate) timestamp: i64,
    /// Last offset of the batch that holds it minus the segment's base offset.
    pub(crate) relative: u32,
}

impl Entry for TimeEntry {
    const LEN: usize = 12;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let (timestamp, relative) = bytes.split_at(8);
        Self {
            timestamp: timestamp.try_into().map_or(0, i64::from_be_bytes),
            relative: relative.try_into().map_or(0, u32::from_be_bytes),
        }
    }

    fn key(self) -> i64 {
        self.timestamp
    }
}
