//! Flushes that many partitions share: whoever was told that its records are durable finds them after a crash, wherever the
//! machine stops, and a sync of the volume that fails tells only those that lost something.

#![allow(clippy::unwrap_used)] // a test

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use ottla_disk::{Disk, OpenMode};
use ottla_log::{FlushError, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin};
use ottla_records::{BatchBuilder, CheckedBatch};
use ottla_testkit::{Fault, OperationKind, SimDisk};
use ottla_types::{BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, TopicName, TopicPartition, Uuid};
use parking_lot::Mutex;

const NOW: Millis = Millis(1_700_000_000_000);
const PARTITIONS: i32 = 3;

fn open(disk: &SimDisk) -> Option<LogDirs> {
    open_with_threads(disk, 0)
}

fn open_with_threads(disk: &SimDisk, flush_threads: usize) -> Option<LogDirs> {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings = LogDirsConfig { flush_threads, open_files_max: 4, delete_delay_ms: 0, ..LogDirsConfig::default() };
    let config = LogConfig { segment_bytes: 4000, index_interval_bytes: 300, ..LogConfig::default() };
    let paths = [PathBuf::from("/data")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW).ok().map(|found| found.0)
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(index) }
}

fn batch(size: usize) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(&vec![7; size]));
    builder.build_checked().unwrap()
}

/// Who asked for which offset of which partition, and what they were told.
type Told = Arc<Mutex<Vec<(i32, Offset, Result<Offset, FlushError>)>>>;

struct World {
    disk: SimDisk,
    dirs: LogDirs,
    logs: Vec<Arc<Log>>,
    told: Told,
}

impl World {
    fn new() -> Self {
        Self::on(SimDisk::new(7))
    }

    fn on(disk: SimDisk) -> Self {
        let dirs = open(&disk).unwrap();
        let logs = (0..PARTITIONS).map(|index| dirs.create(&partition(index), Uuid([2; 16]), NOW).unwrap()).collect();
        Self { disk, dirs, logs, told: Told::default() }
    }

    /// Appends to a partition and waits for that.
    fn append(&self, index: i32, size: usize) {
        let log = &self.logs[index as usize];
        let Ok(appended) = log.append(&batch(size), LeaderEpoch(0), Origin::Client, NOW) else { return };
        let (to, told) = (Offset(appended.last_offset.0 + 1), Arc::clone(&self.told));
        log.when_flushed(to, Box::new(move |result| told.lock().push((index, to, result))));
    }

    /// Rounds in which different partitions wait together, segments fill up, and now and then one flushes alone.
    fn run(&self) {
        for round in 0..8 {
            (0..PARTITIONS).filter(|index| (round + index) % 3 != 0).for_each(|index| self.append(index, 900));
            if round == 3 {
                let _ = self.logs[1].roll(NOW);
            }
            if round == 5 {
                self.dirs.run_queued_flushes()
            } else {
                self.dirs.run_queued_flushes_together()
            };
        }
    }

    /// Opens what a crash left, and looks for all that was called durable.
    fn check(self, left: SimDisk, what: &str) {
        let told = self.told.lock().clone();
        drop((self.logs, self.dirs));
        let dirs = open(&left).unwrap_or_else(|| panic!("{what}: the directories do not open"));
        for (index, to, result) in told {
            if result.is_ok() {
                let log = dirs.log(&partition(index), NOW).unwrap();
                assert_eq!(log.state(), LogState::Online, "{what}");
                assert!(log.log_end() >= to, "{what}: partition {index} ends at {} and not {to}", log.log_end());
            }
        }
    }
}

#[test]
fn a_checkpoint_touches_no_log_that_was_not_flushed() {
    let world = World::new();
    let append = |log: &Arc<Log>| log.append(&batch(900), LeaderEpoch(0), Origin::Client, NOW).map(drop).unwrap();
    world.logs.iter().for_each(append);
    world.dirs.checkpoint().unwrap();
    world.logs.iter().for_each(append);
    let before = world.disk.operations();
    world.dirs.checkpoint().unwrap();
    assert_eq!(world.disk.operations(), before);
    world.logs[0].flush().unwrap();
    world.dirs.checkpoint().unwrap();
    assert!(world.disk.operations() > before);
}

#[test]
fn what_a_failed_sync_lost_of_others_is_not_called_durable_by_the_next() {
    let world = World::new();
    (0..PARTITIONS).for_each(|index| world.append(index, 100));
    world.dirs.run_queued_flushes_together();
    // What the first one waits for is on the disk already, so its own file is well.
    world.append(0, 100);
    let path = PathBuf::from("/data/t-0/00000000000000000000.log");
    world.disk.open(&path, OpenMode::Write).unwrap().sync_data().unwrap();
    // The second one is written to by the same sync of the volume, and asks only afterwards.
    world.logs[1].append(&batch(900), LeaderEpoch(0), Origin::Client, NOW).unwrap();
    let mut failed = false;
    world.disk.inject(move |operation| {
        let fails = operation.kind == OperationKind::SyncVolume && !std::mem::replace(&mut failed, true);
        fails.then(Fault::eio)
    });
    world.dirs.run_queued_flushes_together();
    world.append(1, 100);
    world.append(2, 100);
    world.dirs.run_queued_flushes_together();
    let told = world.told.lock().clone();
    let last = |index| told.iter().rev().find(|(at, _, _)| *at == index).map(|(_, _, result)| *result);
    assert_eq!(last(0), Some(Ok(Offset(2))));
    assert_eq!(last(1), Some(Err(FlushError::Offline)));
    let left = world.disk.power_cut();
    world.check(left, "after the second sync");
}

