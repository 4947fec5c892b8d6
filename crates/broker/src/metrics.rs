//! What the broker counts, in Prometheus form.
//!
//! Handles are looked up once and kept by whoever counts; a scrape reads gauges from the live state through [`Gauges`].
//! Invariant: a hot path touches only atomics.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use ottla_log::DamageCounts;
use ottla_types::TopicPartition;
use ottla_wire::ApiKey;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::latency::{ApiLatency, Latencies};

/// Bounds of the other histograms, seconds: 50 µs doubled up to 26 s.
const LATENCY_FIRST_BOUND_S: f64 = 0.000_05;
const LATENCY_BOUNDS: u16 = 20;

/// Counters of the sockets.
#[derive(Debug, Default)]
pub(crate) struct NetworkMetrics {
    pub(crate) bytes_sent: Counter,
    pub(crate) requests: Counter,
    pub(crate) connections_refused: Counter,
}

/// Partitions on their way into a transaction.
#[derive(Clone, Debug)]
pub(crate) struct VerificationMetrics {
    /// How long the coordinator takes to say yes or no.
    pub(crate) time: Histogram,
    /// Partitions that it refused.
    pub(crate) failures: Counter,
}

/// Counters of one topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicMetrics {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) failed_produce: Counter,
    pub(crate) failed_fetch: Counter,
}

/// Counters of the cleaners.
#[derive(Debug, Default)]
pub(crate) struct CleanerMetrics {
    pub(crate) passes: Counter,
    pub(crate) failed_passes: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) bytes_removed: Counter,
    pub(crate) records_removed: Counter,
    pub(crate) dead_threads: Counter,
    pub(crate) last: CleanerGauges,
}

/// Counters of the scrub.
#[derive(Debug, Default)]
pub(crate) struct ScrubMetrics {
    pub(crate) rounds: Counter,
    pub(crate) bytes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FinderLabel {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    topic: String,
    partition: i32,
}

/// What is damaged, and what was done about it.
#[derive(Debug, Default)]
struct DamageFamilies {
    places: Family<PartitionLabel, Gauge>,
    found: Family<FinderLabel, Counter>,
    indexes_rebuilt: Counter,
    files_replaced: Counter,
}

impl DamageFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        let places = "Places of a partition that are known to be damaged, and refused";
        registry.register("log_damaged_places", places, families.places.clone());
        registry.register("log_damage_found", "Damaged places that were found", families.found.clone());
        let rebuilt = "Indexes that did not fit their segment, or were missing, and were made again";
        registry.register("log_indexes_rebuilt", rebuilt, families.indexes_rebuilt.clone());
        let replaced = "Checkpoints and producer snapshots that could not be read and were replaced or passed over";
        registry.register("log_files_replaced", replaced, families.files_replaced.clone());
        families
    }

    fn set(&self, counts: &DamageCounts, damaged: &[(TopicPartition, usize)]) {
        self.places.clear();
        for (partition, places) in damaged {
            let label = PartitionLabel { topic: partition.topic.as_str().to_owned(), partition: partition.partition.0 };
            self.places.get_or_create(&label).set(i64::try_from(*places).unwrap_or(i64::MAX));
        }
        let set = |counter: &Counter, to| counter.inner().store(to, Ordering::Relaxed);
        for (by, places) in counts.found {
            set(&self.found.get_or_create(&FinderLabel { by: by.name() }), places);
        }
        set(&self.indexes_rebuilt, counts.indexes_rebuilt);
        set(&self.files_replaced, counts.files_replaced);
    }
}

/// Of the pass that ended last.
#[derive(Debug, Default)]
pub(crate) struct CleanerGauges {
    pub(crate) seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    pub(crate) recopy_percent: Gauge<f64, std::sync::atomic::AtomicU64>,
    pub(crate) map_percent: Gauge<f64, std::sync::atomic::AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicLabel {
    topic: String,
}

/// Whose lag, and as seen by which readers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LagLabel {
    group: String,
    topic: String,
    partition: i32,
    isolation: &'static str,
}

