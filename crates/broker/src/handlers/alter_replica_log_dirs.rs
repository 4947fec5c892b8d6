//! `AlterReplicaLogDirs`: has partitions moved to other log directories. The answer comes when the move has begun.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use ottla_log::MoveError;
use ottla_types::{ErrorCode, LeaderEpoch, PartitionIndex};
use ottla_wire::messages::{
    alter_replica_log_dirs_request::AlterReplicaLogDirsRequest,
    alter_replica_log_dirs_response::{
        AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
    },
};

use crate::{net::Answer, node::Node, replicas::Unavailable, service::ReplyTo};

/// Longest name of a partition whose copy still has a legal folder: a dot, 32 digits and `-future` follow it.
const FOLDER_NAME_MAX: usize = 255 - 40;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: AlterReplicaLogDirsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.later(async move {
        // Logs that were not used yet are opened for it.
        match tokio::task::spawn_blocking(move || alter(&node, request)).await {
            Ok(response) => response,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    })
}

fn alter(node: &Node, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    // A partition given twice counts as given last.
    let mut asked: BTreeMap<String, BTreeMap<i32, String>> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
            let partitions = topic.partitions.into_iter().map(|partition| (partition, dir.path.clone()));
            asked.entry(topic.name).or_default().extend(partitions);
        }
    }
    let results = asked.into_iter().map(|(topic_name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, path)| {
            let begun = begin(node, &path, &topic_name, PartitionIndex(partition_index));
            let error_code = begun.err().unwrap_or(ErrorCode::None).code();
            AlterReplicaLogDirPartitionResult { partition_index, error_code }
        });
        AlterReplicaLogDirTopicResult { partitions: partitions.collect(), topic_name }
    });
    let response = AlterReplicaLogDirsResponse { throttle_time_ms: 0, results: results.collect() };
    node.replicas.look_at_moves();
    response
}

/// In the order in which Kafka looks: the name, the directory, the partition.
fn begin(node: &Node, path: &str, topic: &str, index: PartitionIndex) -> Result<(), ErrorCode> {
    if format!("{topic}-{index}").len() > FOLDER_NAME_MAX {
        return Err(ErrorCode::InvalidTopicException);
    }
    // As text: a path that only leads there is not the name of the directory.
    if !node.settings.log_dirs.iter().any(|dir| dir.as_os_str() == path) {
        return Err(ErrorCode::LogDirNotFound);
    }
    let path = Path::new(path);
    if node.dirs.is_offline(path) {
        return Err(ErrorCode::KafkaStorageError);
    }
    let partition = node.replicas.by_name(topic).and_then(|topic| topic.partition(index));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    match partition.leader_log(LeaderEpoch::UNKNOWN) {
        Ok(_) => {}
        Err(Unavailable::NotLeader) => return Err(ErrorCode::ReplicaNotAvailable),
        Err(reason) => return Err((&reason).into()),
    }
    node.dirs.begin_move(&partition.id, path, node.clock.now()).map(drop).map_err(|error| {
        tracing::warn!(partition = %partition.id, to = %path.display(), %error, "a move cannot begin");
        code_of(&error)
    })
}

fn code_of(error: &MoveError) -> ErrorCode {
    match error {
        MoveError::UnknownDirectory => ErrorCode::LogDirNotFound,
        MoveError::NameTooLong => ErrorCode::InvalidTopicException,
        MoveError::Nothing => ErrorCode::ReplicaNotAvailable,
        MoveError::Offline
        | MoveError::Read(_)
        | MoveError::Batch(_)
        | MoveError::Append(_)
        | MoveError::Cut(_)
        | MoveError::Load(_)
        | MoveError::Io(_) => ErrorCode::KafkaStorageError,
    }
}
