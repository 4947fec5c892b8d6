//! What is measured with: record counts, sizes, client settings. All of it is written into the result.

use serde::Serialize;

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 6;
/// Partitions for each member of a group that is rolled.
pub(crate) const PARTITIONS_PER_MEMBER: u32 = 2;
/// What a Kafka client is given as its batch size and linger, librdkafka and Java alike.
pub(crate) const BATCH_BYTES: u32 = 131_072;
/// See [`BATCH_BYTES`].
pub(crate) const LINGER_MS: u32 = 5;
/// How much a bare loop receives or sends with one call.
pub(crate) const CHUNK_BYTES: usize = 128 * 1024;
/// How much a fetch may bring per partition.
pub(crate) const FETCH_BYTES: u32 = 1_048_576;
/// Bytes of a batch that a bare loop appends: as long as those that clients make of [`BATCH_BYTES`], and no whole number of pages.
pub(crate) const APPENDED_BATCH_BYTES: usize = 130_000;
/// What a file that is only sent is written with, in calls of so many bytes: it lies in the page cache in pieces as large as they get.
pub(crate) const FILLED_WITH_BYTES: usize = 1024 * 1024;
/// How far ahead of its end a file's blocks are set aside where they are: as the broker does it.
pub(crate) const SET_ASIDE_BYTES: u64 = 4 * 1024 * 1024;
/// Options of every Java client.
pub(crate) const CLIENT_JVM: [&str; 5] = ["-Xms512M", "-Xmx512M", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];
/// Both brokers delete the files of a deleted topic soon, so that one case's data is not written to disk in the next, and have
/// members of the consumer protocol heartbeat as often as those of the classic protocol that are rolled.
pub(crate) const BROKER_PROPERTIES: [(&str, &str); 3] = [
    ("log.segment.delete.delay.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "1000"),
];
/// Where compaction is measured, neither broker waits long before it looks whether there is something to do.
pub(crate) const COMPACTING_PROPERTIES: [(&str, &str); 1] = [("log.cleaner.backoff.ms", "100")];
/// Records of each key in a compaction case.
pub(crate) const RECORDS_PER_KEY: u64 = 10;
/// Processors of the broker and of the client where they are kept apart.
pub(crate) const CONFINED: (&str, &str) = ("0", "1");

/// Bytes of a batch where it is spread over many partitions, or flushed before it is acknowledged.
pub(crate) const MANY_BATCH_BYTES: usize = 16_384;
/// Connections of that load, and requests under way on each of them.
pub(crate) const MANY_CONNECTIONS: usize = 16;
/// See [`MANY_CONNECTIONS`].
pub(crate) const MANY_IN_FLIGHT: usize = 16;
/// Files that either broker may hold open then.
pub(crate) const OPEN_FILES_MAX: u64 = 20_000;
/// Kafka holds several files of each partition open: more are not asked of it.
pub(crate) const PARTITIONS_OF_KAFKA_MAX: u32 = 5_000;
/// The setting of a topic of which each append is flushed.
pub(crate) const FLUSH_EACH_APPEND: &str = "flush.messages=1";

/// How much.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Parameters {
    /// Alternating runs.
    pub(crate) runs: usize,
    /// Payload of a produce or consume case, in bytes.
    pub(crate) payload_bytes: u64,
    /// Records that a Java client sends or reads before it is measured, as a part of all.
    pub(crate) warm_up_part: f64,
    /// Records per second of the latency case.
    pub(crate) latency_records_per_second: u64,
    /// Seconds of the latency case, after as many to warm up.
    pub(crate) latency_seconds: u64,
    /// Seconds for which groups send heartbeats and commit, after all have joined.
    pub(crate) group_seconds: u64,
    /// Records of 1 KB that are copied in transactions of 100 ms or less as fast as it goes, a third of them to warm up.
    pub(crate) transaction_records: u64,
    /// Records per second that are copied in transactions when latency is measured.
    pub(crate) transaction_records_per_second: u64,
    /// Seconds of that, after as many to warm up.
    pub(crate) transaction_seconds: u64,
    /// Bytes that a bare `sendfile` and a bare reader move; a whole number of payloads.
    pub(crate) bare_bytes: u64,
    /// Seconds of a load that is spread over many partitions, after two to warm up.
    pub(crate) many_seconds: u64,
    /// Bytes that are flushed batch by batch without a broker.
    pub(crate) bare_synced_bytes: u64,
    /// Bytes that are flushed group by group without a broker.
    pub(crate) bare_group_bytes: u64,
    /// Seconds after the start until an idle broker's memory is read.
    pub(crate) idle_seconds: u64,
}

impl Parameters {
    /// What published figures stand on.
    pub(crate) fn full() -> Parameters {
        Parameters {
            runs: 5,
            payload_bytes: 1_000_000_000,
            warm_up_part: 0.5,
            latency_records_per_second: 20_000,
            latency_seconds: 20,
            group_seconds: 20,
            transaction_records: 300_000,
            transaction_records_per_second: 5_000,
            transaction_seconds: 15,
            bare_bytes: 4_000_000_000,
            many_seconds: 4,
            bare_synced_bytes: 200_000_000,
            bare_group_bytes: 2_000_000_000,
            idle_seconds: 10,
        }
    }

    /// A look whether everything works.
    pub(crate) fn quick() -> Parameters {
        Parameters {
            runs: 1,
            payload_bytes: 100_000_000,
            latency_seconds: 3,
            group_seconds: 5,
            transaction_records: 60_000,
            transaction_seconds: 3,
            bare_bytes: 1_000_000_000,
            many_seconds: 2,
            bare_synced_bytes: 20_000_000,
            bare_group_bytes: 100_000_000,
            idle_seconds: 2,
            ..Parameters::full()
        }
    }
}
