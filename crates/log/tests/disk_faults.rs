//! One of two disks goes bad, or full, at each operation of a day's work: the other one does not notice, what was
//! acknowledged is there afterwards, and a full disk takes records again when there is room.

#![allow(clippy::unwrap_used)] // a test

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_log::{Assigned, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin, ReadBound, ReadError};
use ottla_records::{BatchBuilder, Batches, CheckedBatch, ControlType};
use ottla_testkit::{Dice, Fault, OperationKind, SimDisk};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch,
    TopicName, TopicPartition, Uuid,
};

const NOW: Millis = Millis(1_700_000_000_000);
const TOPIC: Uuid = Uuid([7; 16]);
const A: Uuid = Uuid([1; 16]);
const B: Uuid = Uuid([2; 16]);
/// How long the work goes on.
const STEPS: u64 = 60;

fn open(disk: &SimDisk) -> LogDirs {
    let identity = Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![A, B] };
    let settings = LogDirsConfig {
        flush_threads: 0,
        open_files_max: 6,
        recovery_threads_per_dir: 1,
        delete_delay_ms: 0,
        ..LogDirsConfig::default()
    };
    let config = LogConfig {
        segment_bytes: 2500,
        index_interval_bytes: 300,
        file_delete_delay_ms: 0,
        retention_bytes: Some(6000),
        ..LogConfig::default()
    };
    let paths = [PathBuf::from("/a"), PathBuf::from("/b")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW).unwrap().0
}

/// The partition in directory A, and the one in B.
fn partition(at: usize) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(at as i32) }
}

fn assigned(at: usize) -> Assigned {
    Assigned { directory: [A, B][at], is_new: false }
}

/// Two directories with a partition each.
fn prepare() -> SimDisk {
    let disk = SimDisk::new(1);
    let dirs = open(&disk);
    for at in 0..2 {
        let new = Assigned { is_new: true, ..assigned(at) };
        dirs.open_assigned(&partition(at), TOPIC, new, NOW).unwrap();
        assert_eq!(dirs.directory_of(&partition(at)), Some([A, B][at]));
    }
    dirs.close(BrokerEpoch(1)).unwrap();
    disk.kill()
}

/// What the clients of one partition know.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Acknowledged batches: base offset and body.
    acknowledged: Vec<(i64, Vec<u8>)>,
    /// Below it everything was said to be durable.
    flushed: i64,
    /// Where the log was asked to begin.
    start: i64,
    refused: usize,
    sequence: i32,
}

struct Day<'a> {
    dirs: &'a LogDirs,
    logs: [Arc<Log>; 2],
    known: [Known; 2],
    dice: Dice,
}

impl<'a> Day<'a> {
    fn new(dirs: &'a LogDirs) -> Self {
        let log = |at| dirs.open_assigned(&partition(at), TOPIC, assigned(at), NOW).unwrap();
        Self { dirs, logs: [log(0), log(1)], known: Default::default(), dice: Dice::new(5) }
    }

    fn work(&mut self, steps: u64) {
        for step in 0..steps {
            for at in 0..2 {
                self.step(at, step);
            }
            if step % 9 == 8 {
                let _ = self.dirs.checkpoint();
                let _ = self.dirs.checkpoint_high_watermarks();
            }
            if step % 16 == 15 {
                let _ = self.dirs.expire(&self.logs, NOW);
                let _ = self.dirs.remove_due(NOW);
            }
        }
    }

    fn step(&mut self, at: usize, step: u64) {
        self.append(at, step);
        let (log, known) = (&self.logs[at], &mut self.known[at]);
        if step % 5 == 4
            && let Ok(flushed) = log.flush()
        {
            known.flushed = flushed.0;
        }
        if step % 13 == 12 {
            let _ = log.roll(NOW);
        }
        // Nothing that was not asked to go is missing at any time, while the log can be read.
        known.start = known.start.max(log.log_start().0);
        if step % 4 == 3 {
            match try_read(log) {
                Ok(found) => assert_eq!(&found, &known.after_start(), "step {step} of partition {at}"),
                Err(error) => assert!(log.lost_its_directory(), "{error}"),
            }
        }
    }

    fn append(&mut self, at: usize, step: u64) {
        let batch = self.batch(at, step);
        let log = &self.logs[at];
        let known = &mut self.known[at];
        match log.append(&batch, LeaderEpoch(0), Origin::Coordinator, NOW) {
            Ok(appended) => {
                log.advance_high_watermark(log.log_end());
                known.acknowledged.push((appended.first_offset.0, batch.body.to_vec()));
                known.sequence += i32::from(batch.header.attributes.is_transactional());
            }
            Err(_) => known.refused += 1,
        }
    }

