//! `OffsetCommit`: what a group has read up to. Answered when it is committed in the log.

use ottla_groups::GroupRequest;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic},
    offset_commit_response::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: OffsetCommitRequest) -> Answer {
    let group = request.group_id.clone();
    let asked: Vec<_> = request.topics.iter().map(positions).collect();
    let committed = node.groups.ask(&group, GroupRequest::CommitOffsets { version: reply.version, request });
    reply.later(async move { reply_of!(CommitOffsets, committed.await).unwrap_or_else(|error| refused(asked, error)) })
}

/// The response's outline, filled in where there is no answer.
fn positions(topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::None.code(),
    });
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions: partitions.collect() }
}

fn refused(mut topics: Vec<OffsetCommitResponseTopic>, error: ErrorCode) -> OffsetCommitResponse {
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = error.code();
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}
