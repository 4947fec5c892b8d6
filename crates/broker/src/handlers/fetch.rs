//! `Fetch`: ranges of segment files, now or when there is enough of them.
//!
//! Invariants: no record at or above the high watermark (the last stable offset for readers of committed records) leaves;
//! an answer that could hold a batch holds at least one, whole, however small the limits are.

use std::{ops::ControlFlow, sync::Arc};

use ottla_log::{ReadBound, ReadError, ReadOut};
use ottla_sessions::{
    FetchContext, FetchRequest as SessionRequest, Fetched, PartitionHandle, PartitionKey, Requested, SessionError,
    TopicKey, Visit,
};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName, Uuid};
use ottla_wire::{
    Records,
    messages::{
        fetch_request::{FetchPartition, FetchRequest},
        fetch_response::{AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData},
    },
};

use crate::{
    net::Answer,
    node::Node,
    random,
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
    handle: PartitionHandle,
    topic: TopicKey,
    requested: Requested,
    index: PartitionIndex,
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
    let image = node.quorum.image();
    let name_of = |id: Uuid| image.topic_by_id(id).map(|topic| topic.name.clone());
    let context = match node.sessions.begin(node.clock.now(), session_request(reply.version, &request), name_of) {
        Ok(context) => context,
        Err(error) => return reply.now(&session_error(error)),
    };
    let plan = Arc::new(Plan::of(node, &request, &context));
    let harvest = plan.read();
    if request.max_wait_ms <= 0 || plan.asked.is_empty() || plan.is_satisfied_by(&harvest) {
        return reply.now(&respond(node, context, &plan, harvest));
    }
    let deadline = node.clock.now().plus(i64::from(request.max_wait_ms));
    let watched = Arc::clone(&plan);
    let is_complete = Box::new(move || watched.is_complete());
    match node.waits.wait(plan.keys(), deadline, is_complete) {
        None => reply.now(&respond(node, context, &plan, plan.read())),
        Some(wait) => {
            let node = Arc::clone(node);
            reply.later(async move {
                wait.over().await;
                respond(&node, context, &plan, plan.read())
            })
        }
    }
}

fn session_request(version: i16, request: &FetchRequest) -> SessionRequest {
    let by_id = version >= BY_ID_FROM;
    let key = |name: &str, id: Uuid| if by_id { TopicKey::Id(id) } else { TopicKey::Name(name.into()) };
    let partitions = request.topics.iter().flat_map(|topic| {
        let key = key(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |partition| {
            let key = PartitionKey { topic: key.clone(), partition: PartitionIndex(partition.partition) };
            (key, requested(partition))
        })
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let key = key(&topic.topic, topic.topic_id);
        let partition = move |index: &i32| PartitionKey { topic: key.clone(), partition: PartitionIndex(*index) };
        topic.partitions.iter().map(partition)
    });
    SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_topic_ids: by_id,
        privileged: is_follower(request),
        partitions: partitions.collect(),
        forgotten: forgotten.collect(),
    }
}

fn requested(partition: &FetchPartition) -> Requested {
    Requested {
        fetch_offset: Offset(partition.fetch_offset),
        max_bytes: partition.partition_max_bytes,
        log_start_offset: Offset(partition.log_start_offset),
        // As in Kafka, any negative epoch stands for none here, though nowhere else.
        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch).max(LeaderEpoch::UNKNOWN),
        last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
        replica_directory_id: partition.replica_directory_id,
        high_watermark: Offset(partition.high_watermark),
    }
}

fn is_follower(request: &FetchRequest) -> bool {
    request.replica_id >= 0 || request.replica_state.replica_id >= 0
}

fn session_error(error: SessionError) -> FetchResponse {
    FetchResponse { error_code: error.code().code(), ..FetchResponse::default() }
}

/// What the session has to be told of the harvest, in words.
fn respond(node: &Node, context: FetchContext, plan: &Plan, harvest: Harvest) -> FetchResponse {
    let results = plan.asked.iter().zip(harvest.partitions);
    let results = results.map(|(asked, data)| (asked.handle, fetched(&data), (asked, data)));
    let answer = match node.sessions.finish(node.clock.now(), || random::number() as u32, context, results) {
        Ok(answer) => answer,
        Err(error) => return session_error(error),
    };
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    for (asked, data) in answer.partitions {
        asked.count(&data);
        let (topic, topic_id) = match &asked.topic {
            TopicKey::Name(name) => (&**name, Uuid::ZERO),
            TopicKey::Id(id) => ("", *id),
        };
        match responses.last_mut() {
            Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(data),
            _ => responses.push(FetchableTopicResponse { topic: topic.to_owned(), topic_id, partitions: vec![data] }),
        }
    }
    FetchResponse { session_id: answer.session_id, responses, ..FetchResponse::default() }
}

fn fetched(data: &PartitionData) -> Fetched {
    Fetched {
        error: if data.error_code == 0 { ErrorCode::None } else { ErrorCode::UnknownServerError },
        high_watermark: Offset(data.high_watermark),
        last_stable_offset: Offset(data.last_stable_offset),
        log_start_offset: Offset(data.log_start_offset),
        record_bytes: data.records.as_ref().map_or(0, Records::len),
        has_hint: data.diverging_epoch.end_offset >= 0,
    }
}