    /// From now on there is no room, and the log in A has found out.
    fn fill(&mut self, disk: &SimDisk) {
        let used = (1 << 40) - ottla_disk::Disk::space(disk, Path::new("/a")).unwrap().usable;
        disk.set_space(used);
        while self.known[0].refused == 0 {
            self.append(0, 0); // in what is left of the last page
        }
        assert_eq!((self.dirs.full_directories(), self.dirs.offline_directories()), (1, 0));
    }

    fn batch(&mut self, at: usize, step: u64) -> CheckedBatch {
        let producer = ProducerIdAndEpoch { id: ProducerId(4), epoch: ProducerEpoch(0) };
        match step % 6 {
            3 => {
                let sequence = self.known[at].sequence;
                let mut builder = BatchBuilder::new().producer(producer, sequence).transactional(true);
                builder.append(NOW, None, Some(&step.to_be_bytes()));
                builder.build_checked().unwrap()
            }
            5 => CheckedBatch::marker(producer, ControlType::Abort, 1, NOW),
            _ => {
                let mut builder = BatchBuilder::new();
                let size = self.dice.below(400) as usize;
                builder.append(NOW, Some(&step.to_be_bytes()), Some(&vec![at as u8; size]));
                builder.build_checked().unwrap()
            }
        }
    }
}

impl Known {
    fn after_start(&self) -> Vec<(i64, Vec<u8>)> {
        self.acknowledged.iter().filter(|(offset, _)| *offset >= self.start).cloned().collect()
    }
}

/// Base offsets and bodies of all batches from the log start on.
fn read(log: &Log) -> Vec<(i64, Vec<u8>)> {
    try_read(log).unwrap()
}

fn try_read(log: &Log) -> Result<Vec<(i64, Vec<u8>)>, ReadError> {
    let (mut from, mut found) = (log.log_start(), Vec::new());
    while from < log.log_end() {
        let slice = log.read(from, 1 << 20, true, ReadBound::LogEnd)?.records.unwrap();
        for batch in Batches::new(&slice.read()?) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            if batch.header().base_offset >= from {
                found.push((batch.header().base_offset.0, batch.body().to_vec()));
            }
            from = batch.header().last_offset().plus(1);
        }
    }
    Ok(found)
}

fn in_a(path: &Path) -> bool {
    path.starts_with("/a")
}

