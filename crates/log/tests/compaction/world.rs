//! A log on a disk that is simulated, what a test does to it, and what a reader must find.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::Disk;
use ottla_log::{
    CleanerSettings, Cleanup, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin, ReadBound,
};
use ottla_records::{BatchBuilder, BatchRef, Batches, ControlType, records_of};
use ottla_testkit::SimDisk;
use ottla_types::{
    BrokerEpoch, BrokerId, Compression, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch, TopicName, TopicPartition, Uuid,
};
use proptest::prelude::*;

pub(super) const START: Millis = Millis(1_700_000_000_000);
/// `delete.retention.ms`
pub(super) const RETENTION_MS: i64 = 1000;
pub(super) const EPOCH: LeaderEpoch = LeaderEpoch(1);

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Keys and lengths of values, 0 for a tombstone; and the codec.
    Put(Vec<(u8, usize)>, u8),
    /// The next batch of this idempotent producer.
    Idempotent(u8, u8, usize),
    /// The next batch of this producer, in a transaction.
    Transactional(u8, u8, usize),
    /// The end of this producer's transaction.
    End(u8, bool),
    Roll,
    /// Compaction with a map of so many entries.
    Clean(usize),
    Pass(i64),
    /// The quick reader reads some bytes more.
    Read(usize),
    /// A clean stop and a start; without producer snapshots where the flag says so.
    Restart(bool),
    Crash(u64),
}

pub(super) fn value() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 4 => 1usize..400]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (prop::collection::vec((0u8..8, value()), 1..5), 0u8..5).prop_map(|(records, codec)| Op::Put(records, codec)),
        2 => (0u8..2, 0u8..8, value()).prop_map(|(id, key, len)| Op::Idempotent(id, key, len)),
        4 => (2u8..5, 0u8..8, value()).prop_map(|(id, key, len)| Op::Transactional(id, key, len)),
        3 => (2u8..5, any::<bool>()).prop_map(|(id, commit)| Op::End(id, commit)),
        4 => Just(Op::Roll),
        4 => (3usize..30).prop_map(Op::Clean),
        3 => (0i64..700).prop_map(Op::Pass),
        5 => (1usize..3000).prop_map(Op::Read),
        1 => any::<bool>().prop_map(Op::Restart),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}

pub(super) fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

pub(super) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 300,
        cleanup: Cleanup { delete: false, compact: true },
        delete_retention_ms: RETENTION_MS,
        min_cleanable_dirty_ratio: 0.0,
        file_delete_delay_ms: 100,
        ..LogConfig::default()
    }
}

pub(super) fn open(disk: &SimDisk, now: Millis) -> LogDirs {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings =
        LogDirsConfig { flush_threads: 0, open_files_max: 4, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
    let paths = [PathBuf::from("/data")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config()), now).unwrap().0
}

pub(super) fn settings(entries: usize) -> CleanerSettings {
    CleanerSettings { dedupe_bytes: entries * 24, load_factor: 0.9, io_bytes: 500, digest_key: [3; 16] }
}

/// A record as the model and readers know it.
type Plain = (u8, Option<usize>);

/// A record that was appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    offset: i64,
    record: Plain,
    /// Whose transaction it belongs to.
    transaction: Option<u8>,
    /// Whether that was aborted.
    aborted: bool,
}

/// Last values; a key that was deleted is not there.
type Values = BTreeMap<u8, usize>;

pub(super) fn apply(values: &mut Values, (key, value): Plain) {
    match value {
        Some(value) => drop(values.insert(key, value)),
        None => drop(values.remove(&key)),
    }
}

/// A consumer of committed records that reads on from where it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    began: i64,
    at: i64,
    values: Values,
}

impl Reader {
    fn step(&mut self, log: &Log, bytes: usize, seen: &mut dyn FnMut(i64, Plain)) {
        let out = log.read(Offset(self.at.max(log.log_start().0)), bytes, true, ReadBound::LastStable).unwrap();
        let Some(records) = out.records else {
            self.at = self.at.max(out.last_stable.0);
            return;
        };
        let bytes = records.read().unwrap();
        // As clients do it: a producer's data is aborted from the first offset of an aborted transaction to its marker.
        let mut ahead = out.aborted.clone();
        let mut aborted = BTreeSet::new();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            batch.verify_crc().unwrap();
            let header = *batch.header();
            ahead.retain(|entry| {
                let begun = entry.first_offset <= header.last_offset();
                if begun {
                    aborted.insert(entry.producer_id);
                }
                !begun
            });
            if header.attributes.is_control() {
                if control_of(&batch) == Some(ControlType::Abort) {
                    aborted.remove(&header.producer_id);
                }
            } else if !(header.attributes.is_transactional() && aborted.contains(&header.producer_id)) {
                let mut reader = records_of(&batch).unwrap();
                while let Some(record) = reader.next_record().unwrap() {
                    if record.offset.0 < self.at {
                        continue;
                    }
                    let plain = (record.key.unwrap()[0], record.value.map(<[u8]>::len));
                    seen(record.offset.0, plain);
                    apply(&mut self.values, plain);
                }
            }
            self.at = self.at.max(header.next_offset().0);
        }
    }
}

