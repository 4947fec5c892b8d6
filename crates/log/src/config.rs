//! What the engine needs to know of a topic's and the broker's configuration.

use ottla_types::Uuid;

/// Configuration of one partition's log; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: age of a segment's first record at which it is rolled.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to this is taken off `segment.ms`, so that segments do not roll all at once.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: largest size of an index file.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of log between two index entries, at least.
    pub index_interval_bytes: u32,
    /// `flush.messages`: records after which an append waits for a flush.
    pub flush_messages: i64,
    /// `flush.ms`: time after which a record is flushed at the latest.
    pub flush_ms: i64,
    /// `file.delete.delay.ms`: how long the files of a removed segment stay.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy`: what happens to old records.
    pub cleanup: Cleanup,
    /// `retention.ms`: age of a segment's newest record at which it goes; none for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: size of the log from which its oldest segments go; none for no limit.
    pub retention_bytes: Option<u64>,
    /// `min.compaction.lag.ms`: age under which a record is not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: age at which a record has to be compacted.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: share of bytes that no pass has been over from which the log is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// `delete.retention.ms`: how long compaction keeps a tombstone for readers to see.
    pub delete_retention_ms: i64,
}

/// What happens to old records. Both may be true, and neither: then everything stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// Segments go by age and size.
    pub delete: bool,
    /// Only the last record of each key stays.
    pub compact: bool,
}

impl LogConfig {
    /// Age at which a segment is rolled: a record that has to be compacted may not stay in the active segment for longer.
    pub(crate) fn segment_age_max_ms(&self) -> i64 {
        if self.cleanup.compact { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            cleanup: Cleanup { delete: true, compact: false },
            retention_ms: Some(WEEK_MS),
            retention_bytes: None,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 24 * 3600 * 1000,
        }
    }
}

/// Configuration of the set of log directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirsConfig {
    /// Files kept open; partitions that are read or written beyond that open theirs again.
    pub open_files_max: usize,
    /// Threads that flush (group commit). With 0 nothing that waits is flushed before `LogDirs::run_queued_flushes`.
    pub flush_threads: usize,
    /// `num.recovery.threads.per.data.dir`: logs recovered at once after a crash, per directory.
    pub recovery_threads_per_dir: usize,
    /// `log.segment.delete.delay.ms`: how long the directory of a deleted partition stays.
    pub delete_delay_ms: i64,
    /// How long the checkpoint of a directory may sync file by file; what is expected to take longer is one sync of the volume.
    pub checkpoint_syncs_ms: u64,
    /// Ids of directories whose records the operator has given up: partitions of theirs begin anew elsewhere.
    pub given_up: Vec<Uuid>,
}

impl Default for LogDirsConfig {
    fn default() -> Self {
        Self {
            open_files_max: 16 * 1024,
            flush_threads: 4,
            recovery_threads_per_dir: 2,
            delete_delay_ms: 60_000,
            checkpoint_syncs_ms: 2000,
            given_up: Vec::new(),
        }
    }
}
