//! Whatever is appended, rolled, compacted, restarted and crashed: a reader who starts at the front finds the last committed
//! value of every key, every record is at its old offset, and who is quick enough sees every deletion. A crash in a pass
//! leaves each group of segments as it was, or as the pass leaves it.

#![allow(clippy::unwrap_used)] // a test

mod indexes;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::Disk;
use ottla_log::{
    CleanError, CleanerSettings, Cleanup, Identity, Log, LogConfig, LogDirs, LogDirsConfig, LogState, Origin, ReadBound,
};
use ottla_records::{BatchBuilder, BatchHeader, BatchRef, Batches, CheckedBatch, ControlType, HEADER_LEN, records_of};
use ottla_testkit::SimDisk;
use ottla_types::{
    BrokerEpoch, BrokerId, Compression, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch, TopicName, TopicPartition, Uuid,
};
use proptest::prelude::*;

const START: Millis = Millis(1_700_000_000_000);
/// `delete.retention.ms`
const RETENTION_MS: i64 = 1000;
const EPOCH: LeaderEpoch = LeaderEpoch(1);

#[derive(Clone, Debug)]
enum Op {
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

fn value() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 4 => 1usize..400]
}

fn op() -> impl Strategy<Value = Op> {
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

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

fn config() -> LogConfig {
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

fn open(disk: &SimDisk, now: Millis) -> LogDirs {
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings =
        LogDirsConfig { flush_threads: 0, open_files_max: 4, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
    let paths = [PathBuf::from("/data")];
    LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, Arc::new(config()), now).unwrap().0
}

fn settings(entries: usize) -> CleanerSettings {
    CleanerSettings { dedupe_bytes: entries * 24, load_factor: 0.9, io_bytes: 500, digest_key: [3; 16] }
}

fn checked(builder: BatchBuilder) -> CheckedBatch {
    let bytes = builder.build().unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    CheckedBatch {
        header,
        head: *bytes.first_chunk::<HEADER_LEN>().unwrap(),
        body: bytes.slice(HEADER_LEN..),
        max_timestamp: header.max_timestamp,
        offset_of_max_timestamp: 0,
    }
}

/// A record as the model and readers know it.
type Plain = (u8, Option<usize>);

/// A record that was appended.
#[derive(Clone, Copy, Debug)]
struct Written {
    offset: i64,
    record: Plain,
    /// Whose transaction it belongs to.
    transaction: Option<u8>,
    /// Whether that was aborted.
    aborted: bool,
}

/// Last values; a key that was deleted is not there.
type Values = BTreeMap<u8, usize>;

fn apply(values: &mut Values, (key, value): Plain) {
    match value {
        Some(value) => drop(values.insert(key, value)),
        None => drop(values.remove(&key)),
    }
}

/// A consumer of committed records that reads on from where it is.
#[derive(Clone, Debug, Default)]
struct Reader {
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

fn control_of(batch: &BatchRef<'_>) -> Option<ControlType> {
    let mut records = records_of(batch).ok()?;
    ControlType::from_key(records.next_record().ok()??.key?)
}

struct World {
    disk: SimDisk,
    dirs: LogDirs,
    log: Arc<Log>,
    now: i64,
    written: Vec<Written>,
    /// Next sequence by producer.
    sequences: [i32; 5],
    reader: Reader,
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new(11);
        let dirs = open(&disk, START);
        let log = dirs.create(&partition(), Uuid([2; 16]), START).unwrap();
        let reader = Reader { began: START.0, ..Reader::default() };
        let mut world = Self { disk, dirs, log, now: START.0, written: Vec::new(), sequences: [0; 5], reader };
        world.put(BatchBuilder::new(), &[(0, 1)], None);
        world.log.flush().unwrap(); // what was never flushed may go with its directory
        world
    }

    fn append(&mut self, builder: BatchBuilder, records: &[(u8, usize)], transaction: Option<u8>) {
        let origin = if records.is_empty() { Origin::Coordinator } else { Origin::Client };
        let appended = self.log.append(&checked(builder), EPOCH, origin, Millis(self.now)).unwrap();
        self.log.advance_high_watermark(self.log.log_end());
        for (at, (key, len)) in records.iter().enumerate() {
            let record = (*key, (*len > 0).then_some(*len));
            let offset = appended.first_offset.0 + at as i64;
            self.written.push(Written { offset, record, transaction, aborted: false });
        }
    }

    fn put(&mut self, builder: BatchBuilder, records: &[(u8, usize)], transaction: Option<u8>) {
        let mut builder = builder;
        for (key, len) in records {
            let value = vec![7; *len];
            // Not all of the same time, nor in order, so that the newest of a batch may go and others stay.
            let time = Millis(self.now - i64::from(*key) * 10);
            builder.append(time, Some(&[*key]), (*len > 0).then_some(&value[..]));
        }
        self.append(builder, records, transaction);
    }

    fn batch_of(&mut self, id: u8) -> BatchBuilder {
        let producer = ProducerIdAndEpoch { id: ProducerId(id.into()), epoch: ProducerEpoch(0) };
        let sequence = &mut self.sequences[usize::from(id)];
        *sequence += 1;
        BatchBuilder::new().producer(producer, *sequence - 1)
    }

    fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        self.carry_out(op)?;
        self.check()
    }

    fn carry_out(&mut self, op: &Op) -> Result<(), TestCaseError> {
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

    fn end(&mut self, id: u8, commit: bool) {
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

    fn clean(&mut self, entries: usize) -> Result<(), TestCaseError> {
        let logs = [Arc::clone(&self.log)];
        let mut pace = |_| ControlFlow::Continue(());
        if let Some(report) = self.dirs.clean_dirtiest(&logs, &settings(entries), Millis(self.now), &mut pace) {
            prop_assert!(report.result.is_ok(), "{:?}", report.result);
        }
        Ok(())
    }

    fn reopen(&mut self, disk: SimDisk, without_snapshots: bool) -> Result<(), TestCaseError> {
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

    fn producers(&self) -> Vec<(i64, i32, Option<i64>)> {
        let view = |view: ottla_log::ProducerView| {
            (view.producer.id.0, view.last_sequence, view.transaction_start.map(|offset| offset.0))
        };
        let mut views: Vec<_> = self.log.producers().into_iter().map(view).collect();
        views.sort_unstable();
        views
    }

    /// The quick reader goes on; one that would come too late for a deletion starts anew, as it must.
    fn read(&mut self, bytes: usize) -> Result<(), TestCaseError> {
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
    fn values(&self) -> Values {
        let stable = self.log.last_stable().0;
        let mut values = Values::new();
        let read = self.written.iter().filter(|written| !written.aborted && written.offset < stable);
        read.for_each(|written| apply(&mut values, written.record));
        values
    }

    fn check(&self) -> Result<(), TestCaseError> {
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
        indexes::check(&self.disk, &self.log)
    }
}

/// `PROPTEST_CASES` for more.
fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Base offset, checksum and count of each batch. One batch a read, so that every segment of the list is looked into.
fn content(log: &Log) -> Vec<(i64, u32, i32)> {
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

fn world_of(ops: &[Op]) -> Result<World, TestCaseError> {
    let mut world = World::new();
    for op in ops {
        world.carry_out(op)?;
    }
    world.log.roll(Millis(world.now)).unwrap();
    world.put(BatchBuilder::new(), &[(9, 1)], None);
    world.log.flush().unwrap();
    Ok(world)
}

/// A log in which a pass crashed at its mutation number `at`, and what the log held before and would have held after.
struct Crashed {
    world: World,
    disk: SimDisk,
    before: Vec<(i64, u32, i32)>,
    after: Vec<(i64, u32, i32)>,
    /// Where the segments begin that groups become.
    groups: Vec<Offset>,
}

impl Crashed {
    fn new(ops: &[Op], at: u64) -> Result<Self, TestCaseError> {
        let (mut undisturbed, world) = (world_of(ops)?, world_of(ops)?);
        let before = content(&world.log);
        undisturbed.clean(64)?;
        let after = content(&undisturbed.log);
        let groups = undisturbed.log.segment_bases();
        world.disk.crash_at(world.disk.mutations() + at);
        let logs = [Arc::clone(&world.log)];
        let mut pace = |_| ControlFlow::Continue(());
        let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace);
        let ended = report.is_none_or(|report| report.result.is_ok());
        prop_assert!(ended || world.disk.crashed());
        let disk = world.disk.clone();
        Ok(Self { world, disk, before, after, groups })
    }

    /// What a start finds on `disk`: within a group, which is one segment afterwards, either the old or the new.
    fn found_on(&mut self, disk: SimDisk) -> Result<(), TestCaseError> {
        self.world.reopen_after_crash(disk)?;
        prop_assert_eq!(self.world.unfinished(), Vec::<String>::new(), "a start leaves nothing half done");
        let seen = content(&self.world.log);
        for (at, from) in self.groups.iter().enumerate() {
            let to = self.groups.get(at + 1).map_or(i64::MAX, |next| next.0);
            let of = |all: &[(i64, u32, i32)]| -> Vec<_> {
                all.iter().filter(|batch| (from.0..to).contains(&batch.0)).copied().collect()
            };
            let (now, before, after) = (of(&seen), of(&self.before), of(&self.after));
            prop_assert!(now == before || now == after, "from {from}: {now:?}\nneither {before:?}\nnor {after:?}");
        }
        self.world.check()
    }

    /// The next pass does what is left, and leaves nothing beside.
    fn goes_on(&mut self) -> Result<(), TestCaseError> {
        self.world.clean(64)?;
        self.world.check()?;
        prop_assert_eq!(self.world.unfinished(), Vec::<String>::new());
        Ok(())
    }
}

impl World {
    /// Files of passes that did not end.
    fn unfinished(&self) -> Vec<String> {
        let names = self.disk.list(Path::new("/data/t-0")).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".cleaned") || name.ends_with(".swap")).collect()
    }

    fn reopen_after_crash(&mut self, disk: SimDisk) -> Result<(), TestCaseError> {
        let before = self.producers();
        self.disk = disk;
        self.dirs = open(&self.disk, Millis(self.now));
        self.log = self.dirs.log(&partition(), Millis(self.now)).unwrap();
        self.log.advance_high_watermark(self.log.log_end());
        prop_assert_eq!(self.log.state(), LogState::Online);
        prop_assert_eq!(self.producers(), before);
        Ok(())
    }
}

/// Starts, crashes at that mutation of the start, and gives what is left.
fn start_and_crash(disk: &SimDisk, at: u64, lose: impl Fn(&SimDisk) -> SimDisk) -> SimDisk {
    disk.crash_at(disk.mutations() + at);
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings =
        LogDirsConfig { flush_threads: 0, open_files_max: 4, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
    let _ = LogDirs::open(
        Arc::new(disk.clone()),
        &[PathBuf::from("/data")],
        &identity,
        settings,
        Arc::new(config()),
        START,
    );
    lose(disk)
}

fn without_crashes() -> impl Strategy<Value = Vec<Op>> {
    let calm = |ops: Vec<Op>| ops.into_iter().filter(|op| !matches!(op, Op::Crash(_) | Op::Restart(_))).collect();
    prop::collection::vec(op(), 10..60).prop_map(calm)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_reader_finds_the_last_value_of_every_key(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op)?;
        }
    }

    #[test]
    fn a_crash_in_a_pass_leaves_each_group_as_it_was_or_will_be(
        ops in without_crashes(),
        at in 0u64..60,
        start_at in 0u64..40,
        seed in any::<u64>(),
    ) {
        let mut crashed = Crashed::new(&ops, at)?;
        let found = crashed.disk.crash(seed);
        crashed.found_on(start_and_crash(&found, start_at, |disk| disk.crash(!seed)))?;
        crashed.goes_on()?;
    }

    #[test]
    fn a_power_cut_in_a_pass_leaves_each_group_as_it_was_or_will_be(
        ops in without_crashes(),
        at in 0u64..60,
        start_at in 0u64..40,
    ) {
        let mut crashed = Crashed::new(&ops, at)?;
        let found = crashed.disk.power_cut();
        crashed.found_on(start_and_crash(&found, start_at, SimDisk::power_cut))?;
        crashed.goes_on()?;
    }
}

/// Every write of a pass, and after it every write of the start, may be the last one.
#[test]
fn every_write_of_a_pass_and_of_the_start_may_be_the_last() {
    let mut ops = Vec::new();
    for round in 0..2 {
        for key in 0..6u8 {
            ops.push(Op::Put(vec![(key, 300 + round), (key, 50)], 0));
            ops.push(Op::Transactional(2 + key % 3, key, 30));
            ops.push(Op::End(2 + key % 3, key % 2 == 0));
            if key % 2 == 0 {
                // Small segments, so that groups have several; and of what they end with nothing stays.
                ops.extend([Op::Roll, Op::Put(vec![(7, 40)], 0), Op::Roll]);
            }
        }
    }
    for at in 0.. {
        let mut crashed = Crashed::new(&ops, at).unwrap();
        let ended = !crashed.disk.crashed();
        for seed in at * 100..at * 100 + 6 {
            // The dice fall otherwise each time; every other start is left in peace.
            for start_at in [0, 1 + seed % 12, 99] {
                let found = crashed.disk.crash(seed);
                let again = start_and_crash(&found, start_at, |disk| disk.crash(seed * 31 + start_at));
                crashed
                    .found_on(again)
                    .unwrap_or_else(|error| panic!("mutation {at} of the pass, {start_at} of the start: {error}"));
            }
        }
        crashed.goes_on().unwrap();
        if ended {
            assert!(at > 20, "a pass has {at} mutations");
            return;
        }
    }
}

#[test]
fn a_full_disk_ends_a_pass_and_the_log_stays_whole() {
    let ops: Vec<_> = (0..60).map(|i| Op::Put(vec![(i % 8, 200)], 0)).collect();
    let world = world_of(&ops).unwrap();
    let before = content(&world.log);
    world.disk.inject(|operation| {
        let cleaned = operation.path.to_string_lossy().ends_with(".cleaned");
        (cleaned && operation.kind == ottla_testkit::OperationKind::Write).then(ottla_testkit::Fault::enospc)
    });
    let logs = [Arc::clone(&world.log)];
    let mut pace = |_| ControlFlow::Continue(());
    let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace).unwrap();
    assert!(matches!(report.result, Err(CleanError::Io(_))), "{:?}", report.result);
    assert_eq!((content(&world.log), world.log.state()), (before, LogState::Online));
    world.disk.heal();
    let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace).unwrap();
    assert!(report.result.unwrap().records_after < 20);
}

