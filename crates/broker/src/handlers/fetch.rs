//! `Fetch`: ranges of segment files, now or when there is enough of them.
//!
//! Invariants: no record at or above the high watermark (the last stable offset for readers of committed records) leaves;
//! an answer that could hold a batch holds at least one, whole, however small the limits are.

use std::sync::Arc;

use ottla_log::{ReadBound, ReadError, ReadOut};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Uuid};
use ottla_wire::{
    Records,
    messages::{
        fetch_request::{FetchPartition, FetchRequest},
        fetch_response::{
            AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData,
        },
    },
};

use crate::{
    net::Answer,
    node::Node,
    replicas::{Partition, Topic},
    service::ReplyTo,
    waits::WaitKey,
};

/// Version from which topics go by their ids.
const BY_ID_FROM: i16 = 13;
/// `isolation_level` of readers that want committed records only.
const READ_COMMITTED: i8 = 1;

/// A fetch, resolved to partitions, that can be read as often as needed.
struct Plan {
    asked: Vec<Asked>,
    bound: ReadBound,
    bytes_max: usize,
    bytes_min: usize,
}

/// One partition of a fetch.
struct Asked {
    topic: String,
    topic_id: Uuid,
    index: i32,
    from: Offset,
    bytes_max: usize,
    leader_epoch: LeaderEpoch,
    last_fetched_epoch: LeaderEpoch,
    hosted: Result<(Arc<Topic>, Arc<Partition>), ErrorCode>,
}

/// What a plan yields now.
struct Harvest {
    partitions: Vec<PartitionData>,
    bytes: usize,
    /// A partition has news that its reader must hear of at once.
    urgent: bool,
}

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: FetchRequest) -> Answer {
    let plan = Arc::new(Plan::of(node, reply.version, &request));
    let harvest = plan.read();
    if request.max_wait_ms <= 0 || plan.asked.is_empty() || plan.is_satisfied_by(&harvest) {
        return reply.now(&plan.respond(harvest));
    }
    let deadline = node.clock.now().plus(i64::from(request.max_wait_ms));
    let watched = Arc::clone(&plan);
    let is_complete = Box::new(move || watched.is_complete());
    match node.waits.wait(plan.keys(), deadline, is_complete) {
        None => reply.now(&plan.respond(plan.read())),
        Some(wait) => reply.later(async move {
            wait.over().await;
            plan.respond(plan.read())
        }),
    }
}

impl Plan {
    fn of(node: &Node, version: i16, request: &FetchRequest) -> Self {
        let config_max = node.settings.fetch_max_bytes;
        let bytes_max = usize::try_from(request.max_bytes.min(config_max)).unwrap_or(0);
        let is_follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
        let mut asked = Vec::new();
        for topic in &request.topics {
            let hosted = match (is_follower, version >= BY_ID_FROM) {
                // Nobody but this broker is in any replica set.
                (true, _) => Err(ErrorCode::NotLeaderOrFollower),
                (_, true) => node.replicas.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId),
                _ => node.replicas.by_name(&topic.topic).ok_or(ErrorCode::UnknownTopicOrPartition),
            };
            let name = hosted.as_ref().map_or(topic.topic.clone(), |topic| topic.name.as_str().to_owned());
            asked.extend(topic.partitions.iter().map(|partition| Asked::of(&name, topic.topic_id, &hosted, partition)));
        }
        Self {
            asked,
            bound: if request.isolation_level == READ_COMMITTED { ReadBound::LastStable } else { ReadBound::HighWatermark },
            bytes_max,
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max),
        }
    }

    fn keys(&self) -> impl Iterator<Item = WaitKey> {
        let hosted = self.asked.iter().filter_map(|asked| asked.hosted.as_ref().ok());
        hosted.map(|(topic, partition)| (topic.id, partition.id.partition))
    }

    fn is_satisfied_by(&self, harvest: &Harvest) -> bool {
        harvest.urgent || harvest.bytes >= self.bytes_min
    }

    /// Whether waiting any longer gains nothing. Cheap where no partition moved.
    fn is_complete(&self) -> bool {
        let moved = self.asked.iter().any(Asked::may_have_news);
        moved && self.is_satisfied_by(&self.read())
    }

    fn read(&self) -> Harvest {
        let mut harvest = Harvest { partitions: Vec::with_capacity(self.asked.len()), bytes: 0, urgent: false };
        for asked in &self.asked {
            let room = self.bytes_max.saturating_sub(harvest.bytes).min(asked.bytes_max);
            let data = asked.read(room, harvest.bytes == 0, self.bound);
            harvest.bytes += data.records.as_ref().map_or(0, Records::len);
            harvest.urgent |= data.error_code != ErrorCode::None.code() || data.diverging_epoch.end_offset >= 0;
            harvest.partitions.push(data);
        }
        harvest
    }

    fn respond(&self, harvest: Harvest) -> FetchResponse {
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        for (asked, data) in self.asked.iter().zip(harvest.partitions) {
            asked.count(&data);
            match responses.last_mut() {
                Some(last) if last.topic == asked.topic && last.topic_id == asked.topic_id => last.partitions.push(data),
                _ => responses.push(FetchableTopicResponse {
                    topic: asked.topic.clone(),
                    topic_id: asked.topic_id,
                    partitions: vec![data],
                }),
            }
        }
        FetchResponse { responses, ..FetchResponse::default() }
    }
}

