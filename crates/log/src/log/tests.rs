use std::{collections::BTreeSet, path::PathBuf};

use bytes::Bytes;
use ottla_records::{BatchBuilder, BatchHeader, Batches, CheckedBatch, HEADER_LEN};
use ottla_types::{PartitionIndex, ProducerEpoch, ProducerIdAndEpoch, TopicName};

mod compaction;
mod faults;
mod recovery;
mod retention;
mod transactions;

use super::*;
use crate::{Origin, StdDisk};

pub(crate) const NOW: Millis = Millis(1_700_000_000_000);
pub(crate) const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// A partition's log in a directory of its own.
pub(crate) struct Bed {
    pub(crate) root: tempfile::TempDir,
    pub(crate) config: LogConfig,
    pub(crate) start: StartPoint,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let start = StartPoint { clean: true, ..StartPoint::default() };
        Self { root: tempfile::tempdir().unwrap(), config: LogConfig::default(), start }
    }

    pub(crate) fn small_segments(segment_bytes: u32, index_interval_bytes: u32) -> Self {
        let mut bed = Self::new();
        bed.config = LogConfig { segment_bytes, index_interval_bytes, ..LogConfig::default() };
        bed
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("t-0")
    }

    pub(crate) fn open(&self) -> Arc<Log> {
        self.open_with_report().0
    }

    pub(crate) fn open_with_report(&self) -> (Arc<Log>, LoadReport) {
        std::fs::create_dir_all(self.dir()).unwrap();
        let env = log_env(Arc::new(StdDisk));
        Log::open(env, partition(), self.dir().into(), self.start, self.config.clone(), NOW).unwrap()
    }

    /// Opens the log as after a crash with this recovery point.
    pub(crate) fn crash(&mut self, recovery_point: i64) -> (Arc<Log>, LoadReport) {
        self.start = StartPoint { clean: false, recovery_point: Offset(recovery_point), ..self.start };
        self.open_with_report()
    }
}

pub(crate) fn log_env(disk: Arc<dyn Disk>) -> LogEnv {
    let (flusher, deletions) = (Arc::new(Flusher::start(0).unwrap()), Arc::new(Deletions::new(0)));
    let (health, tally) = (crate::health::DirHealth::alone(), Arc::default());
    LogEnv { handles: HandleCache::new(disk, 8), flusher, deletions, health, syncs_volume: false, tally }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(0) }
}

pub(crate) fn checked(bytes: &Bytes) -> CheckedBatch {
    let header = BatchHeader::parse(bytes).unwrap();
    CheckedBatch {
        header,
        head: bytes[..HEADER_LEN].try_into().unwrap(),
        body: bytes.slice(HEADER_LEN..),
        max_timestamp: header.max_timestamp,
        offset_of_max_timestamp: 0,
    }
}

/// `count` records of `size` bytes each, all at `timestamp`.
pub(crate) fn batch(count: usize, size: usize, timestamp: i64) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    (0..count).for_each(|i| builder.append(Millis(timestamp), None, Some(&vec![i as u8; size])));
    checked(&builder.build().unwrap())
}

pub(crate) fn idempotent(id: i64, epoch: i16, sequence: i32, count: usize) -> BatchBuilder {
    let producer = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) };
    let mut builder = BatchBuilder::new().producer(producer, sequence);
    (0..count).for_each(|_| builder.append(NOW, None, Some(b"v")));
    builder
}

pub(crate) fn append(log: &Log, batch: &CheckedBatch) -> Appended {
    log.append(batch, EPOCH, Origin::Client, NOW).unwrap()
}

/// Appends `batches` batches of `count` records of `size` bytes, with rising timestamps.
pub(crate) fn append_many(log: &Log, batches: i64, count: usize, size: usize) {
    for i in 0..batches {
        append(log, &batch(count, size, NOW.0 + i));
    }
}

