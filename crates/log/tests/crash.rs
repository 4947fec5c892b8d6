//! Whatever is done to a log and wherever the machine stops, recovery gives back a prefix of what was appended that holds
//! everything flushed, with the same indexes, producers and epochs as if only that had ever been written.

#![allow(clippy::unwrap_used)] // a test

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::{Disk, OpenMode};
use ottla_log::{AbortedTransaction, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin, ReadBound};
use ottla_records::{BatchBuilder, Batches, CheckedBatch, ControlType};
use ottla_testkit::SimDisk;
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch,
    TopicName, TopicPartition, Uuid,
};
use proptest::prelude::*;

const NOW: Millis = Millis(1_700_000_000_000);

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Records, their size, and how the timestamp moves.
    Append {
        count: usize,
        size: usize,
        time: i64,
    },
    /// The next batch of this producer, in a transaction.
    Transactional(i64),
    /// The end of this producer's transaction.
    End(i64, bool),
    Flush,
    Roll,
    Checkpoint,
    NextEpoch,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1usize..4, 1usize..700, -20i64..20).prop_map(|(count, size, time)| Op::Append { count, size, time }),
        3 => (1i64..4).prop_map(Op::Transactional),
        2 => (1i64..4, any::<bool>()).prop_map(|(id, commit)| Op::End(id, commit)),
        2 => Just(Op::Flush),
        1 => Just(Op::Roll),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::NextEpoch),
    ]
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

fn open(disk: &SimDisk) -> Option<LogDirs> {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings = LogDirsConfig {
        flush_threads: 0,
        open_files_max: 4,
        recovery_threads_per_dir: 1,
        delete_delay_ms: 0,
        ..LogDirsConfig::default()
    };
    let config = LogConfig { segment_bytes: 4000, index_interval_bytes: 300, ..LogConfig::default() };
    let paths = [PathBuf::from("/data")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW).ok().map(|found| found.0)
}

/// What a client and a checker know.
#[derive(Default)]
struct Model {
    batches: Vec<(CheckedBatch, LeaderEpoch, Origin)>,
    ends: Vec<i64>,
    flushed: i64,
    sequences: [i32; 4],
    epoch: i32,
    time: i64,
}

impl Model {
    fn batch(&mut self, op: Op) -> Option<(BatchBuilder, Origin)> {
        let producer = |id| ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) };
        match op {
            Op::Append { count, size, time } => {
                self.time += time;
                let mut builder = BatchBuilder::new();
                (0..count).for_each(|i| builder.append(NOW.plus(self.time), None, Some(&vec![i as u8; size])));
                Some((builder, Origin::Client))
            }
            Op::Transactional(id) => {
                let sequence = &mut self.sequences[id as usize];
                let mut builder = BatchBuilder::new().producer(producer(id), *sequence).transactional(true);
                builder.append(NOW.plus(self.time), None, Some(b"v"));
                *sequence += 1;
                Some((builder, Origin::Client))
            }
            Op::End(id, commit) => {
                let how = if commit { ControlType::Commit } else { ControlType::Abort };
                Some((BatchBuilder::marker(producer(id), how, 1, NOW.plus(self.time)), Origin::Coordinator))
            }
            _ => None,
        }
    }

    /// False once the machine is off.
    fn run(&mut self, op: Op, dirs: &LogDirs, log: &Log) -> bool {
        if let Some((builder, origin)) = self.batch(op) {
            let batch = builder.build_checked().unwrap();
            let epoch = LeaderEpoch(self.epoch);
            let Ok(appended) = log.append(&batch, epoch, origin, NOW) else { return false };
            self.batches.push((batch, epoch, origin));
            self.ends.push(appended.last_offset.0 + 1);
            return true;
        }
        match op {
            Op::Flush => log.flush().map(|flushed| self.flushed = flushed.0).is_ok(),
            Op::Roll => log.roll(NOW).is_ok(),
            Op::Checkpoint => dirs.checkpoint().is_ok(),
            _ => {
                self.epoch += 1;
                true
            }
        }
    }
}

/// Everything that can be seen of a log.
#[derive(Debug, PartialEq)]
struct Seen {
    end: i64,
    batches: Vec<(i64, u32)>,
    epochs: Vec<(i32, i64)>,
    producers: Vec<(i64, i32, Option<i64>)>,
    last_stable: i64,
    aborted: Vec<AbortedTransaction>,
    newest: Option<(i64, i64)>,
}

