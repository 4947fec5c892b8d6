//! Registration, fencing and removal of brokers, with the leaderships that move because of it.

use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, PartitionIndex};

use super::{Decision, directories::in_offline_directory};
use crate::{
    command::{FenceBrokers, RegisterBrokerRequest, Reply, UnregisterBrokerRequest},
    image::{MetadataImage, TopicImage},
    record::{
        FenceBroker, MetadataRecord, PartitionChange, PartitionState, RegisterBroker, UnfenceBroker, UnregisterBroker,
    },
};

/// Why a broker's standing stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Not registered.
    #[error("Broker ID {0} is not currently registered")]
    NotRegistered(BrokerId),
    /// Nothing leads to it.
    #[error("Broker {0} registers without a listener")]
    NoListener(BrokerId),
}

impl BrokerError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            Self::NoListener(_) => ErrorCode::InvalidRegistration,
        }
    }
}

pub(super) fn register(image: &MetadataImage, ask: &RegisterBrokerRequest) -> Decision {
    if ask.endpoints.is_empty() {
        return Decision::new(Vec::new(), Reply::RegisterBroker(Err(BrokerError::NoListener(ask.broker))));
    }
    let epoch = next_epoch(image, ask.broker);
    let mut records = vec![registration(ask, epoch).into()];
    let restarted = image.broker(ask.broker).is_some_and(|before| before.incarnation != ask.incarnation);
    let offline = |state: &PartitionState| in_offline_directory(state, ask.broker, &ask.directories);
    if ask.fenced {
        records.extend(plan_down(image, ask.broker, &|_| true));
    } else {
        records.extend(plan_down(image, ask.broker, &offline));
        records.extend(plan_up(image, ask.broker, restarted, &|state| !offline(state)));
    }
    Decision::new(records, Reply::RegisterBroker(Ok(epoch)))
}

fn registration(ask: &RegisterBrokerRequest, epoch: BrokerEpoch) -> RegisterBroker {
    RegisterBroker {
        broker: ask.broker,
        incarnation: ask.incarnation,
        epoch,
        endpoints: ask.endpoints.clone(),
        features: ask.features.clone(),
        rack: ask.rack.clone(),
        fenced: ask.fenced,
        in_controlled_shutdown: false,
        directories: ask.directories.clone(),
    }
}

/// Epochs follow the log's index, so that they grow even for a broker that was unregistered in between.
fn next_epoch(image: &MetadataImage, broker: BrokerId) -> BrokerEpoch {
    let by_index = i64::try_from(image.version()).unwrap_or(i64::MAX).saturating_add(1);
    let by_broker = image.broker(broker).map_or(0, |old| old.epoch.0.saturating_add(1));
    by_index.max(by_broker).into()
}

pub(super) fn unregister(image: &MetadataImage, ask: &UnregisterBrokerRequest) -> Decision {
    let Some(broker) = image.broker(ask.broker) else {
        return Decision::new(Vec::new(), Reply::UnregisterBroker(Err(BrokerError::NotRegistered(ask.broker))));
    };
    let mut records = plan_down(image, ask.broker, &|_| true);
    records.push(UnregisterBroker { broker: ask.broker, epoch: broker.epoch }.into());
    Decision::new(records, Reply::UnregisterBroker(Ok(())))
}

pub(super) fn fence(image: &MetadataImage, ask: &FenceBrokers) -> Decision {
    // Each step is planned on what the steps before it made of the image.
    let mut at = image.clone();
    let mut records = Vec::new();
    let steps = ask.fence.iter().map(|id| (*id, true)).chain(ask.unfence.iter().map(|id| (*id, false)));
    for (id, fenced) in steps {
        let step = fence_one(&at, id, fenced);
        if let Ok((next, _)) = at.apply(&step, image.version()) {
            at = next;
            records.extend(step);
        }
    }
    Decision::new(records, Reply::FenceBrokers(()))
}

fn fence_one(image: &MetadataImage, id: BrokerId, fenced: bool) -> Vec<MetadataRecord> {
    let Some(broker) = image.broker(id).filter(|broker| broker.fenced != fenced) else { return Vec::new() };
    let epoch = broker.epoch;
    let online = broker.directories.clone();
    if fenced {
        let mut records = vec![FenceBroker { broker: id, epoch }.into()];
        records.extend(plan_down(image, id, &|_| true));
        records
    } else {
        let mut records = vec![UnfenceBroker { broker: id, epoch }.into()];
        records.extend(plan_up(image, id, false, &|state| !in_offline_directory(state, id, &online)));
        records
    }
}

/// Some partitions, by their state.
pub(super) type Which<'a> = &'a dyn Fn(&PartitionState) -> bool;

/// Those partitions among `which` that `broker` leads or is in sync for get along without it: another in-sync replica leads, and the broker
/// leaves the ISR unless it is the last of it.
pub(super) fn plan_down(image: &MetadataImage, broker: BrokerId, which: Which<'_>) -> Vec<MetadataRecord> {
    each_partition(image, |topic, partition, state| {
        if !state.isr.contains(&broker) || !which(state) {
            return None;
        }
        let mut change = PartitionChange::of(topic.id, partition);
        if state.leader == Some(broker) {
            let can_lead = |replica: &BrokerId| {
                *replica != broker && state.isr.contains(replica) && image.is_replica_online(state, *replica)
            };
            change.leader = Some(state.replicas.iter().copied().find(can_lead));
        }
        if state.isr.len() > 1 {
            change.isr = Some(state.isr.iter().copied().filter(|member| *member != broker).collect());
        }
        (change.leader.is_some() || change.isr.is_some()).then_some(change)
    })
}

/// Partitions among `which` without a leader whose ISR `broker` is in are led by it. Those that an earlier run of it led are led by it in
/// a new epoch: what it holds may end earlier than what clients saw of that run, and they must hear of it.
pub(super) fn plan_up(
    image: &MetadataImage,
    broker: BrokerId,
    restarted: bool,
    which: Which<'_>,
) -> Vec<MetadataRecord> {
    each_partition(image, |topic, partition, state| {
        let vacant = state.leader.is_none() || (restarted && state.leader == Some(broker));
        (vacant && state.isr.contains(&broker) && which(state))
            .then(|| PartitionChange { leader: Some(Some(broker)), ..PartitionChange::of(topic.id, partition) })
    })
}

fn each_partition(
    image: &MetadataImage,
    plan: impl Fn(&TopicImage, PartitionIndex, &PartitionState) -> Option<PartitionChange>,
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        let changes = topic.partitions.iter().filter_map(|(partition, state)| plan(topic, *partition, state));
        records.extend(changes.map(MetadataRecord::from));
    }
    records
}
