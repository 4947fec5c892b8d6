//! Stops, checkpoints and deletions of many partitions, whose files are made durable together: wherever the machine stops meanwhile,
//! the next start finds what was flushed and knows that the stop was not clean, or finds everything.

#![allow(clippy::unwrap_used)] // a test

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ottla_disk::{Disk, OpenMode};
use ottla_log::{EpochStart, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin, ReadBound, Recovery};
use ottla_records::{BatchBuilder, Batches, CheckedBatch};
use ottla_testkit::{Fault, OperationKind, SimDisk};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch,
    TopicName, TopicPartition, Uuid,
};

const NOW: Millis = Millis(1_700_000_000_000);
/// More than are synced one by one.
const PARTITIONS: i32 = 11;
/// Batches of each partition; the second half in another leader epoch.
const BATCHES: i32 = 6;

fn open(disk: &SimDisk) -> Option<(LogDirs, Vec<Recovery>)> {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings = LogDirsConfig {
        flush_threads: 0,
        open_files_max: 4,
        recovery_threads_per_dir: 1,
        delete_delay_ms: 0,
        checkpoint_syncs_ms: 0,
        ..LogDirsConfig::default()
    };
    let config = LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() };
    let paths = [PathBuf::from("/data")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW).ok()
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(index) }
}

fn batch(partition: i32, number: i32) -> CheckedBatch {
    let producer =
        ProducerIdAndEpoch { id: ProducerId(i64::from(partition) + 1), epoch: ProducerEpoch((partition % 3) as i16) };
    let mut builder = BatchBuilder::new().producer(producer, number);
    builder.append(NOW.plus(i64::from(number)), None, Some(format!("{partition} {number} {:>200}", "").as_bytes()));
    builder.build_checked().unwrap()
}

struct World {
    disk: SimDisk,
    dirs: LogDirs,
    logs: Vec<Arc<Log>>,
}

impl World {
    /// Partitions of which some are flushed, some in part, some not at all.
    fn new(partitions: i32, volume_syncs: bool) -> Self {
        let disk = SimDisk::new(7);
        disk.set_volume_syncs(volume_syncs);
        let (dirs, _) = open(&disk).unwrap();
        let logs: Vec<_> =
            (0..partitions).map(|index| dirs.create(&partition(index), Uuid([2; 16]), NOW).unwrap()).collect();
        let world = Self { disk, dirs, logs };
        world.append(0..BATCHES / 2);
        world.flush(2);
        world.append(BATCHES / 2..BATCHES);
        world.flush(4);
        world
    }

    fn append(&self, numbers: std::ops::Range<i32>) {
        for number in numbers {
            let epoch = LeaderEpoch(i32::from(number >= BATCHES / 2));
            for (index, log) in self.logs.iter().enumerate() {
                log.append(&batch(index as i32, number), epoch, Origin::Client, NOW).unwrap();
            }
        }
    }

    /// Each of so many partitions.
    fn flush(&self, of: usize) {
        for log in self.logs.iter().step_by(of) {
            log.flush().unwrap();
        }
    }

    fn flushed(&self) -> Vec<Offset> {
        self.logs.iter().map(|log| log.flushed()).collect()
    }

    /// The machine stops; what is left, by chance where there is a seed.
    fn crash(self, seed: Option<u64>) -> SimDisk {
        let left = seed.map_or_else(|| self.disk.power_cut(), |seed| self.disk.crash(seed));
        drop((self.logs, self.dirs));
        left
    }
}

type Files = BTreeMap<String, Vec<u8>>;

/// What lies in the folder of a partition. What its `partition.metadata` says, the cluster's metadata says too.
fn files(disk: &SimDisk, index: i32) -> Files {
    let dir = Path::new("/data").join(partition(index).to_string());
    let names = disk.list(&dir).unwrap_or_default().into_iter().map(|entry| entry.name);
    let read = |name: String| {
        let file = disk.open(&dir.join(&name), OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        (name, bytes)
    };
    names.filter(|name| name != "partition.metadata").map(read).collect()
}

fn all_files(disk: &SimDisk) -> Vec<Files> {
    (0..PARTITIONS).map(|index| files(disk, index)).collect()
}

fn everything() -> Vec<Offset> {
    vec![Offset(i64::from(BATCHES)); PARTITIONS as usize]
}

fn is_marked(disk: &SimDisk) -> bool {
    disk.exists(Path::new("/data/.kafka_cleanshutdown"))
}

/// Checksums of the batches that are there.
fn batches(log: &Log) -> Vec<u32> {
    log.advance_high_watermark(log.log_end());
    let mut found = Vec::new();
    let mut from = Offset(0);
    while from < log.log_end() {
        let bytes = log.read(from, 1, true, ReadBound::LogEnd).unwrap().records.unwrap().read().unwrap();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            batch.verify_crc().unwrap();
            found.push(batch.header().crc);
            from = batch.header().next_offset();
        }
    }
    found
}

