//! What all handlers share.

use std::sync::Arc;

use ottla_config::ServerSettings;
use ottla_controller::{CreateTopics, NewTopic};
use ottla_disk::Clock;
use ottla_log::LogDirs;
use ottla_quorum::Quorum;
use ottla_sessions::FetchSessions;
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, ProducerId, TopicName};
use tokio::sync::Semaphore;

use crate::{
    coordinators::{Groups, Markers, Transactions},
    internal_topics::internal_topic,
    metrics::Metrics,
    producer_ids::ProducerIds,
    random,
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
    pub(crate) groups: Arc<Groups>,
    pub(crate) transactions: Arc<Transactions>,
    pub(crate) markers: Arc<Markers>,
    /// Who may work out patterns that clients sent: one at a time, so that costly ones keep one processor busy at most.
    pub(crate) pattern_turns: Arc<Semaphore>,
    pub(crate) waits: Arc<Waits>,
    pub(crate) sessions: FetchSessions,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) metrics: Arc<Metrics>,
}

impl Node {
    /// Whether so many replicas are in sync that `acks=all` means what `min.insync.replicas` promises. As in Kafka, more
    /// than there are replicas is never asked for.
    pub(crate) fn has_enough_replicas(&self, partition: &Partition, least: i32) -> bool {
        let image = self.quorum.image();
        let state = image.partition(partition.id.topic.as_str(), partition.id.partition);
        let least = usize::try_from(least).unwrap_or(0);
        state.is_some_and(|state| state.isr.len() >= least.min(state.replicas.len()))
    }

    /// Creates topics that a client asked for, with the broker's defaults. What fails is missing in the answer.
    pub(crate) async fn auto_create(&self, names: Vec<TopicName>) {
        let topics = names.iter().map(|name| self.new_topic(name)).collect();
        let asked = CreateTopics { topics, validate_only: false, placement_start: random::number() };
        match self.quorum.submit(asked).await {
            Ok(results) => results
                .iter()
                .filter_map(|(name, result)| Some((name, result.as_ref().err()?)))
                .for_each(|(topic, error)| tracing::info!(topic, %error, "not created on the way")),
            Err(error) => tracing::error!(%error, "topics cannot be created"),
        }
    }

    /// A topic with the broker's defaults; an internal one with what the broker wants of it.
    fn new_topic(&self, name: &TopicName) -> NewTopic {
        let image = self.quorum.image();
        let live = image.brokers().keys().filter(|broker| image.is_active(**broker)).count();
        let id = random::uuid();
        internal_topic(&self.replicas.config(), live, name.as_str(), id)
            .unwrap_or_else(|| NewTopic::new(name.as_str(), id, -1, -1))
    }

    /// A producer id that nobody has.
    ///
    /// # Errors
    /// The cluster gives none now; the client is to come again.
    pub(crate) async fn fresh_producer_id(&self) -> Result<ProducerId, ErrorCode> {
        self.producer_ids.next(&self.quorum, self.broker_id, self.broker_epoch()).await.map_err(|error| {
            tracing::error!(%error, "no producer id");
            ErrorCode::CoordinatorLoadInProgress
        })
    }

    /// Epoch of this run of the broker; −1 before it is registered.
    pub(crate) fn broker_epoch(&self) -> BrokerEpoch {
        self.quorum.image().broker(self.broker_id).map_or(BrokerEpoch(-1), |broker| broker.epoch)
    }
}
