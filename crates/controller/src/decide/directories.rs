//! Log directories of brokers: which are online, and in which each replica lies.
//!
//! Invariant: a replica whose directory is offline neither leads nor is in the ISR, unless it is the last of it: then the
//! partition waits for it without a leader.

use std::collections::BTreeSet;

use ottla_types::{BrokerId, Uuid};

use super::{
    Decision,
    brokers::{Which, plan_down, plan_up},
};
use crate::{
    command::{AssignReplicas, Reply, SetDirectories},
    image::MetadataImage,
    record::{MetadataRecord, PartitionChange, PartitionState, RegisterBroker},
};

/// Replicas on `broker` whose directory is known and none of `online`.
pub(super) fn in_offline_directory(state: &PartitionState, broker: BrokerId, online: &[Uuid]) -> bool {
    state.directory_of(broker).is_some_and(|directory| !online.contains(&directory))
}

pub(super) fn assign(image: &MetadataImage, ask: &AssignReplicas) -> Decision {
    let online = image.broker(ask.broker).map_or(&[][..], |broker| &broker.directories);
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for (topic_id, partition, directory) in &ask.assignments {
        let state = image.topic_by_id(*topic_id).and_then(|topic| topic.partition(*partition));
        let Some(state) = state.filter(|_| seen.insert((*topic_id, *partition))) else { continue };
        let Some(at) = state.replicas.iter().position(|replica| *replica == ask.broker) else { continue };
        let mut directories = state.directories.clone();
        directories.resize(state.replicas.len(), Uuid::ZERO);
        if directories[at] == *directory {
            continue;
        }
        directories[at] = *directory;
        let waits = state.leader.is_none() && state.isr.contains(&ask.broker) && image.is_active(ask.broker);
        let leader = (waits && online.contains(directory)).then_some(Some(ask.broker));
        let change =
            PartitionChange { directories: Some(directories), leader, ..PartitionChange::of(*topic_id, *partition) };
        records.push(MetadataRecord::from(change));
    }
    Decision::new(records, Reply::AssignReplicas(()))
}

pub(super) fn set(image: &MetadataImage, ask: &SetDirectories) -> Decision {
    let registered = image.broker(ask.broker).filter(|broker| broker.directories != ask.online);
    let Some(broker) = registered else { return Decision::new(Vec::new(), Reply::SetDirectories(())) };
    let changed = RegisterBroker { directories: ask.online.clone(), ..RegisterBroker::clone(broker) };
    let mut records = vec![changed.into()];
    let offline = |state: &PartitionState| in_offline_directory(state, ask.broker, &ask.online);
    records.extend(plan_down(image, ask.broker, &offline as Which<'_>));
    if image.is_active(ask.broker) {
        records.extend(plan_up(image, ask.broker, false, &|state| !offline(state)));
    }
    Decision::new(records, Reply::SetDirectories(()))
}
