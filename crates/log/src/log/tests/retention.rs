//! Retention of a whole log: plan, move of the start, removal, and readers meanwhile.

use super::*;
use crate::{Cleanup, Expired, Reason};

/// A log of `count` single-record batches, one segment for about four of them, one second apart from `NOW` on.
fn aged(bed: &Bed, count: i64) -> Arc<Log> {
    let log = bed.open();
    for i in 0..count {
        append(&log, &batch(1, 400, NOW.0 + i * 1000));
    }
    log.advance_high_watermark(Offset(count));
    log
}

fn bed(retention_ms: Option<i64>, retention_bytes: Option<u64>) -> Bed {
    let mut bed = Bed::small_segments(2000, 500);
    (bed.config.retention_ms, bed.config.retention_bytes) = (retention_ms, retention_bytes);
    bed
}

#[test]
fn old_segments_leave_the_log_and_then_the_disk() {
    let bed = bed(Some(10_000), None);
    let log = aged(&bed, 30);
    let before = log.segment_bases();
    assert_eq!(log.expire_segments(NOW.plus(10_000)).unwrap(), None);
    let expired = log.expire_segments(NOW.plus(22_000)).unwrap().unwrap();
    assert_eq!((expired.reason, expired.start), (Reason::Age, log.log_start()));
    assert!(before.contains(&log.log_start()), "whole segments go");
    assert!((8..=12).contains(&log.log_start().0), "{}", log.log_start());
    assert!(matches!(log.read(Offset(0), 1, true, ReadBound::LogEnd), Err(ReadError::OutOfRange { .. })));
    assert!(log.remove_segments_below(log.log_start(), NOW).unwrap() > 0);
    assert_eq!(log.segment_bases()[0], log.log_start());
    assert_eq!(read_all(&log, log.log_start().0, 1), (log.log_start().0..30).collect::<Vec<_>>());
    let names = std::fs::read_dir(bed.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| !name.ends_with(".deleted")).collect();
    assert!(!names.iter().any(|name| name.starts_with("00000000000000000000.")), "{names:?}");
}

#[test]
fn a_log_that_nobody_writes_to_becomes_empty_and_keeps_its_offsets() {
    let mut bed = bed(Some(10_000), None);
    let log = aged(&bed, 30);
    let expired = log.expire_segments(NOW.plus(100_000)).unwrap().unwrap();
    assert_eq!(expired, Expired { start: Offset(30), reason: Reason::Age });
    log.remove_segments_below(log.log_start(), NOW).unwrap();
    assert_eq!((log.segment_bases(), log.size().unwrap()), (vec![Offset(30)], 0));
    assert_eq!(log.expire_segments(NOW.plus(900_000)).unwrap(), None, "nothing is left to go");
    assert_eq!(append(&log, &batch(1, 1, NOW.0)).first_offset, Offset(30));
    log.close().unwrap();
    (bed.start.log_start, bed.start.recovery_point) = (Offset(30), Offset(31));
    assert_eq!((bed.open().log_start(), bed.open().log_end()), (Offset(30), Offset(31)));
}

#[test]
fn an_open_end_keeps_its_records() {
    let bed = bed(Some(10_000), Some(0));
    let log = aged(&bed, 30);
    append(&log, &batch(1, 400, NOW.0));
    let expired = log.expire_segments(NOW.plus(900_000)).unwrap().unwrap();
    assert_eq!(expired.start, *log.segment_bases().last().unwrap(), "record 30 is not below the high watermark");
    assert!(read_all(&log, expired.start.0, 1).contains(&30));
}

#[test]
fn a_change_of_the_settings_holds_at_once() {
    let bed = bed(None, None);
    let log = aged(&bed, 30);
    assert_eq!(log.expire_segments(NOW.plus(1 << 40)).unwrap(), None);
    let size = log.size().unwrap();
    log.set_config(LogConfig { retention_bytes: Some(size - 2000), ..bed.config.clone() });
    assert_eq!(log.expire_segments(NOW).unwrap().unwrap().reason, Reason::Size);
    log.remove_segments_below(log.log_start(), NOW).unwrap();
    assert!(log.size().unwrap() >= size - 2000, "not more goes than has to");
    let start = log.log_start();
    for (delete, compact) in [(false, true), (false, false)] {
        let cleanup = Cleanup { delete, compact };
        log.set_config(LogConfig { retention_bytes: Some(0), cleanup, ..bed.config.clone() });
        assert_eq!(log.expire_segments(NOW).unwrap(), None);
    }
    let cleanup = Cleanup { delete: true, compact: true };
    log.set_config(LogConfig { retention_bytes: Some(0), cleanup, ..bed.config.clone() });
    assert!(log.expire_segments(NOW).unwrap().unwrap().start > start);
}

#[test]
fn records_without_a_time_are_as_old_as_their_file() {
    let bed = bed(Some(10_000), None);
    let log = bed.open();
    append_without_time(&log);
    log.advance_high_watermark(log.log_end());
    let modified = std::fs::metadata(bed.dir().join("00000000000000000000.log")).unwrap().modified().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert_eq!(log.expire_segments(Millis(modified + 10_000)).unwrap(), None);
    assert!(log.expire_segments(Millis(modified + 10_001)).unwrap().is_some());
}

fn append_without_time(log: &Log) {
    for _ in 0..12 {
        append(log, &batch(1, 400, -1));
    }
}

#[test]
fn what_was_read_of_a_segment_stays_readable_when_it_goes() {
    let bed = bed(Some(10_000), None);
    let log = aged(&bed, 30);
    let out = log.read(Offset(0), 900, true, ReadBound::LogEnd).unwrap();
    log.expire_segments(NOW.plus(100_000)).unwrap().unwrap();
    log.remove_segments_below(log.log_start(), NOW).unwrap();
    let bytes = out.records.unwrap().read().unwrap();
    assert_eq!(Batches::new(&bytes).map_while(Result::ok).count(), 1);
}

#[test]
fn a_reader_who_comes_while_segments_go_is_told_where_the_log_begins() {
    let bed = bed(Some(10_000), None);
    let log = aged(&bed, 400);
    let reader = Arc::clone(&log);
    let reading = std::thread::spawn(move || {
        let (mut reads, mut from) = (0, Offset(0));
        while from < Offset(400) {
            match reader.read(from, 1, true, ReadBound::LogEnd) {
                Ok(out) => {
                    let bytes = out.records.unwrap().read().unwrap();
                    from = BatchHeader::parse(&bytes).unwrap().next_offset();
                    reads += 1;
                }
                Err(ReadError::OutOfRange { log_start, .. }) => from = log_start,
                Err(error) => panic!("{error}"),
            }
        }
        reads
    });
    for i in 0..410 {
        let _ = log.expire_segments(NOW.plus(i * 1000)).unwrap();
        log.remove_segments_below(log.log_start(), NOW).unwrap();
    }
    assert!(reading.join().unwrap() <= 400);
    assert!(log.log_start() >= Offset(380), "{}", log.log_start());
}

#[test]
fn a_roll_takes_no_longer_than_compaction_may_lag() {
    let mut bed = Bed::new();
    bed.config.max_compaction_lag_ms = 100;
    bed.config.cleanup.compact = true;
    let log = bed.open();
    for at in [0, 100, 101] {
        append(&log, &batch(1, 10, NOW.0 + at));
    }
    assert_eq!(log.segment_bases(), [Offset(0), Offset(2)]);
}
