//! Whatever producers, commits, aborts, rolls, deletions and restarts there are: a reader of committed records that leaves out
//! what the lists of aborted transactions name sees exactly the committed records, in order, from wherever it begins and
//! however little it reads at once.

#![allow(clippy::unwrap_used)] // a test

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use ottla_log::{Identity, Log, LogConfig, LogDirs, LogDirsConfig, Origin, ReadBound, ToVerify, Verification};
use ottla_records::{BatchBuilder, Batches, CheckedBatch, ControlType, records_of};
use ottla_testkit::SimDisk;
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch,
    TopicName, TopicPartition, Uuid,
};
use proptest::prelude::*;

const NOW: Millis = Millis(1_700_000_000_000);
const EPOCH: LeaderEpoch = LeaderEpoch(0);

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Records of no transaction.
    Plain(usize),
    /// Records of this producer's transaction, which begins with them where none is open.
    Transactional(i64, usize),
    /// The end of this producer's transaction; a marker without one where none is open.
    End(i64, bool),
    Roll,
    /// The log starts this many tenths of its length further on.
    DeleteRecords(i64),
    /// The process ends, orderly or not, and all is opened again.
    Restart {
        clean: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (1usize..4).prop_map(Op::Plain),
        6 => (1i64..5, 1usize..4).prop_map(|(id, count)| Op::Transactional(id, count)),
        4 => (1i64..5, any::<bool>()).prop_map(|(id, commit)| Op::End(id, commit)),
        1 => Just(Op::Roll),
        1 => (0i64..4).prop_map(Op::DeleteRecords),
        1 => any::<bool>().prop_map(|clean| Op::Restart { clean }),
    ]
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

fn open(disk: &SimDisk) -> (LogDirs, Arc<Log>) {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings =
        LogDirsConfig { flush_threads: 0, open_files_max: 4, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
    let config = LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() };
    let paths = [PathBuf::from("/data")];
    let dirs = LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config), NOW).unwrap().0;
    let log = dirs.create(&partition(), Uuid([2; 16]), NOW).unwrap();
    log.advance_high_watermark(log.log_end());
    (dirs, log)
}

/// What is known of one producer.
#[derive(Clone, Copy, Default)]
struct Producer {
    epoch: i16,
    sequence: i32,
    /// First offset of its open transaction.
    open: Option<i64>,
}

/// What should be seen.
#[derive(Default)]
struct Model {
    producers: HashMap<i64, Producer>,
    /// Offsets of records and the producer whose transaction they are part of while it is open.
    undecided: Vec<(i64, i64)>,
    committed: BTreeSet<i64>,
}

impl Model {
    fn plain(&mut self, log: &Log, count: usize) {
        let batch = records(BatchBuilder::new(), count);
        let appended = log.append(&batch, EPOCH, Origin::Client, NOW).unwrap();
        self.committed.extend(appended.first_offset.0..=appended.last_offset.0);
        log.advance_high_watermark(log.log_end());
    }

    fn transactional(&mut self, log: &Log, id: i64, count: usize) {
        let producer = self.producers.entry(id).or_default();
        let by = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(producer.epoch) };
        let ask = ToVerify { producer: by, base_sequence: producer.sequence, bumps_epochs: true };
        let verification = log.verify(&ask, NOW).unwrap();
        assert_eq!(verification == Verification::Ongoing, producer.open.is_some());
        let batch = records(BatchBuilder::new().producer(by, producer.sequence).transactional(true), count);
        let appended = log.append_verified(&batch, EPOCH, Origin::Client, verification, NOW).unwrap();
        producer.sequence += count as i32;
        producer.open.get_or_insert(appended.first_offset.0);
        self.undecided.extend((appended.first_offset.0..=appended.last_offset.0).map(|offset| (offset, id)));
        log.advance_high_watermark(log.log_end());
    }

    fn end(&mut self, log: &Log, id: i64, commit: bool) {
        let producer = self.producers.entry(id).or_default();
        if producer.open.take().is_some() {
            (producer.epoch, producer.sequence) = (producer.epoch + 1, 0);
        }
        let by = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(producer.epoch) };
        let how = if commit { ControlType::Commit } else { ControlType::Abort };
        log.append_marker(&CheckedBatch::marker(by, how, 0, NOW), EPOCH, 2, NOW).unwrap();
        let (ended, left) = self.undecided.iter().partition::<Vec<(i64, i64)>, _>(|(_, of)| *of == id);
        self.undecided = left;
        if commit {
            self.committed.extend(ended.into_iter().map(|(offset, _)| offset));
        }
        log.advance_high_watermark(log.log_end());
    }

    fn last_stable(&self, log: &Log) -> Offset {
        let open = self.producers.values().filter_map(|producer| producer.open).min();
        open.map_or(log.log_end(), |first| Offset(first).max(log.log_start()))
    }
}

