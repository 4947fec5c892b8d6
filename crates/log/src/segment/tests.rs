use std::os::unix::fs::MetadataExt;

use bytes::Bytes;
use ottla_records::BatchBuilder;
use ottla_types::LeaderEpoch;

use super::*;
use crate::{
    LogConfig, StdDisk,
    index::{Entry, offset_index::OffsetEntry},
};

const NOW: Millis = Millis(1000);

fn segment(dir: &tempfile::TempDir, base: i64) -> Segment {
    let handles = HandleCache::new(Arc::new(StdDisk), 8);
    Segment::create(&handles, &dir.path().into(), Offset(base), NOW).unwrap()
}

fn built(offset: i64, count: usize, size: usize, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new().base_offset(Offset(offset)).leader_epoch(LeaderEpoch(0));
    (0..count).for_each(|_| builder.append(Millis(timestamp), None, Some(&vec![7; size])));
    builder.build().unwrap()
}

fn append(segment: &Segment, offset: i64, count: usize, size: usize, timestamp: i64) -> usize {
    let bytes = built(offset, count, size, timestamp);
    let header = BatchHeader::parse(&bytes).unwrap();
    segment.append(&header, bytes.first_chunk().unwrap(), &bytes[HEADER_LEN..], 1000).unwrap();
    bytes.len()
}

/// A segment from offset 10 of 300 batches of two records, with a hole of 5 offsets behind each.
fn filled(dir: &tempfile::TempDir) -> (Segment, Vec<Place>) {
    let segment = segment(dir, 10);
    let mut position = 0;
    let mut places = Vec::new();
    for i in 0..300 {
        let len = append(&segment, 10 + i * 7, 2, 150, i) as u64;
        places.push(Place::Batch { position, len });
        position += len;
    }
    places.push(Place::End(position));
    (segment, places)
}

/// What `locate` should say of an offset.
fn expected(places: &[Place], offset: i64) -> Place {
    let index = if offset <= 10 { 0 } else { (offset - 10).div_euclid(7) + i64::from((offset - 10).rem_euclid(7) > 1) };
    places[(index as usize).min(places.len() - 1)]
}

#[test]
fn every_offset_is_located_active_sealed_and_without_index() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, places) = filled(&dir);
    let check = |what: &str| {
        for offset in (0..2200).chain([i64::MAX]) {
            assert_eq!(segment.locate(Offset(offset)).unwrap(), expected(&places, offset), "{what}, offset {offset}");
        }
    };
    check("active");
    segment.write_indexes().unwrap();
    check("active, index written");
    segment.finish_indexes().unwrap();
    segment.seal();
    check("sealed");
    std::fs::write(segment.offset_index.path(), [0xff; 80]).unwrap();
    segment.close();
    check("with an index of nonsense");
    std::fs::remove_file(segment.offset_index.path()).unwrap();
    segment.close();
    check("without index");
}

#[test]
fn a_consumer_at_the_tail_reads_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, places) = filled(&dir);
    let end = 10 + 300 * 7;
    for offset in end - 60 * 7..end {
        let both = segment.locate_both(Offset(offset), Offset(end));
        assert_eq!(both, Some((expected(&places, offset), expected(&places, end))), "offset {offset}");
    }
}

#[test]
fn an_index_entry_comes_after_each_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, _) = filled(&dir);
    segment.finish_indexes().unwrap();
    let bytes = std::fs::read(segment.offset_index.path()).unwrap();
    let entries: Vec<_> = bytes.chunks_exact(8).map(OffsetEntry::decode).collect();
    assert!(entries.len() > 80, "{}", entries.len());
    let mut last = 0;
    for entry in entries {
        assert!(entry.position - last > 1000, "{entry:?} after {last}");
        assert_eq!(expected_position(&segment, entry.relative), u64::from(entry.position));
        last = entry.position;
    }
    assert_eq!(segment.upper_bound_offset(0).unwrap(), Some(Offset(10 + 22)));
    assert_eq!(segment.upper_bound_offset(u64::from(last) + 1).unwrap(), None);
}

/// Where the batch that ends at the relative offset begins.
fn expected_position(segment: &Segment, relative: u32) -> u64 {
    let found = segment.find_batch(Offset(10 + i64::from(relative))).unwrap().unwrap();
    assert_eq!(found.header.last_offset(), Offset(10 + i64::from(relative)));
    found.position
}

#[test]
fn a_resumed_segment_is_the_one_that_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let (left, _) = filled(&dir);
    left.finish_indexes().unwrap();
    let size = left.size().unwrap();
    let resumed = Segment::new(&HandleCache::new(Arc::new(StdDisk), 8), &dir.path().into(), Offset(10), false);
    let config = LogConfig { index_interval_bytes: 1000, ..LogConfig::default() };
    resumed.resume(size, &config, NOW).unwrap();
    let facts = |segment: &Segment| {
        segment.with_active(|a| (a.next_offset, a.size, a.largest, a.first_timestamp, a.offsets.len(), a.times.len()))
    };
    assert_eq!(facts(&resumed), facts(&left));
    let next = 10 + 300 * 7;
    for i in 0..20 {
        append(&left, next + i, 1, 300, 300 + i);
    }
    left.finish_indexes().unwrap();
    let by_left = std::fs::read(left.offset_index.path()).unwrap();
    resumed.resume(left.size().unwrap(), &config, NOW).unwrap();
    resumed.finish_indexes().unwrap();
    assert_eq!(std::fs::read(left.offset_index.path()).unwrap(), by_left);
}

#[test]
fn hostile_bytes_are_an_error_and_never_a_panic() {
    for spoil in [vec![0; 61], vec![0xff; 200], vec![2; 61]] {
        let dir = tempfile::tempdir().unwrap();
        let (segment, places) = filled(&dir);
        segment.finish_indexes().unwrap();
        segment.seal();
        let position = places[150].position();
        let file = segment.file().unwrap();
        file.write_all_at(&mut [IoSlice::new(&spoil)], position).unwrap();
        for offset in 0..2200 {
            let _ = segment.locate(Offset(offset));
            let _ = segment.start_for_timestamp(Millis(offset), Offset(0));
        }
        assert!(segment.locate(Offset(10 + 150 * 7)).is_err());
        assert!(segment.rebuild_sealed(segment.size().unwrap(), &LogConfig::default()).is_err());
    }
}

#[test]
fn a_sealed_segment_holds_no_more_of_the_disk_than_its_bytes() {
    const SLACK: u64 = 64 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let segment = segment(&dir, 0);
    for at in 0..24 {
        append(&segment, at, 1, 100_000, 1);
    }
    let size = segment.size().unwrap();
    segment.seal();
    let held = std::fs::metadata(dir.path().join(file_name(Offset(0), FileKind::Log))).unwrap().blocks() * 512;
    assert!(held <= size + SLACK, "{held} bytes of the disk for {size}");
}
