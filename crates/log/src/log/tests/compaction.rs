//! Compaction of one log, case by case. `tests/compaction/` of the crate goes over all of it at random.

use std::{collections::BTreeMap, ops::ControlFlow};

use ottla_records::{ControlType, records_of};
use ottla_types::Compression;

use super::*;
use crate::{CleanError, CleanStats, CleanerSettings, Cleanup};

const SETTINGS: CleanerSettings =
    CleanerSettings { dedupe_bytes: 1 << 20, load_factor: 0.9, io_bytes: 2000, digest_key: [5; 16] };
/// `delete.retention.ms` of these logs.
const RETENTION_MS: i64 = 1000;

fn bed() -> Bed {
    let mut bed = Bed::small_segments(4000, 500);
    bed.config.cleanup = Cleanup { delete: false, compact: true };
    bed.config.delete_retention_ms = RETENTION_MS;
    bed
}

fn keyed(records: &[(&str, Option<&str>)]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    fill(&mut builder, records);
    builder
}

fn fill(builder: &mut BatchBuilder, records: &[(&str, Option<&str>)]) {
    for (key, value) in records {
        builder.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes));
    }
}

fn put(log: &Log, builder: BatchBuilder) -> Offset {
    let appended = log.append(&checked(&builder.build().unwrap()), EPOCH, Origin::Client, NOW).unwrap();
    log.advance_high_watermark(log.log_end());
    appended.first_offset
}

fn producer(id: i64) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

fn transactional(log: &Log, id: i64, sequence: i32, records: &[(&str, Option<&str>)]) -> Offset {
    let mut builder = BatchBuilder::new().producer(producer(id), sequence).transactional(true);
    fill(&mut builder, records);
    put(log, builder)
}

fn end(log: &Log, id: i64, how: ControlType) -> Offset {
    let marker = checked(&BatchBuilder::marker(producer(id), how, 0, NOW).build().unwrap());
    let appended = log.append(&marker, EPOCH, Origin::Coordinator, NOW).unwrap();
    log.advance_high_watermark(log.log_end());
    appended.first_offset
}

/// Rounds of records for `keys` keys, each round another value, until the log has `segments` segments.
fn rounds(log: &Log, keys: usize, segments: usize) {
    for round in 0.. {
        for key in 0..keys {
            put(log, keyed(&[(&format!("k{key}"), Some(&format!("value {round} {:>100}", key)))]));
        }
        if log.segment_bases().len() >= segments {
            return;
        }
    }
}

fn clean_at(log: &Log, settings: &CleanerSettings, now: Millis) -> Result<CleanStats, CleanError> {
    log.flush().unwrap();
    log.clean(settings, now, &mut |_| ControlFlow::Continue(()))
}

fn clean(log: &Log) -> CleanStats {
    clean_at(log, &SETTINGS, NOW).unwrap()
}

/// All batches, by as many reads as it takes: header and bytes.
fn batches(log: &Log) -> Vec<(BatchHeader, Vec<u8>)> {
    let mut found = Vec::new();
    let mut from = log.log_start();
    while from < log.log_end() {
        let out = log.read(from, 3000, true, ReadBound::LogEnd).unwrap();
        let Some(records) = out.records else { break };
        let bytes = records.read().unwrap();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            batch.verify_crc().unwrap();
            from = batch.header().next_offset();
            found.push((*batch.header(), batch.bytes().to_vec()));
        }
    }
    found
}

/// Offset, key and value of every record of data.
fn records(log: &Log) -> Vec<(i64, String, Option<String>)> {
    let mut found = Vec::new();
    for (header, bytes) in batches(log) {
        if header.attributes.is_control() {
            continue;
        }
        let batch = ottla_records::BatchRef::parse(&bytes).unwrap();
        let mut reader = records_of(&batch).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((record.offset.0, text(record.key.unwrap()), record.value.map(text)));
        }
    }
    found
}

fn last_values(log: &Log) -> BTreeMap<String, Option<String>> {
    records(log).into_iter().map(|(_, key, value)| (key, value)).collect()
}

