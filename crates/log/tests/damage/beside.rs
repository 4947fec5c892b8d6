//! Files beside the logs: producer snapshots, checkpoints, what is remembered of damage.

use std::fs;

use ottla_log::{CreateError, FoundBy, Log};
use ottla_records::BatchBuilder;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use crate::bed::{Bed, NONE, NOW, RECORDS, Stop, append, cut_to, flip, found, goes_on, len, refused, scrub};

const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch { id: ProducerId(9), epoch: ProducerEpoch(0) };

/// What a checkpoint may turn into.
const SPOILT: [&[u8]; 4] = [b"", b"what is this", b"0\n1\nt 0 x\n", &[0; 64]];

fn write_idempotently(log: &Log, sequence: i32) {
    let mut builder = BatchBuilder::new().producer(PRODUCER, sequence);
    builder.append(NOW, None, Some(b"v"));
    let batch = builder.build_checked().unwrap();
    log.append(&batch, LeaderEpoch(2), ottla_log::Origin::Client, NOW).unwrap();
    log.advance_high_watermark(log.log_end());
}

/// A log of segments of an idempotent producer, and where the last one begins.
fn with_producer() -> Bed {
    let bed = Bed::new();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    for sequence in 0..100 {
        write_idempotently(&log, sequence);
    }
    bed.stop(dirs, Stop::Clean);
    bed
}

