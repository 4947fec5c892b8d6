//! Moves between directories: nothing that was acknowledged is missing, whenever the machine stops.

#![allow(clippy::unwrap_used)] // a test

use std::{
    io::IoSlice,
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
};

use ottla_disk::{Disk, OpenMode};
use ottla_log::{
    Assigned, Identity, Known, Log, LogConfig, LogDirs, LogDirsConfig, LogState, MoveError, MoveProgress, MoveState,
    Origin, ReadBound,
};
use ottla_records::{BatchBuilder, Batches};
use ottla_testkit::{Fault, SimDisk};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, TopicName, TopicPartition, Uuid,
};

const NOW: Millis = Millis(1_700_000_000_000);
const TOPIC: Uuid = Uuid([7; 16]);
const A: Uuid = Uuid([1; 16]);
const B: Uuid = Uuid([2; 16]);
/// How many moves follow each other, and how many records are appended while each of them ends.
const MOVES: u64 = 20;
const MEANWHILE: u64 = 40;

fn try_open(disk: &SimDisk) -> Option<LogDirs> {
    let identity = Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![A, B] };
    let settings = LogDirsConfig {
        flush_threads: 0,
        open_files_max: 6,
        recovery_threads_per_dir: 1,
        delete_delay_ms: 0,
        ..LogDirsConfig::default()
    };
    let config = LogConfig { segment_bytes: 2500, index_interval_bytes: 300, ..LogConfig::default() };
    let paths = [PathBuf::from("/a"), PathBuf::from("/b")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW)
        .ok()
        .map(|opened| opened.0)
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

fn use_log(dirs: &LogDirs, directory: Uuid) -> Arc<Log> {
    dirs.settle_twins(|_| Some(Known { topic_id: TOPIC, directory }));
    dirs.open_assigned(&partition(), TOPIC, Assigned { directory, is_new: false }, NOW).unwrap()
}

/// A partition in A with some records.
fn prepare() -> SimDisk {
    let disk = SimDisk::new(1);
    let dirs = try_open(&disk).unwrap();
    let log = dirs.open_assigned(&partition(), TOPIC, Assigned { directory: A, is_new: true }, NOW).unwrap();
    (0..30).for_each(|value| assert!(append(&log, value)));
    log.delete_records(Offset(3)).unwrap();
    dirs.close(BrokerEpoch(1)).unwrap();
    disk.kill()
}

/// Appends and flushes; whether that was acknowledged.
fn append(log: &Log, value: u64) -> bool {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(&[value as u8; 150]));
    let appended = log.append(&builder.build_checked().unwrap(), LeaderEpoch(2), Origin::Client, NOW);
    if appended.is_ok() {
        log.advance_high_watermark(log.log_end());
    }
    appended.is_ok() && log.flush().is_ok()
}

fn values(log: &Log) -> Vec<(i64, u8)> {
    let (mut from, mut found) = (log.log_start(), Vec::new());
    while from < log.log_end() {
        let slice = log.read(from, 1 << 20, true, ReadBound::LogEnd).unwrap().records.unwrap();
        for batch in Batches::new(&slice.read().unwrap()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            if batch.header().base_offset >= from {
                found.push((batch.header().base_offset.0, *batch.body().get(10).unwrap()));
            }
            from = batch.header().last_offset().plus(1);
        }
    }
    found
}

/// A move with appends in between; the values that were acknowledged, by offset.
fn scenario(disk: &SimDisk) -> Vec<(i64, u8)> {
    let mut acknowledged: Vec<(i64, u8)> = (3..30).map(|value| (value, value as u8)).collect();
    let Some(dirs) = try_open(disk) else { return acknowledged };
    let mut log = use_log_if_possible(&dirs);
    let mut next = 30;
    let mut write = |log: &Option<Arc<Log>>| {
        let Some(log) = log else { return };
        let offset = log.log_end().0;
        if append(log, next) {
            acknowledged.push((offset, next as u8));
        }
        next += 1;
    };
    write(&log);
    if dirs.begin_move(&partition(), Path::new("/b"), NOW).is_ok() {
        write(&log);
        while dirs.advance_move(&partition(), NOW).is_ok_and(|progress| progress.state == MoveState::Goes) {}
        write(&log);
        if let Ok(moved) = dirs.finish_move(&partition(), NOW) {
            assert_eq!(log.as_ref().map(|log| log.state()), Some(LogState::Closed));
            log = Some(moved);
        }
    }
    write(&log);
    let _ = dirs.checkpoint();
    let _ = dirs.remove_due(NOW);
    write(&log);
    acknowledged
}

fn use_log_if_possible(dirs: &LogDirs) -> Option<Arc<Log>> {
    dirs.settle_twins(|_| Some(Known { topic_id: TOPIC, directory: A }));
    dirs.open_assigned(&partition(), TOPIC, Assigned { directory: A, is_new: false }, NOW).ok()
}

