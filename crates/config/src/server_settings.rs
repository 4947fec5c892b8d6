//! What a broker needs when it starts, read once.
//!
//! Fields have Kafka's names and units. What a topic inherits from the broker is in [`crate::TopicConfig`].

use std::path::PathBuf;

use ottla_types::{BrokerId, Compression, Uuid};

use crate::broker_config::BrokerConfig;
use crate::listeners::{ListenerError, Listeners};
use crate::rules::host_counts;
use crate::value::Value;

/// Every honoured broker key that is not a topic's default.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// `node.id`
    pub node_id: BrokerId,
    /// `broker.rack`
    pub rack: Option<Box<str>>,
    /// `listeners` and its companions.
    pub listeners: Listeners,
    /// `log.dirs`, or `log.dir`; at least one, none twice.
    pub log_dirs: Vec<PathBuf>,
    /// `ottla.lost.log.dirs`
    pub lost_log_dirs: Vec<Uuid>,
    /// `metadata.log.dir`, or the first of `log_dirs`.
    pub metadata_log_dir: PathBuf,
    /// `request.timeout.ms`
    pub request_timeout_ms: i32,
    /// Topics that are created.
    pub topics: TopicDefaults,
    /// Sockets, connections, requests.
    pub network: NetworkSettings,
    /// Background work on logs.
    pub logs: LogSettings,
    /// `__consumer_offsets` and what is kept in it.
    pub offsets: OffsetsSettings,
    /// Groups.
    pub groups: GroupSettings,
    /// `__transaction_state`, transactions, producer ids.
    pub transactions: TransactionSettings,
}

/// How topics come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i32,
    /// `auto.create.topics.enable`
    pub auto_create_enable: bool,
    /// `delete.topic.enable`
    pub delete_enable: bool,
}

/// Sockets, connections, requests and fetches.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSettings {
    /// `socket.send.buffer.bytes`; `None` for the system's own.
    pub socket_send_buffer_bytes: Option<i32>,
    /// `socket.receive.buffer.bytes`; `None` for the system's own.
    pub socket_receive_buffer_bytes: Option<i32>,
    /// `socket.listen.backlog.size`
    pub socket_listen_backlog: i32,
    /// `socket.request.max.bytes`
    pub socket_request_max_bytes: i32,
    /// `queued.max.request.bytes`; `None` for no limit.
    pub queued_max_request_bytes: Option<i64>,
    /// `connections.max.idle.ms`; `None` for never.
    pub connections_max_idle_ms: Option<i64>,
    /// `max.connections`
    pub max_connections: i32,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: i32,
    /// `max.connections.per.ip.overrides`: host name or address, and its limit.
    pub max_connections_per_ip_overrides: Vec<(Box<str>, i32)>,
    /// `max.connection.creation.rate`, per second.
    pub max_connection_creation_rate: i32,
    /// `max.request.partition.size.limit`
    pub max_request_partition_size_limit: i32,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`
    pub max_incremental_fetch_session_cache_slots: i32,
}

/// Background work on logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSettings {
    /// `num.recovery.threads.per.data.dir`
    pub num_recovery_threads_per_data_dir: i32,
    /// `log.initial.task.delay.ms`
    pub initial_task_delay_ms: i64,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub flush_offset_checkpoint_interval_ms: i32,
    /// `log.cleaner.enable`
    pub cleaner_enable: bool,
}

/// Compaction of logs. All of it may change at run time, so it is read again before each pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.threads`
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: bytes for the key maps of all threads.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.size`: bytes for reading and writing of all threads.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full a key map may get, 0 to 1.
    pub io_buffer_load_factor: f64,
    /// `log.cleaner.io.max.bytes.per.second`: of all threads.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`
    pub backoff_ms: u64,
}

/// The scrub of closed segments. All of it may change at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubConfig {
    /// `ottla.scrub.interval.ms`; none for never.
    pub interval_ms: Option<u64>,
    /// `ottla.scrub.io.max.bytes.per.second`
    pub io_max_bytes_per_second: u64,
}

