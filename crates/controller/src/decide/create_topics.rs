//! CreateTopics: names, assignments, placement, configurations, in the order in which Kafka checks them.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::{BrokerId, ErrorCode, PartitionIndex, TopicName, TopicNameError, Uuid};

use super::{ConfigRejected, Controller, Decision, PARTITIONS_PER_REQUEST_MAX};
use crate::{
    command::{ConfigOp, CreateTopics, CreatedTopic, NewTopic, ReplicationLimit, Reply},
    image::{ConfigMap, MetadataImage},
    placement::{PlacementError, ReplicaPlacement},
    record::{Config, ConfigResource, MetadataRecord, Partition, PartitionState, Topic},
};

/// Kafka keeps its metadata in a topic of this name, which therefore nobody may create.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a topic was not created; the messages are those that users of Kafka know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// One request names it twice.
    #[error("Duplicate topic name.")]
    Duplicate,
    /// Reserved.
    #[error("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.")]
    Reserved,
    /// Illegal name.
    #[error("Topic name is invalid: {0}")]
    IllegalName(TopicNameError),
    /// `.` and `.`.`.
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    /// Differs from another topic only in `.` against `_`.
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision {
        /// The name asked for.
        name: String,
        /// The topic that is there.
        existing: TopicName,
    },
    /// Exists.
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    /// Over [`PARTITIONS_PER_REQUEST_MAX`].
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// 0, or below −1.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    BadPartitions,
    /// 0, or below −1.
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    BadReplicationFactor,
    /// Assignments and a replication factor.
    #[error("A manual partition assignment was specified, but replication factor was not set to -1.")]
    AssignedWithFactor,
    /// Assignments and a number of partitions.
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    AssignedWithPartitions,
    /// Assignments that cannot be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Replicas cannot be placed.
    #[error("Unable to replicate the partition {wanted} time(s): {source}")]
    Placement {
        /// Replicas asked for.
        wanted: i16,
        /// Why not.
        source: PlacementError,
    },
    /// A configuration without a value.
    #[error("Null value not supported for topic configs: {0}")]
    NullConfig(String),
    /// A configuration that may not be.
    #[error(transparent)]
    Config(#[from] ConfigRejected),
}

impl CreateTopicError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate | Self::Reserved | Self::AssignedWithFactor | Self::AssignedWithPartitions => {
                ErrorCode::InvalidRequest
            }
            Self::IllegalName(_) | Self::Dots(_) | Self::Collision { .. } => ErrorCode::InvalidTopicException,
            Self::Exists(_) => ErrorCode::TopicAlreadyExists,
            Self::TooManyPartitions => ErrorCode::PolicyViolation,
            Self::BadPartitions => ErrorCode::InvalidPartitions,
            Self::BadReplicationFactor | Self::Placement { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::NullConfig(_) => ErrorCode::InvalidConfig,
            Self::Config(rejected) => rejected.code,
        }
    }
}

/// Why a client's choice of replicas cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// No replica.
    #[error("The manual partition assignment includes an empty replica list.")]
    Empty,
    /// Not a broker.
    #[error("The manual partition assignment includes broker {0}, but no such broker is registered.")]
    UnknownBroker(BrokerId),
    /// A broker twice.
    #[error("The manual partition assignment includes the broker {0} more than once.")]
    RepeatedBroker(BrokerId),
    /// Partitions of different replication factors.
    #[error(
        "The manual partition assignment includes a partition with {found} replica(s), but this is not consistent \
         with previous partitions, which have {expected} replica(s)."
    )]
    Inconsistent {
        /// Replicas of this partition.
        found: usize,
        /// Replicas of those before.
        expected: usize,
    },
    /// Nobody could lead.
    #[error(
        "All brokers specified in the manual partition assignment for partition {0} are fenced or in controlled \
         shutdown."
    )]
    AllFenced(PartitionIndex),
    /// A partition twice.
    #[error("Found multiple manual partition assignments for partition {0}")]
    RepeatedPartition(PartitionIndex),
    /// Partitions with gaps.
    #[error("partitions should be a consecutive 0-based integer sequence")]
    Gap,
    /// More or fewer than partitions to add.
    #[error("Attempted to add {added} additional partition(s), but only {given} assignment(s) were specified.")]
    Count {
        /// Partitions to add.
        added: i64,
        /// Assignments.
        given: usize,
    },
}

