//! Batches that Kafka's own client library wrote, with every codec, are read, checked and written back alike.
#![allow(clippy::unwrap_used)] // a test may

mod sent;

use std::path::Path;

use bytes::Bytes;
use ottla_records::{
    BatchRef, ControlType, Depth, ProduceRules, TargetCompression, check_produce, crc_of, records_of, verify_crc,
};
use ottla_types::{Compression, LeaderEpoch, Millis, ProducerEpoch, ProducerId, TimestampType};
use sent::{T, sent};

fn file(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/batches").join(format!("{name}.batch"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

const CREATE_TIME: [(&str, Compression); 9] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("gzip-9", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("lz4-17", Compression::Lz4),
    ("lz4-transactional", Compression::Lz4),
    ("zstd", Compression::Zstd),
    ("zstd-22", Compression::Zstd),
];

#[track_caller]
fn check_records(batch: &BatchRef<'_>, time: impl Fn(Millis) -> Millis) {
    let mut reader = records_of(batch).unwrap();
    for (at, expected) in sent().iter().enumerate() {
        let found = reader.next_record().unwrap().unwrap();
        expected.assert_is(&found, at, time(expected.timestamp));
    }
    assert_eq!(reader.next_record().unwrap(), None);
    assert_eq!(reader.next_record().unwrap(), None);
}

#[test]
fn every_codec_is_read() {
    for (name, codec) in CREATE_TIME {
        let bytes = file(name);
        let batch = BatchRef::parse(&bytes).unwrap();
        assert_eq!(batch.bytes().len(), bytes.len(), "{name}");
        batch.verify_crc().unwrap();
        assert_eq!(batch.header().attributes.compression(), Ok(codec), "{name}");
        assert_eq!(batch.header().partition_leader_epoch, LeaderEpoch(3));
        assert_eq!((batch.header().base_timestamp, batch.header().max_timestamp), (Millis(T), Millis(T + 10)));
        check_records(&batch, |timestamp| timestamp);
    }
}

#[test]
fn every_codec_passes_the_producers_check_unchanged() {
    for (name, _) in CREATE_TIME {
        for depth in [Depth::Records, Depth::HeaderOnly] {
            let bytes = file(name);
            let checked = check_produce(&bytes, &ProduceRules { depth, ..ProduceRules::default() }, Millis(T)).unwrap();
            assert_eq!([&checked.head[..], &checked.body[..]].concat(), bytes, "{name} {depth:?}");
            assert_eq!(checked.max_timestamp, Millis(T + 10));
        }
    }
}

#[test]
fn uncompressing_gives_the_uncompressed_file() {
    let rules =
        ProduceRules { compression: TargetCompression::Codec(Compression::None, None), ..ProduceRules::default() };
    for name in ["gzip", "snappy", "lz4", "zstd", "zstd-22"] {
        let checked = check_produce(&file(name), &rules, Millis(T)).unwrap();
        assert_eq!([&checked.head[..], &checked.body[..]].concat(), file("none"), "{name}");
    }
}

#[test]
fn a_transactional_batch_says_whose_it_is() {
    let bytes = file("lz4-transactional");
    let header = *BatchRef::parse(&bytes).unwrap().header();
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
    assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(77), ProducerEpoch(4)));
    assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX - 1, 3), "sequence numbers wrap");
}

#[test]
fn append_time_replaces_the_records_times() {
    let bytes = file("zstd-append-time");
    let batch = BatchRef::parse(&bytes).unwrap();
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    check_records(&batch, |_| Millis(T + 99));
}

#[test]
fn a_broker_stamps_append_time_to_the_same_bytes() {
    let rules = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..ProduceRules::default() };
    let checked = check_produce(&file("zstd"), &rules, Millis(T + 99)).unwrap();
    let batch = [&checked.head[..], &checked.body[..]].concat();
    verify_crc(&batch).unwrap();
    let bytes = file("zstd-append-time");
    assert_eq!(checked.header.max_timestamp, BatchRef::parse(&bytes).unwrap().header().max_timestamp);
    check_records(&BatchRef::parse(&batch).unwrap(), |_| Millis(T + 99));
}

#[test]
fn a_marker_is_written_to_the_same_bytes() {
    use ottla_records::BatchBuilder;
    use ottla_types::ProducerIdAndEpoch;
    let producer = ProducerIdAndEpoch { id: ProducerId(77), epoch: ProducerEpoch(4) };
    let marker = BatchBuilder::marker(producer, ControlType::Commit, 9, Millis(T)).leader_epoch(LeaderEpoch(3));
    assert_eq!(marker.build().unwrap(), file("marker-commit"));
    assert_eq!(crc_of(&file("marker-commit")), BatchRef::parse(&file("marker-commit")).unwrap().header().crc);
}

#[test]
fn uncompressed_records_are_written_to_the_same_bytes() {
    let mut builder = ottla_records::BatchBuilder::new().leader_epoch(LeaderEpoch(3));
    sent().iter().for_each(|record| record.append_to(&mut builder));
    assert_eq!(builder.build().unwrap(), file("none"));
}