/// First offsets and sizes of the whole batches that a read gives.
pub(crate) fn read(log: &Log, from: i64, bytes_max: usize) -> Vec<(i64, usize)> {
    let out = log.read(Offset(from), bytes_max, true, ReadBound::LogEnd).unwrap();
    let Some(records) = out.records else { return Vec::new() };
    let bytes = records.read().unwrap();
    Batches::new(&bytes)
        .map_while(Result::ok)
        .map(|batch| {
            batch.verify_crc().unwrap();
            (batch.header().base_offset.0, batch.bytes().len())
        })
        .collect()
}

/// First offsets of all batches from `from` to the log end, by as many reads as it takes.
pub(crate) fn read_all(log: &Log, mut from: i64, bytes_max: usize) -> Vec<i64> {
    let mut found = Vec::new();
    while from < log.log_end().0 {
        let out = log.read(Offset(from), bytes_max, true, ReadBound::LogEnd).unwrap();
        let bytes = out.records.expect("records before the log end").read().unwrap();
        let whole: Vec<_> = Batches::new(&bytes).map_while(Result::ok).map(|batch| *batch.header()).collect();
        found.extend(whole.iter().map(|header| header.base_offset.0));
        from = whole.last().expect("at least one whole batch").next_offset().0;
    }
    found
}

#[test]
fn what_is_appended_is_read_back_with_its_offsets() {
    let bed = Bed::new();
    let log = bed.open();
    assert_eq!((log.log_start(), log.log_end(), log.high_watermark()), (Offset(0), Offset(0), Offset(0)));
    let first = append(&log, &batch(3, 100, 5));
    assert_eq!((first.first_offset, first.last_offset, first.duplicate), (Offset(0), Offset(2), false));
    assert_eq!((first.log_append_time, first.log_start_offset, first.flush_to), (Millis::NONE, Offset(0), None));
    let second = append(&log, &batch(2, 10, 6));
    assert_eq!((second.first_offset, second.last_offset), (Offset(3), Offset(4)));
    assert_eq!(log.log_end(), Offset(5));
    assert_eq!(read_all(&log, 0, 1), [0, 3]);
    for from in 0..5 {
        assert_eq!(read(&log, from, 1 << 20)[0].0, if from < 3 { 0 } else { 3 }, "from {from}");
    }
    assert!(read(&log, 5, 1 << 20).is_empty(), "the log end is not out of range");
    assert!(matches!(
        log.read(Offset(6), 1, true, ReadBound::LogEnd),
        Err(ReadError::OutOfRange { from: Offset(6), log_start: Offset(0), log_end: Offset(5) })
    ));
    assert!(log.read(Offset(-1), 1, true, ReadBound::LogEnd).is_err());
    assert_eq!(log.latest_epoch(), Some(EPOCH));
}

#[test]
fn a_read_ends_at_its_bound_and_a_batch_may_be_cut() {
    let bed = Bed::new();
    let log = bed.open();
    append_many(&log, 4, 2, 200);
    let len = read(&log, 0, 1 << 20)[0].1;
    let bounded = |bytes_max, min_one, bound| {
        let out = log.read(Offset(0), bytes_max, min_one, bound).unwrap();
        (out.len(), out.first_batch_cut)
    };
    assert_eq!(bounded(1 << 20, true, ReadBound::HighWatermark), (0, false));
    assert_eq!(log.advance_high_watermark(Offset(4)), Offset(4));
    assert_eq!(log.advance_high_watermark(Offset(2)), Offset(4), "it never moves back");
    assert_eq!(bounded(1 << 20, true, ReadBound::HighWatermark), (2 * len, false));
    assert_eq!(bounded(1 << 20, true, ReadBound::LogEnd), (4 * len, false));
    assert_eq!(bounded(len + 7, true, ReadBound::LogEnd), (len + 7, false));
    assert_eq!(bounded(7, true, ReadBound::LogEnd), (len, false));
    assert_eq!(bounded(7, false, ReadBound::LogEnd), (7, true));
    assert_eq!(bounded(0, false, ReadBound::LogEnd), (0, true));
    assert_eq!(log.advance_high_watermark(Offset(99)), Offset(8), "nor past the log end");
}

