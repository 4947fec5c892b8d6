//! `OffsetCommit`: what a group has read up to. Answered when it is committed in the log.

use ottla_groups::GroupRequest;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic},
    offset_commit_response::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

/// What one commit may write, bytes: it becomes one batch, and a batch must fit a segment.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// A commit's record beside its texts, bytes; more than it has.
const RECORD_BYTES: usize = 128;

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: OffsetCommitRequest) -> Answer {
    let group = request.group_id.clone();
    let asked: Vec<_> = request.topics.iter().map(positions).collect();
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.len(), partition.committed_metadata.as_ref()))
    });
    if is_too_large(&group, partitions) {
        return reply.now(&refused(asked, ErrorCode::InvalidCommitOffsetSize));
    }
    let committed = node.groups.ask(&group, GroupRequest::CommitOffsets { version: reply.version, request });
    reply.later(async move {
        reply_of!(CommitOffsets, committed.await).unwrap_or_else(|error| refused(asked, commit_code(error)))
    })
}

/// Whether a commit is more than one batch may hold; each partition with the length of its topic's name and its metadata.
pub(super) fn is_too_large<'a>(group: &str, partitions: impl Iterator<Item = (usize, Option<&'a String>)>) -> bool {
    let of_partition = |(topic, metadata): (usize, Option<&String>)| {
        RECORD_BYTES + group.len() + topic + metadata.map_or(0, String::len)
    };
    partitions.map(of_partition).sum::<usize>() > COMMIT_BYTES_MAX
}

/// What a commit is told: of one that the log has no room for, clients know by a name of its own.
pub(super) fn commit_code(error: ErrorCode) -> ErrorCode {
    if error == ErrorCode::RecordListTooLarge { ErrorCode::InvalidCommitOffsetSize } else { error }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_the_log_has_no_room_for_is_told_of_its_size() {
        assert_eq!(commit_code(ErrorCode::RecordListTooLarge), ErrorCode::InvalidCommitOffsetSize);
        assert_eq!(commit_code(ErrorCode::NotCoordinator), ErrorCode::NotCoordinator);
    }
}
