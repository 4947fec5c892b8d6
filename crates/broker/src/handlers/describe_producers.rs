//! `DescribeProducers`: who writes to a partition, and in which transaction.
//!
//! Invariant: a partition is described once, however often it is asked for.

use std::{collections::HashSet, sync::Arc};

use ottla_log::ProducerView;
use ottla_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicName};
use ottla_wire::messages::{
    describe_producers_request::{DescribeProducersRequest, TopicRequest},
    describe_producers_response::{DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse},
};

use crate::{net::Answer, node::Node, replicas::Topic, service::ReplyTo};

/// A partition that is not described: the code, and what else is to be said.
type Refusal = (ErrorCode, Option<String>);

pub(crate) fn handle(node: &Node, reply: &ReplyTo, request: &DescribeProducersRequest) -> Answer {
    // A partition with many producers must not be multiplied by naming it many times.
    let mut seen = HashSet::new();
    let topics = request.topics.iter().map(|asked| describe_topic(node, asked, &mut seen)).collect();
    reply.now(&DescribeProducersResponse { throttle_time_ms: 0, topics })
}

fn describe_topic<'a>(node: &Node, asked: &'a TopicRequest, seen: &mut HashSet<(&'a str, i32)>) -> TopicResponse {
    let topic = hosted(node, &asked.name);
    let news = asked.partition_indexes.iter().filter(|index| seen.insert((&asked.name, **index)));
    let partitions = news.map(|index| {
        let producers = topic.as_ref().map_err(Clone::clone).and_then(|topic| producers(topic, *index));
        partition_response(*index, producers)
    });
    TopicResponse { partitions: partitions.collect(), name: asked.name.clone() }
}

fn hosted(node: &Node, name: &str) -> Result<Arc<Topic>, Refusal> {
    TopicName::new(name)
        .map_err(|error| (ErrorCode::InvalidTopicException, Some(format!("Topic name is invalid: {error}"))))?;
    let unknown =
        || (ErrorCode::UnknownTopicOrPartition, Some("This server does not host this topic-partition.".to_owned()));
    node.replicas.by_name(name).ok_or_else(unknown)
}

fn producers(topic: &Topic, index: i32) -> Result<Vec<ProducerView>, Refusal> {
    let partition = topic.partition(PartitionIndex(index)).ok_or((ErrorCode::UnknownTopicOrPartition, None))?;
    let log = partition.leader_log(LeaderEpoch::UNKNOWN).map_err(|reason| (ErrorCode::from(&reason), None))?;
    let mut producers = log.producers();
    producers.sort_by_key(|producer| producer.producer.id);
    Ok(producers)
}

fn partition_response(partition_index: i32, producers: Result<Vec<ProducerView>, Refusal>) -> PartitionResponse {
    match producers {
        Ok(producers) => PartitionResponse {
            partition_index,
            error_code: ErrorCode::None.code(),
            error_message: None,
            active_producers: producers.iter().map(state).collect(),
        },
        Err((error, error_message)) => {
            PartitionResponse { partition_index, error_code: error.code(), error_message, active_producers: Vec::new() }
        }
    }
}

fn state(view: &ProducerView) -> ProducerState {
    ProducerState {
        producer_id: view.producer.id.0,
        producer_epoch: i32::from(view.producer.epoch.0),
        last_sequence: view.last_sequence,
        last_timestamp: view.last_timestamp.0,
        coordinator_epoch: view.coordinator_epoch,
        current_txn_start_offset: view.transaction_start.map_or(-1, |start| start.0),
    }
}
