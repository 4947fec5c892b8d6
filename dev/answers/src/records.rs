//! Record batches of a fetched partition as a tree: every byte accounted for, none of it hidden by the codec.
//!
//! Invariants: bytes that are no whole batch are shown as they are; of a long body its length and its checksum stand for the
//! bytes; of a batch that holds the broker's own time or a producer id that it gave, both of which differ from run to run, it is
//! only shown whether the checksum is right.

use ottla_records::{BatchRef, Batches, records_of};

use crate::answer::hex;
use crate::value::Value;

/// Up to this length a body is shown in full.
const BODY_SHOWN: usize = 96;

/// What of a batch is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every byte.
    Bytes,
    /// The records, however they are compressed: for batches that the broker itself compressed.
    Records,
}

/// The batches of `bytes`; `is_now` tells times of this run from times that were sent.
#[must_use]
pub fn tree(bytes: &[u8], depth: Depth, is_now: impl Fn(i64) -> bool) -> Value {
    let mut batches = Batches::new(bytes);
    let mut items: Vec<Value> = batches.by_ref().map_while(Result::ok).map(|b| batch(&b, depth, &is_now)).collect();
    let rest = &bytes[batches.consumed()..];
    if !rest.is_empty() {
        items.push(Value::Struct(vec![("partial".to_owned(), Value::Word(shown(rest)))]));
    }
    Value::List(items)
}

fn batch(batch: &BatchRef<'_>, depth: Depth, is_now: &impl Fn(i64) -> bool) -> Value {
    let header = batch.header();
    let (base_time, max_time) = (header.base_timestamp.0, header.max_timestamp.0);
    let is_ours = !is_now(base_time) && !is_now(max_time) && !header.has_producer_id();
    let crc = match (batch.verify_crc().is_ok(), !is_ours || depth == Depth::Records) {
        (false, _) => "wrong".to_owned(),
        (true, true) => "right".to_owned(),
        (true, false) => format!("{:08x}", header.crc),
    };
    let length = if depth == Depth::Bytes { header.batch_length.to_string() } else { "any".to_owned() };
    let body = match depth {
        Depth::Bytes => shown(batch.body()),
        Depth::Records => decompressed(batch),
    };
    let time = |time: i64| if is_now(time) { "NOW".to_owned() } else { time.to_string() };
    let fields = [
        ("base_offset", header.base_offset.0.to_string()),
        ("length", length),
        ("leader_epoch", header.partition_leader_epoch.0.to_string()),
        ("crc", crc),
        ("attributes", format!("{:#x}", header.attributes.0)),
        ("last_offset_delta", header.last_offset_delta.to_string()),
        ("base_time", time(base_time)),
        ("max_time", time(max_time)),
        ("producer_id", header.producer_id.0.to_string()),
        ("producer_epoch", header.producer_epoch.0.to_string()),
        ("base_sequence", header.base_sequence.to_string()),
        ("count", header.records_count.to_string()),
        ("body", body),
    ];
    Value::Struct(fields.map(|(name, value)| (name.to_owned(), Value::Word(value))).into())
}

fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= BODY_SHOWN {
        return format!("0x{}", hex(bytes));
    }
    format!("{}_bytes_fnv_{:016x}", bytes.len(), fnv(bytes))
}

/// The FNV-1a hash, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Time deltas, keys and values of the records.
fn decompressed(batch: &BatchRef<'_>) -> String {
    let mut text = Vec::new();
    let Ok(mut reader) = records_of(batch) else { return "unreadable".to_owned() };
    while let Ok(Some(record)) = reader.next_record() {
        let part = |bytes: Option<&[u8]>| bytes.map_or("null".to_owned(), shown);
        text.push(format!("{}:{}", part(record.key), part(record.value)));
    }
    format!("[{}]", text.join(","))
}
