//! The metadata of the cluster at one point of its log: immutable, cheap to copy, shared by whoever reads.
//!
//! Invariants: the image is what its records say and nothing else, so replaying [`MetadataImage::records`] on an empty
//! image gives it back; a topic is found by name exactly when it is found by id; configurations of a topic die with it.

mod delta;
mod replay;
mod shared_map;
mod topic;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

pub use delta::MetadataDelta;
use ottla_types::{BrokerId, PartitionIndex, TopicName, Uuid};
pub use replay::ReplayError;
pub use shared_map::SharedMap;
pub use topic::TopicImage;

use crate::record::{ConfigResource, Partition, PartitionState, RegisterBroker};

/// Configurations that were set on one resource, by name.
pub type ConfigMap = BTreeMap<String, String>;

/// See the file's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataImage {
    version: u64,
    cluster_id: Uuid,
    by_name: SharedMap<TopicName, Arc<TopicImage>>,
    names: SharedMap<Uuid, TopicName>,
    /// Topics by their name with every `.` made `_`: those that share one would share a metric's name.
    alike: SharedMap<String, Vec<TopicName>>,
    partition_count: usize,
    configs: SharedMap<ConfigResource, Arc<ConfigMap>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<RegisterBroker>>>,
    features: Arc<BTreeMap<String, i16>>,
    next_producer_id: i64,
}

impl MetadataImage {
    /// Index of the last log entry that this image holds.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Id of the cluster; zero before it has one.
    #[must_use]
    pub fn cluster_id(&self) -> Uuid {
        self.cluster_id
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_name.get(name)
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.by_name.get(self.names.get(&id)?.as_str())
    }

    /// All topics, by name ascending.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values()
    }

    /// Topics named `start` and later, by name ascending.
    pub fn topics_from<'a>(&'a self, start: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.by_name.range_from(Bound::Included(start)).map(|(_, topic)| topic)
    }

    /// Number of topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.by_name.len()
    }

    /// Number of partitions of all topics.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// A partition by its topic's name.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: PartitionIndex) -> Option<&Arc<PartitionState>> {
        self.topic(topic)?.partition(partition)
    }

    /// What was set on a resource; none where nothing was.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.configs.get(resource)
    }

    /// All resources with something set, ascending.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> {
        self.configs.iter()
    }

    /// Registered brokers by id.
    #[must_use]
    pub fn brokers(&self) -> &BTreeMap<BrokerId, Arc<RegisterBroker>> {
        &self.brokers
    }

    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<RegisterBroker>> {
        self.brokers.get(&id)
    }

    /// Whether a broker is registered, not fenced and not on its way out.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    /// Whether a replica can serve: its broker is active, and its log directory, where it is known, online.
    #[must_use]
    pub fn is_replica_online(&self, state: &PartitionState, id: BrokerId) -> bool {
        let directory = state.directory_of(id);
        let has = |broker: &RegisterBroker| directory.is_none_or(|directory| broker.directories.contains(&directory));
        self.is_active(id) && self.broker(id).is_some_and(|broker| has(broker))
    }

    /// Level of each feature that is on.
    #[must_use]
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// First producer id that nobody got.
    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Topics whose names differ from `name` at most in `.` against `_`.
    pub(crate) fn alike(&self, name: &str) -> &[TopicName] {
        self.alike.get(&undotted(name)).map_or(&[], Vec::as_slice)
    }
}

/// `name` as it stands in metric names.
pub(crate) fn undotted(name: &str) -> String {
    name.replace('.', "_")
}

/// The record that registers `partition` as it is.
pub(crate) fn partition_record(topic_id: Uuid, partition: PartitionIndex, state: &PartitionState) -> Partition {
    Partition { topic_id, partition, state: state.clone() }
}
