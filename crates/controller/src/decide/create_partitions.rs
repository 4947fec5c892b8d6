//! CreatePartitions: a topic only ever grows.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::{BrokerId, ErrorCode};

use super::{
    AssignmentError, Decision, PARTITIONS_PER_REQUEST_MAX,
    create_topics::{check_replicas, new_partitions},
};
use crate::{
    command::{CreatePartitions, NewPartitions, Reply},
    image::{MetadataImage, TopicImage},
    placement::{PlacementError, ReplicaPlacement},
    record::MetadataRecord,
};

/// Why partitions were not added; the messages are those that users of Kafka know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    /// One request names the topic twice.
    #[error("Duplicate topic name.")]
    Duplicate,
    /// No such topic.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// As many as asked for are there.
    #[error("Topic already has {0} partition(s).")]
    Same(i32),
    /// Fewer than there are.
    #[error("The topic {name} currently has {current} partition(s); {asked} would not be an increase.")]
    Fewer {
        /// The topic.
        name: String,
        /// Partitions it has.
        current: i32,
        /// Partitions asked for.
        asked: i32,
    },
    /// Over [`PARTITIONS_PER_REQUEST_MAX`].
    #[error("Excessively large number of partitions per request.")]
    TooMany,
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
}

impl CreatePartitionsError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate => ErrorCode::InvalidRequest,
            Self::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Self::Same(_) | Self::Fewer { .. } => ErrorCode::InvalidPartitions,
            Self::TooMany => ErrorCode::PolicyViolation,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::Placement { .. } => ErrorCode::InvalidReplicationFactor,
        }
    }
}

pub(super) fn create_partitions(image: &MetadataImage, ask: &CreatePartitions) -> Decision {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    ask.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    let mut placement = ReplicaPlacement::new(image, ask.placement_start);
    let mut room = PARTITIONS_PER_REQUEST_MAX;
    let (mut records, mut results, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for topic in &ask.topics {
        if !seen.insert(&topic.name) {
            continue;
        }
        let result = if times[topic.name.as_str()] > 1 {
            Err(CreatePartitionsError::Duplicate)
        } else {
            add(image, topic, &mut placement, &mut room)
        };
        results.push((topic.name.clone(), result.map(|added| records.extend(added))));
    }
    Decision::new(records, Reply::CreatePartitions(results)).validated(ask.validate_only)
}

fn add(
    image: &MetadataImage,
    ask: &NewPartitions,
    placement: &mut ReplicaPlacement,
    room: &mut i64,
) -> Result<Vec<MetadataRecord>, CreatePartitionsError> {
    let topic = image.topic(&ask.name).ok_or(CreatePartitionsError::UnknownTopic)?;
    let current = topic.partitions.len() as i32;
    if ask.count == current {
        return Err(CreatePartitionsError::Same(current));
    }
    if ask.count < current {
        return Err(CreatePartitionsError::Fewer { name: ask.name.clone(), current, asked: ask.count });
    }
    let added = i64::from(ask.count) - i64::from(current);
    if added > *room {
        return Err(CreatePartitionsError::TooMany);
    }
    *room -= added;
    let replicas = match &ask.assignments {
        Some(assignments) => assigned(image, topic, assignments, added)?,
        None => placed(topic, placement, added)?,
    };
    Ok(new_partitions(image, topic.id, topic.partitions.len(), replicas).collect())
}

fn factor(topic: &TopicImage) -> usize {
    topic.partition(0.into()).map_or(1, |first| first.replicas.len())
}

fn assigned(
    image: &MetadataImage,
    topic: &TopicImage,
    assignments: &[Vec<BrokerId>],
    added: i64,
) -> Result<Vec<Vec<BrokerId>>, AssignmentError> {
    if added != assignments.len() as i64 {
        return Err(AssignmentError::Count { added, given: assignments.len() });
    }
    for (at, replicas) in assignments.iter().enumerate() {
        let partition = (topic.partitions.len() + at) as i32;
        check_replicas(image, partition.into(), replicas, Some(factor(topic)))?;
    }
    Ok(assignments.to_vec())
}

fn placed(
    topic: &TopicImage,
    placement: &mut ReplicaPlacement,
    added: i64,
) -> Result<Vec<Vec<BrokerId>>, CreatePartitionsError> {
    let wanted = factor(topic) as i16;
    (0..added)
        .map(|_| placement.place(wanted).map_err(|source| CreatePartitionsError::Placement { wanted, source }))
        .collect()
}
