use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use super::*;
use crate::{BatchBuilder, Batches, ControlType};

const HORIZON: Millis = Millis(5_000_000);
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Records `k0` to `k4` at offsets 100 to 104, a second apart; `k3` has no value.
fn batch(codec: Compression, kind: TimestampType) -> Bytes {
    let producer = ProducerIdAndEpoch { id: ProducerId(7), epoch: ProducerEpoch(2) };
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(100))
        .leader_epoch(LeaderEpoch(9))
        .producer(producer, 40)
        .timestamp_type(kind)
        .compression(codec, None);
    for i in 0..5 {
        let value = format!("value {i}");
        let value = (i != 3).then_some(value.as_bytes());
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
        builder.append_with_headers(Millis(1000 + i * 1000), Some(format!("k{i}").as_bytes()), value, &headers);
    }
    builder.build().unwrap()
}

fn one(bytes: &[u8]) -> BatchRef<'_> {
    let batch = Batches::new(bytes).next().unwrap().unwrap();
    assert_eq!(batch.bytes().len(), bytes.len());
    batch.verify_crc().unwrap();
    batch
}

type Plain = (i64, i64, Vec<u8>, Option<Vec<u8>>, usize);

fn records(bytes: &[u8]) -> Vec<Plain> {
    let batch = one(bytes);
    let mut reader = records_of(&batch).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let key = record.key.unwrap().to_vec();
        found.push((record.offset.0, record.timestamp.0, key, record.value.map(<[u8]>::to_vec), record.headers.len()));
    }
    found
}

fn retain(bytes: &[u8], keep: &[i64]) -> Retained {
    Retainer::default().retain(&one(bytes), HORIZON, |record| keep.contains(&record.offset.0)).unwrap()
}

fn part(retained: Retained) -> Bytes {
    match retained {
        Retained::Part(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_stays_is_what_it_was_with_every_codec() {
    for codec in CODECS {
        for kind in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let before = batch(codec, kind);
            let after = part(retain(&before, &[101, 102, 104]));
            let expected: Vec<_> = records(&before).into_iter().filter(|r| [101, 102, 104].contains(&r.0)).collect();
            assert_eq!(records(&after), expected, "{codec:?}");
            let (old, new) = (*one(&before).header(), *one(&after).header());
            let facts = |h: &BatchHeader| (h.base_offset, h.last_offset(), h.producer(), h.base_sequence, h.attributes);
            assert_eq!(facts(&new), facts(&old));
            assert_eq!((new.partition_leader_epoch, new.last_sequence()), (LeaderEpoch(9), 44));
            assert_eq!((new.records_count, new.max_timestamp), (3, Millis(5000)));
        }
    }
}

#[test]
fn a_batch_of_which_all_or_nothing_stays_is_not_made_anew() {
    let before = batch(Compression::Zstd, TimestampType::CreateTime);
    assert_eq!(retain(&before, &[]), Retained::Nothing);
    let with_horizon = part(retain(&before, &[100, 101, 102, 103, 104]));
    assert_eq!(retain(&with_horizon, &[100, 101, 102, 103, 104]), Retained::Whole, "it has its horizon");
    let without_tombstone = part(retain(&before, &[100, 101, 102, 104]));
    assert_eq!(retain(&without_tombstone, &[100, 101, 102, 104]), Retained::Whole);
}

#[test]
fn the_largest_time_is_that_of_a_record_that_stays() {
    let create = part(retain(&batch(Compression::None, TimestampType::CreateTime), &[101]));
    assert_eq!(one(&create).header().max_timestamp, Millis(2000));
    let append = part(retain(&batch(Compression::None, TimestampType::LogAppendTime), &[101]));
    assert_eq!(one(&append).header().max_timestamp, Millis(5000), "the time of the append");
}

#[test]
fn a_tombstone_gives_its_batch_a_horizon_once_and_times_stay() {
    for codec in CODECS {
        let before = batch(codec, TimestampType::CreateTime);
        let after = part(retain(&before, &[100, 103]));
        assert_eq!(one(&after).header().delete_horizon(), Some(HORIZON), "{codec:?}");
        let expected: Vec<_> = records(&before).into_iter().filter(|r| r.0 == 100 || r.0 == 103).collect();
        assert_eq!(records(&after), expected);
        let mut retainer = Retainer::default();
        let later = retainer.retain(&one(&after), HORIZON.plus(99), |record| record.offset.0 == 103).unwrap();
        let later = part(later);
        assert_eq!(one(&later).header().delete_horizon(), Some(HORIZON), "a horizon does not move");
        assert_eq!(records(&later)[0].1, 4000);
    }
}

#[test]
fn a_marker_gets_its_horizon_without_a_tombstone() {
    let producer = ProducerIdAndEpoch { id: ProducerId(7), epoch: ProducerEpoch(2) };
    let marker = BatchBuilder::marker(producer, ControlType::Abort, 3, Millis(77)).build().unwrap();
    let marked = part(Retainer::default().with_horizon(&one(&marker), HORIZON).unwrap());
    let header = *one(&marked).header();
    assert_eq!((header.delete_horizon(), header.max_timestamp), (Some(HORIZON), Millis(77)));
    assert!(header.attributes.is_control() && header.attributes.is_transactional());
    assert_eq!(records(&marked), records(&marker));
    assert_eq!(Retainer::default().with_horizon(&one(&marked), Millis(1)).unwrap(), Retained::Whole);
}

#[test]
fn an_emptied_batch_says_what_its_header_said() {
    let before = batch(Compression::Lz4, TimestampType::CreateTime);
    let empty = emptied(one(&before).header());
    let (old, new) = (*one(&before).header(), *one(&empty).header());
    assert_eq!((new.base_offset, new.last_offset()), (old.base_offset, old.last_offset()));
    assert_eq!((new.producer(), new.base_sequence, new.last_sequence()), (old.producer(), 40, 44));
    assert_eq!((new.records_count, new.size_in_bytes()), (0, HEADER_LEN));
    assert!(records(&empty).is_empty());
    assert_eq!(retain(&empty, &[100]), Retained::Nothing);
}

#[test]
fn a_broken_batch_is_an_error() {
    let before = batch(Compression::None, TimestampType::CreateTime);
    let mut spoiled = before.to_vec();
    spoiled[HEADER_LEN] = 0x7f;
    let broken = BatchRef::parse(&spoiled).unwrap();
    assert!(Retainer::default().retain(&broken, HORIZON, |_| true).is_err());
}
