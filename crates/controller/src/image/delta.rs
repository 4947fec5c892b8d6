//! What a batch of records changed.
//!
//! Invariants: `created` and `deleted` name topics by id and share none; a topic created and deleted by the same batch
//! appears nowhere; partitions of created topics are not listed as changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_types::{BrokerId, PartitionIndex, Uuid};

use super::TopicImage;
use crate::record::ConfigResource;

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