/// A pass that failed may leave files whose names say "nothing was decided"; they must not be there when a later pass has
/// decided, or a restart would undo it after the old segments are gone.
#[test]
fn what_a_failed_pass_left_does_not_undo_a_later_one() {
    // Without a transaction this pass has no such file, and does not write over it. Every segment holds what must not go.
    let ops: Vec<_> = (0..40).map(|i| Op::Put(vec![(100 + i, 200), (7, 20)], 0)).collect();
    for at in 0.. {
        let mut world = world_of(&ops).unwrap();
        let expected = world.values();
        for base in world.log.segment_bases() {
            let stray = PathBuf::from(format!("/data/t-0/{:020}.txnindex.cleaned", base.0));
            world.disk.open(&stray, ottla_disk::OpenMode::Create).unwrap();
        }
        world.disk.sync_dir(Path::new("/data/t-0")).unwrap();
        world.disk.crash_at(world.disk.mutations() + at);
        let logs = [Arc::clone(&world.log)];
        let mut pace = |_| ControlFlow::Continue(());
        let _ = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace);
        if !world.disk.crashed() {
            assert!(at > 40, "a pass has {at} mutations");
            return;
        }
        let found = world.disk.crash(at);
        world.reopen_after_crash(found).unwrap();
        assert_eq!(world.values(), expected);
        world.check().unwrap_or_else(|error| panic!("mutation {at}: {error}"));
    }
}