/// Looks at every partition that a crash left: it holds what was flushed, in order, and nothing else. After a clean stop nothing
/// is recovered.
fn check(left: &SimDisk, flushed: &[Offset], what: &str) -> LogDirs {
    let clean = is_marked(left);
    let (dirs, recoveries) = open(left).unwrap_or_else(|| panic!("{what}: the directories do not open"));
    assert_eq!(dirs.loaded(&partition(0)).is_none(), clean, "{what}: recovered or not");
    for recovery in recoveries {
        let report = &recovery.report;
        assert!(report.damages.is_empty() && !report.shorter_than_recovery_point, "{what}: {recovery:?}");
    }
    for (index, flushed) in (0..).zip(flushed) {
        if !dirs.contains(&partition(index)) {
            assert_eq!(*flushed, Offset(0), "{what}: partition {index} is gone");
            continue;
        }
        let log = dirs.log(&partition(index), NOW).unwrap();
        assert_eq!(log.state(), LogState::Online, "{what}");
        assert!(log.log_end() >= *flushed, "{what}: partition {index} ends at {}, not {flushed}", log.log_end());
        let expected: Vec<_> = (0..log.log_end().0 as i32).map(|number| batch(index, number).header.crc).collect();
        assert_eq!(batches(&log), expected, "{what}: partition {index}");
        // An epoch may be known although all its records are lost; it then begins at the log end.
        let found: Vec<_> = log.epochs().into_iter().filter(|epoch| epoch.start < log.log_end()).collect();
        let starts = [(0, 0), (1, i64::from(BATCHES) / 2)];
        let starts = starts.map(|(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) });
        let known = starts.into_iter().filter(|epoch| epoch.start < log.log_end()).collect::<Vec<_>>();
        assert_eq!(found, known, "{what}: partition {index}");
    }
    dirs
}

#[test]
fn a_crash_during_a_stop_leaves_all_that_was_flushed_or_a_clean_stop_with_everything() {
    for volume_syncs in [true, false] {
        let world = World::new(PARTITIONS, volume_syncs);
        let (flushed, first) = (world.flushed(), world.disk.mutations());
        world.dirs.close(BrokerEpoch(1)).unwrap();
        let changes = world.disk.mutations() - first;
        let finished = all_files(&world.disk);
        assert!(changes > 50 && finished.iter().all(|files| files.len() > 7), "{changes}");
        let mut clean = 0;
        // How many changes there are depends on which partitions are closed one by one.
        for at in 0.. {
            let mut ended = 0;
            for seed in [None, Some(at)] {
                let world = World::new(PARTITIONS, volume_syncs);
                world.disk.crash_at(first + at);
                ended += i32::from(world.dirs.close(BrokerEpoch(1)).is_ok());
                let left = world.crash(seed);
                let what = format!("crash at {at}, seed {seed:?}, volume syncs {volume_syncs}");
                if is_marked(&left) {
                    assert_eq!(all_files(&left), finished, "{what}: marked as clean, and not all is there");
                    clean += 1;
                    check(&left, &everything(), &what);
                } else {
                    check(&left, &flushed, &what);
                }
            }
            if ended == 2 {
                break;
            }
        }
        assert!(clean >= 2, "no stop was clean");
    }
}

