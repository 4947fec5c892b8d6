//! Making batches: for coordinators' records, for transaction markers and for tests.
//!
//! Invariant: what is built parses, its checksum is right, and its records come out as they went in.

use bytes::Bytes;
use ottla_types::{
    Compression, LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TimestampType,
};

use crate::{
    Attributes, BatchHeader, CheckedBatch, HEADER_LEN, LOG_OVERHEAD, NO_SEQUENCE,
    compression::{CompressError, compress},
    crc_of, varint,
};

/// Why a batch cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The batch would not fit its 31-bit length.
    #[error("a batch of {0} bytes is too large")]
    TooLarge(usize),
    /// The codec refused.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum ControlType {
    /// The transaction is aborted.
    Abort = 0,
    /// The transaction is committed.
    Commit = 1,
}

impl ControlType {
    /// Reads the key of a control record: `None` for a kind that this version does not know, which readers skip.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        match key {
            [_, _, 0, 0, ..] => Some(Self::Abort),
            [_, _, 0, 1, ..] => Some(Self::Commit),
            _ => None,
        }
    }
}

/// A header given to a record: name and value, which may be null.
pub type HeaderToAdd<'a> = (&'a [u8], Option<&'a [u8]>);

/// Gathers records and makes one batch of them. Timestamps count from the first record's.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Compression,
    level: Option<i32>,
    body: Vec<u8>,
    scratch: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An uncompressed batch at offset 0, of no producer, with the producers' times.
    #[must_use]
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            partition_leader_epoch: LeaderEpoch::UNKNOWN,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: Millis::NONE,
            max_timestamp: Millis::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: NO_SEQUENCE,
            records_count: 0,
        };
        Self { header, codec: Compression::None, level: None, body: Vec::new(), scratch: Vec::new() }
    }

    /// The marker that ends a transaction of `producer`: one control record, written by the transaction coordinator
    /// of epoch `coordinator_epoch`.
    #[must_use]
    pub fn marker(producer: ProducerIdAndEpoch, end: ControlType, coordinator_epoch: i32, now: Millis) -> Self {
        let mut builder = Self::new().producer(producer, NO_SEQUENCE).transactional(true).control(true);
        let mut value = [0; 6];
        value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
        builder.append(now, Some(&[0, 0, 0, end as u8]), Some(&value));
        builder
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.header.base_offset = offset;
        self
    }

    /// Leader epoch to stamp.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.partition_leader_epoch = epoch;
        self
    }

    /// Codec, and its level where not the default.
    #[must_use]
    pub fn compression(mut self, codec: Compression, level: Option<i32>) -> Self {
        self.header.attributes = self.header.attributes.with_compression(codec);
        (self.codec, self.level) = (codec, level);
        self
    }

    /// Idempotent producer and the sequence number of the first record.
    #[must_use]
    pub fn producer(mut self, producer: ProducerIdAndEpoch, base_sequence: i32) -> Self {
        self.header.producer_id = producer.id;
        self.header.producer_epoch = producer.epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn transactional(mut self, on: bool) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(on);
        self
    }

    /// Whether the batch holds a control record.
    #[must_use]
    pub fn control(mut self, on: bool) -> Self {
        self.header.attributes = self.header.attributes.with_control(on);
        self
    }

    /// Whose clock the timestamps come from. With append time give every record the same.
    #[must_use]
    pub fn timestamp_type(mut self, kind: TimestampType) -> Self {
        self.header.attributes = self.header.attributes.with_timestamp_type(kind);
        self
    }

    /// Adds a record at the next offset.
    pub fn append(&mut self, timestamp: Millis, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record with headers at the next offset.
    pub fn append_with_headers(
        &mut self,
        timestamp: Millis,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderToAdd<'_>],
    ) {
        let next = self.header.last_offset_delta.saturating_add(1);
        self.append_at(next, timestamp, key, value, headers);
    }

    /// Adds a record at an offset of choice, as compaction leaves gaps; deltas should rise.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: Millis,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderToAdd<'_>],
    ) {
        if self.header.records_count == 0 {
            self.header.base_timestamp = timestamp;
        }
        let record = &mut self.scratch;
        record.clear();
        record.push(0);
        varint::write(record, timestamp.0.wrapping_sub(self.header.base_timestamp.0));
        varint::write(record, i64::from(offset_delta));
        write_nullable(record, key);
        write_nullable(record, value);
        varint::write(record, headers.len() as i64);
        for (name, value) in headers {
            write_nullable(record, Some(name));
            write_nullable(record, *value);
        }
        varint::write(&mut self.body, self.scratch.len() as i64);
        self.body.extend_from_slice(&self.scratch);
        self.header.records_count = self.header.records_count.saturating_add(1);
        self.header.last_offset_delta = offset_delta;
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
    }

    /// Bytes of the records so far, before compression and without the batch's header.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Records so far.
    #[must_use]
    pub fn records_count(&self) -> i32 {
        self.header.records_count
    }

    /// The batch.
    ///
    /// # Errors
    /// Over 2 GiB, or a level that the codec does not have.
    pub fn build(self) -> Result<Bytes, BuildError> {
        let CheckedBatch { header, head, body, .. } = self.build_checked()?;
        let mut batch = Vec::with_capacity(HEADER_LEN + body.len());
        batch.extend_from_slice(&head);
        batch.extend_from_slice(&body);
        debug_assert_eq!(crc_of(&batch), header.crc);
        Ok(batch.into())
    }

    /// The batch, ready for a log. To be used for the broker's own batches only: nothing else is checked.
    ///
    /// # Errors
    /// Over 2 GiB, or a level that the codec does not have.
    pub fn build_checked(mut self) -> Result<CheckedBatch, BuildError> {
        let mut header = self.header;
        header.last_offset_delta = header.last_offset_delta.max(0);
        if self.codec != Compression::None {
            self.body = compress(self.codec, self.level, &self.body)?;
        }
        let size = HEADER_LEN + self.body.len();
        header.batch_length = i32::try_from(size - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge(size))?;
        Ok(sealed(header, self.body.into()))
    }
}

impl CheckedBatch {
    /// The marker that ends a transaction, ready for a log; see [`BatchBuilder::marker`].
    #[must_use]
    pub fn marker(producer: ProducerIdAndEpoch, end: ControlType, coordinator_epoch: i32, now: Millis) -> Self {
        let BatchBuilder { mut header, body, .. } = BatchBuilder::marker(producer, end, coordinator_epoch, now);
        header.batch_length = (HEADER_LEN - LOG_OVERHEAD + body.len()) as i32; // of 78 bytes
        sealed(header, body.into())
    }
}

/// A header that only lacks the checksum, with its body.
fn sealed(mut header: BatchHeader, body: Bytes) -> CheckedBatch {
    let mut head = [0; HEADER_LEN];
    header.write_to(&mut head);
    header.crc = crate::crc_of_parts(&head, &body);
    header.write_to(&mut head);
    CheckedBatch {
        header,
        head,
        body,
        max_timestamp: header.max_timestamp,
        offset_of_max_timestamp: header.last_offset_delta,
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write(out, -1),
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