#[test]
fn a_log_goes_on_where_it_was_closed() {
    let mut bed = Bed::small_segments(4000, 500);
    let log = bed.open();
    append_many(&log, 40, 3, 100);
    let (bases, size) = (log.segment_bases(), log.size().unwrap());
    assert!(bases.len() > 3, "{bases:?}");
    log.close().unwrap();
    assert!(matches!(log.append(&batch(1, 1, 1), EPOCH, Origin::Client, NOW), Err(AppendError::NotOnline(_))));
    assert!(matches!(log.read(Offset(0), 1, true, ReadBound::LogEnd), Err(ReadError::Closed)));

    bed.start.recovery_point = Offset(120);
    let (log, report) = bed.open_with_report();
    assert_eq!(report, LoadReport::default(), "nothing is scanned after a clean stop");
    assert_eq!((log.log_end(), log.flushed()), (Offset(120), Offset(120)));
    assert_eq!((log.segment_bases(), log.size().unwrap()), (bases, size));
    assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(120));
    let expected: Vec<_> = (0..40).map(|i| i * 3).chain([120]).collect();
    for bytes_max in [1, 700, 1 << 20] {
        assert_eq!(read_all(&log, 0, bytes_max), expected);
    }
}

#[test]
fn segments_roll_by_size_time_and_index() {
    let rolled = |config: LogConfig, timestamps: &[i64]| {
        let mut bed = Bed::new();
        bed.config = config;
        let log = bed.open();
        timestamps.iter().for_each(|at| {
            append(&log, &batch(1, 1000, *at));
        });
        log.segment_bases().iter().map(|base| base.0).collect::<Vec<_>>()
    };
    let usual = LogConfig::default();
    assert_eq!(rolled(usual.clone(), &[1, 2, 3]), [0]);
    assert_eq!(rolled(LogConfig { segment_bytes: 2500, ..usual.clone() }, &[1, 2, 3, 4, 5]), [0, 2, 4]);
    assert_eq!(rolled(LogConfig { segment_ms: 100, ..usual.clone() }, &[0, 100, 101, 150, 202]), [0, 2, 4]);
    let jittered = LogConfig { segment_ms: 100, segment_jitter_ms: 50, ..usual.clone() };
    let every_ms: Vec<_> = (0..2000).collect();
    let bases = rolled(jittered.clone(), &every_ms);
    let ages: BTreeSet<_> = bases.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(ages.iter().all(|age| (52..=101).contains(age)) && ages.len() > 5, "{ages:?}");
    assert_eq!(rolled(jittered, &every_ms), bases);
    let tiny_index = LogConfig { segment_index_bytes: 36, index_interval_bytes: 0, ..usual };
    // 36 bytes: 4 offset entries, or 3 time entries of which one is kept free; the first batch has no entry
    assert_eq!(rolled(tiny_index, &[1, 2, 3, 4, 5, 6, 7]), [0, 3, 6]);
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let bed = Bed::small_segments(1000, 100);
    let log = bed.open();
    let error = log.append(&batch(1, 1000, 1), EPOCH, Origin::Client, NOW).unwrap_err();
    assert!(matches!(error, AppendError::LargerThanSegment { segment_bytes: 1000, .. }), "{error}");
    assert_eq!(log.log_end(), Offset(0));
}

#[test]
fn a_follower_keeps_the_leaders_offsets_and_epochs() {
    let bed = Bed::new();
    let log = bed.open();
    let from_leader = |offset: i64, epoch: i32| {
        let mut builder = BatchBuilder::new().base_offset(Offset(offset)).leader_epoch(LeaderEpoch(epoch));
        builder.append(NOW, None, None);
        checked(&builder.build().unwrap())
    };
    let take = |batch: &CheckedBatch| log.append(batch, LeaderEpoch::UNKNOWN, Origin::Replication, NOW);
    assert_eq!(take(&from_leader(7, 1)).unwrap().first_offset, Offset(7));
    assert_eq!(take(&from_leader(20, 4)).unwrap().last_offset, Offset(20));
    assert!(matches!(
        take(&from_leader(20, 4)),
        Err(AppendError::OffsetOrder { found: Offset(20), log_end: Offset(21) })
    ));
    assert_eq!(log.epochs().iter().map(|e| (e.epoch.0, e.start.0)).collect::<Vec<_>>(), [(1, 7), (4, 20)]);
    assert_eq!(read_all(&log, 8, 1), [20], "offsets that nobody has are skipped");
    let far = take(&from_leader(1 << 40, 4)).unwrap();
    assert_eq!(far.first_offset, Offset(1 << 40));
    assert_eq!(
        log.segment_bases().last(),
        Some(&Offset(1 << 40)),
        "an offset too far for the segment begins a new one"
    );
}