/// What is in the log after all, and that a move can be done once more.
fn check(disk: &SimDisk, acknowledged: &[(i64, u8)], what: &str) {
    let dirs = try_open(disk).unwrap();
    let log = use_log(&dirs, A);
    let from = log.log_start().0.max(3);
    let found: Vec<_> = values(&log).into_iter().filter(|(offset, _)| *offset >= from).collect();
    let without_key = |list: &[(i64, u8)]| list.iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
    assert!(without_key(&found).starts_with(&without_key(acknowledged)), "{what}: {found:?} of {acknowledged:?}");
    assert!(found.len() <= acknowledged.len() + 1, "{what}");
    assert_eq!(dirs.strays(), 0, "{what}");
    let to = if dirs.directory_of(&partition()) == Some(A) { "/b" } else { "/a" };
    for (unfinished, to) in dirs.take_unfinished_moves() {
        assert_eq!(unfinished, partition());
        dirs.begin_move(&unfinished, &to, NOW).unwrap();
    }
    assert!(dirs.begin_move(&partition(), Path::new(to), NOW).unwrap());
    while dirs.advance_move(&partition(), NOW).unwrap().state != MoveState::CaughtUp {}
    let before = values(&log);
    let moved = dirs.finish_move(&partition(), NOW).unwrap();
    assert_eq!(values(&moved), before);
    assert!(moved.dir().starts_with(to) && dirs.moves().is_empty());
    dirs.remove_due(NOW).unwrap();
    dirs.close(BrokerEpoch(3)).unwrap();
    drop((log, moved, dirs));
    let dirs = try_open(disk).unwrap();
    assert_eq!(values(&use_log(&dirs, A)), before, "{what}");
}

#[test]
fn a_machine_that_stops_at_any_moment_of_a_move_loses_nothing() {
    let disk = prepare();
    let acknowledged = scenario(&disk);
    assert_eq!(acknowledged.len(), 32);
    let all = disk.mutations();
    check(&disk.kill(), &acknowledged, "no crash");
    for at in 0..all {
        for power in [false, true] {
            let disk = prepare();
            disk.crash_at(at);
            let acknowledged = scenario(&disk);
            let after = if power { disk.crash(at) } else { disk.kill() };
            check(&after, &acknowledged, &format!("crash at {at}, power cut {power}"));
        }
    }
}

#[test]
fn a_disk_that_fails_during_a_move_ends_it_and_nothing_else() {
    for bad in ["/a", "/b"] {
        for first_bad in 0..400 {
            let disk = prepare();
            let dirs = try_open(&disk).unwrap();
            let log = use_log(&dirs, A);
            let mut seen = 0;
            disk.inject(move |operation| {
                seen += u64::from(operation.path.starts_with(bad));
                (operation.path.starts_with(bad) && seen > first_bad).then(Fault::eio)
            });
            let begun = dirs.begin_move(&partition(), Path::new("/b"), NOW);
            let moved = begun.and_then(|_| {
                while dirs.advance_move(&partition(), NOW)?.state != MoveState::CaughtUp {}
                dirs.finish_move(&partition(), NOW)
            });
            if dirs.offline_directories() == 0 {
                break; // there are no more operations
            }
            match (moved, bad) {
                (Ok(moved), "/a") => assert!(append(&moved, 77), "at {first_bad}"),
                (Ok(moved), _) => assert_eq!(moved.state(), LogState::Offline, "at {first_bad}"),
                (Err(_), "/b") => {
                    dirs.give_up_move(&partition(), NOW);
                    assert!(append(&log, 77) || log.state() == LogState::Offline, "at {first_bad}");
                }
                (Err(_), _) => assert_eq!(log.state(), LogState::Offline),
            }
        }
    }
}

#[test]
fn a_move_is_given_up_by_one_to_where_the_partition_is() {
    let disk = prepare();
    let dirs = try_open(&disk).unwrap();
    let log = use_log(&dirs, A);
    assert!(dirs.begin_move(&partition(), Path::new("/b"), NOW).unwrap());
    let (mut copied, mut state) = (0, MoveState::Goes);
    while state == MoveState::Goes {
        let progress = dirs.advance_move(&partition(), NOW).unwrap();
        (copied, state) = (copied + progress.bytes, progress.state);
    }
    // What is left then is less than is read at once.
    copied += dirs.advance_move(&partition(), NOW).unwrap().bytes;
    assert!(copied > 27 * 150, "{copied} bytes of 27 records");
    let done = MoveProgress { state: MoveState::CaughtUp, bytes: 0 };
    assert_eq!(dirs.advance_move(&partition(), NOW).unwrap(), done);
    let described = dirs.describe(NOW);
    assert_eq!(described[1].partitions[0].copy_lag, Some(0));
    assert!(append(&log, 1));
    assert_eq!(dirs.describe(NOW)[1].partitions[0].copy_lag, Some(1));
    assert!(!dirs.begin_move(&partition(), Path::new("/a"), NOW).unwrap());
    assert!(dirs.moves().is_empty() && dirs.describe(NOW)[1].partitions.is_empty());
    assert!(matches!(dirs.advance_move(&partition(), NOW), Err(MoveError::Nothing)));
    assert!(matches!(dirs.begin_move(&partition(), Path::new("/c"), NOW), Err(MoveError::UnknownDirectory)));
    let long = TopicPartition { topic: TopicName::new(&"t".repeat(249)).unwrap(), partition: PartitionIndex(0) };
    assert!(matches!(dirs.begin_move(&long, Path::new("/b"), NOW), Err(MoveError::NameTooLong)));
    assert!(dirs.begin_move(&partition(), Path::new("/b"), NOW).unwrap());
    dirs.delete(&partition(), NOW).unwrap();
    assert!(dirs.moves().is_empty());
    dirs.remove_due(NOW).unwrap();
    assert!(Disk::list(&disk, Path::new("/b")).unwrap().iter().all(|entry| !entry.is_dir));
}