/// `__consumer_offsets` and the offsets in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsSettings {
    /// `offsets.topic.num.partitions`
    pub topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`
    pub topic_segment_bytes: i32,
    /// `offsets.topic.compression.codec`
    pub topic_compression: Compression,
    /// `offsets.retention.minutes`, in milliseconds.
    pub retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`
    pub commit_timeout_ms: i32,
    /// `offset.metadata.max.bytes`
    pub metadata_max_bytes: i32,
}

/// Classic and consumer groups. What one group may override is read with [`BrokerConfig::resource_value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub max_size: i32,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`
    pub consumer_assignment_interval_ms: i32,
    /// `group.consumer.max.size`
    pub consumer_max_size: i32,
    /// `group.consumer.assignors`, the default first.
    pub consumer_assignors: Vec<Box<str>>,
    /// `group.consumer.migration.policy`
    pub consumer_migration_policy: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`
    pub consumer_regex_refresh_interval_ms: i32,
}

/// Ways that a group with members may change between the classic and the consumer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Either way.
    Bidirectional,
    /// Classic to consumer.
    Upgrade,
    /// Consumer to classic.
    Downgrade,
    /// None.
    Disabled,
}

/// `__transaction_state`, transactions and producer ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// `transaction.state.log.num.partitions`
    pub state_log_num_partitions: i32,
    /// `transaction.state.log.replication.factor`
    pub state_log_replication_factor: i16,
    /// `transaction.state.log.min.isr`
    pub state_log_min_isr: i32,
    /// `transaction.state.log.segment.bytes`
    pub state_log_segment_bytes: i32,
    /// `transaction.max.timeout.ms`
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`
    pub transactional_id_expiration_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_timed_out_interval_ms: i32,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub remove_expired_interval_ms: i32,
    /// `transaction.partition.verification.enable`
    pub partition_verification_enable: bool,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i32,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_id_expiration_check_interval_ms: i32,
    /// `add.partitions.to.txn.retry.backoff.ms`
    pub add_partitions_retry_backoff_ms: i32,
    /// `add.partitions.to.txn.retry.backoff.max.ms`
    pub add_partitions_retry_backoff_max_ms: i32,
}

/// Why a broker cannot start with its configuration, although each value is valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The listeners make no sense.
    #[error(transparent)]
    Listeners(#[from] ListenerError),
    /// No directory for the data.
    #[error("log.dirs: at least one directory is needed")]
    NoLogDirs,
    /// One directory is named twice.
    #[error("log.dirs: {0} is there twice")]
    SameLogDir(Box<str>),
    /// No id of a log directory.
    #[error("ottla.lost.log.dirs: {0} is not the id of a log directory, as directory.id in meta.properties")]
    DirectoryId(Box<str>),
    /// A controller alone has nothing to serve.
    #[error("process.roles: a process without the role broker is not served")]
    NoBrokerRole,
    /// No such compression codec.
    #[error("offsets.topic.compression.codec: there is no codec {0}")]
    Codec(i64),
    /// The shortest timeout is longer than the longest.
    #[error("{least} must not be greater than {most}")]
    Bounds {
        /// The lower bound's key.
        least: &'static str,
        /// The upper bound's key.
        most: &'static str,
    },
}

impl BrokerConfig {
    /// What the broker needs when it starts. `hostname` is this machine's name, for a listener that is bound to every
    /// interface and has no advertised address.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn server_settings(&self, hostname: &str) -> Result<ServerSettings, SettingsError> {
        check_bounds(self)?;
        ServerSettings::read(Listeners::read(self, hostname)?, &Lookup(&|name| self.in_use(name)))
    }
}

/// Typed look-ups; a key that is null or of another type reads as zero, false or empty.
impl BrokerConfig {
    /// Sockets, connections, requests and fetches, as they are in effect now.
    #[must_use]
    pub fn network_settings(&self) -> NetworkSettings {
        NetworkSettings::read(&Lookup(&|name| self.in_use(name)))
    }

