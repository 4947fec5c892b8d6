//! A log of some segments, and ways to spoil its files.

use std::{
    fs::{self, OpenOptions},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_log::{
    Assigned, Cleanup, FoundBy, Identity, Log, LogConfig, LogDirs, LogDirsConfig, Origin, ReadBound, ReadError, StdDisk,
};
use ottla_records::{BatchBuilder, BatchError, Batches};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, TopicName, TopicPartition, Uuid,
};

pub(crate) const NOW: Millis = Millis(1_700_000_000_000);
pub(crate) const TOPIC: Uuid = Uuid([7; 16]);
const DIRECTORY: Uuid = Uuid([1; 16]);
/// No offsets.
pub(crate) const NONE: [i64; 0] = [];
/// Records in a filled log, one a batch.
pub(crate) const RECORDS: i64 = 40;

/// Directories that a log is in.
pub(crate) struct Bed {
    root: tempfile::TempDir,
    pub(crate) config: LogConfig,
}

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Closed.
    Clean,
    /// All is flushed and checkpointed; then the process is gone.
    Killed,
}

pub(crate) fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition: PartitionIndex(index) }
}

impl Bed {
    pub(crate) fn new() -> Self {
        let config = LogConfig {
            segment_bytes: 2500,
            index_interval_bytes: 400,
            cleanup: Cleanup { delete: false, compact: false },
            ..LogConfig::default()
        };
        Self { root: tempfile::tempdir().unwrap(), config }
    }

    /// A log of [`RECORDS`] batches, left as `stop` says.
    pub(crate) fn filled(stop: Stop) -> Self {
        let bed = Self::new();
        let dirs = bed.open();
        let log = bed.log(&dirs);
        (0..RECORDS).for_each(|value| append(&log, value));
        assert!(log.segment_bases().len() > 3, "{:?}", log.segment_bases());
        bed.stop(dirs, stop);
        bed
    }

    pub(crate) fn stop(&self, dirs: LogDirs, stop: Stop) {
        match stop {
            Stop::Clean => dirs.close(BrokerEpoch(1)).unwrap(),
            Stop::Killed => {
                self.log(&dirs).flush().unwrap();
                dirs.checkpoint().unwrap();
                dirs.checkpoint_high_watermarks().unwrap();
            }
        }
    }

    pub(crate) fn open(&self) -> LogDirs {
        let identity =
            Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![DIRECTORY] };
        let settings = LogDirsConfig { flush_threads: 0, delete_delay_ms: 0, ..LogDirsConfig::default() };
        let configs = Arc::new(self.config.clone());
        let paths = [self.root.path().to_owned()];
        LogDirs::open(Arc::new(StdDisk), &paths, &identity, settings, configs, NOW).unwrap().0
    }

    pub(crate) fn log(&self, dirs: &LogDirs) -> Arc<Log> {
        self.log_of(dirs, 0)
    }

    pub(crate) fn log_of(&self, dirs: &LogDirs, index: i32) -> Arc<Log> {
        let assigned = Assigned { directory: DIRECTORY, is_new: !dirs.contains(&partition(index)) };
        let log = dirs.open_assigned(&partition(index), TOPIC, assigned, NOW).unwrap();
        log.advance_high_watermark(log.log_end()); // as the only replica does
        log
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("t-0")
    }

    /// The file of a segment with this ending.
    pub(crate) fn file(&self, base: i64, ending: &str) -> PathBuf {
        self.dir().join(format!("{base:020}.{ending}"))
    }

    /// Base offsets of the segments, by their names.
    pub(crate) fn bases(&self) -> Vec<i64> {
        let names = fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut bases: Vec<_> = names.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
        bases.sort_unstable();
        bases
    }

    /// The offsets that the offset index of a segment names.
    pub(crate) fn named(&self, base: i64) -> Vec<i64> {
        let bytes = fs::read(self.file(base, "index")).unwrap();
        let relative = |entry: &[u8]| i64::from(u32::from_be_bytes(entry[..4].try_into().unwrap()));
        bytes.chunks_exact(8).map(|entry| base + relative(entry)).collect()
    }

    /// Where the batch of `offset` lies: its segment, position and length.
    pub(crate) fn place(&self, offset: i64) -> (PathBuf, u64, u64) {
        let base = self.bases().into_iter().rfind(|base| *base <= offset).unwrap();
        let path = self.file(base, "log");
        let bytes = fs::read(&path).unwrap();
        let mut position = 0;
        for batch in Batches::new(&bytes).map(Result::unwrap) {
            let len = batch.bytes().len() as u64;
            if batch.header().last_offset().0 >= offset {
                return (path, position, len);
            }
            position += len;
        }
        panic!("no offset {offset}");
    }
}

