//! Files that are truncated, missing, swapped, or have garbage at their end.

use std::fs;

use ottla_log::FoundBy;

use crate::bed::{Bed, NONE, RECORDS, Stop, add, append, cut_to, found, goes_on, len, refused, scrub};

const GARBAGE: [&[u8]; 3] = [&[0; 700], &[0xff; 700], &[2; 61]];

/// Of a closed segment some batches are gone: their offsets are refused, and not passed over.
#[test]
fn a_truncated_closed_segment_is_found_by_a_reader() {
    let bed = Bed::filled(Stop::Clean);
    let bases = bed.bases();
    let (path, position, _) = bed.place(bases[2] - 2);
    let whole = fs::read(&path).unwrap();
    for to in [position, position + 30, position + 70, 0] {
        cut_to(&path, to);
        let gone: Vec<_> = (if to == 0 { bases[1] } else { bases[2] - 2 }..bases[2]).collect();
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!(refused(&log), gone, "cut to {to}");
        assert_eq!(found(&dirs), [(FoundBy::Read, 1)], "cut to {to}");
        scrub(&dirs);
        assert_eq!(refused(&log), gone, "cut to {to}, and the scrub");
        drop((log, dirs));
        assert_eq!(refused(&bed.log(&bed.open())), gone, "cut to {to}, after a crash");
        fs::write(&path, &whole).unwrap();
        let dirs = bed.open();
        scrub(&dirs);
        assert_eq!(refused(&bed.log(&dirs)), NONE, "cut to {to}, and repaired");
        bed.stop(dirs, Stop::Clean);
    }
}

#[test]
fn a_truncated_closed_segment_is_found_by_the_scrub() {
    for behind in [0, 30] {
        let bed = Bed::filled(Stop::Clean);
        let bases = bed.bases();
        let (path, position, _) = bed.place(bases[2] - 1);
        cut_to(&path, position + behind);
        let dirs = bed.open();
        scrub(&dirs);
        assert_eq!(found(&dirs), [(FoundBy::Scrub, 1)]);
        assert_eq!(refused(&bed.log(&dirs)), [bases[2] - 1]);
    }
}

/// Of the segment that is written to the end is gone. What was durable is missed, and no offset is given twice.
#[test]
fn a_truncated_active_segment_gives_no_offset_twice() {
    for stop in [Stop::Clean, Stop::Killed] {
        let bed = Bed::filled(stop);
        let (path, position, _) = bed.place(RECORDS - 2);
        cut_to(&path, position + 30);
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!((log.log_end().0, refused(&log)), (RECORDS, vec![RECORDS - 2, RECORDS - 1]), "{stop:?}");
        assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)], "{stop:?}");
        goes_on(&log);
        bed.stop(dirs, stop);
        let dirs = bed.open();
        assert_eq!(refused(&bed.log(&dirs)), [RECORDS - 2, RECORDS - 1], "{stop:?}, after a restart");
        assert_eq!(bed.log(&dirs).log_end().0, RECORDS + 1);
        assert_eq!(found(&dirs), [], "{stop:?}");
    }
}

/// The same where it ends with a whole batch: after a clean stop the checkpoint tells.
#[test]
fn an_active_segment_without_its_last_batches_is_missed_after_a_clean_stop() {
    let bed = Bed::filled(Stop::Clean);
    let (path, position, _) = bed.place(RECORDS - 2);
    cut_to(&path, position);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_end().0, refused(&log)), (RECORDS, vec![RECORDS - 2, RECORDS - 1]));
    goes_on(&log);
}

/// After a crash it cannot be told from a log that was cut on purpose: the log ends there, and that is told.
#[test]
fn an_active_segment_without_its_last_batches_ends_the_log_after_a_crash() {
    let bed = Bed::filled(Stop::Killed);
    let (path, position, _) = bed.place(RECORDS - 2);
    cut_to(&path, position);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_end().0, refused(&log)), (RECORDS - 2, vec![]));
    goes_on(&log);
}

#[test]
fn a_missing_closed_segment_is_noticed_by_its_indexes() {
    for stop in [Stop::Clean, Stop::Killed] {
        let bed = Bed::filled(stop);
        let bases = bed.bases();
        fs::remove_file(bed.file(bases[1], "log")).unwrap();
        let gone: Vec<_> = (bases[1]..bases[2]).collect();
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!((refused(&log), found(&dirs)), (gone.clone(), vec![(FoundBy::Recovery, 1)]), "{stop:?}");
        goes_on(&log);
        bed.stop(dirs, stop);
        assert_eq!(refused(&bed.log(&bed.open())), gone, "{stop:?}, after a restart");
    }
}