    /// `replica.alter.log.dirs.io.max.bytes.per.second`, as it is now.
    #[must_use]
    pub fn alter_log_dirs_bytes_per_second(&self) -> u64 {
        alter_log_dirs_bytes_per_second(&Lookup(&|name| self.effective(name)))
    }

    /// As [`Self::effective`]. Buffers of sockets are left to the system where nobody has set them: it fits them to each
    /// connection, which Kafka's fixed default would switch off.
    fn in_use(&self, name: &str) -> Option<Value> {
        let by_system = name.starts_with("socket.") && name.ends_with(".buffer.bytes") && !self.is_set(name);
        if by_system { Some(Value::Integer(-1)) } else { self.effective(name) }
    }
}

fn alter_log_dirs_bytes_per_second(keys: &Lookup<'_>) -> u64 {
    u64::try_from(keys.long("replica.alter.log.dirs.io.max.bytes.per.second")).unwrap_or(0)
}

pub(crate) struct Lookup<'a>(pub(crate) &'a dyn Fn(&str) -> Option<Value>);

impl Lookup<'_> {
    fn long(&self, name: &str) -> i64 {
        (self.0)(name).map_or(0, |value| value.integer())
    }

    fn int(&self, name: &str) -> i32 {
        self.long(name) as i32
    }

    fn short(&self, name: &str) -> i16 {
        self.long(name) as i16
    }

    fn double(&self, name: &str) -> f64 {
        (self.0)(name).map_or(0.0, |value| value.double())
    }

    fn flag(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| value.boolean())
    }

    fn text(&self, name: &str) -> Option<Box<str>> {
        (self.0)(name).filter(|value| !value.text().is_empty()).map(|value| value.text().into())
    }

    fn list(&self, name: &str) -> Vec<Box<str>> {
        (self.0)(name).map(|value| value.list().to_vec()).unwrap_or_default()
    }

    /// `None` below zero.
    fn limit(&self, name: &str) -> Option<i64> {
        Some(self.long(name)).filter(|number| *number >= 0)
    }
}

impl ServerSettings {
    pub(crate) fn read(listeners: Listeners, keys: &Lookup<'_>) -> Result<Self, SettingsError> {
        if !keys.list("process.roles").iter().any(|role| &**role == "broker") {
            return Err(SettingsError::NoBrokerRole);
        }
        let log_dirs = log_dirs(keys)?;
        let metadata_log_dir = keys.text("metadata.log.dir").map(|dir| PathBuf::from(&*dir));
        Ok(Self {
            node_id: BrokerId(keys.int("node.id")),
            rack: keys.text("broker.rack"),
            listeners,
            metadata_log_dir: metadata_log_dir.or_else(|| log_dirs.first().cloned()).unwrap_or_default(),
            log_dirs,
            lost_log_dirs: lost_log_dirs(keys)?,
            request_timeout_ms: keys.int("request.timeout.ms"),
            topics: TopicDefaults::read(keys),
            network: NetworkSettings::read(keys),
            logs: LogSettings::read(keys),
            offsets: OffsetsSettings::read(keys)?,
            groups: GroupSettings::read(keys),
            transactions: TransactionSettings::read(keys),
        })
    }
}

impl TopicDefaults {
    fn read(keys: &Lookup<'_>) -> Self {
        Self {
            num_partitions: keys.int("num.partitions"),
            default_replication_factor: keys.int("default.replication.factor"),
            auto_create_enable: keys.flag("auto.create.topics.enable"),
            delete_enable: keys.flag("delete.topic.enable"),
        }
    }
}