#[test]
fn closed_segments_hold_one_record_per_key_at_its_old_offset() {
    let bed = bed();
    let log = bed.open();
    rounds(&log, 10, 8);
    let (before, size, bases) = (records(&log), log.size().unwrap(), log.segment_bases());
    let active = *bases.last().unwrap();
    let stats = clean(&log);
    let after = records(&log);
    assert!(after.iter().all(|record| before.contains(record)), "nothing is changed or moved");
    let closed: Vec<_> = after.iter().filter(|(offset, _, _)| *offset < active.0).collect();
    let keys: std::collections::BTreeSet<_> = closed.iter().map(|(_, key, _)| key).collect();
    assert_eq!((closed.len(), keys.len()), (10, 10));
    for (offset, key, _) in closed {
        let last = before.iter().rfind(|(at, of, _)| of == key && *at < active.0).unwrap();
        assert_eq!(*offset, last.0);
    }
    assert!(log.size().unwrap() < size / 3);
    assert_eq!((stats.from, stats.to, stats.keys, stats.records_after), (Offset(0), active, 10, 10));
    assert_eq!(log.clean_to(), Some(active));
    assert_eq!(log.segment_bases().first(), Some(&Offset(0)));
    for from in 0..log.log_end().0 {
        let out = log.read(Offset(from), 1, true, ReadBound::LogEnd).unwrap();
        let header = BatchHeader::parse(&out.records.unwrap().read().unwrap()).unwrap();
        assert!(header.last_offset() >= Offset(from), "from {from}: {header:?}");
    }
    let left = log.cleanable(NOW).unwrap();
    assert_eq!((left.from, left.to, left.dirty_bytes), (active, active, 0));
}

