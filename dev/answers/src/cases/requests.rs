//! What most cases begin with: topics that are ready, batches with fixed times, requests that differ in one thing.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ottla_records::BatchBuilder;
use ottla_types::{Millis, Uuid};
use ottla_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_wire::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, FetchRequest, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, PartitionProduceData, ProduceRequest, TopicProduceData,
};

use crate::session::Session;

/// Time of the first record of a batch: long ago, so never mistaken for a time of this run.
pub(super) const TIME: i64 = 1_600_000_000_000;
/// An id that no topic has.
pub(super) const UNKNOWN_ID: Uuid = Uuid([7; 16]);
/// Newest versions of what is asked on the way.
const CREATE: i16 = 7;
const LIST_OFFSETS: i16 = 6;
const PRODUCE: i16 = 13;

/// A topic that exists.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: Uuid,
}

impl Topic {
    /// A topic that does not exist.
    pub(super) fn absent(s: &Session, name: &str) -> Topic {
        Topic { name: s.topic(name), id: UNKNOWN_ID }
    }
}

/// A topic to ask for.
pub(super) fn to_create(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.to_owned(), num_partitions: partitions, replication_factor, ..Default::default() }
}

/// A configuration and its value, which may be null.
pub(super) type Config<'a> = (&'a str, Option<&'a str>);

/// [`to_create`], with configurations.
pub(super) fn configured(name: &str, configs: &[Config<'_>]) -> CreatableTopic {
    let config =
        |(name, value): &Config<'_>| CreatableTopicConfig { name: (*name).to_owned(), value: value.map(str::to_owned) };
    CreatableTopic { configs: configs.iter().map(config).collect(), ..to_create(name, 1, 1) }
}

pub(super) fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..Default::default() }
}

/// A topic of one partition, ready to be used.
pub(super) fn one(s: &mut Session, name: &str) -> Result<Topic> {
    ready(s, name, 1, &[])
}

/// A topic, ready to be used.
pub(super) fn ready(s: &mut Session, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<Topic> {
    let name = s.topic(name);
    let configs: Vec<_> = configs.iter().map(|(name, value)| (*name, Some(*value))).collect();
    let topic = CreatableTopic { num_partitions: partitions, ..configured(&name, &configs) };
    let response = s.get(CREATE, &create(vec![topic]))?;
    let result = response.topics.first().context("no topic in the answer")?;
    ensure!(result.error_code == 0, "creating {name}: error {}", result.error_code);
    wait_ready(s, &name, partitions)?;
    Ok(Topic { name, id: result.topic_id })
}

/// Waits until every partition of `topic` is led.
pub(super) fn wait_ready(s: &mut Session, topic: &str, partitions: i32) -> Result<()> {
    s.settle(&format!("{topic} is ready"), |s| {
        let request = list_offsets(topic, &(0..partitions).map(|index| (index, -1)).collect::<Vec<_>>());
        let response = s.get(LIST_OFFSETS, &request)?;
        let mut answers = response.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(answers.all(|partition| partition.error_code == 0))
    })
}

/// Waits until no partition of `topic` is served.
pub(super) fn wait_gone(s: &mut Session, topic: &str) -> Result<()> {
    s.settle(&format!("{topic} is gone"), |s| {
        let response = s.get(LIST_OFFSETS, &list_offsets(topic, &[(0, -1)]))?;
        Ok(response.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error_code == 3))
    })
}

/// Asks for `(partition, timestamp)` of one topic.
pub(super) fn list_offsets(topic: &str, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    let partition = |&(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: partitions.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
}

/// A batch of `values` without keys; each record is a second later than the one before.
pub(super) fn values(values: &[&str]) -> BatchBuilder {
    let mut batch = BatchBuilder::new();
    for (time, value) in (TIME..).step_by(1000).zip(values) {
        batch.append(Millis(time), None, Some(value.as_bytes()));
    }
    batch
}

/// The bytes of [`values`].
pub(super) fn batch(of: &[&str]) -> Result<Bytes> {
    Ok(values(of).build()?)
}

/// One partition's records, at acks 1.
pub(super) fn produce(topic: &Topic, partition: i32, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: 1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: vec![PartitionProduceData { index: partition, records: Some(records.into()) }],
        }],
        ..Default::default()
    }
}

/// Appends `records` without showing it.
pub(super) fn appended(s: &mut Session, topic: &Topic, partition: i32, records: Bytes) -> Result<()> {
    let response = s.get(PRODUCE, &produce(topic, partition, records))?;
    let mut answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    ensure!(answers.all(|partition| partition.error_code == 0), "{response:?}");
    Ok(())
}

/// Reads one partition from `offset` on, at once, without a session.
pub(super) fn fetch(topic: &Topic, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        replica_id: -1,
        topics: vec![fetch_topic(topic, vec![fetch_partition(partition, offset)])],
        ..Default::default()
    }
}

pub(super) fn fetch_topic(topic: &Topic, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic { topic: topic.name.clone(), topic_id: topic.id, partitions }
}

pub(super) fn fetch_partition(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() }
}
