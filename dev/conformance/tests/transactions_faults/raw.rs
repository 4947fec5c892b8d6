//! One transactional id whose every request is sent by hand, in either version of the protocol, and told as a history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ottla_conformance::crew::Story;
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_records::BatchBuilder;
use ottla_types::{ErrorCode, Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use ottla_wire::messages::add_partitions_to_txn_request::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_wire::messages::end_txn_request::EndTxnRequest;
use ottla_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_wire::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// Coordinators of groups and of transactions; Kafka makes their topics when one is asked for.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const FIND_COORDINATOR: i16 = 4;
const ADD_PARTITIONS: i16 = 3;
const ADD_OFFSETS: i16 = 3;
const WRITE_MARKERS: i16 = 1;
/// Longer than the slowest start of a broker.
const TIMEOUT_MS: i32 = 300_000;

/// See the file's head.
pub(crate) struct Transactional {
    pub(crate) raw: Raw,
    pub(crate) version: Version,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) producer: (i64, i16),
    story: Arc<Story>,
    bootstrap: String,
    sequences: BTreeMap<i32, i32>,
    sent: usize,
}

impl Transactional {
    /// With its first producer id.
    pub(crate) fn new(bootstrap: &str, story: &Arc<Story>, version: Version, topic: &str) -> Result<Transactional> {
        let mut it = Transactional {
            raw: Raw::connect(bootstrap)?,
            version,
            name: format!("raw-{version:?}").to_lowercase(),
            id: format!("{topic}-raw"),
            topic: topic.to_owned(),
            group: format!("{topic}-group"),
            producer: (-1, -1),
            story: story.clone(),
            bootstrap: bootstrap.to_owned(),
            sequences: BTreeMap::new(),
            sent: 0,
        };
        it.init()?;
        Ok(it)
    }

    /// A new connection, where the broker was started again.
    pub(crate) fn reconnect(&mut self) -> Result<()> {
        self.raw = Raw::connect(&self.bootstrap)?;
        Ok(())
    }

    pub(crate) fn say(&self, event: &str) {
        self.story.say(&self.name, event);
    }

    /// InitProducerId as a client asks that has just started.
    pub(crate) fn init(&mut self) -> Result<()> {
        self.init_after((-1, -1))
    }