pub(super) fn control_of(batch: &BatchRef<'_>) -> Option<ControlType> {
    let mut records = records_of(batch).ok()?;
    ControlType::from_key(records.next_record().ok()??.key?)
}

pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) dirs: LogDirs,
    pub(super) log: Arc<Log>,
    pub(super) now: i64,
    pub(super) written: Vec<Written>,
    /// Next sequence by producer.
    pub(super) sequences: [i32; 5],
    pub(super) reader: Reader,
}

impl World {
    pub(super) fn new() -> Self {
        let disk = SimDisk::new(11);
        let dirs = open(&disk, START);
        let log = dirs.create(&partition(), Uuid([2; 16]), START).unwrap();
        let reader = Reader { began: START.0, ..Reader::default() };
        let mut world = Self { disk, dirs, log, now: START.0, written: Vec::new(), sequences: [0; 5], reader };
        world.put(BatchBuilder::new(), &[(0, 1)], None);
        world.log.flush().unwrap(); // what was never flushed may go with its directory
        world
    }

    pub(super) fn append(&mut self, builder: BatchBuilder, records: &[(u8, usize)], transaction: Option<u8>) {
        let origin = if records.is_empty() { Origin::Coordinator } else { Origin::Client };
        let appended = self.log.append(&builder.build_checked().unwrap(), EPOCH, origin, Millis(self.now)).unwrap();
        self.log.advance_high_watermark(self.log.log_end());
        for (at, (key, len)) in records.iter().enumerate() {
            let record = (*key, (*len > 0).then_some(*len));
            let offset = appended.first_offset.0 + at as i64;
            self.written.push(Written { offset, record, transaction, aborted: false });
        }
    }

    pub(super) fn put(&mut self, builder: BatchBuilder, records: &[(u8, usize)], transaction: Option<u8>) {
        let mut builder = builder;
        for (key, len) in records {
            let value = vec![7; *len];
            // Not all of the same time, nor in order, so that the newest of a batch may go and others stay.
            let time = Millis(self.now - i64::from(*key) * 10);
            builder.append(time, Some(&[*key]), (*len > 0).then_some(&value[..]));
        }
        self.append(builder, records, transaction);
    }

    pub(super) fn batch_of(&mut self, id: u8) -> BatchBuilder {
        let producer = ProducerIdAndEpoch { id: ProducerId(id.into()), epoch: ProducerEpoch(0) };
        let sequence = &mut self.sequences[usize::from(id)];
        *sequence += 1;
        BatchBuilder::new().producer(producer, *sequence - 1)
    }