impl Plan {
    fn of(node: &Node, request: &FetchRequest, context: &FetchContext) -> Self {
        let bytes_max = usize::try_from(request.max_bytes.min(node.settings.network.fetch_max_bytes)).unwrap_or(0);
        let follower = is_follower(request);
        let mut asked = Vec::with_capacity(context.len());
        context.for_each(|visit| {
            // Nobody but this broker is in any replica set.
            let hosted = if follower { Err(ErrorCode::NotLeaderOrFollower) } else { host(node, &visit) };
            asked.push(Asked {
                handle: visit.handle,
                topic: visit.topic.clone(),
                requested: *visit.requested,
                index: visit.partition,
                hosted,
            });
            ControlFlow::Continue(())
        });
        Self {
            asked,
            bound: if request.isolation_level == READ_COMMITTED {
                ReadBound::LastStable
            } else {
                ReadBound::HighWatermark
            },
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
            let room = self
                .bytes_max
                .saturating_sub(harvest.bytes)
                .min(usize::try_from(asked.requested.max_bytes).unwrap_or(0));
            let data = asked.read(room, harvest.bytes == 0, self.bound);
            harvest.bytes += data.records.as_ref().map_or(0, Records::len);
            harvest.urgent |= data.error_code != ErrorCode::None.code() || data.diverging_epoch.end_offset >= 0;
            harvest.partitions.push(data);
        }
        harvest
    }
}

/// The partition that is meant, if this broker holds it.
fn host(node: &Node, visit: &Visit<'_>) -> Result<(Arc<Topic>, Arc<Partition>), ErrorCode> {
    let topic = match visit.topic {
        TopicKey::Name(name) => node.replicas.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicKey::Id(id) => node.replicas.by_id(*id).ok_or_else(|| missing_id(node, visit.name))?,
    };
    let partition = topic.partition(visit.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok((topic, partition))
}

/// What is said of an id that no topic has (any more); `name` is what its topic was called when it was last known.
fn missing_id(node: &Node, name: Option<&TopicName>) -> ErrorCode {
    match name {
        None => ErrorCode::UnknownTopicId,
        Some(name) if node.replicas.by_name(name.as_str()).is_some() => ErrorCode::InconsistentTopicId,
        Some(_) => ErrorCode::UnknownTopicOrPartition,
    }
}

impl Asked {
    /// Whether there can be something to read, or to complain about.
    fn may_have_news(&self) -> bool {
        let Ok((_, partition)) = &self.hosted else { return true };
        match partition.leader_log(self.requested.current_leader_epoch) {
            Ok(log) => {
                log.high_watermark() > self.requested.fetch_offset || log.log_start() > self.requested.fetch_offset
            }
            Err(_) => true,
        }
    }

    fn read(&self, room: usize, min_one: bool, bound: ReadBound) -> PartitionData {
        let (_, partition) = match &self.hosted {
            Ok(hosted) => hosted,
            Err(error) => return self.not_hosted(*error),
        };
        let log = match partition.leader_log(self.requested.current_leader_epoch) {
            Ok(log) => log,
            Err(reason) => return self.refused((&reason).into()),
        };
        if let Some(diverging) = self.divergence(&log) {
            return diverging;
        }
        let mut read = log.read(self.requested.fetch_offset, room, min_one, bound);
        if let Err(ReadError::Closed) = read
            && let Some(current) = partition.moved_from(&log)
        {
            read = current.read(self.requested.fetch_offset, room, min_one, bound);
        }
        match read {
            Ok(out) => self.data(out, bound),
            Err(error) => {
                match &error {
                    ReadError::OutOfRange { .. } | ReadError::Closed | ReadError::Offline => {}
                    // Was told when it was found.
                    ReadError::Damaged { .. } => tracing::debug!(partition = %partition.id, %error, "fetch refused"),
                    ReadError::Io(_) => tracing::error!(partition = %partition.id, %error, "fetch failed"),
                }
                self.refused(code_of(&error))
            }
        }
    }

    /// Where the reader's history parts from this log's, if it does.
    fn divergence(&self, log: &ottla_log::Log) -> Option<PartitionData> {
        if self.requested.last_fetched_epoch <= LeaderEpoch::UNKNOWN {
            return None;
        }
        let Some(end) = log.end_offset_for(self.requested.last_fetched_epoch) else {
            return Some(self.refused(ErrorCode::OffsetOutOfRange));
        };
        if end.epoch >= self.requested.last_fetched_epoch && end.end >= self.requested.fetch_offset {
            return None;
        }
        Some(PartitionData {
            partition_index: self.index.0,
            high_watermark: log.high_watermark().0,
            last_stable_offset: log.last_stable().0,
            log_start_offset: log.log_start().0,
            diverging_epoch: EpochEndOffset { epoch: end.epoch.0, end_offset: end.end.0 },
            aborted_transactions: None,
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
            partition_index: self.index.0,
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
            partition_index: self.index.0,
            error_code: error.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            records: Some(Records::default()),
            ..PartitionData::default()
        }
    }

    /// As in Kafka, an unknown partition has an empty list of aborted transactions where every other error has none.
    fn not_hosted(&self, error: ErrorCode) -> PartitionData {
        let known = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::InconsistentTopicId);
        PartitionData { aborted_transactions: (!known).then(Vec::new), ..self.refused(error) }
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
        ReadError::Offline | ReadError::Io(_) => ErrorCode::KafkaStorageError,
    }
}
