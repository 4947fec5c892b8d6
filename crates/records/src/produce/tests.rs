//! Each rule broken once, with the code to answer; then what is stored of batches that pass.

use ottla_types::{Compression, ErrorCode, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use super::*;
use crate::{BatchBuilder, BatchRef, DecompressError, RecordError, compression::compress, crc_of, records_of};

const NOW: Millis = Millis(1_700_000_000_000);
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn three(codec: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new().compression(codec, None);
    builder.append(NOW, Some(b"a"), Some(b"1"));
    builder.append_with_headers(NOW.plus(5), Some(b"b"), None, &[(b"h", Some(b"x")), (b"h", None)]);
    builder.append(NOW.plus(5), Some(b"c"), Some(b""));
    builder
}

fn bytes_of(builder: BatchBuilder) -> Bytes {
    builder.build().unwrap()
}

/// A batch of one record that `body` gives, uncompressed.
fn with_body(count: i32, body: &[u8]) -> Bytes {
    changed(&bytes_of(three(Compression::None)), |batch| {
        batch.truncate(HEADER_LEN);
        batch.extend_from_slice(body);
        put(batch, 23, &(count - 1).to_be_bytes());
        put(batch, 57, &count.to_be_bytes());
    })
}

/// `batch` after `change`, with length and checksum right.
fn changed(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut batch = batch.to_vec();
    change(&mut batch);
    let len = (batch.len() - 12) as i32;
    put(&mut batch, 8, &len.to_be_bytes());
    let crc = crc_of(&batch);
    put(&mut batch, 17, &crc.to_be_bytes());
    batch.into()
}

fn put(batch: &mut [u8], at: usize, bytes: &[u8]) {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
}

#[track_caller]
fn check_code(bytes: &Bytes, rules: &ProduceRules, code: ErrorCode) -> ProduceRejection {
    let rejection = check_produce(bytes, rules, NOW).unwrap_err();
    assert_eq!(rejection.error_code(), code, "{rejection:?}");
    rejection
}

#[track_caller]
fn check_default(bytes: &Bytes, code: ErrorCode) -> ProduceRejection {
    check_code(bytes, &ProduceRules::default(), code)
}

#[test]
fn there_must_be_exactly_one_whole_batch() {
    let good = bytes_of(three(Compression::None));
    for len in 0..good.len() {
        check_default(&good.slice(..len), ErrorCode::InvalidRecord);
    }
    check_default(&[&good[..], &good[..]].concat().into(), ErrorCode::InvalidRecord);
    check_default(&[&good[..], &[0]].concat().into(), ErrorCode::InvalidRecord);
}

#[test]
fn a_broken_header_has_the_code_that_kafka_gives() {
    let good = bytes_of(three(Compression::None)).to_vec();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        put(&mut bad, at, bytes);
        Bytes::from(bad)
    };
    for len in [-2i32, 0, 13, 14, 48] {
        check_default(&with(8, &len.to_be_bytes()), ErrorCode::CorruptMessage);
    }
    check_default(&with(16, &[0]), ErrorCode::InvalidRecord);
    check_default(&with(16, &[1]), ErrorCode::InvalidRecord);
    check_default(&with(16, &[3]), ErrorCode::CorruptMessage);
    check_default(&with(70, &[0xff]), ErrorCode::CorruptMessage);
    check_default(&with(0, &5i64.to_be_bytes()), ErrorCode::InvalidRecord);
    assert!(check_produce(&with(12, &5i32.to_be_bytes()), &ProduceRules::default(), NOW).is_ok(), "epoch is ours");
}

