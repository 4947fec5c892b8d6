//! A broker, connections that ask one question at a time, and the requests that most tests begin with.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use ottla_records::BatchBuilder;
use ottla_testkit::{BrokerProcess, Wire};
use ottla_types::{Millis, Uuid};
use ottla_wire::{
    ApiRequest, Message, frame,
    messages::{
        ApiVersionsRequest, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, FetchRequest,
        ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, PartitionProduceData, ProduceRequest,
        TopicProduceData,
        fetch_request::{FetchPartition, FetchTopic},
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
    },
};
use tempfile::TempDir;

/// Number of the type of resource that a broker is.
pub(crate) const BROKER: i8 = 4;
/// What takes longer does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Newest versions of what is asked on the way.
const CREATE: i16 = 7;
pub(crate) const PRODUCE: i16 = 13;
pub(crate) const FETCH: i16 = 18;

/// A broker in `dir`.
pub(crate) fn start(dir: &TempDir, settings: &[&str]) -> BrokerProcess {
    let arguments: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    BrokerProcess::start(Path::new(env!("CARGO_BIN_EXE_ottla")), &dir.path().join("data"), &arguments).unwrap()
}

/// A connection.
pub(crate) struct Asking {
    pub(crate) wire: Wire,
    correlation_id: i32,
}

impl Asking {
    pub(crate) fn of(broker: &BrokerProcess) -> Self {
        Self::over(Wire::connect(broker.address()).unwrap())
    }

    pub(crate) fn over(wire: Wire) -> Self {
        Self { wire, correlation_id: 0 }
    }

    /// Asks and takes the answer.
    pub(crate) fn ask<M: ApiRequest>(&mut self, version: i16, request: &M) -> M::Response {
        self.tell(version, request);
        self.hear::<M>(version)
    }

    /// Asks and takes no answer.
    pub(crate) fn tell<M: ApiRequest>(&mut self, version: i16, request: &M) {
        self.correlation_id += 1;
        let frame = frame::encode_request(version, self.correlation_id, Some("asking"), request).unwrap();
        self.wire.send_bytes(&frame.read().unwrap()).unwrap();
    }

    /// The answer to the last question.
    pub(crate) fn hear<M: ApiRequest>(&mut self, version: i16) -> M::Response {
        let frame = self.wire.read_frame(PATIENCE).unwrap().expect("closed");
        let (correlation_id, mut reader) = frame::parse_response(M::API, version, frame.into()).unwrap();
        assert_eq!(correlation_id, self.correlation_id, "an answer to another question");
        M::Response::decode(&mut reader, version).unwrap()
    }

    /// Whether anything is answered.
    pub(crate) fn is_served(&mut self) -> bool {
        self.ask(0, &ApiVersionsRequest::default()).error_code == 0
    }

    /// Makes a topic of one partition.
    pub(crate) fn create(&mut self, name: &str, configs: &[(&str, &str)]) -> Topic {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
        let result = self.ask(CREATE, &request).topics.remove(0);
        assert_eq!(result.error_code, 0, "{result:?}");
        Topic { name: name.to_owned(), id: result.topic_id }
    }

    /// Sets one configuration of a resource.
    pub(crate) fn set(&mut self, resource_type: i8, resource: &str, key: &str, value: &str) {
        let config = AlterableConfig { name: key.to_owned(), config_operation: 0, value: Some(value.to_owned()) };
        let resource_name = resource.to_owned();
        let resources = vec![AlterConfigsResource { resource_type, resource_name, configs: vec![config] }];
        let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
        let answer = self.ask(1, &request).responses.remove(0);
        assert_eq!(answer.error_code, 0, "{answer:?}");
    }

    /// The offset behind the last record.
    pub(crate) fn end_of(&mut self, topic: &Topic) -> i64 {
        let partition = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..ListOffsetsPartition::default() };
        let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let partition = self.ask(6, &request).topics.remove(0).partitions.remove(0);
        assert_eq!(partition.error_code, 0, "{partition:?}");
        partition.offset
    }
}

/// A topic that was made.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

/// One record.
pub(crate) fn record(value: &[u8]) -> Bytes {
    let mut batch = BatchBuilder::new();
    batch.append(Millis(1_700_000_000_000), None, Some(value));
    batch.build().unwrap()
}

pub(crate) fn produce(topic: &Topic, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index: partition, records: Some(records.into()) }];
    let topic_data = vec![TopicProduceData { name: topic.name.clone(), topic_id: topic.id, partition_data }];
    ProduceRequest { acks, timeout_ms: 10_000, topic_data, ..ProduceRequest::default() }
}

/// Reads the partition from its first record on, at once.
pub(crate) fn fetch(topic: &Topic) -> FetchRequest {
    let partition = FetchPartition { partition: 0, partition_max_bytes: i32::MAX, ..FetchPartition::default() };
    let topics = vec![FetchTopic { topic: topic.name.clone(), topic_id: topic.id, partitions: vec![partition] }];
    FetchRequest { replica_id: -1, topics, ..FetchRequest::default() }
}