/// What the record at an offset holds; no two segments are laid out alike.
pub(crate) fn value(offset: i64) -> Vec<u8> {
    vec![offset as u8; 110 + (offset * 37 % 61) as usize]
}

/// One batch of one record, of the offset that it gets.
pub(crate) fn append(log: &Log, offset: i64) {
    assert_eq!(log.log_end().0, offset);
    let mut builder = BatchBuilder::new();
    builder.append(NOW.plus(offset), Some(&offset.to_be_bytes()), Some(&value(offset)));
    log.append(&builder.build_checked().unwrap(), LeaderEpoch(2), Origin::Client, NOW).unwrap();
    log.advance_high_watermark(log.log_end());
}

pub(crate) fn flip(path: &Path, at: u64, mask: u8) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ mask], at).unwrap();
}

pub(crate) fn cut_to(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

pub(crate) fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Adds bytes to the end of a file.
pub(crate) fn add(path: &Path, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, len(path)).unwrap();
}

/// Reads at every offset from the log start to the log end, a batch and as much as there is; the offsets that are refused.
/// What is served has to be what was written: the record of the offset, as `append` wrote it, with its checksum.
pub(crate) fn refused(log: &Log) -> Vec<i64> {
    let offsets = log.log_start().0..log.log_end().0;
    offsets.filter(|offset| !served(log, *offset)).collect()
}

/// Whether an offset is served.
pub(crate) fn served(log: &Log, offset: i64) -> bool {
    for bytes_max in [1, 1 << 20] {
        let out = match log.read(Offset(offset), bytes_max, true, ReadBound::HighWatermark) {
            Ok(out) => out,
            Err(ReadError::Damaged { next, .. }) => {
                let next = next.expect("a place that is known");
                assert!(next > Offset(offset), "{next} is not behind {offset}");
                return false;
            }
            Err(error) => panic!("offset {offset}: {error}"),
        };
        let bytes = out.records.unwrap_or_else(|| panic!("offset {offset} is passed over")).read().unwrap();
        let mut next = offset;
        for batch in Batches::new(&bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(BatchError::Incomplete { .. }) if next > offset => break, // the last one may be cut off
                Err(error) => panic!("from offset {offset}: {error}"),
            };
            batch.verify_crc().unwrap_or_else(|error| panic!("from offset {offset}: {error}"));
            assert_eq!(batch.header().base_offset.0, next, "from offset {offset}");
            let mut records = ottla_records::records_of(&batch).unwrap();
            let record = records.next_record().unwrap().unwrap();
            assert_eq!(record.value, Some(&value(next)[..]), "offset {next}");
            next += 1;
        }
        assert!(next > offset);
    }
    true
}

/// One look of the scrub at the log.
pub(crate) fn scrub(dirs: &LogDirs) {
    assert!(dirs.scrub(&partition(0), false, NOW, &mut |_| ControlFlow::Continue(())).unwrap().complete);
}

/// How many damaged places were found, by each who found some.
pub(crate) fn found(dirs: &LogDirs) -> Vec<(FoundBy, u64)> {
    dirs.damage_counts().found.into_iter().filter(|(_, places)| *places > 0).collect()
}

/// Whatever was damaged, the log goes on: a new record gets the offset behind all others and is read.
pub(crate) fn goes_on(log: &Log) {
    let end = log.log_end().0;
    append(log, end);
    assert!(served(log, end), "a new record");
}