#[test]
fn counts_and_offsets_must_agree() {
    let good = bytes_of(three(Compression::None));
    for (count, delta) in [(0, 0), (0, -1), (-1, 2), (3, -1), (3, 1), (4, 3), (2, 1), (i32::MAX, i32::MAX - 1)] {
        let bad = changed(&good, |batch| {
            put(batch, 23, &i32::to_be_bytes(delta));
            put(batch, 57, &i32::to_be_bytes(count));
        });
        check_default(&bad, ErrorCode::InvalidRecord);
    }
    for codec in CODECS {
        let mut gap = three(codec);
        gap.append_at(5, NOW, Some(b"k"), None, &[]);
        check_default(&bytes_of(gap), ErrorCode::InvalidRecord);
        let mut twice = BatchBuilder::new().compression(codec, None);
        twice.append(NOW, None, None);
        twice.append_at(0, NOW, None, None, &[]);
        twice.append_at(2, NOW, None, None, &[]);
        let rejection = check_default(&bytes_of(twice), ErrorCode::InvalidRecord);
        assert_eq!(rejection.record_errors().map(|(index, _)| index).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn control_batches_and_unknown_codecs_are_refused() {
    check_default(&bytes_of(three(Compression::None).control(true)), ErrorCode::InvalidRecord);
    for codec in 5..8 {
        let bad = changed(&bytes_of(three(Compression::None)), |batch| batch[22] |= codec);
        check_default(&bad, ErrorCode::UnsupportedCompressionType);
    }
}

#[test]
fn a_producer_id_needs_a_sequence_and_a_transaction_an_id() {
    let producer = ProducerIdAndEpoch { id: ProducerId(5), epoch: ProducerEpoch(0) };
    for sequence in [-1, -5] {
        check_default(&bytes_of(three(Compression::None).producer(producer, sequence)), ErrorCode::InvalidRecord);
    }
    check_default(&bytes_of(three(Compression::None).transactional(true)), ErrorCode::InvalidRecord);
    let good = three(Compression::None).transactional(true).producer(producer, 0);
    assert!(check_produce(&bytes_of(good), &ProduceRules::default(), NOW).is_ok());
}

#[test]
fn the_limit_counts_the_whole_batch_and_comes_before_the_checksum() {
    let good = bytes_of(three(Compression::None));
    let limit = |max_message_bytes| ProduceRules { max_message_bytes, ..ProduceRules::default() };
    assert!(check_produce(&good, &limit(good.len()), NOW).is_ok());
    check_code(&good, &limit(good.len() - 1), ErrorCode::MessageTooLarge);
    let mut broken = good.to_vec();
    broken[70] ^= 1;
    check_code(&broken.into(), &limit(good.len() - 1), ErrorCode::MessageTooLarge);
}

#[test]
fn timestamps_must_be_near_the_brokers_clock() {
    let rules = ProduceRules { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 100, ..ProduceRules::default() };
    for codec in CODECS {
        let mut builder = BatchBuilder::new().compression(codec, None);
        for delta in [0, -1000, -1001, 100, 101] {
            builder.append(NOW.plus(delta), None, None);
        }
        let rejection = check_code(&bytes_of(builder), &rules, ErrorCode::InvalidTimestamp);
        assert_eq!(rejection.record_errors().map(|(index, _)| index).collect::<Vec<_>>(), [2, 4]);
    }
    let mut none = BatchBuilder::new();
    none.append(Millis::NONE, None, None);
    assert_eq!(check_produce(&bytes_of(none), &rules, NOW).unwrap().max_timestamp, Millis::NONE);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let rules = ProduceRules { compacted: true, ..ProduceRules::default() };
    let mut builder = three(Compression::Zstd);
    builder.append(NOW, None, Some(b"x"));
    builder.append(NOW, None, Some(b"y"));
    let rejection = check_code(&bytes_of(builder), &rules, ErrorCode::InvalidRecord);
    assert_eq!(rejection.record_errors().map(|(index, _)| index).collect::<Vec<_>>(), [3, 4]);
    assert!(rejection.message().contains("2 records"), "{}", rejection.message());
    assert!(check_produce(&bytes_of(three(Compression::Zstd)), &rules, NOW).is_ok());
}

#[test]
fn faults_named_one_by_one_are_bounded() {
    let rules = ProduceRules { compacted: true, ..ProduceRules::default() };
    let mut builder = BatchBuilder::new();
    (0..5000).for_each(|_| builder.append(NOW, None, None));
    let rejection = check_code(&bytes_of(builder), &rules, ErrorCode::InvalidRecord);
    assert_eq!(rejection.record_errors().count(), ProduceRejection::FAULTS_MAX);
    assert!(rejection.message().contains("5000 records"));
}

#[test]
fn a_record_that_cannot_be_read_refuses_the_batch() {
    let broken: [&[u8]; 12] = [
        &[],                                // no record
        &[12, 0, 0, 0, 1, 1, 0, 0],         // a byte follows
        &[14, 0, 0, 0, 1, 1, 0],            // longer than the body
        &[14, 0, 0, 0, 1, 1, 0, 0],         // longer than its fields
        &[10, 0, 0, 0, 1, 1],               // too short for its fields
        &[1, 0, 0, 0, 1, 1, 0],             // length -1
        &[0],                               // length 0
        &[12, 0, 0, 0, 3, 1, 0],            // key length -2
        &[12, 0, 0, 0, 1, 3, 0],            // value length -2
        &[12, 0, 0, 0, 1, 1, 1],            // -1 headers
        &[16, 0, 0, 0, 1, 1, 2, 1, 1],      // header name null
        &[0xff, 0xff, 0xff, 0xff, 0xff, 1], // length of six bytes
    ];
    for body in broken {
        check_default(&with_body(1, body), ErrorCode::InvalidRecord);
    }
    assert!(check_produce(&with_body(1, &[12, 0, 0, 0, 1, 1, 0]), &ProduceRules::default(), NOW).is_ok());
}

#[test]
fn a_broken_compressed_body_refuses_the_batch() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let good = bytes_of(three(codec));
        for len in HEADER_LEN..good.len() {
            check_default(&changed(&good, |batch| batch.truncate(len)), ErrorCode::InvalidRecord);
        }
        check_default(&changed(&good, |batch| batch.push(0)), ErrorCode::InvalidRecord);
        let plain = bytes_of(three(Compression::None));
        check_default(&changed(&plain, |batch| batch[22] |= codec as u8), ErrorCode::InvalidRecord);
    }
}

#[test]
fn what_passes_is_stored_as_it_came() {
    for codec in CODECS {
        let bytes = bytes_of(three(codec));
        let checked = check_produce(&bytes, &ProduceRules::default(), NOW).unwrap();
        assert_eq!([&checked.head[..], &checked.body[..]].concat(), bytes);
        assert_eq!(checked.body.as_ptr(), bytes[HEADER_LEN..].as_ptr(), "no copy");
        assert_eq!((checked.max_timestamp, checked.offset_of_max_timestamp), (NOW.plus(5), 1));
        assert_eq!(checked.header, BatchHeader::parse(&checked.head).unwrap());
    }
}

fn stored(checked: &CheckedBatch) -> Vec<u8> {
    [&checked.head[..], &checked.body[..]].concat()
}

#[test]
fn the_highest_timestamp_is_what_the_records_say() {
    for claim in [-1, 5, NOW.0 * 2] {
        let bytes = changed(&bytes_of(three(Compression::Lz4)), |batch| put(batch, 35, &i64::to_be_bytes(claim)));
        let checked = check_produce(&bytes, &ProduceRules::default(), NOW).unwrap();
        assert_eq!(stored(&checked), bytes_of(three(Compression::Lz4)));
    }
}

#[test]
fn append_time_changes_header_fields_only() {
    let rules = ProduceRules {
        timestamp_type: TimestampType::LogAppendTime,
        timestamp_after_max_ms: 0,
        ..ProduceRules::default()
    };
    let later = NOW.plus(1000);
    for codec in CODECS {
        let bytes = bytes_of(three(codec));
        let checked = check_produce(&bytes, &rules, later).unwrap();
        let all = stored(&checked);
        let batch = BatchRef::parse(&all).unwrap();
        batch.verify_crc().unwrap();
        assert_eq!(batch.header().attributes.0, 8 | codec as i16);
        assert_eq!((batch.header().base_timestamp, batch.header().max_timestamp), (NOW, later));
        assert_eq!((checked.max_timestamp, checked.offset_of_max_timestamp), (later, 0));
        assert_eq!(checked.body.as_ptr(), bytes[HEADER_LEN..].as_ptr());
        assert_eq!(records_of(&batch).unwrap().next_record().unwrap().unwrap().timestamp, later);
    }
}

#[test]
fn a_producer_cannot_claim_append_time() {
    let bytes = bytes_of(three(Compression::None).timestamp_type(TimestampType::LogAppendTime));
    for depth in [Depth::Records, Depth::HeaderOnly] {
        let rules = ProduceRules { timestamp_type: TimestampType::LogAppendTime, depth, ..ProduceRules::default() };
        check_code(&bytes, &rules, ErrorCode::InvalidTimestamp);
        let rules = ProduceRules { depth, ..ProduceRules::default() };
        let checked = check_produce(&bytes, &rules, NOW).unwrap();
        assert_eq!(checked.header.attributes.timestamp_type(), TimestampType::CreateTime, "the bit is cleared");
    }
}

#[test]
fn a_producer_cannot_set_a_delete_horizon() {
    let bytes = changed(&bytes_of(three(Compression::None)), |batch| batch[22] |= 0x40);
    let checked = check_produce(&bytes, &ProduceRules::default(), NOW).unwrap();
    assert_eq!(stored(&checked), bytes_of(three(Compression::None)));
}

#[test]
fn another_codec_keeps_the_records_bytes() {
    for from in CODECS {
        for to in CODECS {
            let rules = ProduceRules { compression: TargetCompression::Codec(to, None), ..ProduceRules::default() };
            let checked = check_produce(&bytes_of(three(from)), &rules, NOW).unwrap();
            let all = stored(&checked);
            let batch = BatchRef::parse(&all).unwrap();
            batch.verify_crc().unwrap();
            assert_eq!(batch.header().size_in_bytes(), all.len());
            let back = ProduceRules {
                compression: TargetCompression::Codec(Compression::None, None),
                ..ProduceRules::default()
            };
            let plain = check_produce(&all.into(), &back, NOW).unwrap();
            assert_eq!(stored(&plain), bytes_of(three(Compression::None)), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn what_grows_beyond_the_limit_with_another_codec_is_too_large() {
    let mut builder = BatchBuilder::new().compression(Compression::Gzip, None);
    builder.append(NOW, None, Some(&[7; 5000]));
    let bytes = bytes_of(builder);
    for codec in [Compression::None, Compression::Snappy] {
        let rules = ProduceRules {
            max_message_bytes: 200,
            compression: TargetCompression::Codec(codec, None),
            ..ProduceRules::default()
        };
        check_code(&bytes, &rules, ErrorCode::MessageTooLarge);
    }
}

#[test]
fn the_header_alone_is_trusted_where_asked() {
    let rules = ProduceRules { depth: Depth::HeaderOnly, compacted: true, ..ProduceRules::default() };
    let checked = check_produce(&with_body(3, b"whatever"), &rules, NOW).unwrap();
    assert_eq!((checked.max_timestamp, checked.offset_of_max_timestamp), (NOW.plus(5), 2));
    let late = changed(&bytes_of(three(Compression::None)), |batch| put(batch, 35, &i64::MAX.to_be_bytes()));
    check_code(&late, &rules, ErrorCode::InvalidTimestamp);
}

#[test]
fn a_thousandfold_batch_passes() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        builder.append(NOW, None, Some(&vec![0; 20 << 20]));
        let bytes = bytes_of(builder);
        assert!(bytes.len() < (20 << 20) / 1000, "{codec:?} {}", bytes.len());
        assert!(check_produce(&bytes, &ProduceRules::default(), NOW).is_ok());
    }
}

#[test]
fn a_bomb_is_too_large() {
    let mut builder = BatchBuilder::new().compression(Compression::Zstd, None);
    builder.append(NOW, None, Some(&vec![0; 80 << 20]));
    let rejection = check_default(&bytes_of(builder), ErrorCode::MessageTooLarge);
    assert_eq!(rejection, ProduceRejection::Unreadable(RecordError::Decompress(DecompressError::TooLarge)));
}

#[test]
fn offsets_stay_zero_for_the_log_to_stamp() {
    let checked = check_produce(&bytes_of(three(Compression::None)), &ProduceRules::default(), NOW).unwrap();
    assert_eq!(checked.header.base_offset, Offset::ZERO);
}

#[test]
fn a_codec_that_fails_here_is_not_the_producers_fault() {
    let failed = compress(Compression::Zstd, Some(i32::MAX), b"x").unwrap_err();
    assert_eq!(ProduceRejection::from(failed).error_code(), ErrorCode::KafkaStorageError);
}
