//! One entry for fuzzers: whatever the bytes, everything that reads them ends without a panic, and what one reader
//! accepts the others accept too.

use bytes::Bytes;
use ottla_types::{Compression, Millis};

use crate::{
    BatchRef, Batches, CheckedBatch, Depth, ProduceRules, RecordError, TargetCompression, check_produce,
    compression::Decompressor, crc_of, records_of,
};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Feeds `bytes` to every reader of this crate: as they are, and once more with the length and the checksum made
/// right, so that what lies behind those is reached.
///
/// # Panics
/// When an invariant of this crate does not hold.
pub fn fuzz_batch(bytes: &[u8]) {
    read_all(bytes);
    check(&Bytes::copy_from_slice(bytes));
    let mended = mend(bytes);
    read_all(&mended);
    check(&mended);
    for codec in CODECS {
        drain(codec, bytes);
    }
}

/// Length, magic and checksum as they should be.
fn mend(bytes: &[u8]) -> Bytes {
    let mut batch = bytes.to_vec();
    if batch.len() > 21 {
        let len = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&len.to_be_bytes());
        batch[16] = 2;
        let crc = crc_of(&batch);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    batch.into()
}

fn read_all(bytes: &[u8]) {
    let mut batches = Batches::new(bytes);
    let mut total = 0;
    for batch in batches.by_ref().filter_map(Result::ok) {
        total += batch.bytes().len();
        let _ = batch.verify_crc();
        let (count, streamed) = read_records(&batch);
        if let Ok(records) = batch.records() {
            let in_place: Result<Vec<_>, _> = records.collect();
            assert_eq!(in_place.as_ref().map(Vec::len).ok(), streamed.is_ok().then_some(count));
        }
    }
    assert!(total == batches.consumed() && total <= bytes.len());
}

/// How many records were read, and how it ended.
fn read_records(batch: &BatchRef<'_>) -> (usize, Result<(), RecordError>) {
    let mut count = 0;
    let mut reader = match records_of(batch) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                assert_eq!(record.headers.len(), record.headers.count());
                count += 1;
            }
            Ok(None) => return (count, Ok(())),
            Err(error) => return (count, Err(error)),
        }
    }
}

fn check(bytes: &Bytes) {
    let now = Millis(1_700_000_000_000);
    for depth in [Depth::HeaderOnly, Depth::Records] {
        let rules = ProduceRules { depth, ..ProduceRules::default() };
        match check_produce(bytes, &rules, now) {
            Ok(checked) if depth == Depth::Records => accepted(&checked, now),
            Ok(checked) => assert_eq!(checked.body, bytes[61..]),
            Err(rejection) => assert!(!rejection.error_code().is_none() && !rejection.message().is_empty()),
        }
    }
}

/// What was accepted can be read, is accepted again, and survives every codec that keeps it within the limit.
fn accepted(checked: &CheckedBatch, now: Millis) {
    let stored = Bytes::from([&checked.head[..], &checked.body[..]].concat());
    let batch = BatchRef::parse(&stored).ok();
    let read = batch.map(|batch| read_records(&batch));
    assert_eq!(read, Some((checked.header.records_count as usize, Ok(()))));
    for codec in CODECS {
        let rules = ProduceRules { compression: TargetCompression::Codec(codec, Some(1)), ..ProduceRules::default() };
        if let Ok(again) = check_produce(&stored, &rules, now) {
            assert_eq!(again.max_timestamp, checked.max_timestamp);
        }
    }
}

fn drain(codec: Compression, body: &[u8]) {
    const CAP: u64 = 1 << 20;
    let Ok(mut reader) = Decompressor::new(codec, body, CAP) else { return };
    let (mut piece, mut total) = ([0; 4096], 0);
    while let Ok(read @ 1..) = reader.read_some(&mut piece) {
        total += read as u64;
    }
    assert!(total <= CAP);
}