impl NetworkSettings {
    fn read(keys: &Lookup<'_>) -> Self {
        let overrides = keys.text("max.connections.per.ip.overrides");
        Self {
            socket_send_buffer_bytes: keys.limit("socket.send.buffer.bytes").map(|bytes| bytes as i32),
            socket_receive_buffer_bytes: keys.limit("socket.receive.buffer.bytes").map(|bytes| bytes as i32),
            socket_listen_backlog: keys.int("socket.listen.backlog.size"),
            socket_request_max_bytes: keys.int("socket.request.max.bytes"),
            queued_max_request_bytes: keys.limit("queued.max.request.bytes"),
            connections_max_idle_ms: keys.limit("connections.max.idle.ms"),
            max_connections: keys.int("max.connections"),
            max_connections_per_ip: keys.int("max.connections.per.ip"),
            max_connections_per_ip_overrides: overrides.and_then(|text| host_counts(&text)).unwrap_or_default(),
            max_connection_creation_rate: keys.int("max.connection.creation.rate"),
            max_request_partition_size_limit: keys.int("max.request.partition.size.limit"),
            fetch_max_bytes: keys.int("fetch.max.bytes"),
            max_incremental_fetch_session_cache_slots: keys.int("max.incremental.fetch.session.cache.slots"),
        }
    }
}

impl LogSettings {
    fn read(keys: &Lookup<'_>) -> Self {
        Self {
            num_recovery_threads_per_data_dir: keys.int("num.recovery.threads.per.data.dir"),
            initial_task_delay_ms: keys.long("log.initial.task.delay.ms"),
            retention_check_interval_ms: keys.long("log.retention.check.interval.ms"),
            flush_offset_checkpoint_interval_ms: keys.int("log.flush.offset.checkpoint.interval.ms"),
            cleaner_enable: keys.flag("log.cleaner.enable"),
        }
    }
}

impl CleanerConfig {
    /// What `config` says now.
    #[must_use]
    pub fn of(config: &BrokerConfig) -> Self {
        Self::read(&Lookup(&|name| config.effective(name)))
    }

    fn read(keys: &Lookup<'_>) -> Self {
        let size = |name| usize::try_from(keys.long(name)).unwrap_or(0);
        Self {
            threads: size("log.cleaner.threads"),
            dedupe_buffer_bytes: size("log.cleaner.dedupe.buffer.size"),
            io_buffer_bytes: size("log.cleaner.io.buffer.size"),
            io_buffer_load_factor: keys.double("log.cleaner.io.buffer.load.factor"),
            io_max_bytes_per_second: keys.double("log.cleaner.io.max.bytes.per.second"),
            backoff_ms: u64::try_from(keys.long("log.cleaner.backoff.ms")).unwrap_or(0),
        }
    }
}

impl ScrubConfig {
    /// What `config` says now.
    #[must_use]
    pub fn of(config: &BrokerConfig) -> Self {
        Self::read(&Lookup(&|name| config.effective(name)))
    }

    fn read(keys: &Lookup<'_>) -> Self {
        let number = |name| u64::try_from(keys.long(name)).unwrap_or(0);
        let io_max_bytes_per_second = number("ottla.scrub.io.max.bytes.per.second");
        let interval_ms = number("ottla.scrub.interval.ms");
        let is_on = interval_ms > 0 && io_max_bytes_per_second > 0;
        Self { interval_ms: is_on.then_some(interval_ms), io_max_bytes_per_second }
    }
}

impl OffsetsSettings {
    fn read(keys: &Lookup<'_>) -> Result<Self, SettingsError> {
        let codec = keys.long("offsets.topic.compression.codec");
        let known = u8::try_from(codec).ok().and_then(|code| Compression::try_from(code).ok());
        Ok(Self {
            topic_num_partitions: keys.int("offsets.topic.num.partitions"),
            topic_replication_factor: keys.short("offsets.topic.replication.factor"),
            topic_segment_bytes: keys.int("offsets.topic.segment.bytes"),
            topic_compression: known.ok_or(SettingsError::Codec(codec))?,
            retention_ms: keys.long("offsets.retention.minutes").saturating_mul(60_000),
            retention_check_interval_ms: keys.long("offsets.retention.check.interval.ms"),
            commit_timeout_ms: keys.int("offsets.commit.timeout.ms"),
            metadata_max_bytes: keys.int("offset.metadata.max.bytes"),
        })
    }
}