impl Controller {
    pub(super) fn create_topics(&self, image: &MetadataImage, ask: &CreateTopics) -> Decision {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        ask.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
        let too_many = self.partitions_asked(ask) > PARTITIONS_PER_REQUEST_MAX;
        let mut placement = ReplicaPlacement::new(image, ask.placement_start);
        let (mut records, mut results, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for topic in &ask.topics {
            if !seen.insert(&topic.name) {
                continue;
            }
            let result = match () {
                () if times[topic.name.as_str()] > 1 => Err(CreateTopicError::Duplicate),
                () if too_many => Err(CreateTopicError::TooManyPartitions),
                () => self.create_topic(image, topic, &mut placement),
            };
            results.push((
                topic.name.clone(),
                result.map(|(created, changes)| {
                    records.extend(changes);
                    created
                }),
            ));
        }
        Decision::new(records, Reply::CreateTopics(results)).validated(ask.validate_only)
    }

    fn partitions_asked(&self, ask: &CreateTopics) -> i64 {
        let of = |topic: &NewTopic| match (topic.assignments.len(), topic.partitions) {
            (0, -1) => i64::from(self.settings.default_partitions),
            (0, asked) => i64::from(asked.max(0)),
            (assigned, _) => assigned as i64,
        };
        ask.topics.iter().map(of).sum()
    }

    fn create_topic(
        &self,
        image: &MetadataImage,
        topic: &NewTopic,
        placement: &mut ReplicaPlacement,
    ) -> Result<(CreatedTopic, Vec<MetadataRecord>), CreateTopicError> {
        let name = check_name(image, &topic.name)?;
        let configs = self.check_configs(topic)?;
        let replicas =
            if topic.assignments.is_empty() { self.place(topic, placement)? } else { check_assignments(image, topic)? };
        let created = CreatedTopic {
            name: name.clone(),
            id: topic.id,
            partitions: replicas.len() as i32,
            replication_factor: replicas.first().map_or(0, Vec::len) as i16,
            configs,
        };
        let records = topic_records(image, &created, replicas);
        Ok((created, records))
    }

    fn check_configs(&self, topic: &NewTopic) -> Result<ConfigMap, CreateTopicError> {
        // A key given twice counts with its last value, as in Kafka.
        let mut map = ConfigMap::new();
        for (name, value) in &topic.configs {
            let value = value.clone().ok_or_else(|| CreateTopicError::NullConfig(name.clone()))?;
            map.insert(name.clone(), value);
        }
        let edits: Vec<_> = map.into_iter().map(|(name, value)| (name, ConfigOp::Set(Some(value)))).collect();
        Ok(self.rules.edit(&ConfigResource::topic(&topic.name), &ConfigMap::new(), &edits)?)
    }

    fn place(
        &self,
        topic: &NewTopic,
        placement: &mut ReplicaPlacement,
    ) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
        let factor = match topic.replication_factor {
            -1 => self.settings.default_replication_factor,
            factor if factor > 0 => factor,
            _ => return Err(CreateTopicError::BadReplicationFactor),
        };
        let partitions = match topic.partitions {
            -1 => self.settings.default_partitions,
            partitions if partitions > 0 => partitions,
            _ => return Err(CreateTopicError::BadPartitions),
        };
        let wanted = match topic.limit {
            ReplicationLimit::Exact => factor,
            ReplicationLimit::LiveBrokers => factor.min(placement.live().max(1) as i16),
        };
        (0..partitions)
            .map(|_| placement.place(wanted).map_err(|source| CreateTopicError::Placement { wanted, source }))
            .collect()
    }
}

