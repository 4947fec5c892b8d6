//! The partitions that this broker holds.
//!
//! Follows the metadata: what the image assigns to this broker has a directory before clients can see it, what the image
//! no longer holds is deleted.
//!
//! Invariants: a topic is found by its name exactly when it is found by its id; the log of a partition is opened when it
//! is first used, and once.

mod partition;
mod topic;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::{ConfigKind, ConfigMap, ConfigResource, MetadataDelta, MetadataImage, TopicImage};
use ottla_disk::Clock;
use ottla_log::{Assigned, CreateError, Known, LogDirs};
use ottla_quorum::MetadataListener;
use ottla_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicName, TopicPartition, Uuid};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use partition::{Marker, Partition, Unavailable, append_error_code, producer_error_code};
pub(crate) use topic::Topic;

use crate::{metrics::Metrics, waits::Waits};

/// All partitions of this broker, by topic.
#[derive(Debug)]
pub(crate) struct Replicas {
    broker: BrokerId,
    dirs: Arc<LogDirs>,
    metrics: Arc<Metrics>,
    waits: Arc<Waits>,
    clock: Arc<dyn Clock>,
    /// File, environment and flags; the image adds what was set at run time.
    statics: BrokerConfig,
    config: ArcSwap<BrokerConfig>,
    config_changed: Notify,
    topics: RwLock<Topics>,
    /// Held while a change of the metadata is applied: changes come one at a time. Whether the first has come, the whole
    /// image.
    applying: Mutex<bool>,
    /// A partition lies in another directory than the metadata says, or a directory failed.
    directories_changed: Notify,
    /// A move between directories was asked for.
    moves_asked: Notify,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<TopicName, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Replicas {
    pub(crate) fn new(
        broker: BrokerId,
        dirs: Arc<LogDirs>,
        metrics: Arc<Metrics>,
        waits: Arc<Waits>,
        clock: Arc<dyn Clock>,
        config: BrokerConfig,
    ) -> Self {
        Self {
            broker,
            dirs,
            metrics,
            waits,
            clock,
            statics: config.clone(),
            config: ArcSwap::from_pointee(config),
            config_changed: Notify::new(),
            topics: RwLock::default(),
            applying: Mutex::new(false),
            directories_changed: Notify::new(),
            moves_asked: Notify::new(),
        }
    }

    /// A topic by name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// A topic by id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// The broker's configuration with what was set at run time.
    pub(crate) fn config(&self) -> Arc<BrokerConfig> {
        self.config.load_full()
    }

    /// Returns when the configuration has changed since the last call; for one task.
    pub(crate) async fn config_changed(&self) {
        self.config_changed.notified().await;
    }

    /// Returns when a directory failed since the last call, or a partition is in another one than the metadata says; for one
    /// task.
    pub(crate) async fn directories_changed(&self) {
        self.directories_changed.notified().await;
    }

    /// Returns when a move between directories was asked for since the last call; for one task.
    pub(crate) async fn moves_asked(&self) {
        self.moves_asked.notified().await;
    }

    /// Has somebody carry out the moves that were asked for.
    pub(crate) fn look_at_moves(&self) {
        self.moves_asked.notify_one();
    }

    /// Has somebody look at the directories.
    pub(crate) fn look_at_directories(&self) {
        self.directories_changed.notify_one();
    }

    /// Puts aside the directories of partitions that `image` does not assign here. They may be all that is left of somebody's
    /// records: an operator decides. A directory of another topic of the same name is found when the partition is used.
    pub(crate) fn put_strays_aside(&self, image: &MetadataImage) {
        for partition in self.dirs.partitions() {
            let state = image.partition(partition.topic.as_str(), partition.partition);
            if state.is_some_and(|state| state.replicas.contains(&self.broker)) {
                continue;
            }
            match self.dirs.put_aside(&partition) {
                Ok(path) => tracing::warn!(
                    %partition,
                    path = %path.display(),
                    "the metadata does not know this partition; its directory was put aside"
                ),
                Err(error) => tracing::error!(%partition, %error, "a stray partition could not be put aside"),
            }
        }
    }

    /// Number of partitions held.
    pub(crate) fn partition_count(&self) -> usize {
        self.topics.read().by_id.values().map(|topic| topic.partition_count()).sum()
    }

    /// All topics held, in no order.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().by_id.values().cloned().collect()
    }

    fn known(&self, partition: &TopicPartition, image: &MetadataImage) -> Option<Known> {
        let topic = image.topic(partition.topic.as_str())?;
        let state = topic.partition(partition.partition)?;
        let is_here = state.replicas.contains(&self.broker);
        let directory = state.directory_of(self.broker).unwrap_or(Uuid::ZERO);
        is_here.then_some(Known { topic_id: topic.id, directory })
    }

