//! `DescribeQuorum`: who keeps the metadata, and how far they are.
//!
//! The offsets are the number of entries in the metadata log, for a quorum whose members all have them.

use ottla_controller::MetadataImage;
use ottla_types::{BrokerId, ErrorCode, Uuid};
use ottla_wire::messages::{
    describe_quorum_request::{DescribeQuorumRequest, TopicData as AskedTopic},
    describe_quorum_response::{
        DescribeQuorumResponse, Listener, Node as QuorumNode, PartitionData, ReplicaState, TopicData,
    },
};

use crate::{net::Answer, node::Node, service::ReplyTo};

/// What clients call the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(crate) fn handle(node: &Node, reply: &ReplyTo, request: DescribeQuorumRequest) -> Answer {
    let asked = request.topics.as_slice();
    let is_metadata = matches!(asked, [topic] if is_metadata(topic));
    let image = node.quorum.image();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| match is_metadata {
            true => described(node, &image),
            false => unknown(partition.partition_index),
        });
        TopicData { partitions: partitions.collect(), topic_name: topic.topic_name }
    });
    reply.now(&DescribeQuorumResponse {
        topics: topics.collect(),
        nodes: if is_metadata { nodes(node, &image) } else { Vec::new() },
        ..DescribeQuorumResponse::default()
    })
}

/// The metadata log has one partition.
fn is_metadata(topic: &AskedTopic) -> bool {
    topic.topic_name == METADATA_TOPIC && matches!(topic.partitions.as_slice(), [only] if only.partition_index == 0)
}

fn described(node: &Node, image: &MetadataImage) -> PartitionData {
    let end = i64::try_from(image.version()).unwrap_or(i64::MAX);
    let now = node.clock.now();
    let voter = |replica: BrokerId| ReplicaState {
        replica_id: replica.0,
        replica_directory_id: Uuid::ZERO,
        log_end_offset: end,
        last_fetch_timestamp: now.0,
        last_caught_up_timestamp: now.0,
    };
    PartitionData {
        leader_id: node.broker_id.0,
        leader_epoch: leader_epoch(node),
        high_watermark: end,
        current_voters: node.quorum.voters().into_iter().map(voter).collect(),
        ..PartitionData::default()
    }
}

/// The leader registers anew whenever it begins to lead, so the epoch of its registration rises with every leadership.
fn leader_epoch(node: &Node) -> i32 {
    i32::try_from(node.broker_epoch().0).unwrap_or(i32::MAX)
}

fn unknown(partition_index: i32) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some("This server does not host this topic-partition.".to_owned()),
        ..PartitionData::default()
    }
}

/// Voters are brokers, reached where clients reach them.
fn nodes(node: &Node, image: &MetadataImage) -> Vec<QuorumNode> {
    let voters = node.quorum.voters().into_iter().filter_map(|voter| image.broker(voter));
    let nodes = voters.map(|broker| {
        let listener = |endpoint: &ottla_controller::Endpoint| Listener {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
        };
        QuorumNode { node_id: broker.broker.0, listeners: broker.endpoints.iter().map(listener).collect() }
    });
    nodes.collect()
}
