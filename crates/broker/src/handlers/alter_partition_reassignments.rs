//! `AlterPartitionReassignments`: replicas do not move between brokers yet, so partitions are given the replicas that they have, or
//! nothing. Tools ask for that on the way to a move between log directories.

use std::sync::Arc;

use ottla_controller::{MetadataImage, check_replicas};
use ottla_types::{BrokerId, ErrorCode, PartitionIndex};
use ottla_wire::messages::{
    alter_partition_reassignments_request::{AlterPartitionReassignmentsRequest, ReassignablePartition},
    alter_partition_reassignments_response::{
        AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
    },
};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: &ReplyTo, request: AlterPartitionReassignmentsRequest) -> Answer {
    let image = node.quorum.image();
    // As Kafka answers it.
    let error_message = request.topics.is_empty().then(String::new);
    let responses = request.topics.into_iter().map(|topic| ReassignableTopicResponse {
        partitions: topic.partitions.into_iter().map(|asked| respond(&image, &topic.name, asked)).collect(),
        name: topic.name,
    });
    reply.now(&AlterPartitionReassignmentsResponse {
        throttle_time_ms: 0,
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_code: ErrorCode::None.code(),
        error_message,
        responses: responses.collect(),
    })
}

fn respond(image: &MetadataImage, topic: &str, asked: ReassignablePartition) -> ReassignablePartitionResponse {
    let partition_index = asked.partition_index;
    let (error, error_message) = match reassign(image, topic, asked) {
        Ok(()) => (ErrorCode::None, None),
        Err((error, message)) => (error, message),
    };
    ReassignablePartitionResponse { partition_index, error_code: error.code(), error_message }
}

fn reassign(
    image: &MetadataImage,
    topic: &str,
    asked: ReassignablePartition,
) -> Result<(), (ErrorCode, Option<String>)> {
    let unknown = |what: String| (ErrorCode::UnknownTopicOrPartition, Some(what));
    let partitions = image.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let index = PartitionIndex(asked.partition_index);
    let partition = partitions.partition(index);
    let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = asked.replicas else {
        return Err((ErrorCode::NoReassignmentInProgress, None));
    };
    let replicas: Vec<_> = replicas.into_iter().map(BrokerId).collect();
    let invalid = |why: String| (ErrorCode::InvalidReplicaAssignment, Some(why));
    check_replicas(image, index, &replicas, None).map_err(|error| invalid(error.to_string()))?;
    if replicas != partition.replicas {
        return Err(invalid("Replicas are not moved between brokers yet.".to_owned()));
    }
    Ok(())
}