/// Groups of one protocol in one state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    protocol: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

/// What the group coordinator has and did; what it did is counted since its partitions were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupCounts {
    /// Groups by protocol and state.
    pub(crate) groups: HashMap<(&'static str, &'static str), i64>,
    /// Committed offsets that are kept.
    pub(crate) offsets: i64,
    pub(crate) tally: ottla_groups::Tally,
}

#[derive(Debug, Default)]
struct GroupFamilies {
    groups: Family<StateLabel, Gauge>,
    offsets: Gauge,
    commits: Counter,
    deletions: Counter,
    expirations: Counter,
    rebalances: Family<ProtocolLabel, Counter>,
}

impl GroupFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register("groups", "Groups by protocol and state", families.groups.clone());
        registry.register("group_offsets", "Committed offsets that are kept", families.offsets.clone());
        registry.register("group_offset_commits", "Offsets committed", families.commits.clone());
        let deletions = "Offsets deleted on request or with their group";
        registry.register("group_offset_deletions", deletions, families.deletions.clone());
        let expirations = "Offsets that expired or whose topic is gone";
        registry.register("group_offset_expirations", expirations, families.expirations.clone());
        registry.register("group_rebalances", "Assignments of groups begun", families.rebalances.clone());
        families
    }

    fn set(&self, counts: &GroupCounts) {
        self.groups.clear();
        for ((protocol, state), count) in &counts.groups {
            self.groups.get_or_create(&StateLabel { protocol, state }).set(*count);
        }
        self.offsets.set(counts.offsets);
        let set = |counter: &Counter, to| counter.inner().store(to, Ordering::Relaxed);
        set(&self.commits, counts.tally.offset_commits);
        set(&self.deletions, counts.tally.offset_deletions);
        set(&self.expirations, counts.tally.offset_expirations);
        let of = |protocol| self.rebalances.get_or_create(&ProtocolLabel { protocol }).clone();
        set(&of("classic"), counts.tally.classic_rebalances);
        set(&of("consumer"), counts.tally.consumer_rebalances);
    }
}

/// How far a group is behind in one partition, in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    /// To the high watermark.
    pub(crate) uncommitted: i64,
    /// To the last stable offset.
    pub(crate) committed: i64,
}

