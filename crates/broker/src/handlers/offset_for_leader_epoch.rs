//! `OffsetForLeaderEpoch`: where the records of a leader end, for consumers that look for lost records.

use std::sync::Arc;

use ottla_types::{ErrorCode, LeaderEpoch, PartitionIndex};
use ottla_wire::messages::{
    offset_for_leader_epoch_request::{OffsetForLeaderEpochRequest, OffsetForLeaderPartition},
    offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult},
};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: &ReplyTo, request: &OffsetForLeaderEpochRequest) -> Answer {
    let topics = request.topics.iter().map(|topic| {
        let ends = topic.partitions.iter().map(|asked| {
            let (epoch, end_offset, error) = match end(node, &topic.topic, asked) {
                Ok((epoch, end)) => (epoch, end, ErrorCode::None),
                Err(error) => (-1, -1, error),
            };
            EpochEndOffset { error_code: error.code(), partition: asked.partition, leader_epoch: epoch, end_offset }
        });
        OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions: ends.collect() }
    });
    reply.now(&OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics: topics.collect() })
}

/// The largest epoch that is not above the one asked for, and where it ends; −1 and −1 where there is none.
fn end(node: &Node, topic: &str, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let topic = node.replicas.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition(PartitionIndex(asked.partition)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let client_epoch = LeaderEpoch(asked.current_leader_epoch);
    let log = partition.leader_log(client_epoch).map_err(|reason| ErrorCode::from(&reason))?;
    let epoch = LeaderEpoch(asked.leader_epoch);
    if epoch < LeaderEpoch::UNKNOWN {
        // Before all epochs: it ends where the first one begins.
        return Ok(log.epochs().first().map_or((-1, -1), |first| (epoch.0, first.start.0)));
    }
    let end = log.end_offset_for(epoch);
    Ok(end.map_or((-1, -1), |end| (end.epoch.0, end.end.0)))
}