/// Where its indexes are gone too, the offsets are missed by who comes to them.
#[test]
fn a_closed_segment_of_which_nothing_is_left_is_missed_by_a_reader() {
    let bed = Bed::filled(Stop::Clean);
    let bases = bed.bases();
    for ending in ["log", "index", "timeindex", "snapshot"] {
        fs::remove_file(bed.file(bases[1], ending)).unwrap();
    }
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!(refused(&log), (bases[1]..bases[2]).collect::<Vec<_>>());
    assert_eq!(found(&dirs), [(FoundBy::Read, 1)]);
}

/// Without its first segment the log begins with the second, and says so.
#[test]
fn a_missing_first_segment_moves_the_log_start() {
    for stop in [Stop::Clean, Stop::Killed] {
        let bed = Bed::filled(stop);
        let bases = bed.bases();
        fs::remove_file(bed.file(0, "log")).unwrap();
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!((log.log_start().0, log.log_end().0, refused(&log)), (bases[1], RECORDS, vec![]), "{stop:?}");
        assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)], "{stop:?}");
        goes_on(&log);
    }
}

#[test]
fn a_missing_active_segment_gives_no_offset_twice() {
    let bed = Bed::filled(Stop::Clean);
    let last = *bed.bases().last().unwrap();
    fs::remove_file(bed.file(last, "log")).unwrap();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_end().0, refused(&log)), (RECORDS, (last..RECORDS).collect::<Vec<_>>()));
    goes_on(&log);
}

#[test]
fn a_log_without_any_segment_gives_no_offset_twice() {
    let bed = Bed::filled(Stop::Clean);
    for base in bed.bases() {
        fs::remove_file(bed.file(base, "log")).unwrap();
    }
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_start().0, log.log_end().0), (RECORDS, RECORDS));
    assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)]);
    goes_on(&log);
}

/// Each holds what belongs to the other: no record is served under an offset that it does not have.
#[test]
fn two_segments_that_changed_names_are_refused() {
    let by_scrub = |bed: &Bed, gone: &[i64]| {
        let dirs = bed.open();
        scrub(&dirs);
        assert_eq!((refused(&bed.log(&dirs)), found(&dirs)), (gone.to_vec(), vec![(FoundBy::Scrub, 2)]));
    };
    let by_reader = |bed: &Bed, gone: &[i64]| {
        let dirs = bed.open();
        assert_eq!((refused(&bed.log(&dirs)), found(&dirs)), (gone.to_vec(), vec![(FoundBy::Read, 2)]));
    };
    for look in [&by_scrub as &dyn Fn(&Bed, &[i64]), &by_reader] {
        let bed = Bed::filled(Stop::Clean);
        let bases = bed.bases();
        let (one, other) = (bed.file(bases[1], "log"), bed.file(bases[2], "log"));
        let aside = bed.dir().join("aside");
        for (from, to) in [(&one, &aside), (&other, &one), (&aside, &other)] {
            fs::rename(from, to).unwrap();
        }
        look(&bed, &(bases[1]..bases[3]).collect::<Vec<_>>());
    }
}

#[test]
fn garbage_behind_the_active_segment_is_cut_off() {
    for stop in [Stop::Clean, Stop::Killed] {
        for garbage in GARBAGE {
            let bed = Bed::filled(stop);
            let path = bed.file(*bed.bases().last().unwrap(), "log");
            let before = len(&path);
            add(&path, garbage);
            let dirs = bed.open();
            let log = bed.log(&dirs);
            assert_eq!((log.log_end().0, refused(&log), found(&dirs)), (RECORDS, vec![], vec![]), "{stop:?}");
            assert_eq!(len(&path), before, "{stop:?}");
            goes_on(&log);
        }
    }
}

/// Behind a closed segment nobody trips over it; the scrub has it not served any more.
#[test]
fn garbage_behind_a_closed_segment_is_found_by_the_scrub() {
    for garbage in GARBAGE {
        let bed = Bed::filled(Stop::Clean);
        let path = bed.file(bed.bases()[1], "log");
        add(&path, garbage);
        let dirs = bed.open();
        let log = bed.log(&dirs);
        scrub(&dirs);
        assert_eq!((refused(&log), found(&dirs)), (vec![], vec![(FoundBy::Scrub, 1)]));
        goes_on(&log);
    }
}

/// A name that is used again is another log: what the one before had promised is not missed in it.
#[test]
fn a_topic_of_the_same_name_owes_nothing_of_the_one_before() {
    let bed = Bed::filled(Stop::Clean);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    dirs.checkpoint().unwrap();
    dirs.delete(log.partition(), crate::bed::NOW).unwrap();
    drop(log);
    let log = bed.log(&dirs);
    (0..2).for_each(|offset| append(&log, offset));
    drop((log, dirs));
    let path = bed.file(0, "log");
    cut_to(&path, len(&path) - 10);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_start().0, log.log_end().0, found(&dirs)), (0, 1, vec![]), "a torn end, and no more");
}