    pub(super) fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        self.carry_out(op)?;
        self.check()
    }

    pub(super) fn carry_out(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Put(records, codec) => {
                let codec = Compression::try_from(*codec).unwrap();
                self.put(BatchBuilder::new().compression(codec, None), records, None);
            }
            Op::Idempotent(id, key, len) => {
                let builder = self.batch_of(*id);
                self.put(builder, &[(*key, *len)], None);
            }
            Op::Transactional(id, key, len) => {
                let builder = self.batch_of(*id).transactional(true);
                self.put(builder, &[(*key, *len)], Some(*id));
            }
            Op::End(id, commit) => self.end(*id, *commit),
            Op::Roll => self.log.roll(Millis(self.now)).unwrap(),
            Op::Clean(entries) => self.clean(*entries)?,
            Op::Pass(ms) => {
                self.now += ms;
                self.dirs.remove_due(Millis(self.now)).unwrap();
            }
            Op::Read(bytes) => self.read(*bytes)?,
            Op::Restart(without_snapshots) => {
                self.dirs.close(BrokerEpoch(1)).unwrap();
                let disk = self.disk.power_cut();
                self.reopen(disk, *without_snapshots)?;
            }
            Op::Crash(seed) => {
                self.log.flush().unwrap();
                let disk = self.disk.crash(*seed);
                self.reopen(disk, false)?;
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, id: u8, commit: bool) {
        if self.log.producer(ProducerId(id.into())).is_none_or(|view| view.transaction_start.is_none()) {
            return;
        }
        let how = if commit { ControlType::Commit } else { ControlType::Abort };
        let producer = ProducerIdAndEpoch { id: ProducerId(id.into()), epoch: ProducerEpoch(0) };
        self.append(BatchBuilder::marker(producer, how, 0, Millis(self.now)), &[], None);
        for written in self.written.iter_mut().filter(|written| written.transaction == Some(id)) {
            written.transaction = None;
            written.aborted = !commit;
        }
    }

    pub(super) fn clean(&mut self, entries: usize) -> Result<(), TestCaseError> {
        let logs = [Arc::clone(&self.log)];
        let mut pace = |_| ControlFlow::Continue(());
        if let Some(report) = self.dirs.clean_dirtiest(&logs, &settings(entries), Millis(self.now), &mut pace) {
            prop_assert!(report.result.is_ok(), "{:?}", report.result);
        }
        Ok(())
    }

    pub(super) fn reopen(&mut self, disk: SimDisk, without_snapshots: bool) -> Result<(), TestCaseError> {
        let before: Vec<_> = self.producers();
        let unopened = self.log.clean_to();
        if without_snapshots {
            let dir = Path::new("/data/t-0");
            let names = disk.list(dir).unwrap().into_iter().map(|entry| entry.name);
            names
                .filter(|name| name.ends_with(".snapshot"))
                .for_each(|name| disk.remove_file(&dir.join(name)).unwrap());
        }
        self.disk = disk;
        self.dirs = open(&self.disk, Millis(self.now));
        self.log = self.dirs.log(&partition(), Millis(self.now)).unwrap();
        self.log.advance_high_watermark(self.log.log_end());
        prop_assert_eq!(self.log.state(), LogState::Online);
        prop_assert_eq!(self.producers(), before, "what producers are checked against");
        prop_assert_eq!(self.log.clean_to(), unopened, "passes go on where they stopped");
        Ok(())
    }

    pub(super) fn producers(&self) -> Vec<(i64, i32, Option<i64>)> {
        let view = |view: ottla_log::ProducerView| {
            (view.producer.id.0, view.last_sequence, view.transaction_start.map(|offset| offset.0))
        };
        let mut views: Vec<_> = self.log.producers().into_iter().map(view).collect();
        views.sort_unstable();
        views
    }

    /// The quick reader goes on; one that would come too late for a deletion starts anew, as it must.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), TestCaseError> {
        if self.now - self.reader.began >= RETENTION_MS {
            self.reader = Reader { began: self.now, ..Reader::default() };
        }
        let mut reader = self.reader.clone();
        reader.step(&self.log, bytes, &mut |_, _| ());
        if reader.at >= self.log.last_stable().0 {
            prop_assert_eq!(&reader.values, &self.values(), "a reader that was quick enough");
            reader.began = self.now;
        }
        self.reader = reader;
        Ok(())
    }

    /// What a reader should find: committed records below the last stable offset.
    pub(super) fn values(&self) -> Values {
        let stable = self.log.last_stable().0;
        let mut values = Values::new();
        let read = self.written.iter().filter(|written| !written.aborted && written.offset < stable);
        read.for_each(|written| apply(&mut values, written.record));
        values
    }

    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        while reader.at < self.log.last_stable().0 {
            reader.step(&self.log, 1500, &mut |offset, plain| found.push((offset, plain)));
        }
        prop_assert_eq!(&reader.values, &self.values());
        prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets rise");
        for (offset, plain) in found {
            let at = self.written.binary_search_by_key(&offset, |written| written.offset);
            let written = at.map(|at| self.written[at]);
            prop_assert!(
                written.is_ok_and(|written| written.record == plain && !written.aborted),
                "offset {offset} holds {plain:?}, {written:?} was written"
            );
        }
        crate::indexes::check(&self.disk, &self.log)
    }
}

/// `PROPTEST_CASES` for more.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Base offset, checksum and count of each batch. One batch a read, so that every segment of the list is looked into.
pub(super) fn content(log: &Log) -> Vec<(i64, u32, i32)> {
    let mut found = Vec::new();
    let mut from = log.log_start();
    while from < log.log_end() {
        let out = log.read(from, 1, true, ReadBound::LogEnd).unwrap();
        let Some(records) = out.records else { break };
        let bytes = records.read().unwrap();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            batch.verify_crc().unwrap();
            from = batch.header().next_offset();
            found.push((batch.header().base_offset.0, batch.header().crc, batch.header().records_count));
        }
    }
    found
}
