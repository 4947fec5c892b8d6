//! Records onto an image, and an image as records.
//!
//! Replay is the only writer. A record that does not fit the image means that log and image parted: a typed error, after
//! which the image must be thrown away.

use std::{collections::BTreeMap, sync::Arc};

use ottla_types::{BrokerId, PartitionIndex, Uuid};

use super::{ConfigMap, MetadataDelta, MetadataImage, TopicImage, partition_record, undotted};
use crate::record::{
    ClusterId, Config, ConfigResource, FeatureLevel, MetadataRecord, Partition, PartitionChange, PartitionState,
    ProducerIds, RegisterBroker, Topic,
};

/// A record that does not fit the image it is replayed onto: fatal, the log is not this image's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A partition or removal of a topic that is not there.
    #[error("metadata record for unknown topic id {0}")]
    UnknownTopic(Uuid),
    /// A change of a partition that is not there.
    #[error("metadata record changes unknown partition {1} of topic id {0}")]
    UnknownPartition(Uuid, PartitionIndex),
    /// A partition whose number leaves a gap or is taken.
    #[error("metadata record adds partition {1} of topic id {0} out of order")]
    PartitionOutOfOrder(Uuid, PartitionIndex),
    /// A topic whose name or id is taken.
    #[error("metadata record repeats topic {0}")]
    TopicRepeated(String),
    /// A change of a broker that is not registered.
    #[error("metadata record changes unknown broker {0}")]
    UnknownBroker(BrokerId),
}

impl MetadataImage {
    /// The image after `records`, at `version` (the index of their log entry), and what they changed.
    ///
    /// # Errors
    /// The first record that does not fit; the image itself is untouched.
    pub fn apply(&self, records: &[MetadataRecord], version: u64) -> Result<(Self, MetadataDelta), ReplayError> {
        let mut after = self.clone();
        let mut delta = MetadataDelta { from_version: self.version, to_version: version, ..MetadataDelta::default() };
        for record in records {
            after.replay(record, self, &mut delta)?;
        }
        after.version = version;
        Ok((after, delta))
    }

