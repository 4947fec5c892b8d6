//! Compaction that meets damage.

use std::{ops::ControlFlow, sync::Arc};

use ottla_log::{CleanError, CleanReport, CleanerSettings, Cleanup, FoundBy, Log, LogDirs};

use crate::bed::{Bed, NONE, NOW, Stop, append, flip, found, goes_on, refused};

fn clean(dirs: &LogDirs, logs: &[Arc<Log>]) -> Option<CleanReport> {
    let settings = CleanerSettings { dedupe_bytes: 1 << 20, load_factor: 0.9, io_bytes: 1 << 16, digest_key: [0; 16] };
    dirs.clean_dirtiest(logs, &settings, NOW, &mut |_| ControlFlow::Continue(()))
}

/// The pass ends, the log stays as it was, what is damaged is refused from then on; other logs are compacted, and this one is
/// not tried over and over.
#[test]
fn a_bit_is_found_by_compaction() {
    let mut bed = Bed::filled(Stop::Clean);
    bed.config.cleanup = Cleanup { delete: false, compact: true };
    bed.config.min_cleanable_dirty_ratio = 0.0;
    let victim = bed.bases()[1] + 1;
    let (path, position, len) = bed.place(victim);
    flip(&path, position + len - 20, 4);
    let dirs = bed.open();
    let damaged = bed.log(&dirs);
    let whole = bed.log_of(&dirs, 1);
    (0..20).for_each(|offset| append(&whole, offset));
    let logs = [Arc::clone(&damaged), Arc::clone(&whole)];
    let (mut failed, mut done) = (0, 0);
    while let Some(CleanReport { partition, result }) = clean(&dirs, &logs) {
        match result {
            Err(CleanError::Damaged { .. }) if &partition == damaged.partition() => failed += 1,
            Ok(_) if &partition == whole.partition() => done += 1,
            other => panic!("{partition}: {other:?}"),
        }
        assert!(failed + done < 10, "over and over");
    }
    assert_eq!((failed, done), (1, 1));
    assert_eq!((refused(&damaged), found(&dirs)), (vec![victim], vec![(FoundBy::Compaction, 1)]));
    assert_eq!(dirs.cleaning().uncleanable_partitions, 1);
    goes_on(&damaged);
    assert_eq!(refused(&whole), NONE);
    bed.stop(dirs, Stop::Clean);

    let dirs = bed.open();
    let log = bed.log(&dirs);
    let again = clean(&dirs, std::slice::from_ref(&log)).unwrap();
    assert!(matches!(again.result, Err(CleanError::Damaged { .. })), "what is known to be damaged is not copied");
    assert_eq!(refused(&log), [victim]);

    log.delete_records(ottla_types::Offset(bed.bases()[2])).unwrap();
    dirs.remove_old_segments(NOW).unwrap();
    let at_last = clean(&dirs, std::slice::from_ref(&log)).expect("compacted when the place is gone");
    assert!(at_last.result.is_ok(), "{at_last:?}");
}
