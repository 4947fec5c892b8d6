//! Kafka's metadata as Ottla's.
//!
//! Invariants: ids, configurations, offsets of producer ids and epochs go on where they were; the one broker holds, and will
//! lead, every partition; a leader epoch is never below what the partition's log has seen.

use ottla_config::Scope;
use ottla_controller::{
    ClusterId, Config, ConfigKind, ConfigResource, Endpoint, FeatureLevel, FeatureRange, MetadataImage, MetadataRecord,
    Partition, PartitionState, ProducerIds, RegisterBroker, ReplayError, Topic,
};
use ottla_types::{
    BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicName, TopicPartition, Uuid,
};
use ottla_wire::messages::{PartitionRecord, RegisterBrokerRecord};

use crate::{
    directories::{PartitionDir, Sources},
    kafka_metadata::{KafkaMetadata, KafkaTopic},
    report::{Note, Report},
};

/// Why what Kafka kept cannot be served here.
#[derive(Debug, thiserror::Error)]
pub enum Unsuitable {
    /// In the middle of it.
    #[error("the cluster is in the middle of its migration from ZooKeeper; finish it with Kafka first")]
    Migrating,
    /// Other brokers hold it too.
    #[error(
        "{partition} has replicas on brokers {replicas:?}; only a cluster of one broker can be imported: reassign all partitions to broker {node} with kafka-reassign-partitions, or import a copy made with a mirror"
    )]
    Replicated {
        /// The partition.
        partition: TopicPartition,
        /// Its replicas.
        replicas: Vec<i32>,
        /// The broker whose directories these are.
        node: BrokerId,
    },
    /// Its directory is elsewhere.
    #[error("{partition} is in none of the directories; name all of log.dirs")]
    Missing {
        /// The partition.
        partition: TopicPartition,
    },
    /// Its directory is another topic's.
    #[error("{partition} has topic id {found} in its directory and {expected} in the metadata")]
    OtherTopic {
        /// The partition.
        partition: TopicPartition,
        /// In its directory.
        found: Uuid,
        /// In the metadata.
        expected: Uuid,
    },
    /// Parts of it are elsewhere.
    #[error("topic {0} has remote.storage.enable=true; tiered storage is not served: turn it off with Kafka first")]
    Tiered(String),
    /// A name that Kafka would not take either.
    #[error("topic name {0:?}")]
    TopicName(String),
    /// Written by a later Kafka.
    #[error("feature {name} is at level {level}, up to {max} is known")]
    Feature {
        /// The feature.
        name: String,
        /// Its level.
        level: i16,
        /// The highest that is known.
        max: i16,
    },
    /// What was made does not fit together.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// The image that Ottla begins with.
pub(crate) fn image(
    kafka: &KafkaMetadata,
    sources: &Sources,
    features: &[FeatureRange],
    report: &mut Report,
) -> Result<MetadataImage, Unsuitable> {
    if matches!(kafka.zk_migration, 1 | 2) {
        return Err(Unsuitable::Migrating);
    }
    let mut records: Vec<MetadataRecord> = vec![ClusterId { id: sources.cluster_id }.into()];
    levels(kafka, features, &mut records, report)?;
    if let Some(broker) = kafka.brokers.get(&sources.node.0) {
        records.push(registration(broker).into());
    }
    if kafka.next_producer_id > 0 {
        let (broker, broker_epoch) = (BrokerId(-1), BrokerEpoch(-1));
        records.push(ProducerIds { broker, broker_epoch, next_producer_id: kafka.next_producer_id }.into());
    }
    let mut known = 0;
    for (id, topic) in &kafka.topics {
        known += topic.partitions.len();
        topics(Uuid(*id), topic, sources, &mut records)?;
    }
    report.topics = kafka.topics.len();
    report.partitions = known;
    configs(kafka, &mut records, report)?;
    left_behind(kafka, sources, report);
    // Epochs of brokers follow the version, as they followed the offset of Kafka's log.
    let version = u64::try_from(kafka.end).unwrap_or(0).max(1);
    Ok(MetadataImage::default().apply(&records, version)?.0)
}

fn levels(
    kafka: &KafkaMetadata,
    features: &[FeatureRange],
    records: &mut Vec<MetadataRecord>,
    report: &mut Report,
) -> Result<(), Unsuitable> {
    for (name, level) in &kafka.features {
        match features.iter().find(|feature| feature.name == *name) {
            Some(feature) if *level > feature.max => {
                return Err(Unsuitable::Feature { name: name.clone(), level: *level, max: feature.max });
            }
            Some(feature) => {
                let raised = (*level).max(feature.min);
                records.push(FeatureLevel { name: name.clone(), level: raised }.into());
                if raised != *level {
                    report.notes.push(Note::Raised { name: name.clone(), from: *level, to: raised });
                }
            }
            None => report.notes.push(Note::Feature { name: name.clone(), level: *level }),
        }
    }
    Ok(())
}