/// A crash between the renames of a decision leaves files of both names; one while the start undoes that must not leave those
/// alone that say "it was decided".
#[test]
fn every_crash_of_a_start_that_undoes_a_decision_leaves_the_old_segments() {
    // Small segments of which nothing stays, and one that gives what they become an entry in its index.
    let small = (0..2).flat_map(|_| [Op::Put(vec![(0, 0)], 0), Op::Roll]);
    let large = [vec![(4, 110)], vec![(1, 64), (2, 0), (5, 129)], vec![(0, 0)]];
    let ops: Vec<_> = small.chain(large.map(|records| Op::Put(records, 0))).collect();
    let mut undone = 0;
    for at in 0.. {
        let mut crashed = Crashed::new(&ops, at).unwrap();
        let ended = !crashed.disk.crashed();
        for seed in 0..20 {
            let found = crashed.disk.crash(seed);
            let names: Vec<_> =
                found.list(Path::new("/data/t-0")).unwrap().into_iter().map(|entry| entry.name).collect();
            let any = |suffix: &str| names.iter().any(|name| name.ends_with(suffix));
            if !(any(".cleaned") && any(".swap")) {
                continue;
            }
            undone += 1;
            for start_at in 0..20 {
                let again = start_and_crash(&crashed.disk.crash(seed), start_at, |disk| disk.crash(!seed));
                crashed.found_on(again).unwrap_or_else(|error| panic!("{at}, {seed}, {start_at}: {error}"));
            }
        }
        if ended {
            break;
        }
    }
    assert!(undone > 10, "{undone} crashes between the renames");
}
