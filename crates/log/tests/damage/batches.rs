//! Bits of batches.

use ottla_log::{FoundBy, ReadBound};
use ottla_types::Offset;

use crate::bed::{Bed, RECORDS, Stop, append, flip, found, goes_on, refused, scrub};

/// A batch in the middle of a closed segment, from which a walk to the next one begins.
fn victim(bed: &Bed) -> i64 {
    bed.named(bed.bases()[1])[1]
}

/// Bytes of a header that the checksum does not cover and nothing else tells: the leader epoch.
const LEADER_EPOCH: std::ops::Range<u64> = 12..16;

/// A bit that no reader trips over is served until the scrub comes to it, and not from then on.
#[test]
fn a_bit_in_a_body_is_found_by_the_scrub() {
    let bed = Bed::filled(Stop::Clean);
    let victim = victim(&bed);
    let (path, position, len) = bed.place(victim);
    flip(&path, position + len - 20, 4);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!(log.damaged_places(), 0, "a clean start reads no data");
    scrub(&dirs);
    assert_eq!(refused(&log), [victim]);
    assert_eq!(found(&dirs), [(FoundBy::Scrub, 1)]);
    assert_eq!(dirs.damaged(), [(log.partition().clone(), 1)]);
    scrub(&dirs);
    assert_eq!(found(&dirs), [(FoundBy::Scrub, 1)], "what is known is not found again");
    goes_on(&log);
    bed.stop(dirs, Stop::Clean);
    for stop in [Stop::Clean, Stop::Killed] {
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!(refused(&log), [victim], "a restart does not forget it");
        assert_eq!(found(&dirs), [], "and does not find it again");
        bed.stop(dirs, stop);
    }
}

/// Whichever bit of a batch it is, the scrub finds it, and refuses that batch and no other.
#[test]
fn any_bit_of_a_batch_is_found_by_the_scrub() {
    let bed = Bed::filled(Stop::Clean);
    let victim = victim(&bed);
    let (path, position, len) = bed.place(victim);
    for at in (0..len).filter(|at| !LEADER_EPOCH.contains(at)) {
        let mask = 1 << (at % 8);
        flip(&path, position + at, mask);
        let dirs = bed.open();
        scrub(&dirs);
        let log = bed.log(&dirs);
        assert_eq!(refused(&log), [victim], "byte {at}");
        drop((log, dirs));
        flip(&path, position + at, mask);
        let dirs = bed.open();
        scrub(&dirs);
        let log = bed.log(&dirs);
        assert_eq!((refused(&log), log.damaged_places()), (vec![], 0), "byte {at} is good again");
        assert!(!bed.dir().join("ottla-damage").exists());
    }
}

/// A header that leads nowhere stops a walk: the reader that comes to it finds out, and offsets behind it are served.
#[test]
fn a_bit_in_a_header_is_found_by_a_reader() {
    for (what, at) in [("the length", 9), ("the length", 11), ("magic", 16), ("the last offset", 23)] {
        let bed = Bed::filled(Stop::Clean);
        let victim = victim(&bed);
        let (path, position, _) = bed.place(victim);
        flip(&path, position + at, 0x80);
        let dirs = bed.open();
        let log = bed.log(&dirs);
        for offset in [victim, victim + 1] {
            drop(log.read(Offset(offset), 1, true, ReadBound::LogEnd));
        }
        assert_eq!(found(&dirs), [(FoundBy::Read, 1)], "{what}");
        assert_eq!(refused(&log), [victim], "{what}");
        goes_on(&log);
        drop((log, dirs));
        assert_eq!(refused(&bed.log(&bed.open())), [victim], "{what}, after a crash");
    }
}