fn snapshots(bed: &Bed) -> Vec<i64> {
    let names = fs::read_dir(bed.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut at: Vec<_> = names.filter_map(|name| name.strip_suffix(".snapshot")?.parse().ok()).collect();
    at.sort_unstable();
    at
}

/// The state of producers is read from the log where the newest snapshot does not say it.
#[test]
fn a_spoilt_snapshot_is_passed_over() {
    type Spoil = fn(&std::path::Path);
    let spoils: [(&str, Spoil); 4] = [
        ("a bit", |path| flip(path, len(path) - 10, 1)),
        ("truncated", |path| cut_to(path, 20)),
        ("empty", |path| cut_to(path, 0)),
        ("missing", |path| fs::remove_file(path).unwrap()),
    ];
    for (what, spoil) in spoils {
        let bed = with_producer();
        let all = snapshots(&bed);
        spoil(&bed.file(*all.last().unwrap(), "snapshot"));
        let dirs = bed.open();
        let log = bed.log(&dirs);
        assert_eq!(log.producer(PRODUCER.id).unwrap().last_sequence, 99, "{what}");
        assert_eq!(dirs.damage_counts().files_replaced, u64::from(what != "missing"), "{what}");
        write_idempotently(&log, 100);
        assert_eq!(log.log_end(), Offset(101), "{what}");
    }
}

#[test]
fn a_spoilt_snapshot_of_a_closed_segment_is_removed_by_the_scrub() {
    let bed = with_producer();
    let path = bed.file(snapshots(&bed)[0], "snapshot");
    flip(&path, len(&path) - 10, 1);
    let dirs = bed.open();
    scrub(&dirs);
    assert!(!path.exists());
    assert_eq!((dirs.damage_counts().files_replaced, found(&dirs)), (1, vec![]));
    assert_eq!(bed.log(&dirs).producer(PRODUCER.id).unwrap().last_sequence, 99);
}

/// Each checkpoint of a directory can be done without, missing or spoilt, after a clean stop and after a crash.
fn without_checkpoint(name: &str) {
    for stop in [Stop::Clean, Stop::Killed] {
        for spoilt in SPOILT.into_iter().map(Some).chain([None]) {
            let bed = Bed::filled(stop);
            let path = bed.root().join(name);
            match spoilt {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
            let dirs = bed.open();
            let log = bed.log(&dirs);
            log.advance_high_watermark(log.log_end()); // as the only replica does
            let is_told = spoilt.is_some_and(|bytes| !bytes.is_empty());
            assert_eq!(dirs.damage_counts().files_replaced, u64::from(is_told), "{stop:?} {spoilt:?}");
            assert_eq!((log.log_start().0, log.log_end().0), (0, RECORDS), "{stop:?} {spoilt:?}");
            assert_eq!((refused(&log), found(&dirs)), (vec![], vec![]), "{stop:?} {spoilt:?}");
            goes_on(&log);
            bed.stop(dirs, Stop::Clean);
            let dirs = bed.open();
            assert_eq!(dirs.damage_counts().files_replaced, 0, "{stop:?} {spoilt:?}: written again");
            assert_eq!(refused(&bed.log(&dirs)), NONE);
        }
    }
}

#[test]
fn recovery_points_can_be_done_without() {
    without_checkpoint("recovery-point-offset-checkpoint");
}

#[test]
fn high_watermarks_can_be_done_without() {
    without_checkpoint("replication-offset-checkpoint");
}

#[test]
fn log_starts_can_be_done_without() {
    without_checkpoint("log-start-offset-checkpoint");
}

#[test]
fn ends_of_compaction_can_be_done_without() {
    without_checkpoint("cleaner-offset-checkpoint");
}

/// Where nobody knows what was durable, a batch that whole ones follow is not taken for the end of the log.
#[test]
fn without_recovery_points_damage_is_not_taken_for_the_end() {
    let bed = Bed::filled(Stop::Killed);
    fs::write(bed.root().join("recovery-point-offset-checkpoint"), "x").unwrap();
    let victim = bed.bases()[1] + 2;
    let (path, position, _) = bed.place(victim);
    flip(&path, position + 80, 1);
    let dirs = bed.open();
    let log = bed.log(&dirs);
    log.advance_high_watermark(log.log_end());
    assert_eq!((log.log_end().0, refused(&log)), (RECORDS, vec![victim]));
    assert_eq!(found(&dirs), [(FoundBy::Recovery, 1)]);
}

/// Records that were deleted come back where the file that says so is gone: no more than their segment holds.
#[test]
fn without_log_starts_a_log_begins_with_its_first_segment() {
    let bed = Bed::filled(Stop::Clean);
    let second = bed.bases()[1];
    let dirs = bed.open();
    let log = bed.log(&dirs);
    log.delete_records(Offset(second + 3)).unwrap();
    dirs.remove_old_segments(NOW).unwrap();
    bed.stop(dirs, Stop::Clean);
    fs::write(bed.root().join("log-start-offset-checkpoint"), "x").unwrap();
    let dirs = bed.open();
    let log = bed.log(&dirs);
    assert_eq!((log.log_start().0, refused(&log), found(&dirs)), (second, vec![], vec![]));
}

#[test]
fn leader_epochs_are_read_from_the_batches() {
    for stop in [Stop::Clean, Stop::Killed] {
        for spoilt in [Some("what"), Some("0\n2\n2 0\n"), None] {
            let bed = Bed::filled(stop);
            let path = bed.dir().join("leader-epoch-checkpoint");
            match spoilt {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let dirs = bed.open();
            let log = bed.log(&dirs);
            let epochs: Vec<_> = log.epochs().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect();
            assert_eq!(epochs, [(2, 0)], "{stop:?} {spoilt:?}");
            assert_eq!(dirs.damage_counts().files_replaced, u64::from(spoilt.is_some()), "{stop:?} {spoilt:?}");
            assert_eq!(refused(&log), NONE);
        }
    }
}

/// Nobody but the file says of which topic a directory is: unreadable, it keeps its partition out of use, and no other.
#[test]
fn a_spoilt_topic_id_keeps_its_partition_out_of_use() {
    let bed = Bed::filled(Stop::Clean);
    let dirs = bed.open();
    append(&bed.log_of(&dirs, 1), 0);
    bed.stop(dirs, Stop::Clean);
    let path = bed.dir().join("partition.metadata");
    let good = fs::read(&path).unwrap();
    fs::write(&path, "version: 7\ntopic_id: of no kind that is known\n").unwrap();
    let dirs = bed.open();
    let assigned = ottla_log::Assigned { directory: ottla_types::Uuid([1; 16]), is_new: false };
    let opened = dirs.open_assigned(&crate::bed::partition(0), crate::bed::TOPIC, assigned, NOW);
    assert!(matches!(opened, Err(CreateError::Metadata(_))), "{opened:?}");
    assert_eq!(refused(&bed.log_of(&dirs, 1)), NONE, "the other one goes on");
    drop(dirs);
    for repaired in [good, Vec::new()] {
        fs::write(&path, repaired).unwrap();
        let dirs = bed.open();
        assert_eq!(refused(&bed.log(&dirs)), NONE);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("version: 0\ntopic_id: {}", crate::bed::TOPIC));
    }
}

/// An id that differs in a character is not taken for that of another topic.
#[test]
fn a_bit_in_a_topic_id_is_written_again() {
    let bed = Bed::filled(Stop::Clean);
    let path = bed.dir().join("partition.metadata");
    let good = fs::read_to_string(&path).unwrap();
    for at in [good.len() - 15, good.len() - 4] {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        fs::write(&path, bytes).unwrap();
        let dirs = bed.open();
        assert_eq!(refused(&bed.log(&dirs)), NONE);
        assert_eq!((fs::read_to_string(&path).unwrap(), dirs.strays()), (good.clone(), 0));
        assert_eq!(dirs.damage_counts().files_replaced, 1);
    }
}

/// What was known of damage is found again by whoever comes to it.
#[test]
fn what_is_remembered_of_damage_can_be_done_without() {
    for spoilt in SPOILT.into_iter().map(Some).chain([None]) {
        let bed = Bed::filled(Stop::Clean);
        let victim = bed.bases()[1] + 3;
        let (path, position, _) = bed.place(victim);
        flip(&path, position + 90, 1);
        let dirs = bed.open();
        scrub(&dirs);
        assert_eq!(refused(&bed.log(&dirs)), [victim]);
        bed.stop(dirs, Stop::Clean);
        let path = bed.dir().join("ottla-damage");
        match spoilt {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let dirs = bed.open();
        let log = bed.log(&dirs);
        scrub(&dirs);
        assert_eq!((refused(&log), found(&dirs)), (vec![victim], vec![(FoundBy::Scrub, 1)]), "{spoilt:?}");
    }
}