    /// InitProducerId of a client that has a producer id and wants the next epoch.
    pub(crate) fn init_after(&mut self, (producer_id, producer_epoch): (i64, i16)) -> Result<()> {
        let find = |key_type, key: &String| FindCoordinatorRequest {
            key_type,
            coordinator_keys: vec![key.clone()],
            ..FindCoordinatorRequest::default()
        };
        let finds = [find(TRANSACTION, &self.id), find(GROUP, &self.group)];
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id,
            producer_epoch,
        };
        let version = self.of(4, 5);
        let mut got = (-1, -1);
        self.settled("a producer id", |it| {
            for find in &finds {
                it.raw.ask(FIND_COORDINATOR, find)?;
            }
            let answer = it.raw.ask(version, &request)?;
            got = (answer.producer_id, answer.producer_epoch);
            Ok(answer.error_code)
        })?;
        self.became(got);
        Ok(())
    }

    /// Adds a partition, where the protocol wants that, and sends one record.
    pub(crate) fn send(&mut self, partition: i32) -> Result<()> {
        if self.version == Version::One {
            self.enter(partition)?;
        }
        self.write(partition)
    }

    /// Adds a partition.
    pub(crate) fn enter(&mut self, partition: i32) -> Result<()> {
        self.settled("a partition to be added", |it| it.add_partition(partition))
    }

    /// Sends one record, in a partition that was added where the protocol wants that.
    pub(crate) fn write(&mut self, partition: i32) -> Result<()> {
        let value = format!("{}.{}", self.name, self.sent);
        let key = format!("{}/{partition}", self.topic);
        self.sent += 1;
        self.say(&format!("send {key} {value}"));
        let sequence = self.sequences.get(&partition).copied().unwrap_or(0);
        let mut offset = -1;
        self.settled("a record to be taken", |it| {
            let (error, at) = it.produce(partition, &value, it.producer, sequence)?;
            offset = at;
            Ok(error)
        })?;
        *self.sequences.entry(partition).or_default() += 1;
        self.say(&format!("acked {key} {value} @{offset}"));
        Ok(())
    }

    pub(crate) fn add_partition(&mut self, partition: i32) -> Result<i16> {
        let topic = AddPartitionsToTxnTopic { name: self.topic.clone(), partitions: vec![partition] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer.0,
            v3_and_below_producer_epoch: self.producer.1,
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = self.raw.ask(ADD_PARTITIONS, &request)?;
        let mut results = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
        Ok(results.next().context("no partition in the answer")?.partition_error_code)
    }

    /// One record of a producer's epoch: error and offset.
    pub(crate) fn produce(&mut self, partition: i32, value: &str, by: (i64, i16), sequence: i32) -> Result<(i16, i64)> {
        let producer = ProducerIdAndEpoch { id: ProducerId(by.0), epoch: ProducerEpoch(by.1) };
        let mut batch = BatchBuilder::new().producer(producer, sequence).transactional(true);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        batch.append(Millis(now.as_millis() as i64), None, Some(value.as_bytes()));
        let records = Some(batch.build()?.into());
        let partition_data = vec![PartitionProduceData { index: partition, records }];
        let data = TopicProduceData { name: self.topic.clone(), partition_data, ..TopicProduceData::default() };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![data],
        };
        let answer = self.raw.ask(self.of(11, 12), &request)?;
        let found = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let found = found.context("no partition in the answer")?;
        Ok((found.error_code, found.base_offset))
    }

    /// Adds the group, where the protocol wants that, and commits an offset of it in the transaction.
    pub(crate) fn offset(&mut self, offset: i64) -> Result<()> {
        if self.version == Version::One {
            self.enter_group()?;
        }
        self.write_offset(offset)
    }

    /// Adds the group.
    pub(crate) fn enter_group(&mut self) -> Result<()> {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            group_id: self.group.clone(),
        };
        self.settled("a group to be added", |it| Ok(it.raw.ask(ADD_OFFSETS, &request)?.error_code))
    }

    /// Commits an offset of the group, which was added where the protocol wants that.
    pub(crate) fn write_offset(&mut self, offset: i64) -> Result<()> {
        self.say(&format!("offsets {} {}/0={offset}", self.group, self.topic));
        self.settled("an offset to be taken", |it| it.txn_offset_commit(offset, it.producer))
    }

    /// TxnOffsetCommit of partition 0 of the topic, for a producer's epoch.
    pub(crate) fn txn_offset_commit(&mut self, offset: i64, by: (i64, i16)) -> Result<i16> {
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset: offset,
            committed_leader_epoch: -1,
            ..TxnOffsetCommitRequestPartition::default()
        };
        let topics = vec![TxnOffsetCommitRequestTopic { name: self.topic.clone(), partitions: vec![partition] }];
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: self.group.clone(),
            producer_id: by.0,
            producer_epoch: by.1,
            generation_id: -1,
            topics,
            ..TxnOffsetCommitRequest::default()
        };
        let answer = self.raw.ask(self.of(3, 5), &request)?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first());
        Ok(found.context("no partition in the answer")?.error_code)
    }

    /// Ends the transaction and takes the producer's next epoch; asked again while that makes sense.
    pub(crate) fn end(&mut self, commits: bool) -> Result<()> {
        if commits {
            self.say("commit");
        }
        self.end_told(commits)
    }

    /// [`end`](Transactional::end) of a transaction whose commit was asked for before.
    pub(crate) fn end_told(&mut self, commits: bool) -> Result<()> {
        let mut next = self.producer;
        self.settled("the transaction to end", |it| {
            let (error, producer) = it.end_txn(commits, it.producer)?;
            next = producer;
            Ok(error)
        })?;
        self.say(if commits { "ok" } else { "fail" });
        if self.version == Version::Two {
            self.became(next);
        }
        Ok(())
    }

    /// EndTxn of a producer's epoch: error, and the producer that the answer names.
    pub(crate) fn end_txn(&mut self, commits: bool, by: (i64, i16)) -> Result<(i16, (i64, i16))> {
        let request = self.end_txn_request(commits, by);
        let answer = self.raw.ask(self.of(4, 5), &request)?;
        Ok((answer.error_code, (answer.producer_id, answer.producer_epoch)))
    }

    /// EndTxn whose answer is not waited for.
    pub(crate) fn send_end_txn(&mut self, commits: bool) -> Result<()> {
        let request = self.end_txn_request(commits, self.producer);
        self.raw.send(self.of(4, 5), &request)
    }

    fn end_txn_request(&self, committed: bool, (producer_id, producer_epoch): (i64, i16)) -> EndTxnRequest {
        EndTxnRequest { transactional_id: self.id.clone(), producer_id, producer_epoch, committed }
    }

    /// A marker as a coordinator writes it, of partition 0.
    pub(crate) fn marker(&mut self, commits: bool, by: (i64, i16), coordinator_epoch: i32) -> Result<i16> {
        let topics = vec![WritableTxnMarkerTopic { name: self.topic.clone(), partition_indexes: vec![0] }];
        let marker = WritableTxnMarker {
            producer_id: by.0,
            producer_epoch: by.1,
            transaction_result: commits,
            topics,
            coordinator_epoch,
            ..WritableTxnMarker::default()
        };
        let version = WRITE_MARKERS + i16::from(self.version == Version::Two);
        let transaction_version = if self.version == Version::Two { 2 } else { 0 };
        let marker = WritableTxnMarker { transaction_version, ..marker };
        let answer = self.raw.ask(version, &WriteTxnMarkersRequest { markers: vec![marker] })?;
        let partitions = answer.markers.iter().flat_map(|it| &it.topics).flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.error_code).next().context("no partition in the answer")
    }

    fn became(&mut self, producer: (i64, i16)) {
        if producer != self.producer {
            self.producer = producer;
            self.sequences.clear();
        }
    }

    fn of(&self, one: i16, two: i16) -> i16 {
        if self.version == Version::One { one } else { two }
    }

    /// Asks until the answer is good; errors that pass are waited out.
    fn settled(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Result<i16>) -> Result<()> {
        let error = self.answered(what, &mut ask)?;
        ensure!(error == 0, "{what}: error {error}");
        Ok(())
    }

    /// Asks until the answer is not that the broker is still busy or on its way.
    pub(crate) fn answered(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Result<i16>) -> Result<i16> {
        let mut last = 0;
        let early = [
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::NotCoordinator,
            ErrorCode::ConcurrentTransactions,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::NotLeaderOrFollower,
            // Kafka, where it could not ask the coordinator whether the transaction is there.
            ErrorCode::NotEnoughReplicas,
        ];
        let answered = || {
            last = ask(self)?;
            Ok(!early.iter().any(|early| early.code() == last))
        };
        wait(what, answered, || "the broker is not ready".to_owned())?;
        Ok(last)
    }
}