impl Asked {
    fn of(name: &str, topic_id: Uuid, topic: &Result<Arc<Topic>, ErrorCode>, partition: &FetchPartition) -> Self {
        let hosted = topic.as_ref().map_err(|error| *error).and_then(|topic| {
            let hosted = topic.partition(PartitionIndex(partition.partition)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
            Ok((Arc::clone(topic), hosted))
        });
        Self {
            topic: name.to_owned(),
            topic_id,
            index: partition.partition,
            from: Offset(partition.fetch_offset),
            bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
            leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
            hosted,
        }
    }

    /// Whether there can be something to read, or to complain about.
    fn may_have_news(&self) -> bool {
        let Ok((_, partition)) = &self.hosted else { return true };
        match partition.leader_log(self.leader_epoch) {
            Ok(log) => log.high_watermark() > self.from || log.log_start() > self.from,
            Err(_) => true,
        }
    }

    fn read(&self, room: usize, min_one: bool, bound: ReadBound) -> PartitionData {
        let (_, partition) = match &self.hosted {
            Ok(hosted) => hosted,
            Err(error) => return self.refused(*error),
        };
        let log = match partition.leader_log(self.leader_epoch) {
            Ok(log) => log,
            Err(reason) => return self.refused((&reason).into()),
        };
        if let Some(diverging) = self.divergence(log) {
            return diverging;
        }
        match log.read(self.from, room, min_one, bound) {
            Ok(out) => self.data(out, bound),
            Err(error) => {
                if !matches!(error, ReadError::OutOfRange { .. } | ReadError::Closed) {
                    tracing::error!(partition = %partition.id, %error, "fetch failed");
                }
                self.refused(code_of(&error))
            }
        }
    }

    /// Where the reader's history parts from this log's, if it does.
    fn divergence(&self, log: &ottla_log::Log) -> Option<PartitionData> {
        if self.last_fetched_epoch == LeaderEpoch::UNKNOWN {
            return None;
        }
        let Some(end) = log.end_offset_for(self.last_fetched_epoch) else {
            return Some(self.refused(ErrorCode::OffsetOutOfRange));
        };
        if end.epoch >= self.last_fetched_epoch && end.end_offset >= self.from {
            return None;
        }
        Some(PartitionData {
            partition_index: self.index,
            high_watermark: log.high_watermark().0,
            last_stable_offset: log.last_stable().0,
            log_start_offset: log.log_start().0,
            diverging_epoch: EpochEndOffset { epoch: end.epoch.0, end_offset: end.end_offset.0 },
            records: Some(Records::default()),
            ..PartitionData::default()
        })
    }

    fn data(&self, out: ReadOut, bound: ReadBound) -> PartitionData {
        let aborted = out.aborted.iter().map(|transaction| AbortedTransaction {
            producer_id: transaction.producer_id.0,
            first_offset: transaction.first_offset.0,
        });
        PartitionData {
            partition_index: self.index,
            high_watermark: out.high_watermark.0,
            last_stable_offset: out.last_stable.0,
            log_start_offset: out.log_start.0,
            aborted_transactions: (bound == ReadBound::LastStable).then(|| aborted.collect()),
            records: Some(out.records.map_or_else(Records::default, Records::File)),
            ..PartitionData::default()
        }
    }

    fn refused(&self, error: ErrorCode) -> PartitionData {
        PartitionData {
            partition_index: self.index,
            error_code: error.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            records: Some(Records::default()),
            ..PartitionData::default()
        }
    }

    fn count(&self, data: &PartitionData) {
        let Ok((topic, _)) = &self.hosted else { return };
        match data.error_code == ErrorCode::None.code() {
            true => topic.metrics.bytes_out.inc_by(data.records.as_ref().map_or(0, Records::len) as u64),
            false => topic.metrics.failed_fetch.inc(),
        };
    }
}

fn code_of(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Closed => ErrorCode::NotLeaderOrFollower,
        ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
        ReadError::Io(_) => ErrorCode::KafkaStorageError,
    }
}
