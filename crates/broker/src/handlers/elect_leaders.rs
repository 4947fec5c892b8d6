//! `ElectLeaders`: elections that an operator asks for, of listed partitions or of all.

use std::{collections::BTreeMap, sync::Arc};

use ottla_controller::{ElectLeaderError, ElectLeaders, ElectionKind, ElectionResult, MetadataImage};
use ottla_quorum::SubmitError;
use ottla_types::{ErrorCode, PartitionIndex};
use ottla_wire::messages::{
    elect_leaders_request::{ElectLeadersRequest, TopicPartitions},
    elect_leaders_response::{ElectLeadersResponse, PartitionResult, ReplicaElectionResult},
};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: ElectLeadersRequest) -> Answer {
    let kind = match request.election_type {
        0 => ElectionKind::Preferred,
        1 => ElectionKind::Unclean,
        other => {
            let message = format!("Unknown election type {other}");
            return reply.now(&refused(request.topic_partitions, ErrorCode::InvalidRequest, &message));
        }
    };
    let node = Arc::clone(node);
    reply.exclusive(async move { elect(&node, kind, request.topic_partitions).await })
}

async fn elect(node: &Node, kind: ElectionKind, asked: Option<Vec<TopicPartitions>>) -> ElectLeadersResponse {
    let listed = |asked: &Vec<TopicPartitions>| {
        let topic = |asked: &TopicPartitions| {
            (asked.topic.clone(), asked.partitions.iter().copied().map(PartitionIndex).collect())
        };
        asked.iter().map(topic).collect()
    };
    let outcome = node.quorum.submit(ElectLeaders { kind, partitions: asked.as_ref().map(listed) }).await;
    let replica_election_results = match (outcome, asked) {
        (Err(error), asked) => return unheard(asked, error),
        (Ok(results), Some(asked)) => in_request_order(asked, results),
        (Ok(results), None) => by_topic(&node.quorum.image(), results),
    };
    ElectLeadersResponse { replica_election_results, ..ElectLeadersResponse::default() }
}

/// The results of listed partitions, which come in the order asked.
fn in_request_order(asked: Vec<TopicPartitions>, results: Vec<ElectionResult>) -> Vec<ReplicaElectionResult> {
    let mut results = results.into_iter();
    let topics = asked.into_iter().map(|topic| ReplicaElectionResult {
        partition_result: results.by_ref().take(topic.partitions.len()).map(partition_result).collect(),
        topic: topic.topic,
    });
    topics.collect()
}

/// The results of an election of all partitions: all topics, those without a result too.
fn by_topic(image: &MetadataImage, results: Vec<ElectionResult>) -> Vec<ReplicaElectionResult> {
    let mut topics: BTreeMap<String, Vec<PartitionResult>> =
        image.topics().map(|topic| (topic.name.to_string(), Vec::new())).collect();
    for result in results {
        topics.entry(result.topic.clone()).or_default().push(partition_result(result));
    }
    let topic = |(topic, partition_result)| ReplicaElectionResult { topic, partition_result };
    topics.into_iter().map(topic).collect()
}

fn partition_result(result: ElectionResult) -> PartitionResult {
    let error = result.result.as_ref().err();
    PartitionResult {
        partition_id: result.partition.0,
        error_code: error.map_or(ErrorCode::None, ElectLeaderError::code).code(),
        error_message: error.map(ToString::to_string),
    }
}

fn unheard(asked: Option<Vec<TopicPartitions>>, error: SubmitError) -> ElectLeadersResponse {
    refused(asked, error.code(), &error.to_string())
}

fn refused(asked: Option<Vec<TopicPartitions>>, error: ErrorCode, message: &str) -> ElectLeadersResponse {
    let partition = |partition_id| PartitionResult {
        partition_id,
        error_code: error.code(),
        error_message: Some(message.to_owned()),
    };
    let topic = |asked: TopicPartitions| ReplicaElectionResult {
        topic: asked.topic,
        partition_result: asked.partitions.into_iter().map(partition).collect(),
    };
    ElectLeadersResponse {
        error_code: error.code(),
        replica_election_results: asked.unwrap_or_default().into_iter().map(topic).collect(),
        ..ElectLeadersResponse::default()
    }
}