impl GroupSettings {
    fn read(keys: &Lookup<'_>) -> Self {
        Self {
            min_session_timeout_ms: keys.int("group.min.session.timeout.ms"),
            max_session_timeout_ms: keys.int("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: keys.int("group.initial.rebalance.delay.ms"),
            max_size: keys.int("group.max.size"),
            consumer_session_timeout_ms: keys.int("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: keys.int("group.consumer.heartbeat.interval.ms"),
            consumer_assignment_interval_ms: keys.int("group.consumer.assignment.interval.ms"),
            consumer_max_size: keys.int("group.consumer.max.size"),
            consumer_assignors: keys.list("group.consumer.assignors"),
            consumer_migration_policy: migration_policy(keys.text("group.consumer.migration.policy")),
            consumer_regex_refresh_interval_ms: keys.int("group.consumer.regex.refresh.interval.ms"),
        }
    }
}

impl TransactionSettings {
    fn read(keys: &Lookup<'_>) -> Self {
        Self {
            state_log_num_partitions: keys.int("transaction.state.log.num.partitions"),
            state_log_replication_factor: keys.short("transaction.state.log.replication.factor"),
            state_log_min_isr: keys.int("transaction.state.log.min.isr"),
            state_log_segment_bytes: keys.int("transaction.state.log.segment.bytes"),
            max_timeout_ms: keys.int("transaction.max.timeout.ms"),
            transactional_id_expiration_ms: keys.int("transactional.id.expiration.ms"),
            abort_timed_out_interval_ms: keys.int("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            remove_expired_interval_ms: keys.int("transaction.remove.expired.transaction.cleanup.interval.ms"),
            partition_verification_enable: keys.flag("transaction.partition.verification.enable"),
            producer_id_expiration_ms: keys.int("producer.id.expiration.ms"),
            producer_id_expiration_check_interval_ms: keys.int("producer.id.expiration.check.interval.ms"),
            add_partitions_retry_backoff_ms: keys.int("add.partitions.to.txn.retry.backoff.ms"),
            add_partitions_retry_backoff_max_ms: keys.int("add.partitions.to.txn.retry.backoff.max.ms"),
        }
    }
}

fn log_dirs(keys: &Lookup<'_>) -> Result<Vec<PathBuf>, SettingsError> {
    let several = keys.list("log.dirs");
    let names = if several.is_empty() { keys.list("log.dir") } else { several };
    let mut dirs: Vec<PathBuf> = Vec::new();
    for name in names {
        let dir = PathBuf::from(&*name);
        if dirs.contains(&dir) {
            return Err(SettingsError::SameLogDir(name));
        }
        dirs.push(dir);
    }
    if dirs.is_empty() { Err(SettingsError::NoLogDirs) } else { Ok(dirs) }
}

fn lost_log_dirs(keys: &Lookup<'_>) -> Result<Vec<Uuid>, SettingsError> {
    let ids = keys.list("ottla.lost.log.dirs").into_iter();
    ids.map(|id| id.parse().map_err(|_| SettingsError::DirectoryId(id))).collect()
}

fn migration_policy(text: Option<Box<str>>) -> MigrationPolicy {
    match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "upgrade" => MigrationPolicy::Upgrade,
        "downgrade" => MigrationPolicy::Downgrade,
        "disabled" => MigrationPolicy::Disabled,
        _ => MigrationPolicy::Bidirectional,
    }
}

// Each lower bound with what must not be under it.
const BOUNDS: [(&str, &str); 9] = [
    ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
    ("group.consumer.min.session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    ("group.consumer.min.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    ("group.consumer.min.assignment.interval.ms", "group.consumer.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"),
    ("log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
];

fn check_bounds(config: &BrokerConfig) -> Result<(), SettingsError> {
    let number = |name| config.value(name).map_or(0, |value| value.integer());
    match BOUNDS.iter().find(|(least, most)| number(least) > number(most)) {
        Some((least, most)) => Err(SettingsError::Bounds { least, most }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