fn registration(it: &RegisterBrokerRecord) -> RegisterBroker {
    let endpoint = |at: &ottla_wire::messages::BrokerEndpoint| Endpoint {
        name: at.name.clone(),
        host: at.host.clone(),
        port: at.port,
        security_protocol: at.security_protocol,
    };
    let feature = |of: &ottla_wire::messages::BrokerFeature| FeatureRange {
        name: of.name.clone(),
        min: of.min_supported_version,
        max: of.max_supported_version,
    };
    RegisterBroker {
        broker: BrokerId(it.broker_id),
        incarnation: it.incarnation_id,
        epoch: BrokerEpoch(it.broker_epoch),
        endpoints: it.end_points.iter().map(endpoint).collect(),
        features: it.features.iter().map(feature).collect(),
        rack: it.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        directories: it.log_dirs.clone(),
    }
}

fn topics(
    id: Uuid,
    topic: &KafkaTopic,
    sources: &Sources,
    records: &mut Vec<MetadataRecord>,
) -> Result<(), Unsuitable> {
    let name = TopicName::new(&topic.name).map_err(|_| Unsuitable::TopicName(topic.name.clone()))?;
    records.push(Topic { name: name.clone(), id }.into());
    for (index, it) in &topic.partitions {
        let partition = TopicPartition { topic: name.clone(), partition: PartitionIndex(*index) };
        if it.replicas != [sources.node.0] {
            let (replicas, node) = (it.replicas.clone(), sources.node);
            return Err(Unsuitable::Replicated { partition, replicas, node });
        }
        let Some(dir) = sources.partitions.get(&partition) else { return Err(Unsuitable::Missing { partition }) };
        if let Some(found) = dir.topic_id.filter(|found| *found != id) {
            return Err(Unsuitable::OtherTopic { partition, found, expected: id });
        }
        let state = state(it, dir, sources.node);
        records.push(Partition { topic_id: id, partition: PartitionIndex(*index), state }.into());
    }
    Ok(())
}

/// The only replica holds all that is committed, whatever the stop of the broker made of the ISR.
fn state(it: &PartitionRecord, dir: &PartitionDir, node: BrokerId) -> PartitionState {
    PartitionState {
        replicas: vec![node],
        directories: vec![dir.directory],
        isr: vec![node],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: None,
        leader_recovering: false,
        leader_epoch: LeaderEpoch(it.leader_epoch.max(dir.leader_epoch)),
        partition_epoch: PartitionEpoch(it.partition_epoch),
    }
}

fn configs(kafka: &KafkaMetadata, records: &mut Vec<MetadataRecord>, report: &mut Report) -> Result<(), Unsuitable> {
    for ((code, name), set) in &kafka.configs {
        let Some(kind) = ConfigKind::from_code(*code) else { continue };
        let resource = ConfigResource { kind, name: name.clone() };
        let tiered = |(key, value): (&String, &String)| key == "remote.storage.enable" && value == "true";
        if kind == ConfigKind::Topic && set.iter().any(tiered) {
            return Err(Unsuitable::Tiered(name.clone()));
        }
        let scope = match kind {
            ConfigKind::Topic => Scope::Topic,
            ConfigKind::Broker => Scope::Broker,
            ConfigKind::Group => Scope::Group,
            ConfigKind::ClientMetrics => Scope::ClientMetrics,
        };
        for (key, value) in set {
            match ottla_config::check(scope, key, value) {
                Ok(_) => {
                    report.configs += 1;
                    let (resource, name) = (resource.clone(), key.clone());
                    records.push(Config { resource, name, value: Some(value.clone()) }.into());
                }
                Err(error) => {
                    let resource = format!("{} {name}", kind.name());
                    report.notes.push(Note::Config { resource, key: key.clone(), why: error.to_string() });
                }
            }
        }
    }
    Ok(())
}

fn left_behind(kafka: &KafkaMetadata, sources: &Sources, report: &mut Report) {
    if let Some((path, position)) = kafka.torn.clone() {
        report.notes.push(Note::Torn { path, position });
    }
    let quotas = kafka.quotas.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    let lists = [
        ("client quotas", quotas),
        ("SCRAM credentials", kafka.scram_users.iter().cloned().collect()),
        ("access control entries", kafka.acls.values().cloned().collect()),
        ("delegation tokens", kafka.tokens.iter().cloned().collect()),
    ];
    for (what, names) in lists {
        if !names.is_empty() {
            report.notes.push(Note::LeftBehind { what, names });
        }
    }
    let known = |partition: &TopicPartition| {
        let named = kafka.topics.values().find(|topic| topic.name == partition.topic.as_str());
        named.is_some_and(|topic| topic.partitions.contains_key(&partition.partition.0))
    };
    for (_, dir) in sources.partitions.iter().filter(|(partition, _)| !known(partition)) {
        let what = "a partition that Kafka's metadata does not know; the first start puts it aside as -stray";
        report.notes.push(Note::Passed { path: dir.path.clone(), what });
    }
}
