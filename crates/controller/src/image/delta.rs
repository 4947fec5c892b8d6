//! What a batch of records changed.
//!
//! Invariants: `created` and `deleted` name topics by id and share none; a topic created and deleted by the same batch
//! appears nowhere; partitions of created topics are not listed as changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_types::{BrokerId, PartitionIndex, Uuid};

use super::{MetadataImage, TopicImage};
use crate::record::{ConfigKind, ConfigResource};

/// The difference between two successive images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataDelta {
    /// Version of the image before.
    pub from_version: u64,
    /// Version of the image after.
    pub to_version: u64,
    /// Topics that are new, by id; the image after has them.
    pub created: BTreeSet<Uuid>,
    /// Topics that are gone, as they were in the image before.
    pub deleted: BTreeMap<Uuid, Arc<TopicImage>>,
    /// Partitions that are new or registered otherwise, of topics that were there before.
    pub changed: BTreeMap<Uuid, BTreeSet<PartitionIndex>>,
    /// Resources whose configuration changed; deleted topics are not among them.
    pub configs: BTreeSet<ConfigResource>,
    /// Brokers that came, left, or changed.
    pub brokers: BTreeSet<BrokerId>,
    /// Whether a feature level, the cluster id or the producer id counter changed.
    pub cluster: bool,
}

impl MetadataDelta {
    /// Whether nothing changed but the version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.created.is_empty()
            && self.deleted.is_empty()
            && self.changed.is_empty()
            && self.configs.is_empty()
            && self.brokers.is_empty()
            && !self.cluster
    }

    /// What leads from one image to another, found by comparing them.
    #[must_use]
    pub fn between(before: &MetadataImage, after: &MetadataImage) -> Self {
        let same_brokers = |id: &&BrokerId| before.brokers().get(*id) == after.brokers().get(*id);
        let brokers = before.brokers().keys().chain(after.brokers().keys());
        let mut delta = Self {
            from_version: before.version(),
            to_version: after.version(),
            configs: configs_between(before, after),
            brokers: brokers.filter(|id| !same_brokers(id)).copied().collect(),
            cluster: before.cluster_id() != after.cluster_id()
                || before.features() != after.features()
                || before.next_producer_id() != after.next_producer_id(),
            ..Self::default()
        };
        for topic in after.topics() {
            match before.topic_by_id(topic.id) {
                Some(old) => delta.partitions_between(old, topic),
                None => delta.topic_created(topic.id),
            }
        }
        let gone = before.topics().filter(|topic| after.topic_by_id(topic.id).is_none());
        delta.deleted = gone.map(|topic| (topic.id, Arc::clone(topic))).collect();
        delta
    }

    fn partitions_between(&mut self, before: &Arc<TopicImage>, after: &Arc<TopicImage>) {
        if Arc::ptr_eq(before, after) {
            return;
        }
        for (partition, state) in after.partitions.iter() {
            if before.partition(*partition) != Some(state) {
                self.partition_changed(after.id, *partition);
            }
        }
    }

    /// Topics that are gone.
    pub fn removed_topics(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.deleted.keys().copied()
    }

    /// Topics that are new or of which a partition is new or registered otherwise.
    pub fn changed_topics(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.created.iter().chain(self.changed.keys()).copied()
    }

    /// Names of topics whose configuration changed.
    pub fn changed_topic_configs(&self) -> impl Iterator<Item = &str> {
        let topics = self.configs.iter().filter(|resource| resource.kind == ConfigKind::Topic);
        topics.map(|resource| resource.name.as_str())
    }

    /// Whether the configuration of a broker, or of all, changed.
    #[must_use]
    pub fn broker_configs_changed(&self) -> bool {
        self.configs.iter().any(|resource| resource.kind == ConfigKind::Broker)
    }

    pub(super) fn topic_created(&mut self, id: Uuid) {
        self.created.insert(id);
    }

    /// `topic` as it is in the image that the batch has built so far.
    pub(super) fn topic_deleted(&mut self, topic: Arc<TopicImage>, before: Option<&Arc<TopicImage>>) {
        self.created.remove(&topic.id);
        self.changed.remove(&topic.id);
        if let Some(before) = before {
            self.deleted.insert(topic.id, Arc::clone(before));
        }
    }

    pub(super) fn partition_changed(&mut self, topic: Uuid, partition: PartitionIndex) {
        if !self.created.contains(&topic) {
            self.changed.entry(topic).or_default().insert(partition);
        }
    }
}

/// Resources set differently; those of deleted topics are left out.
fn configs_between(before: &MetadataImage, after: &MetadataImage) -> BTreeSet<ConfigResource> {
    let resources = before.configs().chain(after.configs()).map(|(resource, _)| resource);
    let changed = resources.filter(|resource| before.config(resource) != after.config(resource));
    let gone = |resource: &ConfigResource| resource.kind == ConfigKind::Topic && after.topic(&resource.name).is_none();
    changed.filter(|resource| !gone(resource)).cloned().collect()
}
