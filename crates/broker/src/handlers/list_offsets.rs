//! `ListOffsets`: the ends of a partition, and offsets by time.
//!
//! Invariant: no offset at or above what the caller may read (high watermark, or last stable offset for readers of
//! committed records) is named.

use std::sync::Arc;

use ottla_log::{Log, LookupError, TimestampOffset};
use ottla_types::{ErrorCode, LeaderEpoch, Millis, Offset, PartitionIndex};
use ottla_wire::messages::{
    list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest},
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse},
};

use crate::{net::Answer, node::Node, service::ReplyTo};

/// `isolation_level` of readers that want committed records only.
const READ_COMMITTED: i8 = 1;

// Timestamps that ask for a place instead of a time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// A partition's answer before it is put into words; no offset where nothing fits.
type Found = Result<Option<TimestampOffset>, ErrorCode>;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: &ListOffsetsRequest) -> Answer {
    let committed_only = request.isolation_level == READ_COMMITTED;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let twice = topic.partitions.iter().filter(|other| other.partition_index == partition.partition_index);
            let found = match twice.count() {
                1 => look(node, &topic.name, partition, committed_only, reply.version),
                _ => Err(ErrorCode::InvalidRequest),
            };
            response(partition.partition_index, found)
        });
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    reply.now(&ListOffsetsResponse { throttle_time_ms: 0, topics: topics.collect() })
}

fn look(node: &Node, topic: &str, asked: &ListOffsetsPartition, committed_only: bool, version: i16) -> Found {
    let partition =
        node.replicas.by_name(topic).and_then(|topic| topic.partition(PartitionIndex(asked.partition_index)));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let log =
        partition.leader_log(LeaderEpoch(asked.current_leader_epoch)).map_err(|reason| ErrorCode::from(&reason))?;
    let end = if committed_only { log.last_stable() } else { log.high_watermark() };
    match asked.timestamp {
        LATEST => Ok(place(&log, end)),
        EARLIEST => Ok(place(&log, log.log_start())),
        EARLIEST_LOCAL if version >= 8 => Ok(place(&log, log.log_start())),
        MAX_TIMESTAMP if version >= 7 => below(end, log.max_timestamp_offset()),
        // Nothing is tiered, so nothing is the latest of it or waits for it.
        LATEST_TIERED if version >= 9 => Ok(None),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(None),
        timestamp if timestamp >= 0 => below(end, log.offset_for_timestamp(Millis(timestamp))),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// An end of the log: it has no timestamp, and the epoch of the record that is or would be there.
fn place(log: &Log, offset: Offset) -> Option<TimestampOffset> {
    let epoch = log.epoch_at(offset).or_else(|| log.latest_epoch()).unwrap_or(LeaderEpoch::UNKNOWN);
    Some(TimestampOffset { timestamp: Millis::NONE, offset, epoch })
}

fn below(end: Offset, found: Result<Option<TimestampOffset>, LookupError>) -> Found {
    match found {
        Ok(found) => Ok(found.filter(|found| found.offset < end)),
        Err(LookupError::Closed) => Err(ErrorCode::NotLeaderOrFollower),
        Err(LookupError::Damaged { .. }) => Err(ErrorCode::CorruptMessage),
        Err(error) => {
            tracing::error!(%error, "offsets cannot be looked up");
            Err(ErrorCode::KafkaStorageError)
        }
    }
}

fn response(partition_index: i32, found: Found) -> ListOffsetsPartitionResponse {
    let (error, found) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(error) => (error, None),
    };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code: error.code(),
        timestamp: found.map_or(-1, |found| found.timestamp.0),
        offset: found.map_or(-1, |found| found.offset.0),
        leader_epoch: found.map_or(-1, |found| found.epoch.0),
    }
}
