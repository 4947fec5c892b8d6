//! What a broker checks before it appends a producer's batch, and what it changes of it.
//!
//! Invariants: what passes is one whole batch that every consumer can read, with offsets 0 to n−1 for its n records;
//! the body is the producer's own bytes unless the topic asks for another codec, and then its records are the same
//! bytes; of the header only attributes, lengths, max timestamp and checksum ever change.

mod contents;
mod recompress;
mod rejection;

use bytes::Bytes;
use ottla_types::{Compression, Millis, TimestampType};

use contents::{Latest, check_records, trust_header};
pub use rejection::{FaultyRecord, ProduceRejection, RecordFault};

use crate::{BatchError, BatchHeader, HEADER_LEN, crc_of_parts, verify_crc};

/// What a topic wants of its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`: the most that a batch may take, header and all, as sent and as stored.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how old a record may be; `i64::MAX` for any age.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of the broker's clock a record may be.
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` has `compact`, so that every record needs a key.
    pub compacted: bool,
    /// `compression.type`.
    pub compression: TargetCompression,
    /// How far the check goes.
    pub depth: Depth,
}

/// `compression.type` of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetCompression {
    /// Stored as it was sent.
    #[default]
    Producer,
    /// Stored with this codec; at this level (`None`: the codec's default) when the producer used another codec.
    Codec(Compression, Option<i32>),
}

/// How much of a batch is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Every record, as Kafka does.
    #[default]
    Records,
    /// The header and the checksum only; keys and single timestamps go unchecked.
    HeaderOnly,
}

impl Default for ProduceRules {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            compression: TargetCompression::Producer,
            depth: Depth::Records,
        }
    }
}

/// A batch ready to be stored: `head`, then `body`. The log stamps base offset (bytes 0 to 7 of `head`) and leader
/// epoch (12 to 15), both outside the checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedBatch {
    /// `head` as fields.
    pub header: BatchHeader,
    /// The header to store.
    pub head: [u8; HEADER_LEN],
    /// The records to store.
    pub body: Bytes,
    /// Highest timestamp of the batch, or the append time; −1 when no record has one.
    pub max_timestamp: Millis,
    /// Which record has it first, as an offset delta: 0 under append time; the last record's where only the header
    /// was looked at.
    pub offset_of_max_timestamp: i32,
}

/// Checks one partition's records of a produce request (version 3 and up) against the topic's `rules`.
///
/// # Errors
/// The first rule broken, in the order that Kafka checks them; faults of single records are gathered.
pub fn check_produce(bytes: &Bytes, rules: &ProduceRules, now: Millis) -> Result<CheckedBatch, ProduceRejection> {
    let header = only_batch(bytes)?;
    check_header(&header, rules)?;
    verify_crc(bytes)?;
    check_counts(&header)?;
    let found = match rules.depth {
        Depth::Records => check_records(&header, &bytes[HEADER_LEN..], rules, now)?,
        Depth::HeaderOnly => trust_header(&header, rules, now)?,
    };
    finish(bytes, header, found, rules, now)
}

fn only_batch(bytes: &Bytes) -> Result<BatchHeader, ProduceRejection> {
    let header = BatchHeader::parse(bytes)?;
    match header.size_in_bytes() {
        size if size > bytes.len() => Err(BatchError::Incomplete { have: bytes.len(), need: size }.into()),
        size if size < bytes.len() => Err(ProduceRejection::MoreThanOneBatch { left: bytes.len() - size }),
        _ => Ok(header),
    }
}

fn check_header(header: &BatchHeader, rules: &ProduceRules) -> Result<(), ProduceRejection> {
    if header.base_offset.0 != 0 {
        return Err(ProduceRejection::BaseOffset(header.base_offset));
    }
    check_size(header.size_in_bytes(), rules)
}

fn check_size(size: usize, rules: &ProduceRules) -> Result<(), ProduceRejection> {
    let max = rules.max_message_bytes;
    if size > max { Err(ProduceRejection::TooLarge { size, max }) } else { Ok(()) }
}

/// What the fields say of one another; the checksum is known to be right.
fn check_counts(header: &BatchHeader) -> Result<(), ProduceRejection> {
    let (count, last) = (header.records_count, header.last_offset_delta);
    // the last delta is not negative, so a batch without records fails here too
    if last != count - 1 {
        return Err(ProduceRejection::Count { count, last_offset_delta: last });
    }
    if header.attributes.is_control() {
        return Err(ProduceRejection::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(ProduceRejection::Sequence(header.base_sequence));
    }
    if header.attributes.is_transactional() && !header.has_producer_id() {
        return Err(ProduceRejection::TransactionWithoutProducer);
    }
    header.attributes.compression()?;
    Ok(())
}

fn finish(
    bytes: &Bytes,
    sent: BatchHeader,
    found: Latest,
    rules: &ProduceRules,
    now: Millis,
) -> Result<CheckedBatch, ProduceRejection> {
    let latest = match rules.timestamp_type {
        TimestampType::CreateTime => found,
        TimestampType::LogAppendTime => Latest { timestamp: now, offset_delta: 0 },
    };
    let mut header = sent;
    header.max_timestamp = latest.timestamp;
    // a producer has no say in when compaction may drop the batch
    header.attributes = sent.attributes.with_timestamp_type(rules.timestamp_type).with_delete_horizon(false);
    let body = recompress::stored_body(bytes, &mut header, rules)?;
    let mut head = [0; HEADER_LEN];
    header.write_to(&mut head);
    if header != sent {
        header.crc = crc_of_parts(&head, &body);
        header.write_to(&mut head);
    }
    Ok(CheckedBatch {
        header,
        head,
        body,
        max_timestamp: latest.timestamp,
        offset_of_max_timestamp: latest.offset_delta,
    })
}

#[cfg(test)]
mod tests;