#[test]
fn records_are_found_by_time() {
    let bed = Bed::small_segments(3000, 300);
    let log = bed.open();
    for at in [10, 20, 30, 25, 40, 50, 60, 55, 70, 80] {
        append(&log, &batch(2, 300, at));
    }
    assert!(log.segment_bases().len() > 2);
    let ask =
        |log: &Log, at| log.offset_for_timestamp(Millis(at)).unwrap().map(|found| (found.timestamp.0, found.offset.0));
    let check = |log: &Log| {
        for (at, expected) in [
            (0, Some((10, 0))),
            (10, Some((10, 0))),
            (11, Some((20, 2))),
            (26, Some((30, 4))),
            (31, Some((40, 8))),
            (55, Some((60, 12))),
            (61, Some((70, 16))),
            (80, Some((80, 18))),
            (81, None),
        ] {
            assert_eq!(ask(log, at), expected, "at {at}");
        }
        let newest = log.max_timestamp_offset().unwrap().unwrap();
        assert_eq!((newest.timestamp, newest.offset, newest.epoch), (Millis(80), Offset(18), EPOCH));
    };
    check(&log);
    log.close().unwrap();
    check(&bed.open());
}

#[test]
fn a_cut_end_is_gone_for_readers_epochs_and_time() {
    for to in [0, 1, 30, 59, 60, 61, 119] {
        let bed = Bed::small_segments(4000, 500);
        let log = bed.open();
        append_many(&log, 20, 3, 100);
        log.begin_epoch(LeaderEpoch(9));
        for i in 0..20 {
            log.append(&batch(3, 100, NOW.0 + 20 + i), LeaderEpoch(9), Origin::Client, NOW).unwrap();
        }
        log.advance_high_watermark(Offset(120));
        log.flush().unwrap();
        assert!(log.truncate_to(Offset(to), NOW).unwrap());
        let end = to / 3 * 3; // whole batches go
        assert_eq!((log.log_end().0, log.high_watermark().0, log.flushed().0), (end, end, end), "to {to}");
        assert_eq!(
            log.latest_epoch(),
            if end > 60 {
                Some(LeaderEpoch(9))
            } else if end > 0 {
                Some(EPOCH)
            } else {
                None
            }
        );
        assert_eq!(read_all(&log, 0, 900), (0..end / 3).map(|i| i * 3).collect::<Vec<_>>());
        let newest = log.max_timestamp_offset().unwrap().map(|found| found.offset.0);
        assert_eq!(newest, (end > 0).then_some(end - 3));
        assert_eq!(append(&log, &batch(2, 100, 7)).first_offset.0, end);
        assert!(!log.truncate_to(Offset(500), NOW).unwrap());
        log.close().unwrap();
        let log = bed.open();
        assert_eq!(log.log_end().0, end + 2);
        assert_eq!(read_all(&log, 0, 900).len() as i64, end / 3 + 1);
    }
}

#[test]
fn deleted_records_are_out_of_range_and_their_segments_go() {
    let bed = Bed::small_segments(2000, 500);
    let log = bed.open();
    append_many(&log, 30, 1, 400);
    assert!(matches!(log.delete_records(Offset(5)), Err(CutError::OutOfRange { .. })), "above the high watermark");
    log.advance_high_watermark(Offset(30));
    assert_eq!(log.delete_records(Offset(9)).unwrap(), Offset(9));
    assert_eq!(log.delete_records(Offset(3)).unwrap(), Offset(9), "it never moves back");
    assert!(matches!(log.read(Offset(8), 1, true, ReadBound::LogEnd), Err(ReadError::OutOfRange { .. })));
    assert_eq!(log.epochs(), [EpochStart { epoch: EPOCH, start: Offset(9) }]);
    let before = log.segment_bases();
    let removed = log.remove_segments_below(log.log_start(), NOW).unwrap();
    assert!(removed > 0);
    assert_eq!(log.segment_bases(), before[removed..]);
    assert!(log.segment_bases()[0] <= Offset(9) && log.segment_bases()[1] > Offset(9));
    assert_eq!(read_all(&log, 9, 1), (9..30).collect::<Vec<_>>());
    log.truncate_fully_and_start_at(Offset(500), NOW).unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.high_watermark()), (Offset(500), Offset(500), Offset(500)));
    assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(500));
}