#[test]
fn small_segments_become_one_and_a_restart_finds_it() {
    let mut bed = bed();
    let log = bed.open();
    rounds(&log, 5, 6);
    clean(&log);
    let (after, bases, size) = (records(&log), log.segment_bases(), log.size().unwrap());
    assert_eq!(bases.len(), 6, "a group is what fits one segment as it is");
    let active = *bases.last().unwrap();
    put(&log, keyed(&[("k0", Some("again"))]));
    log.roll(NOW).unwrap();
    clean(&log);
    assert_eq!(log.segment_bases().len(), 2, "{:?}", log.segment_bases());
    assert!(log.size().unwrap() < size);
    let after: BTreeMap<_, _> = after.into_iter().map(|(_, key, value)| (key, value)).collect();
    let expected = after.into_iter().chain([("k0".to_owned(), Some("again".to_owned()))]).collect::<BTreeMap<_, _>>();
    assert_eq!(last_values(&log), expected);
    let seen = records(&log);
    log.close().unwrap();
    bed.start.recovery_point = log.log_end();
    let log = bed.open();
    assert_eq!(records(&log), seen);
    let names = std::fs::read_dir(bed.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let beside = [".snapshot", ".deleted", "checkpoint"];
    let logs: Vec<_> = names.filter(|name| !beside.iter().any(|end| name.ends_with(end))).collect();
    assert_eq!(logs.len(), 6, "two segments of three files: {logs:?}; active was {active}");
}

#[test]
fn a_batch_of_which_all_stays_is_copied_as_it_is() {
    let bed = bed();
    let log = bed.open();
    for i in 0..40 {
        let builder = keyed(&[("same", Some("v")), (&format!("k{i}"), Some(&"x".repeat(300)))]);
        put(&log, builder.compression(Compression::Zstd, Some(9)));
        put(&log, keyed(&[(&format!("other{i}"), Some(&"y".repeat(300)))]));
    }
    let before: BTreeMap<_, _> = batches(&log).into_iter().map(|(header, bytes)| (header.base_offset, bytes)).collect();
    clean(&log);
    let after = batches(&log);
    let changed: Vec<_> = after.iter().filter(|(header, bytes)| before[&header.base_offset] != *bytes).collect();
    assert!(changed.len() > 20);
    for (header, _) in changed {
        assert_eq!(header.attributes.compression().unwrap(), Compression::Zstd, "with its own codec");
        assert_eq!((header.records_count, header.last_offset_delta), (1, 1));
    }
    assert!(after.iter().filter(|(header, bytes)| before[&header.base_offset] == *bytes).count() >= 40);
}

#[test]
fn a_map_that_is_too_small_takes_several_passes() {
    let bed = bed();
    let log = bed.open();
    rounds(&log, 30, 8);
    let expected = last_values(&log);
    let active = *log.segment_bases().last().unwrap();
    let small = CleanerSettings { dedupe_bytes: 12 * 24, ..SETTINGS };
    let mut passes = 0;
    while log.clean_to() != Some(active) {
        let before = log.clean_to();
        let stats = clean_at(&log, &small, NOW).unwrap();
        assert!(stats.keys <= 10, "{stats:?}");
        assert!(log.clean_to() > before, "every pass gets on");
        assert_eq!(last_values(&log), expected);
        passes += 1;
    }
    assert!(passes > 10, "{passes}");
    assert!(records(&log).iter().filter(|(offset, _, _)| *offset < active.0).count() < 60);
}

#[test]
fn a_tombstone_stays_for_its_time_and_goes() {
    let bed = bed();
    let log = bed.open();
    put(&log, keyed(&[("a", Some("1")), ("b", Some("1"))]));
    put(&log, keyed(&[("a", None), ("c", Some("1"))]));
    log.roll(NOW).unwrap();
    clean(&log);
    assert_eq!(last_values(&log)["a"], None);
    let horizon = batches(&log)[1].0.delete_horizon();
    assert_eq!(horizon, Some(NOW.plus(RETENTION_MS)), "set by the first pass");
    put(&log, keyed(&[("d", Some("1"))]));
    log.roll(NOW).unwrap();
    clean_at(&log, &SETTINGS, NOW.plus(RETENTION_MS - 1)).unwrap();
    assert_eq!((last_values(&log)["a"].as_ref(), batches(&log)[1].0.delete_horizon()), (None, horizon));
    put(&log, keyed(&[("e", Some("1"))]));
    log.roll(NOW).unwrap();
    clean_at(&log, &SETTINGS, NOW.plus(RETENTION_MS)).unwrap();
    let left: Vec<_> = last_values(&log).into_keys().collect();
    assert_eq!(left, ["b", "c", "d", "e"]);
}

#[test]
fn aborted_data_goes_and_markers_outlive_it() {
    let bed = bed();
    let log = bed.open();
    put(&log, keyed(&[("a", Some("1")), ("b", Some("1"))]));
    transactional(&log, 1, 0, &[("a", Some("aborted"))]);
    transactional(&log, 2, 0, &[("b", Some("committed"))]);
    let abort = end(&log, 1, ControlType::Abort);
    end(&log, 2, ControlType::Commit);
    put(&log, keyed(&[("b", Some("2"))]));
    log.roll(NOW).unwrap();
    let controls =
        |log: &Log| batches(log).iter().filter(|(h, _)| h.attributes.is_control() && h.records_count > 0).count();
    let aborted = |log: &Log| log.read(Offset(0), 1 << 20, true, ReadBound::LastStable).unwrap().aborted;
    assert_eq!(aborted(&log).len(), 1);
    forget_producers(&log); // a header that stays for one would count as data of its transaction
    clean(&log);
    assert_eq!(last_values(&log)["a"].as_deref(), Some("1"), "a map that knew the aborted value would have dropped it");
    assert_eq!(controls(&log), 2, "their data was there");
    assert_eq!(aborted(&log).iter().map(|entry| entry.last_offset).collect::<Vec<_>>(), [abort]);
    for (at, markers, indexed) in [(0, 2, 0), (RETENTION_MS - 1, 2, 0), (RETENTION_MS, 0, 0)] {
        put(&log, keyed(&[("z", Some("1"))]));
        log.roll(NOW).unwrap();
        forget_producers(&log);
        clean_at(&log, &SETTINGS, NOW.plus(at)).unwrap();
        assert_eq!((controls(&log), aborted(&log).len()), (markers, indexed), "{at} ms after");
    }
    assert_eq!(last_values(&log).into_keys().collect::<Vec<_>>(), ["a", "b", "z"]);
}

fn forget_producers(log: &Log) {
    log.expire_producers(NOW.plus(1 << 50), 0);
}

#[test]
fn a_live_producers_last_batch_stays_as_a_header() {
    let bed = bed();
    let log = bed.open();
    for (sequence, value) in ["1", "2"].into_iter().enumerate() {
        let mut builder = BatchBuilder::new().producer(producer(9), sequence as i32);
        fill(&mut builder, &[("a", Some(value))]);
        put(&log, builder);
    }
    put(&log, keyed(&[("a", Some("3")), ("b", Some("1"))]));
    log.roll(NOW).unwrap();
    clean(&log);
    let headers: Vec<_> = batches(&log).into_iter().map(|(header, _)| header).collect();
    let facts: Vec<_> = headers.iter().map(|h| (h.base_offset.0, h.records_count, h.base_sequence)).collect();
    assert_eq!(facts, [(1, 0, 1), (2, 2, -1)]);
    drop(log);
    std::fs::remove_file(bed.dir().join("00000000000000000004.snapshot")).unwrap();
    let log = bed.open();
    assert_eq!(log.producer(ProducerId(9)).unwrap().last_sequence, 1, "from the log alone");
    forget_producers(&log);
    put(&log, keyed(&[("c", Some("3"))]));
    log.roll(NOW).unwrap();
    clean(&log);
    assert_eq!(batches(&log)[0].0.base_offset, Offset(2), "nobody needs it any more");
}

#[test]
fn what_is_open_or_young_or_active_is_not_touched() {
    let mut bed = bed();
    bed.config.min_compaction_lag_ms = 50;
    let log = bed.open();
    put(&log, keyed(&[("a", Some("1")), ("a", Some("2"))]));
    log.roll(NOW).unwrap();
    transactional(&log, 1, 0, &[("a", Some("3"))]);
    put(&log, keyed(&[("a", Some("4"))]));
    log.roll(NOW).unwrap();
    put(&log, keyed(&[("a", Some("5")), ("a", Some("6"))]));
    assert_eq!(log.cleanable(NOW.plus(49)).unwrap().dirty_bytes, 0);
    clean_at(&log, &SETTINGS, NOW.plus(50)).unwrap();
    let values = |log: &Log| records(log).into_iter().map(|(_, _, value)| value.unwrap()).collect::<Vec<_>>();
    assert_eq!(values(&log), ["2", "3", "4", "5", "6"]);
    end(&log, 1, ControlType::Commit);
    clean_at(&log, &SETTINGS, NOW.plus(50)).unwrap();
    assert_eq!(values(&log), ["4", "5", "6"]);
}

#[test]
fn a_record_without_a_key_cannot_be_compacted_and_goes() {
    let bed = bed();
    let log = bed.open();
    let mut builder = keyed(&[("a", Some("1"))]);
    builder.append(NOW, None, Some(b"nameless"));
    put(&log, builder);
    log.roll(NOW).unwrap();
    clean(&log);
    assert_eq!(batches(&log)[0].0.records_count, 1);
}

#[test]
fn a_damaged_batch_stops_the_pass_and_nothing_of_it_is_copied() {
    for at in [70, 120, 1500] {
        let bed = bed();
        let log = bed.open();
        rounds(&log, 10, 5);
        log.flush().unwrap();
        let path = bed.dir().join("00000000000000000000.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = log.clean(&SETTINGS, NOW, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, CleanError::Damaged { segment: Offset(0), .. }), "{error}");
        assert_eq!((std::fs::read(&path).unwrap(), log.clean_to()), (bytes, None));
        assert_eq!(temporary(&bed), Vec::<String>::new());
    }
}

/// What is clean is not read for the map, only when it is copied.
#[test]
fn a_batch_that_was_damaged_after_a_pass_stops_the_next_one() {
    let bed = bed();
    let log = bed.open();
    put(&log, keyed(&[("stays", Some("a value"))]));
    rounds(&log, 10, 5);
    clean(&log);
    let path = bed.dir().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.iter_mut().rfind(|byte| **byte == b' ').unwrap() = b'_'; // in a value: all of it can be read
    std::fs::write(&path, &bytes).unwrap();
    let clean_to = log.clean_to();
    rounds(&log, 10, 10);
    log.flush().unwrap();
    let error = log.clean(&SETTINGS, NOW, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, CleanError::Damaged { segment: Offset(0), .. }), "{error}");
    assert_eq!((std::fs::read(&path).unwrap(), log.clean_to()), (bytes, clean_to));
    assert_eq!(temporary(&bed), Vec::<String>::new());
}

/// A copy ends where its group ended, or a restart could not tell which segments it replaces.
#[test]
fn a_group_whose_last_records_go_still_ends_where_it_did() {
    let bed = bed();
    let log = bed.open();
    let large = "x".repeat(2500); // of which no two fit one segment: each begins a group
    for (key, value) in [("large 1", &*large), ("again", "1"), ("large 2", &large), ("again", "2")] {
        put(&log, keyed(&[(key, Some(value))]));
        log.roll(NOW).unwrap();
    }
    transactional(&log, 1, 0, &[("large 3", Some(&large))]);
    end(&log, 1, ControlType::Commit);
    transactional(&log, 1, 1, &[("aborted", Some("1"))]);
    log.roll(NOW).unwrap();
    end(&log, 1, ControlType::Abort);
    put(&log, keyed(&[("active", Some("1"))]));
    clean(&log);
    let found: Vec<_> = batches(&log).iter().map(|(header, _)| (header.base_offset.0, header.records_count)).collect();
    assert_eq!(found, [(0, 1), (1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 0), (7, 1), (8, 1)]);
    assert_eq!(log.segment_bases(), [Offset(0), Offset(2), Offset(4), Offset(7)]);
}

/// A map that ends before a deletion knows nothing of what was deleted: the deletion stays, whatever its age.
#[test]
fn a_deletion_behind_the_map_stays_until_a_pass_covers_it() {
    let bed = bed();
    let log = bed.open();
    put(&log, keyed(&[("deleted", Some("before"))]));
    log.roll(NOW).unwrap();
    for i in 0..12 {
        put(&log, keyed(&[(&format!("k{i}"), Some("1"))]));
    }
    put(&log, keyed(&[("deleted", None)]));
    log.roll(NOW).unwrap();
    put(&log, keyed(&[("active", Some("1"))]));
    let four_keys = CleanerSettings { dedupe_bytes: 5 * 24, ..SETTINGS };
    let mut at = NOW;
    for pass in 1..=3 {
        let stats = clean_at(&log, &four_keys, at).unwrap();
        assert_eq!(stats.keys, 4, "pass {pass}");
        assert_eq!(last_values(&log)["deleted"], None, "pass {pass}");
        at = at.plus(RETENTION_MS + 1);
    }
    clean_at(&log, &four_keys, at).unwrap();
    assert_eq!(last_values(&log).get("deleted"), None, "neither the value nor its deletion");
}

/// Files that a finished or ended pass does not leave.
fn temporary(bed: &Bed) -> Vec<String> {
    let names = std::fs::read_dir(bed.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".cleaned") || name.ends_with(".swap")).collect()
}

