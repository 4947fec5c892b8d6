//! Records of Ottla's metadata as fields.

use ottla_controller::{FeatureRange, MetadataRecord, PartitionState};
use ottla_types::{BrokerId, Uuid};
use ottla_wire::Shown;

use crate::out::Fields;

/// What a record says, its type first.
pub(crate) fn record_fields(record: &MetadataRecord) -> Fields {
    let (name, data) = match record {
        MetadataRecord::RegisterBroker(it) => {
            let endpoint =
                |at: &ottla_controller::Endpoint| Shown::text(format_args!("{}://{}:{}", at.name, at.host, at.port));
            let data = vec![
                ("brokerId", it.broker.0.into()),
                ("incarnationId", Shown::text(it.incarnation)),
                ("brokerEpoch", it.epoch.0.into()),
                ("endPoints", Shown::List(it.endpoints.iter().map(endpoint).collect())),
                ("features", Shown::List(it.features.iter().map(feature).collect())),
                ("rack", it.rack.clone().into()),
                ("fenced", it.fenced.into()),
                ("inControlledShutdown", it.in_controlled_shutdown.into()),
                ("logDirs", ids(&it.directories)),
            ];
            ("RegisterBroker", data)
        }
        MetadataRecord::UnregisterBroker(it) => ("UnregisterBroker", broker(it.broker, it.epoch.0)),
        MetadataRecord::FenceBroker(it) => ("FenceBroker", broker(it.broker, it.epoch.0)),
        MetadataRecord::UnfenceBroker(it) => ("UnfenceBroker", broker(it.broker, it.epoch.0)),
        MetadataRecord::Topic(it) => ("Topic", vec![("name", Shown::text(&it.name)), ("topicId", Shown::text(it.id))]),
        MetadataRecord::Partition(it) => {
            let mut data = vec![("topicId", Shown::text(it.topic_id)), ("partitionId", it.partition.0.into())];
            data.extend(state(&it.state));
            ("Partition", data)
        }
        MetadataRecord::PartitionChange(it) => {
            let mut data = vec![("topicId", Shown::text(it.topic_id)), ("partitionId", it.partition.0.into())];
            let lists = [
                ("replicas", &it.replicas),
                ("isr", &it.isr),
                ("eligibleLeaderReplicas", &it.elr),
                ("lastKnownElr", &it.last_known_elr),
                ("removingReplicas", &it.removing_replicas),
                ("addingReplicas", &it.adding_replicas),
            ];
            let given = lists.into_iter().filter_map(|(name, list)| Some((name, brokers(list.as_ref()?))));
            data.extend(given);
            data.extend(it.directories.as_ref().map(|list| ("directories", ids(list))));
            data.extend(it.leader.map(|leader| ("leader", leader.map_or(-1, |leader| leader.0).into())));
            data.extend(it.leader_recovering.map(|recovering| ("leaderRecovering", recovering.into())));
            ("PartitionChange", data)
        }
        MetadataRecord::RemoveTopic(it) => ("RemoveTopic", vec![("topicId", Shown::text(it.id))]),
        MetadataRecord::Config(it) => {
            let data = vec![
                ("resourceType", it.resource.kind.name().into()),
                ("resourceName", it.resource.name.clone().into()),
                ("name", it.name.clone().into()),
                ("value", it.value.clone().into()),
            ];
            ("Config", data)
        }
        MetadataRecord::FeatureLevel(it) => {
            ("FeatureLevel", vec![("name", it.name.clone().into()), ("featureLevel", i32::from(it.level).into())])
        }
        MetadataRecord::ProducerIds(it) => {
            let mut data = broker(it.broker, it.broker_epoch.0);
            data.push(("nextProducerId", it.next_producer_id.into()));
            ("ProducerIds", data)
        }
        MetadataRecord::ClusterId(it) => ("ClusterId", vec![("id", Shown::text(it.id))]),
    };
    vec![("type", name.into()), ("data", Shown::Fields(data))]
}

fn broker(id: BrokerId, epoch: i64) -> Fields {
    vec![("brokerId", id.0.into()), ("brokerEpoch", epoch.into())]
}

fn brokers(list: &[BrokerId]) -> Shown {
    Shown::List(list.iter().map(|id| id.0.into()).collect())
}

fn ids(list: &[Uuid]) -> Shown {
    Shown::List(list.iter().map(Shown::text).collect())
}

fn feature(feature: &FeatureRange) -> Shown {
    Shown::text(format_args!("{} {}-{}", feature.name, feature.min, feature.max))
}

fn state(it: &PartitionState) -> Fields {
    vec![
        ("replicas", brokers(&it.replicas)),
        ("directories", ids(&it.directories)),
        ("isr", brokers(&it.isr)),
        ("eligibleLeaderReplicas", brokers(&it.elr)),
        ("lastKnownElr", brokers(&it.last_known_elr)),
        ("removingReplicas", brokers(&it.removing_replicas)),
        ("addingReplicas", brokers(&it.adding_replicas)),
        ("leader", it.leader.map_or(-1, |leader| leader.0).into()),
        ("leaderRecovering", it.leader_recovering.into()),
        ("leaderEpoch", it.leader_epoch.0.into()),
        ("partitionEpoch", it.partition_epoch.0.into()),
    ]
}