fn check_name(image: &MetadataImage, name: &str) -> Result<TopicName, CreateTopicError> {
    if name == CLUSTER_METADATA_TOPIC {
        return Err(CreateTopicError::Reserved);
    }
    let legal = TopicName::new(name).map_err(|error| match error {
        TopicNameError::Dots => CreateTopicError::Dots(name.to_owned()),
        error => CreateTopicError::IllegalName(error),
    })?;
    if image.topic(name).is_some() {
        return Err(CreateTopicError::Exists(name.to_owned()));
    }
    if let Some(existing) = image.alike(name).first() {
        return Err(CreateTopicError::Collision { name: name.to_owned(), existing: existing.clone() });
    }
    Ok(legal)
}

fn check_assignments(image: &MetadataImage, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
    if topic.replication_factor != -1 {
        return Err(CreateTopicError::AssignedWithFactor);
    }
    if topic.partitions != -1 {
        return Err(CreateTopicError::AssignedWithPartitions);
    }
    let mut by_partition = BTreeMap::new();
    let mut factor = None;
    for (partition, replicas) in &topic.assignments {
        if by_partition.contains_key(partition) {
            return Err(AssignmentError::RepeatedPartition(*partition).into());
        }
        check_replicas(image, *partition, replicas, factor)?;
        factor = Some(replicas.len());
        by_partition.insert(*partition, replicas.clone());
    }
    let consecutive = by_partition.keys().enumerate().all(|(at, partition)| i32::try_from(at) == Ok(partition.0));
    if consecutive { Ok(by_partition.into_values().collect()) } else { Err(AssignmentError::Gap.into()) }
}

/// Checks one partition's replicas; `factor` is how many each must have, once that is known.
///
/// # Errors
/// What is wrong with them.
pub fn check_replicas(
    image: &MetadataImage,
    partition: PartitionIndex,
    replicas: &[BrokerId],
    factor: Option<usize>,
) -> Result<(), AssignmentError> {
    if replicas.is_empty() {
        return Err(AssignmentError::Empty);
    }
    let mut seen = BTreeSet::new();
    for replica in replicas {
        if image.broker(*replica).is_none() {
            return Err(AssignmentError::UnknownBroker(*replica));
        }
        if !seen.insert(replica) {
            return Err(AssignmentError::RepeatedBroker(*replica));
        }
    }
    if let Some(expected) = factor.filter(|expected| *expected != replicas.len()) {
        return Err(AssignmentError::Inconsistent { found: replicas.len(), expected });
    }
    if replicas.iter().any(|replica| image.is_active(*replica)) {
        Ok(())
    } else {
        Err(AssignmentError::AllFenced(partition))
    }
}

fn topic_records(image: &MetadataImage, topic: &CreatedTopic, replicas: Vec<Vec<BrokerId>>) -> Vec<MetadataRecord> {
    let mut records = vec![Topic { name: topic.name.clone(), id: topic.id }.into()];
    let resource = ConfigResource::topic(topic.name.as_str());
    records.extend(topic.configs.iter().map(|(name, value)| {
        Config { resource: resource.clone(), name: name.clone(), value: Some(value.clone()) }.into()
    }));
    records.extend(new_partitions(image, topic.id, 0, replicas));
    records
}

/// Records of partitions `first ..` on these replicas.
pub(super) fn new_partitions(
    image: &MetadataImage,
    topic_id: Uuid,
    first: usize,
    replicas: Vec<Vec<BrokerId>>,
) -> impl Iterator<Item = MetadataRecord> + '_ {
    replicas.into_iter().enumerate().map(move |(at, replicas)| {
        let directories = replicas.iter().map(|replica| only_directory(image, *replica)).collect();
        let state = PartitionState::created(replicas, directories, |replica| image.is_active(replica));
        Partition { topic_id, partition: ((first + at) as i32).into(), state }.into()
    })
}

/// The log directory of a broker that has only one; zero where the broker will choose.
fn only_directory(image: &MetadataImage, broker: BrokerId) -> Uuid {
    match image.broker(broker).map(|broker| broker.directories.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    }
}