/// Several batches in a row, as a lost sector leaves them.
#[test]
fn a_sector_of_zeros_is_found_by_the_scrub() {
    let bed = Bed::filled(Stop::Clean);
    let victim = victim(&bed);
    let (path, position, len) = bed.place(victim);
    let bytes = std::fs::read(&path).unwrap();
    let (_, third, _) = bed.place(victim + 2);
    let zeroed = (position + len - 10) as usize..third as usize + 10;
    let bytes: Vec<_> =
        bytes.iter().enumerate().map(|(at, byte)| if zeroed.contains(&at) { 0 } else { *byte }).collect();
    std::fs::write(&path, bytes).unwrap();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    scrub(&dirs);
    assert_eq!(refused(&log), [victim, victim + 1, victim + 2]);
}

/// A record may hold what looks like a batch of this very log.
#[test]
fn a_batch_within_a_damaged_record_is_not_taken_for_one() {
    let bed = Bed::new();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    (0..6).for_each(|value| append(&log, value));
    let inner = std::fs::read(bed.file(0, "log")).unwrap();
    let mut inner = inner[..inner.len() / 6].to_vec();
    inner[..8].copy_from_slice(&6_i64.to_be_bytes());
    let mut outer = ottla_records::BatchBuilder::new();
    outer.append(crate::bed::NOW, None, Some(&inner));
    let outer = outer.build_checked().unwrap();
    log.append(&outer, ottla_types::LeaderEpoch(2), ottla_log::Origin::Client, crate::bed::NOW).unwrap();
    log.advance_high_watermark(log.log_end());
    (7..RECORDS).for_each(|offset| append(&log, offset));
    bed.stop(dirs, Stop::Clean);
    drop(log);
    let (path, position, _) = bed.place(6);
    flip(&path, position + 16, 0x40);
    let dirs = bed.open();
    scrub(&dirs);
    assert_eq!(refused(&bed.log(&dirs)), [6]);
}

/// In the segment that is written to, a clean start reads what lies behind the last entry of the index, no more.
#[test]
fn a_bit_in_the_active_segment_after_a_clean_stop() {
    for last in [false, true] {
        let bed = Bed::filled(Stop::Clean);
        let named = *bed.named(*bed.bases().last().unwrap()).last().unwrap();
        let victim = if last { RECORDS - 1 } else { named };
        let (path, position, _) = bed.place(victim);
        flip(&path, position + 16, 1);
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!((log.log_end().0, refused(&log)), (RECORDS, vec![victim]));
        assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)]);
        goes_on(&log);
        bed.stop(dirs, Stop::Clean);
        let dirs = bed.open();
        assert_eq!(refused(&bed.log(&dirs)), [victim], "after a restart");
        assert_eq!(found(&dirs), []);
    }
}

/// After a crash the batches behind the recovery point are read; what was durable before is not cut off, whatever it is.
#[test]
fn a_bit_below_the_recovery_point_after_a_crash() {
    for (last, at) in [(false, 100), (false, 9), (true, 100), (true, 16)] {
        let bed = Bed::filled(Stop::Killed);
        let named = *bed.named(*bed.bases().last().unwrap()).last().unwrap();
        let victim = if last { RECORDS - 1 } else { named };
        let (path, position, _) = bed.place(victim);
        flip(&path, position + at, 2);
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!((log.log_end().0, refused(&log)), (RECORDS, vec![victim]), "byte {at}");
        assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)], "byte {at}");
        goes_on(&log);
        bed.stop(dirs, Stop::Clean);
        let dirs = bed.open();
        assert_eq!(refused(&bed.log(&dirs)), [victim], "byte {at}, after a restart");
    }
}

/// What no flush has promised ends the log, as a torn write does.
#[test]
fn a_bit_above_the_recovery_point_after_a_crash() {
    let bed = Bed::filled(Stop::Killed);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    (0..3).for_each(|more| append(&log, RECORDS + more));
    drop((log, dirs));
    let (path, position, _) = bed.place(RECORDS + 1);
    flip(&path, position + 100, 2);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_end().0, refused(&log), found(&dirs)), (RECORDS + 1, vec![], vec![]));
    goes_on(&log);
}