#[test]
fn a_stop_of_many_partitions_syncs_their_volume_and_not_their_files() {
    let world = World::new(200, true);
    world.dirs.run_queued_flushes(); // of segments that are full
    let (volume, files) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counts = (Arc::clone(&volume), Arc::clone(&files));
    world.disk.inject(move |operation| {
        match operation.kind {
            OperationKind::SyncVolume => counts.0.fetch_add(1, Ordering::Relaxed),
            OperationKind::SyncData | OperationKind::SyncDir => counts.1.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        None
    });
    world.dirs.close(BrokerEpoch(1)).unwrap();
    assert_eq!(volume.load(Ordering::Relaxed), 2, "for the files, and for the names of those that were replaced");
    // Those that were closed one by one, the checkpoints and the mark.
    assert!(files.load(Ordering::Relaxed) < 200, "{files:?}");
    let left = world.crash(None);
    assert!(is_marked(&left));
    let (dirs, _) = open(&left).unwrap();
    for index in 0..200 {
        assert_eq!(batches(&dirs.log(&partition(index), NOW).unwrap()).len(), BATCHES as usize);
    }
}

#[test]
fn a_stop_whose_sync_of_the_volume_fails_is_not_clean() {
    for failing in 1..=2 {
        let world = World::new(PARTITIONS, true);
        let mut syncs = 0;
        world.disk.inject(move |operation| {
            syncs += i32::from(operation.kind == OperationKind::SyncVolume);
            (operation.kind == OperationKind::SyncVolume && syncs == failing).then(Fault::eio)
        });
        let (flushed, everything) = (world.flushed(), everything());
        world.dirs.close(BrokerEpoch(1)).unwrap();
        // The second one has nothing but names to write.
        let lost_some = failing == 1;
        assert_eq!(world.dirs.offline_directories(), usize::from(lost_some));
        let left = world.crash(None);
        assert!(!is_marked(&left), "sync {failing} failed");
        check(&left, if lost_some { &flushed } else { &everything }, "a sync of the volume failed");
    }
}

#[test]
fn nor_is_one_where_no_file_is_known_to_have_failed() {
    let world = World::new(PARTITIONS, true);
    world.disk.set_volume_syncs(false); // and each by itself
    world.dirs.close(BrokerEpoch(1)).unwrap();
    assert_eq!(world.dirs.offline_directories(), 0);
    let left = world.crash(None);
    assert!(!is_marked(&left), "an error may have been told to the sync of the volume alone");
    check(&left, &everything(), "each was synced by itself");
}

#[test]
fn a_crash_during_a_checkpoint_of_many_partitions_leaves_no_recovery_point_that_is_not_true() {
    for volume_syncs in [true, false] {
        let build = || {
            let world = World::new(PARTITIONS, volume_syncs);
            world.flush(1);
            world
        };
        let world = build();
        let (flushed, first) = (world.flushed(), world.disk.mutations());
        world.dirs.checkpoint().unwrap();
        let changes = world.disk.mutations() - first;
        assert!(changes > 10, "{changes}");
        let operations = world.disk.mutations();
        world.dirs.checkpoint().unwrap();
        assert_eq!(world.disk.mutations(), operations, "there was nothing to do");
        for at in 0..=changes {
            for seed in [None, Some(at)] {
                let world = build();
                world.disk.crash_at(first + at);
                let _ = world.dirs.checkpoint();
                let left = world.crash(seed);
                let what = format!("crash at {at}, seed {seed:?}, volume syncs {volume_syncs}");
                let dirs = check(&left, &flushed, &what);
                dirs.close(BrokerEpoch(1)).unwrap();
                drop(dirs);
                let recovered = indexes(&left);
                assert_eq!(rebuilt(&left), recovered, "{what}: indexes are not those of the log");
            }
        }
    }
}

fn indexes(disk: &SimDisk) -> Vec<Files> {
    let is_index = |(name, _): &(String, Vec<u8>)| name.ends_with(".index") || name.ends_with(".timeindex");
    all_files(disk).into_iter().map(|files| files.into_iter().filter(is_index).collect()).collect()
}

/// The indexes that are made of the logs alone.
fn rebuilt(disk: &SimDisk) -> Vec<Files> {
    for (index, files) in (0..).zip(indexes(disk)) {
        let dir = Path::new("/data").join(partition(index).to_string());
        files.keys().for_each(|name| disk.remove_file(&dir.join(name)).unwrap());
    }
    let (dirs, _) = open(disk).unwrap();
    (0..PARTITIONS).for_each(|index| drop(dirs.log(&partition(index), NOW).unwrap()));
    dirs.close(BrokerEpoch(1)).unwrap();
    indexes(disk)
}

#[test]
fn the_partitions_of_a_topic_are_deleted_with_one_sync() {
    let world = World::new(PARTITIONS, true);
    world.flush(1);
    let syncs = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&syncs);
    world.disk.inject(move |operation| {
        count.fetch_add(usize::from(operation.kind.is_sync()), Ordering::Relaxed);
        None
    });
    let (deleted, kept): (Vec<_>, Vec<_>) = (0..PARTITIONS).map(partition).partition(|id| id.partition.0 != 3);
    let absent = partition(100);
    let failed = world.dirs.delete_all(&[deleted.clone(), vec![absent.clone()]].concat(), NOW);
    assert_eq!(failed.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&absent]);
    assert_eq!(syncs.load(Ordering::Relaxed), 1);
    let left = world.crash(None);
    let (dirs, _) = open(&left).unwrap();
    assert_eq!(dirs.partitions(), kept);
}
