//! The 61-byte header of a record batch, version 2 of the format. All numbers are big endian.
//!
//! | at | field | at | field | at | field |
//! |---|---|---|---|---|---|
//! | 0 | base offset i64 | 17 | CRC-32C u32 over 21.. | 43 | producer id i64 |
//! | 8 | batch length i32, what follows it | 21 | attributes i16 | 51 | producer epoch i16 |
//! | 12 | partition leader epoch i32 | 23 | last offset delta i32 | 53 | base sequence i32 |
//! | 16 | magic i8 = 2 | 27, 35 | base, max timestamp i64 | 57 | records count i32 |
//!
//! Invariants: a parsed header has magic 2, a size of at least [`HEADER_LEN`], and neither a negative last offset
//! delta nor a negative count; so [`BatchHeader::next_offset`] is above the base offset. Parsing and writing are
//! exact inverses.

use ottla_types::{LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use crate::Attributes;

/// Bytes of a batch before its records.
pub const HEADER_LEN: usize = 61;

/// Bytes of a batch that its length field does not count: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;

/// The one format version that is read and written.
pub const MAGIC: i8 = 2;

/// Base sequence of a batch without an idempotent producer.
pub const NO_SEQUENCE: i32 = -1;

/// What is wrong with the header of a batch, or with the bytes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the header, or before the batch that the header announces, does.
    #[error("{have} bytes of a batch that needs {need}")]
    Incomplete {
        /// Bytes there.
        have: usize,
        /// Bytes that the header, or with a whole header the batch, takes.
        need: usize,
    },
    /// A batch of another format version.
    #[error("magic {0} where 2 is expected")]
    Magic(i8),
    /// A length that leaves no room for the header, or none below 2 GiB for the batch.
    #[error("batch length {0} is impossible")]
    Length(i32),
    /// The last offset lies before the first.
    #[error("last offset delta {0} is negative")]
    LastOffsetDelta(i32),
    /// A negative number of records.
    #[error("records count {0} is negative")]
    RecordsCount(i32),
    /// The checksum does not match the bytes.
    #[error("stored checksum {stored:#010x}, computed {computed:#010x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
}

/// Every field of a batch header except magic, which is 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, as sent or stored (compaction keeps it when that record goes).
    pub base_offset: Offset,
    /// Bytes after this field, at least 49.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; outside the checksum.
    pub partition_leader_epoch: LeaderEpoch,
    /// CRC-32C over everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and kind of batch.
    pub attributes: Attributes,
    /// Last offset minus base offset, not negative.
    pub last_offset_delta: i32,
    /// What records' timestamp deltas count from; see [`BatchHeader::delete_horizon`].
    pub base_timestamp: Millis,
    /// Highest timestamp in the batch, or the append time.
    pub max_timestamp: Millis,
    /// Idempotent producer, or none.
    pub producer_id: ProducerId,
    /// Its epoch, or none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or [`NO_SEQUENCE`].
    pub base_sequence: i32,
    /// Records in the batch, not negative; 0 only where compaction emptied it.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the whole batch.
    ///
    /// # Errors
    /// Fewer than [`HEADER_LEN`] bytes, another magic, an impossible length, a negative delta or count. The checksum
    /// is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let header: &[u8; HEADER_LEN] =
            bytes.first_chunk().ok_or(BatchError::Incomplete { have: bytes.len(), need: HEADER_LEN })?;
        let parsed = Self::read(header);
        let magic = header[16] as i8;
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        parsed.check()?;
        Ok(parsed)
    }

    fn read(h: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: Offset(i64::from_be_bytes(field(h, 0))),
            batch_length: i32::from_be_bytes(field(h, 8)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(field(h, 12))),
            crc: u32::from_be_bytes(field(h, 17)),
            attributes: Attributes(i16::from_be_bytes(field(h, 21))),
            last_offset_delta: i32::from_be_bytes(field(h, 23)),
            base_timestamp: Millis(i64::from_be_bytes(field(h, 27))),
            max_timestamp: Millis(i64::from_be_bytes(field(h, 35))),
            producer_id: ProducerId(i64::from_be_bytes(field(h, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(h, 51))),
            base_sequence: i32::from_be_bytes(field(h, 53)),
            records_count: i32::from_be_bytes(field(h, 57)),
        }
    }

    fn check(&self) -> Result<(), BatchError> {
        let least = (HEADER_LEN - LOG_OVERHEAD) as i32;
        let most = i32::MAX - LOG_OVERHEAD as i32;
        if self.batch_length < least || self.batch_length > most {
            return Err(BatchError::Length(self.batch_length));
        }
        if self.last_offset_delta < 0 {
            return Err(BatchError::LastOffsetDelta(self.last_offset_delta));
        }
        if self.records_count < 0 {
            return Err(BatchError::RecordsCount(self.records_count));
        }
        Ok(())
    }

    /// Writes all 61 bytes, checksum as it stands in `self`.
    pub fn write_to(&self, out: &mut [u8; HEADER_LEN]) {
        put(out, 0, self.base_offset.0.to_be_bytes());
        put(out, 8, self.batch_length.to_be_bytes());
        put(out, 12, self.partition_leader_epoch.0.to_be_bytes());
        put(out, 16, MAGIC.to_be_bytes());
        put(out, 17, self.crc.to_be_bytes());
        put(out, 21, self.attributes.0.to_be_bytes());
        put(out, 23, self.last_offset_delta.to_be_bytes());
        put(out, 27, self.base_timestamp.0.to_be_bytes());
        put(out, 35, self.max_timestamp.0.to_be_bytes());
        put(out, 43, self.producer_id.0.to_be_bytes());
        put(out, 51, self.producer_epoch.0.to_be_bytes());
        put(out, 53, self.base_sequence.to_be_bytes());
        put(out, 57, self.records_count.to_be_bytes());
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.batch_length as usize + LOG_OVERHEAD
    }

    /// Offset of the last record that was in the batch when it was appended.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// First offset after the batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    /// Producer id and epoch together.
    #[must_use]
    pub fn producer(&self) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch { id: self.producer_id, epoch: self.producer_epoch }
    }

    /// Sequence number of the last record, or [`NO_SEQUENCE`] when there is none.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        sequence_plus(self.base_sequence, self.last_offset_delta)
    }

    /// From when compaction may drop the batch's tombstones or marker, where compaction has set it.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Millis> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// The sequence number `records` after `sequence`. After `i32::MAX` comes 0; both arguments are not negative.
#[must_use]
pub fn sequence_plus(sequence: i32, records: i32) -> i32 {
    (i64::from(sequence) + i64::from(records)).rem_euclid(SEQUENCES) as i32
}

/// The sequence number `records` before `sequence`. Before 0 comes `i32::MAX`.
#[must_use]
pub fn sequence_minus(sequence: i32, records: i32) -> i32 {
    (i64::from(sequence) - i64::from(records)).rem_euclid(SEQUENCES) as i32
}

/// How many sequence numbers there are.
const SEQUENCES: i64 = i32::MAX as i64 + 1;

fn field<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

fn put<const N: usize>(header: &mut [u8; HEADER_LEN], at: usize, bytes: [u8; N]) {
    header[at..at + N].copy_from_slice(&bytes);
}

#[cfg(test)]
mod tests;