#[test]
fn a_pass_ends_when_its_caller_says_so_or_the_log_is_closed() {
    let bed = bed();
    let log = bed.open();
    rounds(&log, 10, 5);
    log.flush().unwrap();
    let before = records(&log);
    for stop_after in [0, 3000, 20_000] {
        let mut spent = 0;
        let mut pace = |bytes| {
            spent += bytes;
            if spent > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(matches!(log.clean(&SETTINGS, NOW, &mut pace), Err(CleanError::Stopped)));
        assert_eq!((temporary(&bed), log.clean_to()), (Vec::new(), None));
    }
    assert!(records(&log).len() <= before.len());
    let mut spent = 0;
    let mut pace = |bytes| {
        spent += bytes;
        if spent > 20_000 {
            let _ = log.close();
        }
        ControlFlow::Continue(())
    };
    assert!(matches!(log.clean(&SETTINGS, NOW, &mut pace), Err(CleanError::Changed)));
    assert_eq!(temporary(&bed), Vec::<String>::new());
}

#[test]
fn a_segment_that_stays_as_it_is_is_not_written_again() {
    let bed = bed();
    let log = bed.open();
    for i in 0..40 {
        put(&log, keyed(&[(&format!("k{i}"), Some(&"x".repeat(300)))]));
    }
    let stats = clean(&log);
    assert_eq!((stats.bytes_written, stats.records_after), (0, stats.records_before));
    assert_eq!(stats.bytes_after, stats.bytes_before);
}

#[test]
fn who_reads_during_passes_sees_every_key() {
    let bed = bed();
    let log = bed.open();
    for i in 0..20 {
        put(&log, keyed(&[(&format!("k{i}"), Some("0"))]));
    }
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (reader, ends) = (Arc::clone(&log), Arc::clone(&done));
    let reading = std::thread::spawn(move || {
        let mut times = 0;
        while !ends.load(Ordering::Acquire) || times == 0 {
            assert_eq!(last_values(&reader).len(), 20);
            let found = reader.offset_for_timestamp(NOW).unwrap().unwrap();
            assert!(found.offset < reader.log_end());
            times += 1;
        }
    });
    for round in 1..60 {
        for i in 0..20 {
            put(&log, keyed(&[(&format!("k{i}"), Some(&format!("{round} {}", "x".repeat(100))))]));
        }
        clean(&log);
    }
    done.store(true, Ordering::Release);
    reading.join().unwrap();
    assert!(log.segment_bases().len() < 6, "{:?}", log.segment_bases());
}

#[test]
fn records_are_found_by_time_after_a_pass() {
    let bed = bed();
    let log = bed.open();
    for i in 0..60 {
        let mut builder = BatchBuilder::new();
        builder.append(Millis(1000 + i), Some(format!("k{}", i % 7).as_bytes()), Some(&[1; 300]));
        put(&log, builder);
    }
    clean(&log);
    let kept: Vec<_> = records(&log).into_iter().map(|(offset, _, _)| offset).collect();
    for i in 0..60 {
        let found = log.offset_for_timestamp(Millis(1000 + i)).unwrap().map(|found| found.offset.0);
        assert_eq!(found, kept.iter().copied().find(|offset| *offset >= i), "at {i}");
    }
}