#[test]
fn one_sync_answers_all_who_wait() {
    let world = World::new();
    (0..PARTITIONS).for_each(|index| world.append(index, 100));
    let before = world.disk.operations();
    assert_eq!(world.dirs.run_queued_flushes_together(), PARTITIONS as usize);
    assert_eq!(world.disk.operations() - before, 1, "more than the one sync");
    let told = world.told.lock().clone();
    assert_eq!(told, (0..PARTITIONS).map(|index| (index, Offset(1), Ok(Offset(1)))).collect::<Vec<_>>());
    assert!(world.logs.iter().all(|log| log.flushed() == Offset(1)));
}

#[test]
fn what_was_called_durable_outlives_a_crash_at_every_change_of_the_disk() {
    let world = World::new();
    let first = world.disk.mutations();
    world.run();
    assert!(world.told.lock().iter().all(|(.., result)| result.is_ok()));
    let changes = world.disk.mutations() - first;
    assert!(changes > 20, "{changes}");
    for at in 0..=changes {
        for seed in [None, Some(1), Some(2)] {
            let world = World::new();
            world.disk.crash_at(first + at);
            world.run();
            let left = seed.map_or_else(|| world.disk.power_cut(), |seed| world.disk.crash(seed));
            world.check(left, &format!("crash at {at}, seed {seed:?}"));
        }
    }
}

#[test]
fn a_sync_of_the_volume_that_fails_is_answered_to_each_by_its_own_files() {
    for failing in 0..7 {
        let world = World::new();
        (0..PARTITIONS).for_each(|index| world.append(index, 100));
        world.dirs.run_queued_flushes_together();
        let mut syncs = 0;
        world.disk.inject(move |operation| {
            let is_it = operation.kind == OperationKind::SyncVolume;
            syncs += i32::from(is_it);
            (is_it && syncs == failing + 1).then(Fault::eio)
        });
        // Only this one has something to write when the first sync fails.
        world.append(0, 100);
        world.dirs.run_queued_flushes_together();
        world.run();
        let told = world.told.lock().clone();
        let refused = |index| told.iter().any(|(at, _, result)| *at == index && result.is_err());
        assert!((0..PARTITIONS).any(refused), "nobody heard of sync {failing}");
        assert!(failing > 0 || (!refused(1) && !refused(2)), "nothing of these was to be written");
        let left = world.disk.power_cut();
        world.check(left, &format!("sync {failing} failed"));
    }
}

/// A disk that has no sync of its volume, and how many were tried all the same.
fn without_shared_syncs() -> (SimDisk, Arc<AtomicUsize>) {
    let (disk, tried) = (SimDisk::new(7), Arc::<AtomicUsize>::default());
    disk.set_volume_syncs(false);
    let count = Arc::clone(&tried);
    disk.inject(move |operation| {
        count.fetch_add(usize::from(operation.kind == OperationKind::SyncVolume), Ordering::Relaxed);
        None
    });
    (disk, tried)
}

#[test]
fn where_the_volume_cannot_be_synced_each_is_flushed_by_its_own_files() {
    let (disk, tried) = without_shared_syncs();
    let world = World::on(disk);
    world.run();
    assert_eq!(tried.load(Ordering::Relaxed), 0, "the volume was synced");
    let told = world.told.lock().clone();
    assert!(told.len() > 10 && told.iter().all(|(.., result)| result.is_ok()), "{told:?}");
    let left = world.disk.power_cut();
    world.check(left, "a volume that cannot be synced");
}

#[test]
fn nor_is_it_by_the_threads_that_flush() {
    let (disk, tried) = without_shared_syncs();
    let dirs = open_with_threads(&disk, 2).unwrap();
    let logs: Vec<_> =
        (0..PARTITIONS).map(|index| dirs.create(&partition(index), Uuid([2; 16]), NOW).unwrap()).collect();
    for _ in 0..50 {
        let (told, results) = mpsc::channel();
        for log in &logs {
            let to = log.append(&batch(100), LeaderEpoch(0), Origin::Client, NOW).unwrap().last_offset;
            let told = told.clone();
            log.when_flushed(Offset(to.0 + 1), Box::new(move |result| told.send(result).unwrap()));
        }
        drop(told);
        assert_eq!(results.iter().filter(Result::is_ok).count(), PARTITIONS as usize);
    }
    assert_eq!(tried.load(Ordering::Relaxed), 0, "the volume was synced");
}