fn records(mut builder: BatchBuilder, count: usize) -> CheckedBatch {
    (0..count).for_each(|_| builder.append(NOW, None, Some(&[7; 60])));
    builder.build_checked().unwrap()
}

/// The offsets that a client of committed records sees from `from` on, `bytes` at a time. It leaves out the batches of a producer
/// from the first offset of an aborted transaction to its abort marker, as clients do.
fn seen(log: &Log, mut from: Offset, bytes: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    while from < log.last_stable() {
        let out = log.read(from, bytes, true, ReadBound::LastStable).unwrap();
        let fetched = out.records.expect("there is something below the last stable offset").read().unwrap();
        let mut listed = out.aborted;
        listed.sort_by_key(|aborted| aborted.first_offset);
        let mut listed = listed.into_iter().peekable();
        let mut leaving_out = BTreeSet::new();
        for batch in Batches::new(&fetched).map_while(Result::ok) {
            let header = *batch.header();
            while let Some(begun) = listed.next_if(|aborted| aborted.first_offset <= header.last_offset()) {
                leaving_out.insert(begun.producer_id);
            }
            let id = header.producer_id;
            let mut records = records_of(&batch).unwrap();
            while let Some(record) = records.next_record().unwrap() {
                if header.attributes.is_control() {
                    if record.key.and_then(ControlType::from_key) == Some(ControlType::Abort) {
                        leaving_out.remove(&id);
                    }
                } else if record.offset >= from && !(header.attributes.is_transactional() && leaving_out.contains(&id))
                {
                    seen.push(record.offset.0);
                }
            }
            from = header.next_offset();
        }
    }
    seen
}

fn check(model: &Model, log: &Log) -> Result<(), TestCaseError> {
    let stable = model.last_stable(log);
    prop_assert_eq!(log.last_stable(), stable);
    let start = log.log_start().0;
    for from in [start, start + (stable.0 - start) / 3, start + (stable.0 - start) / 2] {
        let expected: Vec<i64> = model.committed.range(from..).copied().take_while(|at| *at < stable.0).collect();
        for bytes in [1, 400, 1 << 20] {
            prop_assert_eq!(&seen(log, Offset(from), bytes), &expected, "from {} with {} bytes", from, bytes);
        }
    }
    let open: BTreeSet<_> =
        log.producers().iter().filter(|it| it.transaction_start.is_some()).map(|it| it.producer.id.0).collect();
    let expected = model.producers.iter().filter(|(_, producer)| producer.open.is_some()).map(|(id, _)| *id);
    prop_assert_eq!(open, expected.collect::<BTreeSet<_>>(), "open transactions can be listed");
    Ok(())
}

fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut disk = SimDisk::new(3);
    let (mut dirs, mut log) = open(&disk);
    let mut model = Model::default();
    for op in ops {
        match *op {
            Op::Plain(count) => model.plain(&log, count),
            Op::Transactional(id, count) => model.transactional(&log, id, count),
            Op::End(id, commit) => model.end(&log, id, commit),
            Op::Roll => log.roll(NOW).unwrap(),
            Op::DeleteRecords(tenths) => {
                let (start, end) = (log.log_start().0, log.high_watermark().0);
                log.delete_records(Offset(start + (end - start) * tenths / 10)).unwrap();
                dirs.checkpoint().unwrap();
                dirs.remove_old_segments(NOW).unwrap();
            }
            Op::Restart { clean } => {
                if clean {
                    dirs.close(BrokerEpoch(1)).unwrap();
                }
                drop((log, dirs));
                disk = disk.kill();
                (dirs, log) = open(&disk);
            }
        }
        if matches!(op, Op::End(..) | Op::Restart { .. } | Op::DeleteRecords(_)) {
            check(&model, &log)?;
        }
    }
    check(&model, &log)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn readers_of_committed_records_see_them_all_and_no_others(ops in prop::collection::vec(op(), 1..80)) {
        run(&ops)?;
    }
}