/// Values that are read when somebody asks.
pub(crate) trait Gauges: Send + Sync {
    /// Calls `set` with the name and value of every gauge of [`GAUGES`] that is known.
    fn read(&self, set: &mut dyn FnMut(&'static str, f64));

    /// What the group coordinator has and did.
    fn groups(&self) -> GroupCounts;

    /// What was found damaged since the start, and what is damaged.
    fn damage(&self) -> (DamageCounts, Vec<(TopicPartition, usize)>);

    /// Calls `set` with group, topic, partition and lag of every committed offset.
    fn lags(&self, set: &mut dyn FnMut(&str, &str, i32, Lag));
}

/// Gauges by name, with their help text.
const GAUGES: &[(&str, &str)] = &[
    ("active_controller_count", "1 where this node is the active controller"),
    ("connections", "Open client connections"),
    ("frame_memory_bytes", "Bytes leased for requests that are being read"),
    ("full_log_directories", "Log directories that take no appends because there is no room"),
    (
        "log_cleaner_max_compaction_delay_seconds",
        "By how much the most overdue record of a compacted partition is past max.compaction.lag.ms",
    ),
    ("log_cleaner_max_dirty_percent", "Largest share of bytes not compacted yet among the compacted partitions"),
    ("log_cleaner_uncleanable_bytes", "Bytes not compacted yet of the partitions that cannot be compacted"),
    (
        "log_cleaner_uncleanable_partitions",
        "Partitions that cannot be compacted because a batch is damaged; 0 where all is well",
    ),
    ("log_size_bytes", "Bytes of all segments of all partitions in use"),
    ("offline_log_directories", "Log directories that failed and are not used until the next start"),
    ("offline_partitions", "Partitions without a leader"),
    ("partitions", "Partitions hosted here"),
    ("purgatory_size", "Fetch and produce requests that wait"),
    (
        "request_handler_idle_percent",
        "Share of time since the last reading in which the worker threads had nothing to do",
    ),
    ("stray_partitions", "Partition directories put aside because the metadata does not know them"),
    ("transaction_markers_waiting", "Partitions that lack the marker of a transaction whose end is decided"),
    ("transactional_ids", "Transactional ids that are coordinated here"),
    ("transactions_open", "Transactions that are open and coordinated here"),
    ("under_min_isr_partitions", "Partitions with fewer in-sync replicas than min.insync.replicas"),
    ("under_replicated_partitions", "Partitions with fewer in-sync replicas than replicas"),
];

/// All metrics of the process.
pub(crate) struct Metrics {
    registry: Registry,
    gauges: Vec<(&'static str, Gauge<f64, std::sync::atomic::AtomicU64>)>,
    lags: Family<LagLabel, Gauge>,
    groups: GroupFamilies,
    damage: DamageFamilies,
    pub(crate) network: Arc<NetworkMetrics>,
    pub(crate) verification: VerificationMetrics,
    pub(crate) cleaner: CleanerMetrics,
    pub(crate) scrub: ScrubMetrics,
    topics: TopicFamilies,
    latencies: Latencies,
}

#[derive(Debug, Default)]
struct TopicFamilies {
    bytes_in: Family<TopicLabel, Counter>,
    bytes_out: Family<TopicLabel, Counter>,
    messages_in: Family<TopicLabel, Counter>,
    failed_produce: Family<TopicLabel, Counter>,
    failed_fetch: Family<TopicLabel, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new(apis: &[ApiKey]) -> Self {
        let mut registry = Registry::with_prefix("ottla");
        let network = Arc::<NetworkMetrics>::default();
        registry.register("network_bytes_sent", "Bytes sent to clients", network.bytes_sent.clone());
        registry.register("requests", "Requests received", network.requests.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once because a limit was reached",
            network.connections_refused.clone(),
        );
        let verification = register_verification(&mut registry);
        let cleaner = register_cleaner(&mut registry);
        let topics = register_topics(&mut registry);
        let gauges = GAUGES.iter().map(|(name, help)| (*name, register_gauge(&mut registry, name, help))).collect();
        let latencies = Latencies::new(apis);
        registry.register_collector(Box::new(latencies.clone()));
        let lags = Family::default();
        registry.register(
            "consumer_group_lag",
            "Records between a group's committed offset and the end that its readers may see",
            lags.clone(),
        );
        let groups = GroupFamilies::register(&mut registry);
        let damage = DamageFamilies::register(&mut registry);
        let scrub = register_scrub(&mut registry);
        Self { registry, gauges, lags, groups, damage, network, verification, cleaner, scrub, topics, latencies }
    }

    /// The counters of `topic`; to be kept with the topic.
    pub(crate) fn topic(&self, topic: &str) -> TopicMetrics {
        let label = TopicLabel { topic: topic.to_owned() };
        let of = |family: &Family<TopicLabel, Counter>| family.get_or_create(&label).clone();
        TopicMetrics {
            bytes_in: of(&self.topics.bytes_in),
            bytes_out: of(&self.topics.bytes_out),
            messages_in: of(&self.topics.messages_in),
            failed_produce: of(&self.topics.failed_produce),
            failed_fetch: of(&self.topics.failed_fetch),
        }
    }

    /// Drops the counters of a deleted topic.
    pub(crate) fn forget_topic(&self, topic: &str) {
        let label = TopicLabel { topic: topic.to_owned() };
        let all = [&self.topics.bytes_in, &self.topics.bytes_out, &self.topics.messages_in];
        for family in all.into_iter().chain([&self.topics.failed_produce, &self.topics.failed_fetch]) {
            family.remove(&label);
        }
    }

    /// The times of an API that is served.
    pub(crate) fn latency(&self, api: ApiKey) -> Option<&Arc<ApiLatency>> {
        self.latencies.of(api)
    }

    /// All metrics as text, in the OpenMetrics form that Prometheus reads.
    pub(crate) fn render(&self, live: &dyn Gauges) -> String {
        live.read(&mut |name, value| {
            if let Some((_, gauge)) = self.gauges.iter().find(|(known, _)| *known == name) {
                gauge.set(value);
            }
        });
        self.groups.set(&live.groups());
        let (counts, damaged) = live.damage();
        self.damage.set(&counts, &damaged);
        self.lags.clear();
        live.lags(&mut |group, topic, partition, lag| {
            for (isolation, behind) in [("read_uncommitted", lag.uncommitted), ("read_committed", lag.committed)] {
                let label = LagLabel { group: group.to_owned(), topic: topic.to_owned(), partition, isolation };
                self.lags.get_or_create(&label).set(behind);
            }
        });
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn register_topics(registry: &mut Registry) -> TopicFamilies {
    let topics = TopicFamilies::default();
    registry.register("bytes_in", "Bytes of records appended for producers", topics.bytes_in.clone());
    registry.register("bytes_out", "Bytes of records handed to consumers", topics.bytes_out.clone());
    registry.register("messages_in", "Records appended for producers", topics.messages_in.clone());
    registry.register(
        "failed_produce_requests",
        "Partitions refused in produce requests",
        topics.failed_produce.clone(),
    );
    registry.register("failed_fetch_requests", "Partitions refused in fetch requests", topics.failed_fetch.clone());
    topics
}

fn register_cleaner(registry: &mut Registry) -> CleanerMetrics {
    let cleaner = CleanerMetrics::default();
    let counters = [
        ("log_cleaner_passes", "Compactions that were done", &cleaner.passes),
        ("log_cleaner_failed_passes", "Compactions that ended with an error", &cleaner.failed_passes),
        ("log_cleaner_read_bytes", "Bytes read by compactions", &cleaner.bytes_read),
        ("log_cleaner_written_bytes", "Bytes written by compactions", &cleaner.bytes_written),
        ("log_cleaner_removed_bytes", "Bytes by which compactions made segments smaller", &cleaner.bytes_removed),
        ("log_cleaner_removed_records", "Records removed by compactions", &cleaner.records_removed),
        ("log_cleaner_dead_threads", "Compacting threads that ended by themselves", &cleaner.dead_threads),
    ];
    counters.into_iter().for_each(|(name, help, counter)| registry.register(name, help, counter.clone()));
    let gauges = [
        ("log_cleaner_last_pass_seconds", "Time that the last compaction took", &cleaner.last.seconds),
        (
            "log_cleaner_recopy_percent",
            "Bytes written of bytes read by the last compaction",
            &cleaner.last.recopy_percent,
        ),
        ("log_cleaner_map_percent", "How full the key map of the last compaction was", &cleaner.last.map_percent),
    ];
    gauges.into_iter().for_each(|(name, help, gauge)| registry.register(name, help, gauge.clone()));
    cleaner
}

fn register_scrub(registry: &mut Registry) -> ScrubMetrics {
    let scrub = ScrubMetrics::default();
    registry.register("scrub_rounds", "Times that all closed segments were looked at for damage", scrub.rounds.clone());
    registry.register("scrub_bytes", "Bytes of closed segments that were read for damage", scrub.bytes.clone());
    scrub
}

fn register_gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge<f64, std::sync::atomic::AtomicU64> {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn latency() -> Histogram {
    let bounds = prometheus_client::metrics::histogram::exponential_buckets(LATENCY_FIRST_BOUND_S, 2.0, LATENCY_BOUNDS);
    Histogram::new(bounds)
}

fn register_verification(registry: &mut Registry) -> VerificationMetrics {
    let metrics = VerificationMetrics { time: latency(), failures: Counter::default() };
    registry.register_with_unit(
        "transaction_verification_time",
        "From asking the coordinator of a transaction about partitions to its answer",
        Unit::Seconds,
        metrics.time.clone(),
    );
    registry.register(
        "transaction_verification_failures",
        "Partitions that were not let into a transaction",
        metrics.failures.clone(),
    );
    metrics
}
