//! The scrub itself.

use std::ops::ControlFlow;

use crate::bed::{Bed, NONE, NOW, Stop, append, flip, len, partition, refused, scrub};

/// Looks at a partition, and says what was paid for.
fn paid(dirs: &ottla_log::LogDirs) -> u64 {
    let mut paid = 0;
    let scrubbed = dirs.scrub(&partition(0), false, NOW, &mut |bytes| {
        paid += bytes;
        ControlFlow::Continue(())
    });
    assert_eq!(scrubbed.unwrap().bytes, paid);
    paid
}

/// Whoever holds it back is told of every byte that it reads; the segment that is written to is none of its business.
#[test]
fn every_byte_that_is_read_is_paid_for() {
    let bed = Bed::filled(Stop::Clean);
    let bases = bed.bases();
    let dirs = bed.open();
    let sealed: u64 = bases[..bases.len() - 1].iter().map(|base| len(&bed.file(*base, "log"))).sum();
    assert_eq!(paid(&dirs), sealed);
    assert!(dirs.loaded(&partition(0)).is_none(), "a log that nobody uses was opened");
}

/// It can be ended within a segment, and what was not looked at is not taken for good or bad.
#[test]
fn it_can_be_ended_anywhere() {
    let bed = Bed::filled(Stop::Clean);
    let dirs = bed.open();
    let scrubbed = dirs.scrub(&partition(0), false, NOW, &mut |_| ControlFlow::Break(())).unwrap();
    assert!(!scrubbed.complete);
    assert_eq!(refused(&bed.log(&dirs)), NONE);
}

/// A log that is not open is opened where something is wrong with it.
#[test]
fn a_damaged_log_is_opened() {
    let bed = Bed::filled(Stop::Clean);
    let victim = bed.bases()[1];
    let (path, position, _) = bed.place(victim);
    flip(&path, position + 90, 1);
    let dirs = bed.open();
    scrub(&dirs);
    let log = dirs.loaded(&partition(0)).expect("opened");
    log.advance_high_watermark(log.log_end());
    assert_eq!(refused(&log), [victim]);
    bed.stop(dirs, Stop::Clean);
    let dirs = bed.open();
    scrub(&dirs);
    assert_eq!(dirs.damaged(), [(partition(0), 1)], "it is known after a restart, before anybody uses the log");
}

/// Compaction may leave a segment empty, and a log that is not open does not know whether there was one.
#[test]
fn what_compaction_took_of_a_log_that_is_not_open_is_not_missed() {
    for is_compacted in [true, false] {
        let bed = Bed::filled(Stop::Clean);
        let base = bed.bases()[1];
        for kind in ["log", "index", "timeindex"] {
            std::fs::write(bed.file(base, kind), "").unwrap();
        }
        let dirs = bed.open();
        dirs.scrub(&partition(0), is_compacted, NOW, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(dirs.damaged().is_empty(), is_compacted);
    }
}

/// A segment that retention takes takes its damage with it.
#[test]
fn damage_goes_with_its_segment() {
    let bed = Bed::filled(Stop::Clean);
    let bases = bed.bases();
    let victim = bases[0] + 2;
    let (path, position, _) = bed.place(victim);
    flip(&path, position + 90, 1);
    let dirs = bed.open();
    scrub(&dirs);
    let log = bed.log(&dirs);
    assert_eq!((refused(&log), log.damaged_places()), (vec![victim], 1));
    log.delete_records(ottla_types::Offset(bases[1])).unwrap();
    dirs.remove_old_segments(NOW).unwrap();
    assert_eq!((refused(&log), log.damaged_places(), dirs.damaged()), (vec![], 0, vec![]));
    assert!(!bed.dir().join("ottla-damage").exists());
    let end = log.log_end().0;
    append(&log, end);
}
