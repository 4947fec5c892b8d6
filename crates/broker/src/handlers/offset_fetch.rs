//! `OffsetFetch`: what groups have read up to. One group until version 7, several since.

use ottla_groups::GroupRequest;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    offset_fetch_response::{
        OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

/// Version from which several groups are asked for at once.
const MANY_FROM: i16 = 8;

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: OffsetFetchRequest) -> Answer {
    let version = reply.version;
    let require_stable = request.require_stable;
    let groups = if version < MANY_FROM { vec![only_group(request)] } else { request.groups };
    let asked: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let outline = group.clone();
            let ask = GroupRequest::FetchOffsets { version, require_stable, group };
            let asked = node.groups.ask(&outline.group_id, ask);
            (outline, asked)
        })
        .collect();
    reply.later(async move {
        let mut groups = Vec::new();
        for (outline, asked) in asked {
            groups.push(reply_of!(FetchOffsets, asked.await).unwrap_or_else(|error| refused(version, outline, error)));
        }
        if version < MANY_FROM {
            only_response(groups)
        } else {
            OffsetFetchResponse { groups, ..OffsetFetchResponse::default() }
        }
    })
}

fn only_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            })
            .collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() }
}

/// Version 1 has no place for an error but beside each partition.
fn refused(version: i16, group: OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    let topics = group.topics.unwrap_or_default().into_iter().filter(|_| version < 2).map(|topic| {
        let partitions = topic.partition_indexes.into_iter().map(|partition_index| OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: -1,
            metadata: Some(String::new()),
            error_code: error.code(),
            ..OffsetFetchResponsePartitions::default()
        });
        OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
    });
    OffsetFetchResponseGroup { group_id: group.group_id, topics: topics.collect(), error_code: error.code() }
}

fn only_response(mut groups: Vec<OffsetFetchResponseGroup>) -> OffsetFetchResponse {
    let Some(group) = groups.pop() else { return OffsetFetchResponse::default() };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..OffsetFetchResponse::default() }
}
