//! `CreatePartitions`: topics grow; the answer comes when the new partitions are there.

use std::sync::Arc;

use ottla_controller::{CreatePartitions, CreatePartitionsError, NewPartitions};
use ottla_types::{BrokerId, ErrorCode};
use ottla_wire::messages::{
    create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic},
    create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult},
};

use crate::{net::Answer, node::Node, random, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: CreatePartitionsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let asked = CreatePartitions {
            topics: request.topics.iter().map(new_partitions).collect(),
            validate_only: request.validate_only,
            placement_start: random::number(),
        };
        let results = match node.quorum.submit(asked).await {
            Ok(results) => results.into_iter().map(|(name, result)| outcome(name, result)).collect(),
            Err(error) => {
                let message = error.to_string();
                let unheard = |topic: CreatePartitionsTopic| refused(topic.name, error.code(), Some(message.clone()));
                request.topics.into_iter().map(unheard).collect()
            }
        };
        CreatePartitionsResponse { throttle_time_ms: 0, results }
    })
}

fn new_partitions(asked: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = asked.assignments.as_ref().map(|assignments| {
        let replicas = assignments.iter().map(|partition| partition.broker_ids.iter().copied().map(BrokerId).collect());
        replicas.collect()
    });
    NewPartitions { name: asked.name.clone(), count: asked.count, assignments }
}

fn outcome(name: String, result: Result<(), CreatePartitionsError>) -> CreatePartitionsTopicResult {
    match result {
        Ok(()) => refused(name, ErrorCode::None, None),
        // The code says it all, and Kafka says no more.
        Err(error @ CreatePartitionsError::UnknownTopic) => refused(name, error.code(), None),
        Err(error) => refused(name, error.code(), Some(error.to_string())),
    }
}

fn refused(name: String, error: ErrorCode, error_message: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult { name, error_code: error.code(), error_message }
}