#[test]
fn a_flush_answers_who_waits_for_what_it_covered() {
    let bed = Bed::small_segments(2000, 500);
    let log = bed.open();
    type Answer = (i64, Result<i64, FlushError>);
    let answers: Arc<Mutex<Vec<Answer>>> = Arc::default();
    let wait = |to: i64| {
        let answers = Arc::clone(&answers);
        log.when_flushed(Offset(to), Box::new(move |done| answers.lock().push((to, done.map(|offset| offset.0)))));
    };
    append_many(&log, 10, 1, 400);
    assert_eq!(log.flushed(), Offset(0));
    wait(0);
    wait(4);
    wait(10);
    assert_eq!(*answers.lock(), [(0, Ok(0))]);
    assert_eq!(log.env.flusher.run_queued(), 1, "many waiters, one flush");
    assert_eq!(*answers.lock(), [(0, Ok(0)), (4, Ok(10)), (10, Ok(10))]);
    assert_eq!(log.flushed(), Offset(10));
    append_many(&log, 2, 1, 400);
    let asked = Arc::clone(&log);
    let seen = Arc::clone(&answers);
    log.when_flushed(
        Offset(12),
        Box::new(move |done| {
            asked.advance_high_watermark(asked.log_end()); // whoever is told may use the log
            seen.lock().push((12, done.map(|offset| offset.0)));
        }),
    );
    log.truncate_to(Offset(11), NOW).unwrap();
    assert_eq!(answers.lock().last(), Some(&(12, Err(FlushError::Truncated))));
    let told = answers.lock().len();
    wait(12);
    log.env.flusher.run_queued();
    assert_eq!(answers.lock()[told..], [(12, Err(FlushError::Truncated))], "nobody waits for what is cut off");
    append_many(&log, 1, 1, 400);
    wait(12);
    log.close().unwrap();
    assert_eq!(answers.lock().last(), Some(&(12, Ok(12))));
    wait(13);
    log.env.flusher.run_queued();
    assert_eq!(answers.lock().last(), Some(&(13, Err(FlushError::Closed))));
}

#[test]
fn flush_messages_and_flush_ms_say_when() {
    let mut bed = Bed::new();
    bed.config.flush_messages = 3;
    bed.config.flush_ms = 50;
    let log = bed.open();
    assert_eq!(append(&log, &batch(2, 1, 1)).flush_to, None);
    assert!(!log.flush_if_due(NOW.plus(49)));
    assert!(log.flush_if_due(NOW.plus(50)));
    log.env.flusher.run_queued();
    assert_eq!(log.flushed(), Offset(2));
    assert!(!log.flush_if_due(NOW.plus(500)), "nothing waits");
    assert_eq!(append(&log, &batch(2, 1, 1)).flush_to, None);
    assert_eq!(append(&log, &batch(2, 1, 1)).flush_to, Some(Offset(6)));
}

#[test]
fn a_roll_flushes_what_it_closed_and_leaves_the_active_segment_alone() {
    let bed = Bed::small_segments(2000, 500);
    let log = bed.open();
    append_many(&log, 10, 1, 400);
    let active = *log.segment_bases().last().unwrap();
    assert!(active < log.log_end());
    assert_eq!((log.flushed(), log.env.flusher.run_queued()), (Offset(0), 1));
    assert_eq!(log.flushed(), active);
    assert!(log.dirty_since.load(Ordering::Acquire) >= 0, "the rest still waits");
}