/// Appends without a flush, to whichever log is used; offsets and values.
fn append_some(dirs: &LogDirs, values: std::ops::Range<u64>) -> Vec<(i64, u8)> {
    let append = |value: u64| {
        let mut builder = BatchBuilder::new();
        builder.append(NOW, None, Some(&[value as u8; 150]));
        let batch = builder.build_checked().unwrap();
        loop {
            let log = dirs.open_assigned(&partition(), TOPIC, Assigned { directory: A, is_new: false }, NOW).unwrap();
            // One that a move has closed meanwhile takes nothing.
            if let Ok(appended) = log.append(&batch, LeaderEpoch(2), Origin::Client, NOW) {
                return (appended.first_offset.0, value as u8);
            }
        }
    };
    values.map(append).collect()
}

#[test]
fn what_is_appended_while_a_move_ends_is_in_the_log_that_is_used_then() {
    let disk = prepare();
    let dirs = try_open(&disk).unwrap();
    let mut expected = values(&use_log(&dirs, A));
    for (round, to) in (0..MOVES).zip(["/b", "/a"].into_iter().cycle()) {
        assert!(dirs.begin_move(&partition(), Path::new(to), NOW).unwrap());
        while dirs.advance_move(&partition(), NOW).unwrap().state != MoveState::CaughtUp {}
        let together = Barrier::new(2);
        let appended = std::thread::scope(|scope| {
            let appending = scope.spawn(|| {
                together.wait();
                append_some(&dirs, round * MEANWHILE..(round + 1) * MEANWHILE)
            });
            together.wait();
            dirs.finish_move(&partition(), NOW).unwrap();
            appending.join().unwrap()
        });
        expected.extend(appended);
        dirs.remove_due(NOW).unwrap();
    }
    assert_eq!(values(&use_log(&dirs, A)), expected);
}

/// Changes of the disk that it takes to end one of `count` moves that go on at the same time.
fn changes_to_finish_one_of(count: i32) -> u64 {
    let disk = SimDisk::new(1);
    let dirs = try_open(&disk).unwrap();
    let partition = |index| TopicPartition { partition: PartitionIndex(index), ..partition() };
    for index in 0..count {
        let new = Assigned { directory: A, is_new: true };
        let log = dirs.open_assigned(&partition(index), TOPIC, new, NOW).unwrap();
        (0..30).for_each(|value| assert!(append(&log, value)));
        assert!(dirs.begin_move(&partition(index), Path::new("/b"), NOW).unwrap());
        while dirs.advance_move(&partition(index), NOW).unwrap().state != MoveState::CaughtUp {}
    }
    let before = disk.mutations();
    dirs.finish_move(&partition(0), NOW).unwrap();
    disk.mutations() - before
}

#[test]
fn a_move_costs_the_same_however_many_others_there_are() {
    assert_eq!(changes_to_finish_one_of(16), changes_to_finish_one_of(1));
}

#[test]
fn a_partition_owes_nothing_to_one_of_its_name_that_was_moved_away() {
    let disk = prepare();
    let dirs = try_open(&disk).unwrap();
    use_log(&dirs, A);
    assert!(dirs.begin_move(&partition(), Path::new("/b"), NOW).unwrap());
    while dirs.advance_move(&partition(), NOW).unwrap().state != MoveState::CaughtUp {}
    dirs.finish_move(&partition(), NOW).unwrap();
    dirs.delete(&partition(), NOW).unwrap();
    let (topic, new) = (Uuid([8; 16]), Assigned { directory: A, is_new: true });
    assert!(append(&dirs.open_assigned(&partition(), topic, new, NOW).unwrap(), 1));
    drop(dirs);
    let disk = disk.kill();
    let active = Disk::open(&disk, Path::new("/a/t-0/00000000000000000000.log"), OpenMode::Write).unwrap();
    let end = active.len().unwrap();
    active.write_all_at(&mut [IoSlice::new(&[0; 90])], end).unwrap(); // a torn end
    let dirs = try_open(&disk).unwrap();
    let log = dirs.open_assigned(&partition(), topic, Assigned { directory: A, is_new: false }, NOW).unwrap();
    assert_eq!((log.log_end(), log.damages()), (Offset(1), Vec::new()));
}