    fn configure(&self, image: &MetadataImage) {
        let cluster = overrides(image, &ConfigResource::default_broker());
        let broker = overrides(image, &ConfigResource::broker(self.broker));
        let config = self.statics.with_dynamic(&cluster, &broker);
        self.dirs.set_delete_delay_ms(config.topic_config(&ConfigMap::default()).file_delete_delay_ms);
        self.config.store(Arc::new(config));
        self.config_changed.notify_one();
        let topics: Vec<_> = self.topics.read().by_id.values().cloned().collect();
        for topic in topics {
            self.configure_topic(&topic, image);
        }
    }

    fn configure_topic(&self, topic: &Topic, image: &MetadataImage) {
        topic.set_config(self.config.load().topic_config(&topic_overrides(image, &topic.name)));
    }

    /// Makes the directories of what `image` assigns here and is not there yet.
    fn host(&self, topic_image: &TopicImage, image: &MetadataImage, is_first: bool) {
        let topic = self.by_id(topic_image.id).unwrap_or_else(|| self.add_topic(topic_image, image));
        for (index, state) in topic_image.partitions.iter() {
            if !state.replicas.contains(&self.broker) {
                continue;
            }
            let directory = state.directory_of(self.broker).unwrap_or(Uuid::ZERO);
            let leads = state.leader == Some(self.broker);
            match topic.partition(*index) {
                Some(partition) => {
                    partition.assign(Assigned { directory, is_new: false });
                    partition.lead(leads, state.leader_epoch);
                }
                // What was there at the start may have records in a directory that cannot be looked into.
                None => {
                    let assigned = Assigned { directory, is_new: !is_first };
                    self.add_partition(&topic, *index, assigned, leads, state.leader_epoch);
                }
            }
        }
    }

    fn add_topic(&self, topic_image: &TopicImage, image: &MetadataImage) -> Arc<Topic> {
        let config = self.config.load().topic_config(&topic_overrides(image, &topic_image.name));
        let metrics = self.metrics.topic(topic_image.name.as_str());
        let topic = Arc::new(Topic::new(topic_image.name.clone(), topic_image.id, config, metrics));
        let mut topics = self.topics.write();
        topics.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        topics.by_id.insert(topic.id, Arc::clone(&topic));
        topic
    }

    fn add_partition(&self, topic: &Topic, index: PartitionIndex, assigned: Assigned, leads: bool, epoch: LeaderEpoch) {
        let (dirs, waits, clock) = (Arc::clone(&self.dirs), Arc::clone(&self.waits), Arc::clone(&self.clock));
        let partition = Partition::new(topic, index, assigned, dirs, waits, clock);
        match partition.ensure_directory() {
            Ok(()) => {}
            // Told about once for all of them.
            Err(error @ Unavailable::Log(CreateError::Offline { .. })) => {
                tracing::debug!(partition = %partition.id, %error, "a partition is offline");
            }
            Err(error) => {
                tracing::error!(partition = %partition.id, %error, "no directory for a partition; its requests will fail");
            }
        }
        if partition.unassigned_directory().is_some() {
            self.look_at_directories();
        }
        partition.lead(leads, epoch);
        topic.add(partition);
    }

    fn remove(&self, id: Uuid) {
        let Some(topic) = self.topics.write().by_id.remove(&id) else { return };
        let mut topics = self.topics.write();
        if topics.by_name.get(&topic.name).is_some_and(|named| named.id == id) {
            topics.by_name.remove(&topic.name);
            self.metrics.forget_topic(topic.name.as_str());
        }
        drop(topics);
        let partitions = topic.partitions();
        partitions.iter().for_each(|partition| partition.give_up());
        let ids: Vec<_> = partitions.iter().map(|partition| partition.id.clone()).collect();
        for (partition, error) in self.dirs.delete_all(&ids, self.clock.now()) {
            tracing::warn!(%partition, %error, "a deleted partition's directory remains");
        }
        partitions.iter().for_each(|partition| partition.is_gone());
    }
}

impl MetadataListener for Replicas {
    fn apply(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let mut applied_before = self.applying.lock();
        let is_first = !std::mem::replace(&mut *applied_before, true);
        if is_first {
            self.dirs.settle_twins(|partition| self.known(partition, image));
        }
        for id in delta.deleted.keys() {
            self.remove(*id);
        }
        if delta.configs.iter().any(|resource| resource.kind == ConfigKind::Broker) {
            self.configure(image);
        }
        let hosted = delta.created.iter().chain(delta.changed.keys());
        for topic in hosted.filter_map(|id| image.topic_by_id(*id)) {
            self.host(topic, image, is_first);
        }
        for resource in delta.configs.iter().filter(|resource| resource.kind == ConfigKind::Topic) {
            if let Some(topic) = self.by_name(&resource.name) {
                self.configure_topic(&topic, image);
            }
        }
    }
}

fn topic_overrides(image: &MetadataImage, topic: &TopicName) -> ConfigMap {
    overrides(image, &ConfigResource::topic(topic.as_str()))
}

fn overrides(image: &MetadataImage, resource: &ConfigResource) -> ConfigMap {
    image.config(resource).map(|set| (**set).clone()).unwrap_or_default()
}