    fn replay(&mut self, record: &MetadataRecord, before: &Self, delta: &mut MetadataDelta) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic(topic) => self.replay_topic(topic, delta)?,
            MetadataRecord::Partition(partition) => self.replay_partition(partition, delta)?,
            MetadataRecord::PartitionChange(change) => self.replay_partition_change(change, delta)?,
            MetadataRecord::RemoveTopic(removed) => self.replay_remove_topic(removed.id, before, delta)?,
            MetadataRecord::Config(config) => self.replay_config(config, delta),
            MetadataRecord::RegisterBroker(broker) => self.replay_register(broker, delta),
            MetadataRecord::UnregisterBroker(broker) => {
                Arc::make_mut(&mut self.brokers).remove(&broker.broker);
                delta.brokers.insert(broker.broker);
            }
            MetadataRecord::FenceBroker(broker) => self.replay_fenced(broker.broker, true, delta)?,
            MetadataRecord::UnfenceBroker(broker) => self.replay_fenced(broker.broker, false, delta)?,
            MetadataRecord::FeatureLevel(feature) => self.replay_feature(feature, delta),
            MetadataRecord::ProducerIds(ids) => {
                self.next_producer_id = ids.next_producer_id;
                delta.cluster = true;
            }
            MetadataRecord::ClusterId(cluster) => {
                self.cluster_id = cluster.id;
                delta.cluster = true;
            }
        }
        Ok(())
    }

    fn replay_topic(&mut self, topic: &Topic, delta: &mut MetadataDelta) -> Result<(), ReplayError> {
        if self.by_name.get(&topic.name).is_some() || self.names.get(&topic.id).is_some() {
            return Err(ReplayError::TopicRepeated(topic.name.to_string()));
        }
        self.by_name.insert(topic.name.clone(), Arc::new(TopicImage::new(topic.name.clone(), topic.id)));
        self.names.insert(topic.id, topic.name.clone());
        let key = undotted(topic.name.as_str());
        let mut alike = self.alike.get(&key).cloned().unwrap_or_default();
        alike.push(topic.name.clone());
        alike.sort();
        self.alike.insert(key, alike);
        delta.topic_created(topic.id);
        Ok(())
    }

    fn topic_mut(&mut self, id: Uuid) -> Result<&mut TopicImage, ReplayError> {
        let name = self.names.get(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = self.by_name.get_mut(name).ok_or(ReplayError::UnknownTopic(id))?;
        Ok(Arc::make_mut(topic))
    }

    fn replay_partition(&mut self, record: &Partition, delta: &mut MetadataDelta) -> Result<(), ReplayError> {
        let topic = self.topic_mut(record.topic_id)?;
        if usize::try_from(record.partition.0) != Ok(topic.partitions.len()) {
            return Err(ReplayError::PartitionOutOfOrder(record.topic_id, record.partition));
        }
        topic.partitions.insert(record.partition, Arc::new(record.state.clone()));
        self.partition_count += 1;
        delta.partition_changed(record.topic_id, record.partition);
        Ok(())
    }

    fn replay_partition_change(
        &mut self,
        change: &PartitionChange,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let topic = self.topic_mut(change.topic_id)?;
        let state = topic
            .partitions
            .get_mut(&change.partition)
            .ok_or(ReplayError::UnknownPartition(change.topic_id, change.partition))?;
        *state = Arc::new(state.changed(change));
        delta.partition_changed(change.topic_id, change.partition);
        Ok(())
    }

    fn replay_remove_topic(&mut self, id: Uuid, before: &Self, delta: &mut MetadataDelta) -> Result<(), ReplayError> {
        let name = self.names.remove(&id).ok_or(ReplayError::UnknownTopic(id))?;
        let topic = self.by_name.remove(&name).ok_or(ReplayError::UnknownTopic(id))?;
        self.partition_count -= topic.partitions.len();
        let key = undotted(name.as_str());
        let alike: Vec<_> = self.alike(name.as_str()).iter().filter(|other| **other != name).cloned().collect();
        if alike.is_empty() {
            self.alike.remove(&key);
        } else {
            self.alike.insert(key, alike);
        }
        let resource = ConfigResource::topic(name.as_str());
        self.configs.remove(&resource);
        delta.configs.remove(&resource);
        delta.topic_deleted(topic, before.topic_by_id(id));
        Ok(())
    }

    fn replay_config(&mut self, record: &Config, delta: &mut MetadataDelta) {
        let mut map = self.configs.get(&record.resource).map(|map| ConfigMap::clone(map)).unwrap_or_default();
        match &record.value {
            Some(value) => map.insert(record.name.clone(), value.clone()),
            None => map.remove(&record.name),
        };
        if map.is_empty() {
            self.configs.remove(&record.resource);
        } else {
            self.configs.insert(record.resource.clone(), Arc::new(map));
        }
        delta.configs.insert(record.resource.clone());
    }

    fn replay_register(&mut self, broker: &RegisterBroker, delta: &mut MetadataDelta) {
        Arc::make_mut(&mut self.brokers).insert(broker.broker, Arc::new(broker.clone()));
        delta.brokers.insert(broker.broker);
    }

    fn replay_fenced(&mut self, id: BrokerId, fenced: bool, delta: &mut MetadataDelta) -> Result<(), ReplayError> {
        let broker = Arc::make_mut(&mut self.brokers).get_mut(&id).ok_or(ReplayError::UnknownBroker(id))?;
        Arc::make_mut(broker).fenced = fenced;
        delta.brokers.insert(id);
        Ok(())
    }

    fn replay_feature(&mut self, feature: &FeatureLevel, delta: &mut MetadataDelta) {
        let features: &mut BTreeMap<_, _> = Arc::make_mut(&mut self.features);
        if feature.level == 0 {
            features.remove(&feature.name);
        } else {
            features.insert(feature.name.clone(), feature.level);
        }
        delta.cluster = true;
    }

    /// Records that give this image (but for its version) when replayed onto an empty one: a snapshot.
    pub fn records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        self.cluster_records()
            .into_iter()
            .chain(self.brokers.values().map(|broker| RegisterBroker::clone(broker).into()))
            .chain(self.topics().flat_map(|topic| topic_records(topic)))
            .chain(self.configs().flat_map(|(resource, map)| config_records(resource, map)))
    }

    fn cluster_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if !self.cluster_id.is_zero() {
            records.push(ClusterId { id: self.cluster_id }.into());
        }
        for (name, level) in self.features.iter() {
            records.push(FeatureLevel { name: name.clone(), level: *level }.into());
        }
        if self.next_producer_id > 0 {
            let next_producer_id = self.next_producer_id;
            records.push(ProducerIds { broker: (-1).into(), broker_epoch: (-1).into(), next_producer_id }.into());
        }
        records
    }
}

fn topic_records(topic: &TopicImage) -> impl Iterator<Item = MetadataRecord> + '_ {
    let head = Topic { name: topic.name.clone(), id: topic.id }.into();
    let partitions = topic.partitions.iter();
    std::iter::once(head).chain(partitions.map(|(partition, state): (&PartitionIndex, &Arc<PartitionState>)| {
        partition_record(topic.id, *partition, state).into()
    }))
}

fn config_records<'a>(resource: &'a ConfigResource, map: &'a ConfigMap) -> impl Iterator<Item = MetadataRecord> + 'a {
    map.iter().map(|(name, value)| {
        Config { resource: resource.clone(), name: name.clone(), value: Some(value.clone()) }.into()
    })
}
