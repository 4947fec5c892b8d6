//! What cases of transactions begin with: producers with a transactional id, partitions, waiting for markers.

use anyhow::{Result, ensure};
use bytes::Bytes;
use ottla_types::{ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
    DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest, TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::others::coordinator_there;
use super::requests::{Topic, produce, values};
use crate::session::Session;

/// Newest versions of what is asked on the way.
pub(super) const INIT: i16 = 5;
const DESCRIBE: i16 = 0;
/// The newest version of clients that add partitions themselves.
pub(super) const ADD: i16 = 3;
/// The newest version of EndTxn of producers whose epoch stays.
pub(super) const END: i16 = 4;
/// The newest version of EndTxn.
pub(super) const END_BUMPING: i16 = 5;
/// The newest version of Produce of producers that add partitions themselves.
pub(super) const PRODUCE: i16 = 11;
/// The newest version of Produce.
pub(super) const PRODUCE_ADDING: i16 = 13;

/// Coordinators that are not there, or not yet.
const NOT_THERE: std::ops::RangeInclusive<i16> = 14..=16;
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// A producer with a transactional id.
#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub(super) id: String,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
}

pub(super) fn init(transactional_id: &str) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(transactional_id.to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    }
}

/// A transactional id whose coordinator is there.
pub(super) fn transactional_id(s: &mut Session, name: &str) -> Result<String> {
    coordinator_there(s, 1)?;
    let probe = init(&s.topic("probe"));
    s.settle("the coordinator has loaded", |s| Ok(!NOT_THERE.contains(&s.get(INIT, &probe)?.error_code)))?;
    Ok(s.topic(name))
}

/// A new producer.
pub(super) fn txn(s: &mut Session, name: &str) -> Result<Txn> {
    let id = transactional_id(s, name)?;
    entered(s, &id)
}

/// A producer that enters, perhaps in place of another one.
pub(super) fn entered(s: &mut Session, id: &str) -> Result<Txn> {
    let mut answer = None;
    s.settle("the producer has entered", |s| {
        let response = s.get(INIT, &init(id))?;
        let again = response.error_code == CONCURRENT_TRANSACTIONS;
        answer = Some(response);
        Ok(!again)
    })?;
    let response = answer.unwrap_or_default();
    ensure!(response.error_code == 0, "{response:?}");
    Ok(Txn { id: id.to_owned(), producer_id: response.producer_id, epoch: response.producer_epoch })
}

impl Txn {
    pub(super) fn producer(&self) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch { id: ProducerId(self.producer_id), epoch: ProducerEpoch(self.epoch) }
    }

    pub(super) fn with_epoch(&self, epoch: i16) -> Txn {
        Txn { epoch, ..self.clone() }
    }

    pub(super) fn with_producer_id(&self, producer_id: i64) -> Txn {
        Txn { producer_id, ..self.clone() }
    }

    pub(super) fn with_id(&self, id: &str) -> Txn {
        Txn { id: id.to_owned(), ..self.clone() }
    }

    /// As clients add partitions.
    pub(super) fn add(&self, topics: &[(&Topic, &[i32])]) -> AddPartitionsToTxnRequest {
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: add_topics(topics),
            ..Default::default()
        }
    }

    /// As brokers add or verify them.
    pub(super) fn part(&self, verify_only: bool, topics: &[(&Topic, &[i32])]) -> AddPartitionsToTxnTransaction {
        AddPartitionsToTxnTransaction {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            verify_only,
            topics: add_topics(topics),
        }
    }

    pub(super) fn add_offsets(&self, group: &str) -> AddOffsetsToTxnRequest {
        AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            group_id: group.to_owned(),
        }
    }

    pub(super) fn end(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        }
    }

    pub(super) fn commit_offsets(&self, group: &str, topic: &Topic, offsets: &[(i32, i64)]) -> TxnOffsetCommitRequest {
        let partition = |&(partition_index, committed_offset): &(i32, i64)| TxnOffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.to_owned(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.name.clone(),
                partitions: offsets.iter().map(partition).collect(),
            }],
            ..Default::default()
        }
    }

    /// A transactional batch.
    pub(super) fn batch(&self, sequence: i32, of: &[&str]) -> Result<Bytes> {
        Ok(values(of).transactional(true).producer(self.producer(), sequence).build()?)
    }

    pub(super) fn produce(&self, topic: &Topic, partition: i32, batch: Bytes) -> ProduceRequest {
        ProduceRequest { transactional_id: Some(self.id.clone()), acks: -1, ..produce(topic, partition, batch) }
    }

    /// Adds partitions without showing it, as a client of version 1.
    pub(super) fn added(&self, s: &mut Session, topics: &[(&Topic, &[i32])]) -> Result<()> {
        let response = s.get(ADD, &self.add(topics))?;
        let results = &response.results_by_topic_v3_and_below;
        let mut all = results.iter().flat_map(|topic| &topic.results_by_partition);
        ensure!(all.all(|partition| partition.partition_error_code == 0), "{response:?}");
        Ok(())
    }

    /// Appends without showing it, which adds the partition, too.
    pub(super) fn produced(&self, s: &mut Session, topic: &Topic, partition: i32, batch: Bytes) -> Result<()> {
        let response = s.get(PRODUCE_ADDING, &self.produce(topic, partition, batch))?;
        let mut all = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        ensure!(all.all(|partition| partition.error_code == 0), "{response:?}");
        Ok(())
    }

    /// Ends without showing it; what the producer goes on with.
    pub(super) fn ended(&self, s: &mut Session, version: i16, committed: bool) -> Result<Txn> {
        let response = s.get(version, &self.end(committed))?;
        ensure!(response.error_code == 0, "{response:?}");
        self.settled(s)?;
        Ok(if version < END_BUMPING { self.clone() } else { self.with_epoch(response.producer_epoch) })
    }

    /// Waits until the markers of the end that was decided are written.
    pub(super) fn settled(&self, s: &mut Session) -> Result<()> {
        let request = describe(&[&self.id]);
        s.settle("the markers are written", |s| {
            let response = s.get(DESCRIBE, &request)?;
            Ok(response.transaction_states.iter().all(|state| !state.transaction_state.starts_with("Prepare")))
        })
    }
}

fn add_topics(topics: &[(&Topic, &[i32])]) -> Vec<AddPartitionsToTxnTopic> {
    let of = |(topic, partitions): &(&Topic, &[i32])| AddPartitionsToTxnTopic {
        name: topic.name.clone(),
        partitions: partitions.to_vec(),
    };
    topics.iter().map(of).collect()
}

pub(super) fn describe(ids: &[&str]) -> DescribeTransactionsRequest {
    DescribeTransactionsRequest { transactional_ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}