fn see(log: &Log) -> Seen {
    log.advance_high_watermark(log.log_end());
    let mut batches = Vec::new();
    let mut from = Offset(0);
    while from < log.log_end() {
        let out = log.read(from, 1500, true, ReadBound::LogEnd).unwrap();
        let bytes = out.records.expect("records before the log end").read().unwrap();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            batch.verify_crc().unwrap();
            batches.push((batch.header().base_offset.0, batch.header().crc));
            from = batch.header().next_offset();
        }
    }
    let mut producers: Vec<_> = log
        .producers()
        .iter()
        .map(|view| (view.producer.id.0, view.last_sequence, view.transaction_start.map(|offset| offset.0)))
        .collect();
    producers.sort_unstable();
    Seen {
        end: log.log_end().0,
        batches,
        // An epoch may be known although all its records are lost; it then begins at the log end.
        epochs: log
            .epochs()
            .iter()
            .filter(|entry| entry.start < log.log_end())
            .map(|entry| (entry.epoch.0, entry.start.0))
            .collect(),
        producers,
        last_stable: log.last_stable().0,
        aborted: aborted(log),
        newest: log.max_timestamp_offset().unwrap().map(|found| (found.timestamp.0, found.offset.0)),
    }
}

fn aborted(log: &Log) -> Vec<AbortedTransaction> {
    let mut found: Vec<AbortedTransaction> = Vec::new();
    let mut from = Offset(0);
    while from < log.last_stable() {
        let out = log.read(from, 1, true, ReadBound::LastStable).unwrap();
        let bytes = out.records.unwrap().read().unwrap();
        from = Batches::new(&bytes).map_while(Result::ok).last().unwrap().header().next_offset();
        for entry in out.aborted {
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    found.sort_unstable_by_key(|entry| entry.last_offset);
    found
}

/// The index files of the partition, by name.
fn indexes(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    files(disk).into_iter().filter(|(name, _)| name.ends_with("index")).collect()
}

/// All files of the partition, by name.
fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new("/data/t-0");
    let names = disk.list(dir).unwrap().into_iter().map(|entry| entry.name);
    names
        .map(|name| {
            let file = disk.open(&dir.join(&name), OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            (name, bytes)
        })
        .collect()
}

/// A log into which only the first `count` batches were ever written.
fn written_once(model: &Model, count: usize) -> Seen {
    let disk = SimDisk::new(1);
    let dirs = open(&disk).unwrap();
    let log = dirs.create(&partition(), Uuid([2; 16]), NOW).unwrap();
    for (batch, epoch, origin) in &model.batches[..count] {
        log.append(batch, *epoch, *origin, NOW).unwrap();
    }
    see(&log)
}

/// `lose` gives the disk that the next start finds, and if it can the same once more.
fn check(
    ops: &[Op],
    crash_at: Option<u64>,
    lose: impl Fn(&SimDisk) -> (SimDisk, Option<SimDisk>),
) -> Result<(), TestCaseError> {
    let disk = SimDisk::new(7);
    let dirs = open(&disk).unwrap();
    let log = dirs.create(&partition(), Uuid([2; 16]), NOW).unwrap();
    let mut model = Model::default();
    let first = disk.mutations();
    crash_at.into_iter().for_each(|at| disk.crash_at(first + at));
    for op in ops {
        if !model.run(*op, &dirs, &log) {
            break;
        }
    }
    let flushed = model.flushed;
    let (found, again) = lose(&disk);
    drop((log, dirs));

    let dirs = open(&found).expect("the log directories open after a crash");
    if !dirs.contains(&partition()) {
        prop_assert_eq!(flushed, 0, "flushed records are gone with their directory");
        return Ok(());
    }
    let log = dirs.log(&partition(), NOW).unwrap();
    prop_assert_eq!(log.state(), LogState::Online);
    let end = log.log_end().0;
    prop_assert!(end >= flushed, "the log ends at {end}, {flushed} was flushed");
    // A batch that was written whole when the machine stopped counts although nobody was told.
    let count = model.ends.iter().take_while(|&&last| last <= end).count();
    if count < model.batches.len() || end == model.ends.last().copied().unwrap_or(0) {
        prop_assert_eq!(end, if count == 0 { 0 } else { model.ends[count - 1] }, "the log ends within a batch");
        prop_assert_eq!(see(&log), written_once(&model, count));
    }
    check_indexes(&found, dirs, log)?;
    let Some(again) = again else { return Ok(()) };
    let dirs = open(&again).unwrap();
    go_on(&dirs.log(&partition(), NOW).unwrap())
}

/// The log is used like any other after its recovery.
fn go_on(log: &Log) -> Result<(), TestCaseError> {
    let mut expected = see(log).batches;
    for i in 0..12 {
        let mut builder = BatchBuilder::new();
        builder.append(NOW.plus(1000 + i), None, Some(&[1; 600]));
        let batch = builder.build_checked().unwrap();
        let appended = log.append(&batch, LeaderEpoch(100), Origin::Client, NOW).unwrap();
        expected.push((appended.first_offset.0, batch.header.crc));
    }
    log.roll(NOW).unwrap();
    log.flush().unwrap();
    let seen = see(log);
    prop_assert_eq!(seen.batches, expected);
    prop_assert_eq!(seen.newest.map(|(timestamp, _)| timestamp), Some(NOW.0 + 1011));
    Ok(())
}

/// What recovery made of the indexes is what building them from nothing makes.
fn check_indexes(disk: &SimDisk, dirs: LogDirs, log: Arc<Log>) -> Result<(), TestCaseError> {
    let seen = see(&log);
    dirs.close(BrokerEpoch(1)).unwrap();
    drop((dirs, log));
    let recovered = indexes(disk);
    for (name, _) in recovered.iter().filter(|(name, _)| !name.ends_with(".txnindex")) {
        disk.remove_file(&Path::new("/data/t-0").join(name)).unwrap();
    }
    let dirs = open(disk).unwrap();
    let log = dirs.log(&partition(), NOW).unwrap();
    prop_assert_eq!(see(&log), seen, "a restart changes nothing");
    dirs.close(BrokerEpoch(1)).unwrap();
    prop_assert_eq!(indexes(disk), recovered);
    Ok(())
}

/// `PROPTEST_CASES` for more.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_crash_anywhere_leaves_a_prefix_with_all_that_was_flushed(
        ops in prop::collection::vec(op(), 1..60),
        crash_at in prop::option::of(0u64..150),
        seed in any::<u64>(),
    ) {
        check(&ops, crash_at, |disk| (disk.crash(seed), Some(disk.crash(seed))))?;
    }

    #[test]
    fn a_power_cut_anywhere_leaves_what_was_flushed(ops in prop::collection::vec(op(), 1..60), crash_at in 0u64..150) {
        check(&ops, Some(crash_at), |disk| (disk.power_cut(), Some(disk.power_cut())))?;
    }

    #[test]
    fn a_killed_process_loses_nothing_that_was_written(ops in prop::collection::vec(op(), 1..60)) {
        check(&ops, None, |disk| (disk.kill(), None))?;
    }

    #[test]
    fn a_clean_stop_outlives_a_power_cut(ops in prop::collection::vec(op(), 1..40), restarts in 1usize..3) {
        let mut disk = SimDisk::new(7);
        let mut model = Model::default();
        let mut seen = None;
        for _ in 0..restarts {
            let dirs = open(&disk).unwrap();
            let log = dirs.create(&partition(), Uuid([2; 16]), NOW).unwrap();
            if let Some(seen) = seen {
                prop_assert_eq!(see(&log), seen);
            }
            for op in &ops {
                model.run(*op, &dirs, &log);
            }
            let before = see(&log);
            dirs.close(BrokerEpoch(1)).unwrap();
            drop((log, dirs));
            let left = files(&disk);
            disk = disk.power_cut();
            let found = files(&disk);
            for (name, bytes) in left.iter().filter(|(name, _)| name != "partition.metadata") {
                let durable = found.iter().any(|(found, content)| found == name && content == bytes);
                prop_assert!(durable, "{name} of {} bytes is lost", bytes.len());
            }
            let dirs = open(&disk).unwrap();
            prop_assert_eq!(dirs.clean_stop_epoch(), Some(BrokerEpoch(1)));
            prop_assert!(dirs.loaded(&partition()).is_none(), "nothing is recovered");
            prop_assert_eq!(&see(&dirs.log(&partition(), NOW).unwrap()), &before);
            dirs.close(BrokerEpoch(1)).unwrap();
            seen = Some(before);
        }
    }
}
