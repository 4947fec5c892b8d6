//! A topic's configuration as the log and the broker read it.
//!
//! Built once per change and shared by `Arc`; fields have Kafka's names and its units.

use std::sync::Arc;

use ottla_types::{Compression, TimestampType};

use crate::broker_config::{BrokerConfig, Overrides};
use crate::declaration::Scope;
use crate::rules::throttled_replica;
use crate::value::Value;

/// Every honoured topic key.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`
    pub compression: CompressionType,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `flush.messages`
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_ms: i64,
    /// `index.interval.bytes`
    pub index_interval_bytes: i32,
    /// `leader.replication.throttled.replicas`
    pub leader_replication_throttled_replicas: ThrottledReplicas,
    /// `follower.replication.throttled.replicas`
    pub follower_replication_throttled_replicas: ThrottledReplicas,
    /// `max.message.bytes`: largest batch.
    pub max_message_bytes: i32,
    /// `message.timestamp.type`
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub message_timestamp_after_max_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// `retention.bytes`; `None` for no limit.
    pub retention_bytes: Option<i64>,
    /// `retention.ms`; `None` for no limit.
    pub retention_ms: Option<i64>,
    /// `segment.bytes`, or `internal.segment.bytes` where that is set.
    pub segment_bytes: i32,
    /// `segment.index.bytes`
    pub segment_index_bytes: i32,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election_enable: bool,
    /// `ottla.produce.validation`
    pub produce_validation: ProduceValidation,
}

/// What happens to old records. Both may be true, and neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments go by age and size.
    pub delete: bool,
    /// Only the last record of each key stays.
    pub compact: bool,
}

/// How stored batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As they came.
    Producer,
    /// With this codec; the level is the codec's own kind, and −1 for gzip means its default.
    Codec {
        /// The codec.
        codec: Compression,
        /// `compression.<codec>.level`; 0 for codecs without levels.
        level: i32,
    },
}

/// Which of a topic's replicas keep to the replication rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// All.
    All,
    /// These: partition and broker. Empty for none.
    Listed(Vec<(i32, i32)>),
}

/// How far a produced batch is checked before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceValidation {
    /// Every record is walked.
    Records,
    /// The header is checked and the checksum trusted.
    Header,
}

impl BrokerConfig {
    /// The configuration of a topic with these overrides.
    #[must_use]
    pub fn topic_config(&self, overrides: &Overrides) -> Arc<TopicConfig> {
        Arc::new(TopicConfig::read(&|name| self.resource_value(Scope::Topic, overrides, name)))
    }
}

impl TopicConfig {
    pub(crate) fn read(value: &dyn Fn(&str) -> Option<Value>) -> Self {
        let long = |name| value(name).map_or(0, |value| value.integer());
        let int = |name| long(name) as i32;
        let flag = |name| value(name).is_some_and(|value| value.boolean());
        let limit = |name| Some(long(name)).filter(|number| *number >= 0);
        let segment_bytes = int("segment.bytes");
        Self {
            cleanup_policy: cleanup_policy(value("cleanup.policy")),
            compression: compression(value),
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: int("index.interval.bytes"),
            leader_replication_throttled_replicas: throttled(value("leader.replication.throttled.replicas")),
            follower_replication_throttled_replicas: throttled(value("follower.replication.throttled.replicas")),
            max_message_bytes: int("max.message.bytes"),
            message_timestamp_type: timestamp_type(value("message.timestamp.type")),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            min_cleanable_dirty_ratio: value("min.cleanable.dirty.ratio").map_or(0.5, |value| value.double()),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            min_insync_replicas: int("min.insync.replicas"),
            retention_bytes: limit("retention.bytes"),
            retention_ms: limit("retention.ms"),
            segment_bytes: value("internal.segment.bytes").map_or(segment_bytes, |value| value.integer() as i32),
            segment_index_bytes: int("segment.index.bytes"),
            segment_ms: long("segment.ms"),
            segment_jitter_ms: long("segment.jitter.ms"),
            unclean_leader_election_enable: flag("unclean.leader.election.enable"),
            produce_validation: produce_validation(value("ottla.produce.validation")),
        }
    }
}

impl Default for TopicConfig {
    /// A topic without overrides on a broker without configuration.
    fn default() -> Self {
        let (broker, none) = (BrokerConfig::default(), Overrides::new());
        Self::read(&|name| broker.resource_value(Scope::Topic, &none, name))
    }
}

fn cleanup_policy(value: Option<Value>) -> CleanupPolicy {
    let has = |word| value.as_ref().is_some_and(|list| list.list().iter().any(|element| &**element == word));
    CleanupPolicy { delete: has("delete"), compact: has("compact") }
}

fn compression(value: &dyn Fn(&str) -> Option<Value>) -> CompressionType {
    let level = |name| value(name).map_or(0, |value| value.integer() as i32);
    let (gzip, lz4, zstd) =
        (level("compression.gzip.level"), level("compression.lz4.level"), level("compression.zstd.level"));
    let (codec, level) = match value("compression.type").as_ref().map_or("", |value| value.text()) {
        "uncompressed" => (Compression::None, 0),
        "gzip" => (Compression::Gzip, gzip),
        "snappy" => (Compression::Snappy, 0),
        "lz4" => (Compression::Lz4, lz4),
        "zstd" => (Compression::Zstd, zstd),
        _ => return CompressionType::Producer,
    };
    CompressionType::Codec { codec, level }
}

fn throttled(value: Option<Value>) -> ThrottledReplicas {
    let elements = value.as_ref().map(Value::list).unwrap_or_default();
    match elements {
        [only] if &**only == "*" => ThrottledReplicas::All,
        pairs => ThrottledReplicas::Listed(pairs.iter().filter_map(|pair| throttled_replica(pair)).collect()),
    }
}

fn timestamp_type(value: Option<Value>) -> TimestampType {
    match value.as_ref().map(Value::text) {
        Some("LogAppendTime") => TimestampType::LogAppendTime,
        _ => TimestampType::CreateTime,
    }
}

fn produce_validation(value: Option<Value>) -> ProduceValidation {
    match value.as_ref().map(Value::text) {
        Some("header") => ProduceValidation::Header,
        _ => ProduceValidation::Records,
    }
}

#[cfg(test)]
mod tests;
