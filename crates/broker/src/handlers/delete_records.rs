//! `DeleteRecords`: raises the start of logs. The files below it go with the next round of upkeep, which stores the start
//! before.
//!
//! Invariant: only topics that delete by themselves lose records this way; a compacted log's start is the cleaner's.

use std::{collections::BTreeMap, sync::Arc};

use ottla_config::CleanupPolicy;
use ottla_log::{CutError, Log};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use ottla_wire::messages::{
    delete_records_request::DeleteRecordsRequest,
    delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult},
};

use crate::{net::Answer, node::Node, operations, service::ReplyTo};

/// An offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Where each partition of a topic shall begin; a partition given twice counts as given last.
type Asked = BTreeMap<String, BTreeMap<i32, i64>>;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: DeleteRecordsRequest) -> Answer {
    let mut asked = Asked::new();
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|partition| (partition.partition_index, partition.offset));
        asked.entry(topic.name).or_default().extend(partitions);
    }
    let node = Arc::clone(node);
    reply.exclusive(async move {
        // A log that was not used yet is opened for it.
        match tokio::task::spawn_blocking(move || delete_all(&node, asked)).await {
            Ok(topics) => DeleteRecordsResponse { throttle_time_ms: 0, topics },
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    })
}

fn delete_all(node: &Node, asked: Asked) -> Vec<DeleteRecordsTopicResult> {
    let topics = asked.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, to)| {
            let outcome = delete(node, &name, partition_index, to);
            DeleteRecordsPartitionResult {
                partition_index,
                low_watermark: outcome.map_or(-1, |start| start.0),
                error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
            }
        });
        DeleteRecordsTopicResult { partitions: partitions.collect(), name }
    });
    topics.collect()
}

/// The new start of the log.
fn delete(node: &Node, topic: &str, partition: i32, to: i64) -> Result<Offset, ErrorCode> {
    if operations::is_internal_topic(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let topic = node.replicas.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition(PartitionIndex(partition)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let log = partition.leader_log(LeaderEpoch::UNKNOWN).map_err(|reason| ErrorCode::from(&reason))?;
    if !may_delete(topic.config().cleanup_policy) {
        return Err(ErrorCode::PolicyViolation);
    }
    let to = if to == HIGH_WATERMARK { log.high_watermark() } else { Offset(to) };
    log.delete_records(to).map_err(|error| code_of(&log, &error))
}

/// A topic without a policy keeps everything by itself, and loses what it is told to.
fn may_delete(policy: CleanupPolicy) -> bool {
    policy.delete || !policy.compact
}

fn code_of(log: &Log, error: &CutError) -> ErrorCode {
    match error {
        CutError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        CutError::NotOnline(_) | CutError::Damaged(_) | CutError::Io(_) => {
            tracing::error!(partition = %log.partition(), %error, "records cannot be deleted");
            ErrorCode::KafkaStorageError
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_is_compacted_alone_keeps_its_start() {
        let policy = |delete, compact| CleanupPolicy { delete, compact };
        assert!(may_delete(policy(true, false)));
        assert!(may_delete(policy(true, true)));
        assert!(may_delete(policy(false, false)));
        assert!(!may_delete(policy(false, true)));
    }
}
