//! `DescribeTopicPartitions`: topics with their partitions, page by page.
//!
//! Invariants: topics come in the order of their names; a page holds at most as many partitions as the client and the
//! broker allow, and at least one; following the cursor shows every partition once.

use std::{collections::BTreeSet, sync::Arc};

use ottla_controller::{MetadataImage, PartitionState, TopicImage};
use ottla_types::{BrokerId, ErrorCode, PartitionIndex, TopicName};
use ottla_wire::messages::{
    describe_topic_partitions_request::{Cursor, DescribeTopicPartitionsRequest},
    describe_topic_partitions_response::{
        Cursor as NextCursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
        DescribeTopicPartitionsResponseTopic,
    },
};

use crate::{net::Answer, node::Node, operations, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: &ReplyTo, request: DescribeTopicPartitionsRequest) -> Answer {
    let limit_max = node.settings.network.max_request_partition_size_limit;
    reply.now(&describe(&node.quorum.image(), limit_max, request))
}

fn describe(
    image: &MetadataImage,
    limit_max: i32,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    if !is_cursor_valid(&request) {
        let refused = request.topics.into_iter().map(|topic| DescribeTopicPartitionsResponseTopic {
            topic_authorized_operations: operations::NOT_ASKED,
            ..failed(topic.name, ErrorCode::InvalidRequest)
        });
        return DescribeTopicPartitionsResponse { topics: refused.collect(), ..Default::default() };
    }
    let limit = usize::try_from(request.response_partition_limit.min(limit_max)).unwrap_or(0).max(1);
    let mut page = Page { room: limit, cursor: request.cursor, topics: Vec::new(), next: None };
    let start = page.cursor.as_ref().map_or(String::new(), |cursor| cursor.topic_name.clone());
    if request.topics.is_empty() {
        image.topics_from(&start).take_while(|topic| page.add(image, topic)).for_each(drop);
    } else {
        let names: BTreeSet<_> = request.topics.into_iter().map(|topic| topic.name).collect();
        names.range(start..).take_while(|name| page.add_named(image, name)).for_each(drop);
    }
    DescribeTopicPartitionsResponse { topics: page.topics, next_cursor: page.next, ..Default::default() }
}

/// A cursor stands on one of the topics asked for.
fn is_cursor_valid(request: &DescribeTopicPartitionsRequest) -> bool {
    request.cursor.as_ref().is_none_or(|cursor| {
        let among = request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
        among && cursor.partition_index >= 0
    })
}

/// An answer in the making.
struct Page {
    /// Partitions that still fit.
    room: usize,
    cursor: Option<Cursor>,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<NextCursor>,
}

impl Page {
    /// Adds a topic that may not be there; whether another one fits.
    fn add_named(&mut self, image: &MetadataImage, name: &str) -> bool {
        if let Some(topic) = image.topic(name) {
            return self.add(image, topic);
        }
        if self.room == 0 {
            return self.ends_before(name, 0);
        }
        let legal = TopicName::new(name).is_ok();
        let error = if legal { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
        self.topics.push(failed(name.to_owned(), error));
        true
    }

    /// Adds what fits of a topic; whether all did.
    fn add(&mut self, image: &MetadataImage, topic: &Arc<TopicImage>) -> bool {
        let name = topic.name.as_str();
        if self.room == 0 {
            return self.ends_before(name, 0);
        }
        let first = match &self.cursor {
            Some(cursor) if cursor.topic_name == name => cursor.partition_index,
            _ => 0,
        };
        let left = topic.partitions.iter().filter(|(index, _)| index.0 >= first);
        let partitions: Vec<_> = left.take(self.room).map(|(index, state)| partition(image, *index, state)).collect();
        self.room -= partitions.len();
        let next = first.saturating_add(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(name.to_owned()),
            topic_id: topic.id,
            is_internal: operations::is_internal_topic(name),
            partitions,
            topic_authorized_operations: operations::TOPIC,
        });
        topic.partition(PartitionIndex(next)).is_none() || self.ends_before(name, next)
    }

    fn ends_before(&mut self, topic: &str, partition_index: i32) -> bool {
        self.next = Some(NextCursor { topic_name: topic.to_owned(), partition_index });
        false
    }
}

fn failed(name: String, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        is_internal: operations::is_internal_topic(&name),
        name: Some(name),
        topic_authorized_operations: operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn partition(
    image: &MetadataImage,
    index: PartitionIndex,
    state: &PartitionState,
) -> DescribeTopicPartitionsResponsePartition {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
    let offline = state.replicas.iter().filter(|replica| !image.is_replica_online(state, **replica));
    DescribeTopicPartitionsResponsePartition {
        error_code: if state.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable }.code(),
        partition_index: index.0,
        leader_id: state.leader.map_or(-1, |leader| leader.0),
        leader_epoch: state.leader_epoch.0,
        replica_nodes: ids(&state.replicas),
        isr_nodes: ids(&state.isr),
        eligible_leader_replicas: Some(ids(&state.elr)),
        last_known_elr: Some(ids(&state.last_known_elr)),
        offline_replicas: offline.map(|replica| replica.0).collect(),
    }
}

#[cfg(test)]
mod tests;