/// How many operations in directory A the work takes.
fn operations_in_a() -> u64 {
    let disk = prepare();
    let dirs = open(&disk);
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let mut day = Day::new(&dirs);
    disk.inject(move |operation| {
        counted.fetch_add(u64::from(in_a(&operation.path)), std::sync::atomic::Ordering::Relaxed);
        None
    });
    day.work(STEPS);
    count.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn a_disk_that_breaks_at_any_operation_goes_offline_alone() {
    let all = operations_in_a();
    assert!(all > 500, "{all}");
    for first_bad in (0..all).step_by(7) {
        let disk = prepare();
        let dirs = open(&disk);
        let mut day = Day::new(&dirs);
        let mut seen = 0;
        disk.inject(move |operation| {
            seen += u64::from(in_a(&operation.path));
            (in_a(&operation.path) && seen > first_bad).then(Fault::eio)
        });
        day.work(STEPS);
        assert_eq!((dirs.offline_directories(), dirs.online_directories()), (1, vec![B]), "at {first_bad}");
        assert_eq!(day.logs[0].state(), LogState::Offline);
        assert!(day.logs[0].read(Offset(0), 100, true, ReadBound::LogEnd).is_err());
        assert_eq!(day.known[1].refused, 0, "the other disk is well");
        assert!(dirs.open_assigned(&partition(7), TOPIC, Assigned { directory: A, is_new: true }, NOW).is_err());
        disk.heal();
        assert_eq!(day.logs[0].state(), LogState::Offline, "what a failed flush was to cover may be gone");
        assert!(day.logs[0].flush().is_err());
        let known = day.known;
        dirs.close(BrokerEpoch(2)).unwrap();
        drop((day.logs, dirs));
        check_after_crash(&disk.crash(first_bad), &known);
    }
}

fn check_after_crash(disk: &SimDisk, known: &[Known; 2]) {
    let dirs = open(disk);
    for at in 0..2 {
        let log = dirs.open_assigned(&partition(at), TOPIC, assigned(at), NOW).unwrap();
        let known = &known[at];
        assert!(log.log_end().0 >= known.flushed, "{} of {}", log.log_end().0, known.flushed);
        let found = read(&log);
        let expected: Vec<_> = known.acknowledged.iter().filter(|(offset, _)| *offset >= log.log_start().0).collect();
        // One batch that was written and not acknowledged may follow.
        assert!(found.iter().zip(&expected).all(|(a, b)| a == *b), "partition {at}");
        assert!(found.len() <= expected.len() + 1);
        if at == 1 {
            assert_eq!(found.len(), expected.len(), "it was cleanly stopped");
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_operation_takes_records_again_when_there_is_room() {
    let all = operations_in_a();
    for first_bad in (0..all).step_by(7) {
        let mut dice = Dice::new(first_bad);
        let (last_bad, written) = (first_bad + dice.below(60), dice.below(90) as usize);
        let disk = prepare();
        let dirs = open(&disk);
        let mut day = Day::new(&dirs);
        let mut seen = 0;
        let no_room = [OperationKind::Write, OperationKind::Create, OperationKind::CreateDir];
        disk.inject(move |operation| {
            seen += u64::from(in_a(&operation.path));
            let bad = in_a(&operation.path) && seen > first_bad && seen <= last_bad;
            (bad && no_room.contains(&operation.kind)).then(|| Fault::enospc().after_writing(written))
        });
        day.work(STEPS / 2);
        disk.heal();
        dirs.look_after_space();
        let refused = [day.known[0].refused, day.known[1].refused];
        day.work(STEPS / 2);
        assert_eq!(
            [day.known[0].refused, day.known[1].refused],
            refused,
            "refused though there is room, at {first_bad}"
        );
        assert_eq!(refused[1], 0, "the other disk is well");
        assert_eq!((dirs.offline_directories(), dirs.full_directories()), (0, 0));
        assert_eq!(day.logs[0].state(), LogState::Online);
        let logs = [0, 1].map(|at| (read(&day.logs[at]), day.logs[at].log_start()));
        drop(day);
        drop(dirs);
        // kill -9: all that was acknowledged is there, and nothing else.
        let killed = disk.kill();
        let dirs = open(&killed);
        for (at, (expected, start)) in logs.into_iter().enumerate() {
            let log = dirs.open_assigned(&partition(at), TOPIC, assigned(at), NOW).unwrap();
            log.raise_log_start(start).unwrap();
            assert_eq!(read(&log), expected, "partition {at} at {first_bad}");
        }
    }
}

#[test]
fn a_disk_without_any_room_serves_and_makes_room() {
    let disk = prepare();
    let dirs = open(&disk);
    let mut day = Day::new(&dirs);
    dirs.look_after_space(); // the reserves
    day.work(STEPS);
    day.fill(&disk);
    assert_eq!(read(&day.logs[0]), day.known[0].after_start());
    let before = day.logs[0].segment_bases().len();
    let config = LogConfig { retention_bytes: Some(1), ..(*day.logs[0].config()).clone() };
    day.logs[0].set_config(config);
    dirs.expire(&day.logs[..1], NOW).unwrap();
    dirs.remove_due(NOW).unwrap();
    assert!(day.logs[0].segment_bases().len() < before, "the log start could be stored");
    disk.set_space(1 << 40);
    assert!(dirs.look_after_space());
    let refused = day.known[0].refused;
    day.append(0, 0);
    assert_eq!(day.known[0].refused, refused);
}

#[test]
fn a_disk_without_any_room_lets_deleted_records_go() {
    let disk = prepare();
    let dirs = open(&disk);
    let mut day = Day::new(&dirs);
    dirs.look_after_space(); // the reserves
    day.work(STEPS);
    day.logs[0].roll(NOW).unwrap();
    day.fill(&disk);
    let before = day.logs[0].segment_bases().len();
    let to = *day.logs[0].segment_bases().last().unwrap();
    day.logs[0].delete_records(to).unwrap();
    assert!(dirs.remove_old_segments(NOW).unwrap() > 0, "where the log begins could be stored");
    dirs.remove_due(NOW).unwrap();
    assert!(day.logs[0].segment_bases().len() < before);
    drop(day);
    drop(dirs);
    let dirs = open(&disk.kill());
    let log = dirs.open_assigned(&partition(0), TOPIC, assigned(0), NOW).unwrap();
    assert_eq!(log.log_start(), to);
}
