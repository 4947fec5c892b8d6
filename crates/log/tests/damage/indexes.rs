//! Indexes.

use std::{fs, path::PathBuf};

use ottla_log::{AbortedTransaction, Log, Origin, ReadBound};
use ottla_records::{BatchBuilder, CheckedBatch, ControlType};
use ottla_types::{LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use crate::bed::{Bed, NONE, NOW, RECORDS, Stop, add, cut_to, flip, found, len, refused, scrub};

/// The second segment: closed, with one before and several behind.
fn second(bed: &Bed) -> i64 {
    bed.bases()[1]
}

/// Every record is found by its time.
fn times_are_right(log: &Log, what: &str) {
    for value in 0..RECORDS {
        let found = log.offset_for_timestamp(NOW.plus(value)).unwrap();
        assert_eq!(found.map(|found| found.offset), Some(Offset(value)), "{what}: time of {value}");
    }
    let newest = log.max_timestamp_offset().unwrap().map(|found| (found.offset, found.timestamp));
    assert_eq!(newest, Some((Offset(RECORDS - 1), NOW.plus(RECORDS - 1))), "{what}");
}

/// Spoils a file, looks, has the scrub mend it, and compares.
fn mended(bed: &Bed, path: &PathBuf, what: &str, spoil: impl Fn()) {
    let before = fs::read(path).unwrap();
    spoil();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!(refused(&log), NONE, "{what}");
    times_are_right(&log, what);
    scrub(&dirs);
    assert_eq!(fs::read(path).unwrap(), before, "{what}: made again");
    assert!(dirs.damage_counts().indexes_rebuilt > 0, "{what}");
    let rebuilt = dirs.damage_counts().indexes_rebuilt;
    scrub(&dirs);
    assert_eq!(dirs.damage_counts().indexes_rebuilt, rebuilt, "{what}: what was made again is right");
    assert_eq!((refused(&log), found(&dirs)), (vec![], vec![]), "{what}");
    times_are_right(&log, what);
    bed.stop(dirs, Stop::Clean);
}

#[test]
fn a_bit_in_an_offset_index_leads_no_reader_past_a_record() {
    let bed = Bed::filled(Stop::Clean);
    let path = bed.file(second(&bed), "index");
    assert!(len(&path) >= 24, "{}", len(&path));
    for at in 0..len(&path) {
        for mask in [1, 2, 4, 8, 0x10, 0x80] {
            // An entry that names the end of a later batch is good: Kafka names the end of all that came at once.
            if (at % 8, mask) != (3, 1) {
                mended(&bed, &path, &format!("byte {at}, {mask:#x}"), || flip(&path, at, mask));
            }
        }
    }
}

#[test]
fn a_bit_in_a_time_index_leads_no_lookup_past_a_record() {
    let bed = Bed::filled(Stop::Clean);
    let path = bed.file(second(&bed), "timeindex");
    for at in 0..len(&path) {
        for mask in [1, 0x10, 0x80] {
            mended(&bed, &path, &format!("byte {at}, {mask:#x}"), || flip(&path, at, mask));
        }
    }
}

#[test]
fn a_truncated_index_is_made_again_by_the_scrub() {
    for ending in ["index", "timeindex"] {
        let bed = Bed::filled(Stop::Clean);
        let path = bed.file(second(&bed), ending);
        let whole = len(&path);
        for to in [0, 1, 8, 12, whole - 1] {
            // A time index without its last entry tells of no newer record; whoever must know asks the batches.
            if ending == "index" || to == 0 {
                mended(&bed, &path, &format!("{ending} cut to {to}"), || cut_to(&path, to));
            }
        }
    }
}

#[test]
fn a_missing_index_is_made_again_at_the_start() {
    for ending in ["index", "timeindex"] {
        let bed = Bed::filled(Stop::Clean);
        let path = bed.file(second(&bed), ending);
        let before = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!(fs::read(&path).unwrap(), before, "{ending}");
        assert_eq!((refused(&log), dirs.damage_counts().indexes_rebuilt), (vec![], 1), "{ending}");
    }
}

#[test]
fn garbage_at_the_end_of_an_index_is_cut_off_by_the_scrub() {
    for ending in ["index", "timeindex"] {
        for garbage in [&[0; 3][..], &[0; 24], &[0xff; 24], &[7; 48]] {
            let bed = Bed::filled(Stop::Clean);
            let path = bed.file(second(&bed), ending);
            let before = fs::read(&path).unwrap();
            add(&path, garbage);
            let dirs = bed.open();
            let log = bed.log(&dirs);
            assert_eq!(refused(&log), NONE, "{ending}, {garbage:?}");
            scrub(&dirs);
            assert_eq!(fs::read(&path).unwrap(), before, "{ending}, {garbage:?}");
        }
    }
}

#[test]
fn an_index_of_another_segment_is_made_again() {
    for ending in ["index", "timeindex"] {
        let bed = Bed::filled(Stop::Clean);
        let path = bed.file(second(&bed), ending);
        let other = bed.file(bed.bases()[2], ending);
        mended(&bed, &path, ending, || assert!(fs::copy(&other, &path).unwrap() > 0));
    }
}

/// The index of the segment that is written to is looked at when the log is opened.
#[test]
fn the_index_of_the_active_segment_is_made_again_at_the_start() {
    for stop in [Stop::Clean, Stop::Killed] {
        for ending in ["index", "timeindex"] {
            for spoil in [&[0xff; 24][..], &[0; 24], &[]] {
                let bed = Bed::filled(stop);
                let path = bed.file(*bed.bases().last().unwrap(), ending);
                fs::write(&path, spoil).unwrap();
                let dirs = bed.open();
                let log = bed.log(&dirs);
                assert_eq!((refused(&log), log.log_end().0), (vec![], RECORDS), "{stop:?} {ending} {spoil:?}");
            }
        }
    }
}

/// A time index that lost its last entries, or has a wrong one, says that a segment is older than it is.
#[test]
fn no_segment_expires_because_of_a_wrong_time_index() {
    for cut in [true, false] {
        let mut bed = Bed::filled(Stop::Clean);
        let path = bed.file(bed.bases()[0], "timeindex");
        let whole = len(&path);
        if cut {
            cut_to(&path, 12);
        } else {
            flip(&path, whole - 12 + 5, 0x20);
        }
        bed.config.retention_ms = Some(1);
        bed.config.cleanup.delete = true;
        let dirs = bed.open();
        let log = bed.log(&dirs);
        let newest_of_first = bed.bases()[1] - 1;
        let said = Millis(NOW.0 + newest_of_first);
        assert_eq!(dirs.expire(std::slice::from_ref(&log), said.plus(1)).unwrap(), 0, "cut: {cut}");
        assert_eq!(dirs.expire(std::slice::from_ref(&log), said.plus(2)).unwrap(), 1, "cut: {cut}");
    }
}

/// A log in whose second segment transactions end that began in the first, some of them aborted.
fn with_aborted() -> (Bed, PathBuf) {
    let bed = Bed::new();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    let producer = |id: i64| ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) };
    let mut sequences = [0; 4];
    for round in 0..18 {
        for id in 0..4 {
            let mut builder = BatchBuilder::new().producer(producer(id), sequences[id as usize]).transactional(true);
            builder.append(NOW, None, Some(&[7; 40]));
            sequences[id as usize] += 1;
            log.append(&builder.build_checked().unwrap(), LeaderEpoch(2), Origin::Client, NOW).unwrap();
        }
        let id = round % 4;
        let end = if round % 3 == 0 { ControlType::Commit } else { ControlType::Abort };
        log.append_marker(&CheckedBatch::marker(producer(id), end, 0, NOW), LeaderEpoch(2), 1, NOW).unwrap();
    }
    log.advance_high_watermark(log.log_end());
    bed.stop(dirs, Stop::Clean);
    let path = bed.file(second(&bed), "txnindex");
    assert!(len(&path) >= 2 * 34, "{}", len(&path));
    (bed, path)
}

