//! What is built is read back; what is built and then damaged is refused.

use super::*;
use crate::{BatchError, BatchRef, Batches, RecordError};

fn two_records() -> Bytes {
    let mut builder = BatchBuilder::new().base_offset(Offset(40));
    builder.append(Millis(1000), Some(b"key"), Some(b"value"));
    builder.append_with_headers(Millis(990), None, None, &[(b"h", Some(b"1")), (b"h", None)]);
    builder.build().unwrap()
}

#[test]
fn records_come_out_as_they_went_in() {
    let bytes = two_records();
    let batch = BatchRef::parse(&bytes).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.header().max_timestamp, batch.header().next_offset()), (Millis(1000), Offset(42)));
    let records: Vec<_> = batch.records().unwrap().map(Result::unwrap).collect();
    assert_eq!(records[0].key, Some(&b"key"[..]));
    assert_eq!((records[1].key, records[1].value), (None, None));
    assert_eq!((records[1].offset, records[1].timestamp), (Offset(41), Millis(990)));
    let headers: Vec<_> = records[1].headers.map(|h| (h.key, h.value)).collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (b"h", None)], "duplicate keys stay");
}

#[test]
fn a_changed_byte_shows_in_the_checksum() {
    let good = two_records();
    for at in 21..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        assert!(matches!(crate::verify_crc(&bad), Err(BatchError::Crc { .. })), "byte {at}");
    }
}

#[test]
fn bytes_after_the_last_whole_batch_are_told_apart() {
    let mut bytes = two_records().to_vec();
    let len = bytes.len();
    bytes.extend_from_within(..len - 1);
    let mut batches = Batches::new(&bytes);
    assert!(batches.next().unwrap().is_ok());
    assert_eq!(batches.next(), Some(Err(BatchError::Incomplete { have: len - 1, need: len })));
    assert_eq!((batches.next(), batches.consumed()), (None, len));
}

#[track_caller]
fn check_count(declared: i32, error: RecordError) {
    let mut bytes = two_records().to_vec();
    bytes[57..61].copy_from_slice(&declared.to_be_bytes());
    let records: Vec<_> = BatchRef::parse(&bytes).unwrap().records().unwrap().collect();
    assert_eq!(records.last(), Some(&Err(error)));
}

#[test]
fn a_wrong_count_is_an_error() {
    check_count(0, RecordError::Trailing);
    check_count(1, RecordError::Trailing);
    check_count(3, RecordError::Missing { found: 2, declared: 3 });
    check_count(i32::MAX, RecordError::Missing { found: 2, declared: i32::MAX });
}

#[test]
fn a_marker_is_a_batch_of_78_bytes() {
    let producer = ProducerIdAndEpoch { id: ProducerId(9), epoch: ProducerEpoch(2) };
    let bytes = BatchBuilder::marker(producer, ControlType::Commit, 5, Millis(7)).build().unwrap();
    assert_eq!(bytes.len(), 78);
    let batch = BatchRef::parse(&bytes).unwrap();
    let attributes = batch.header().attributes;
    assert!(attributes.is_control() && attributes.is_transactional());
    let record = batch.records().unwrap().next().unwrap().unwrap();
    assert_eq!(record.key.and_then(ControlType::from_key), Some(ControlType::Commit));
    assert_eq!(record.value, Some(&[0, 0, 0, 0, 0, 5][..]));
}

#[test]
fn compressed_records_are_not_read_in_place() {
    let mut builder = BatchBuilder::new().compression(Compression::Zstd, None);
    builder.append(Millis(1), None, Some(b"x"));
    let bytes = builder.build().unwrap();
    assert_eq!(BatchRef::parse(&bytes).unwrap().records().err(), Some(RecordError::Compressed));
}
