//! A topic with the partitions of it that this broker holds.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::TopicConfig;
use ottla_types::{PartitionIndex, TopicName, Uuid};
use parking_lot::RwLock;

use super::Partition;
use crate::metrics::TopicMetrics;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: Uuid,
    pub(crate) metrics: TopicMetrics,
    config: ArcSwap<TopicConfig>,
    /// By partition number; a number that another broker holds is empty here.
    partitions: RwLock<Vec<Option<Arc<Partition>>>>,
}

impl Topic {
    pub(crate) fn new(name: TopicName, id: Uuid, config: Arc<TopicConfig>, metrics: TopicMetrics) -> Self {
        Self { name, id, metrics, config: ArcSwap::new(config), partitions: RwLock::default() }
    }

    /// A partition that this broker holds.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<Arc<Partition>> {
        self.partitions.read().get(usize::try_from(index.0).ok()?)?.clone()
    }

    /// All partitions that this broker holds.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().iter().flatten().cloned().collect()
    }

    pub(crate) fn partition_count(&self) -> usize {
        self.partitions.read().iter().flatten().count()
    }

    /// The configuration in effect.
    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        self.config.load_full()
    }

    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        for partition in self.partitions() {
            partition.configure(&config);
        }
        self.config.store(config);
    }

    pub(super) fn add(&self, partition: Partition) {
        partition.configure(&self.config());
        let Ok(at) = usize::try_from(partition.id.partition.0) else { return };
        let mut partitions = self.partitions.write();
        if partitions.len() <= at {
            partitions.resize_with(at + 1, || None);
        }
        partitions[at] = Some(Arc::new(partition));
    }
}