/// What readers of committed records are told to leave out, from each offset on.
fn left_out(log: &Log) -> Vec<Vec<AbortedTransaction>> {
    let read = |offset| log.read(Offset(offset), 1 << 20, true, ReadBound::LastStable).unwrap().aborted;
    (0..log.last_stable().0).map(read).collect()
}

#[test]
fn a_spoilt_index_of_aborted_transactions_is_made_again_by_the_scrub() {
    let (bed, path) = with_aborted();
    let good = fs::read(&path).unwrap();
    let dirs = bed.open();
    scrub(&dirs);
    assert_eq!(dirs.damage_counts().indexes_rebuilt, 0, "what the log wrote is right");
    let expected = left_out(&bed.log(&dirs));
    bed.stop(dirs, Stop::Clean);
    let mut spoilt: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(good[..40].to_vec())];
    spoilt.push(Some([&good[..], &[0; 34]].concat()));
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        spoilt.push(Some(bytes));
    }
    for (number, bytes) in spoilt.into_iter().enumerate() {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let dirs = bed.open();
        scrub(&dirs);
        assert_eq!(fs::read(&path).unwrap(), good, "number {number}");
        assert_eq!(dirs.damage_counts().indexes_rebuilt, 1, "number {number}");
        assert_eq!(left_out(&bed.log(&dirs)), expected, "number {number}");
        bed.stop(dirs, Stop::Clean);
    }
}
