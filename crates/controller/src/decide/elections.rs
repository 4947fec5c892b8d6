//! ElectLeaders: elections that an operator asks for.

use std::collections::BTreeSet;

use ottla_types::{BrokerId, ErrorCode, PartitionIndex, Uuid};

use super::Decision;
use crate::{
    command::{ElectLeaders, ElectionKind, ElectionResult, Reply},
    image::MetadataImage,
    record::{MetadataRecord, PartitionChange, PartitionState},
};

/// Why nobody was elected; the messages are those that users of Kafka know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectLeaderError {
    /// No such topic.
    #[error("No such topic as {0}")]
    UnknownTopic(String),
    /// No such partition.
    #[error("No such partition as {0}-{1}")]
    UnknownPartition(String, PartitionIndex),
    /// The right leader leads.
    #[error("Leader election not needed for topic partition.")]
    NotNeeded,
    /// The preferred leader is not alive or not in sync.
    #[error("The preferred leader was not available.")]
    PreferredNotAvailable,
    /// No replica is alive.
    #[error("Eligible topic partition leaders are not available.")]
    NoneEligible,
}

impl ElectLeaderError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic(_) | Self::UnknownPartition(..) => ErrorCode::UnknownTopicOrPartition,
            Self::NotNeeded => ErrorCode::ElectionNotNeeded,
            Self::PreferredNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
            Self::NoneEligible => ErrorCode::EligibleLeadersNotAvailable,
        }
    }
}

pub(super) fn elect(image: &MetadataImage, ask: &ElectLeaders) -> Decision {
    let (mut records, mut results, mut done) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (topic, partition) in asked(image, ask) {
        let result = elect_one(image, &topic, partition, ask.kind);
        if ask.partitions.is_none() && result == Err(ElectLeaderError::NotNeeded) {
            continue;
        }
        let repeated = !done.insert((topic.clone(), partition));
        let result = result.map(|change| {
            if !repeated {
                records.push(MetadataRecord::from(change));
            }
        });
        results.push(ElectionResult { topic, partition, result });
    }
    Decision::new(records, Reply::ElectLeaders(results))
}

fn asked(image: &MetadataImage, ask: &ElectLeaders) -> Vec<(String, PartitionIndex)> {
    let Some(partitions) = &ask.partitions else {
        let all = image
            .topics()
            .flat_map(|topic| topic.partitions.iter().map(|(partition, _)| (topic.name.to_string(), *partition)));
        return all.collect();
    };
    partitions.iter().flat_map(|(topic, list)| list.iter().map(|partition| (topic.clone(), *partition))).collect()
}

fn elect_one(
    image: &MetadataImage,
    name: &str,
    partition: PartitionIndex,
    kind: ElectionKind,
) -> Result<PartitionChange, ElectLeaderError> {
    let topic = image.topic(name).ok_or_else(|| ElectLeaderError::UnknownTopic(name.to_owned()))?;
    let state =
        topic.partition(partition).ok_or_else(|| ElectLeaderError::UnknownPartition(name.to_owned(), partition))?;
    match kind {
        ElectionKind::Preferred => preferred(image, topic.id, partition, state),
        ElectionKind::Unclean => unclean(image, topic.id, partition, state),
    }
}

fn preferred(
    image: &MetadataImage,
    topic: Uuid,
    partition: PartitionIndex,
    state: &PartitionState,
) -> Result<PartitionChange, ElectLeaderError> {
    let preferred = state.preferred_leader();
    if state.leader == preferred {
        return Err(ElectLeaderError::NotNeeded);
    }
    let able = preferred.filter(|broker| state.isr.contains(broker) && image.is_replica_online(state, *broker));
    let leader = able.ok_or(ElectLeaderError::PreferredNotAvailable)?;
    Ok(PartitionChange { leader: Some(Some(leader)), ..PartitionChange::of(topic, partition) })
}

fn unclean(
    image: &MetadataImage,
    topic: Uuid,
    partition: PartitionIndex,
    state: &PartitionState,
) -> Result<PartitionChange, ElectLeaderError> {
    if state.leader.is_some() {
        return Err(ElectLeaderError::NotNeeded);
    }
    let is_live = |replica: &BrokerId| image.is_replica_online(state, *replica);
    let live: Vec<BrokerId> = state.replicas.iter().copied().filter(is_live).collect();
    let change = PartitionChange::of(topic, partition);
    if let Some(clean) = live.iter().find(|replica| state.isr.contains(replica)) {
        return Ok(PartitionChange { leader: Some(Some(*clean)), ..change });
    }
    let leader = *live.first().ok_or(ElectLeaderError::NoneEligible)?;
    let isr = Some(vec![leader]);
    Ok(PartitionChange { leader: Some(Some(leader)), isr, leader_recovering: Some(true), ..change })
}
