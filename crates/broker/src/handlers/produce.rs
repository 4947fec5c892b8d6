//! `Produce`: check each batch where it lies, append it, answer when it is as durable as was asked for.
//!
//! Batches are appended before the handler returns, so in the order in which the connection delivered them; only where the
//! coordinator of transactions has to be asked first (`verify.rs`), later, and the connection's next request waits.
//! Invariant: a partition's answer names an offset only when the batch is in its log.

mod verify;

use std::sync::Arc;

use ottla_config::{CompressionType, ProduceValidation, TopicConfig};
use ottla_log::{Appended, Origin, Verification};
use ottla_records::{
    BatchError, BatchHeader, CheckedBatch, Depth, ProduceRejection, ProduceRules, TargetCompression, check_produce,
};
use ottla_types::{Compression, ErrorCode, LeaderEpoch, Millis, Offset, PartitionIndex};
use ottla_wire::{
    Records,
    messages::{
        produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData},
        produce_response::{
            BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
        },
    },
};

use crate::{
    durability::{Pending, Place},
    net::{Answer, Frame},
    node::Node,
    replicas::{Topic, append_error_code},
    service::ReplyTo,
};

use verify::{Begun, Verdicts, is_transactional};

/// Version from which topics go by their ids.
const BY_ID_FROM: i16 = 13;
/// Version from which a producer may compress with zstd: consumers as old as an older one could not read it.
const ZSTD_FROM: i16 = 7;

/// `acks`: when the producer wants to hear of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    Never,
    Leader,
    All,
}

impl Acks {
    fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::Never),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// What the whole request says of each of its batches.
#[derive(Clone, Copy, Debug)]
struct Wish {
    acks: Acks,
    /// Whether the request's version allows zstd.
    zstd: bool,
    /// What is known of the transaction, where the batch is part of one.
    verification: Option<Verification>,
}

/// A partition's batch is not in its log.
#[derive(Clone, Debug)]
struct Refused {
    error: ErrorCode,
    message: Option<String>,
    records: Vec<BatchIndexAndErrorMessage>,
    log_start_offset: Offset,
}

impl Refused {
    fn because(error: ErrorCode) -> Self {
        Self { error, message: None, records: Vec::new(), log_start_offset: Offset(-1) }
    }

    /// As in Kafka, a batch that is damaged, too large, or not alone is answered without the log start.
    fn naming_start(self, log_start_offset: Offset) -> Self {
        match self.error {
            ErrorCode::CorruptMessage | ErrorCode::MessageTooLarge | ErrorCode::KafkaStorageError => self,
            ErrorCode::UnsupportedCompressionType => self,
            _ => Self { log_start_offset, ..self },
        }
    }

    fn saying(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::because(error) }
    }
}

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: ProduceRequest) -> Answer {
    let Some(transactional_id) = &request.transactional_id else {
        if has_transactional(&request) {
            let refusal = Refused::because(ErrorCode::TransactionalIdAuthorizationFailed);
            return answer(reply, &request, refused(&request, &refusal), Pending::default());
        }
        let (response, pending) = append_all(node, reply.version, &request, &Verdicts::default());
        return answer(reply, &request, response, pending);
    };
    let begun = match Begun::of(node, reply.version, &request) {
        Ok(begun) => begun,
        Err(refusal) => return answer(reply, &request, refused(&request, &refusal), Pending::default()),
    };
    if begun.is_over() {
        let (response, pending) = append_all(node, reply.version, &request, &begun.verdicts);
        return answer(reply, &request, response, pending);
    }
    let (node, transactional_id) = (Arc::clone(node), transactional_id.clone());
    Answer::Exclusive(Box::pin(async move {
        let verdicts = begun.finish(&node, &transactional_id).await;
        let (response, pending) = append_all(&node, reply.version, &request, &verdicts);
        match answer(reply, &request, response, pending) {
            Answer::Now(frame) => Some(frame),
            Answer::Later(frame) | Answer::Exclusive(frame) => frame.await,
            Answer::Nothing => Some(Frame { segments: Vec::new(), timing: None }),
            Answer::Close => None,
        }
    }))
}

/// Whether a batch is part of a transaction. As in Kafka only a partition's first one is looked at; a second is refused.
fn has_transactional(request: &ProduceRequest) -> bool {
    let all = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    all.into_iter().any(|data| match &data.records {
        Some(Records::Bytes(bytes)) => is_transactional(bytes),
        _ => false,
    })
}

fn append_all(node: &Node, version: i16, request: &ProduceRequest, verdicts: &Verdicts) -> (ProduceResponse, Pending) {
    let acks = Acks::from_wire(request.acks);
    let mut pending = Pending::default();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for (topic_at, topic) in request.topic_data.iter().enumerate() {
        let hosted = hosted(node, version, topic);
        let partitions = topic.partition_data.iter().enumerate().map(|(at, data)| {
            let place = (topic_at, at);
            let outcome = match (acks, &hosted, verdicts.of(place)) {
                (_, Ok(_), Some(Err(refusal))) => Err(refusal.clone()),
                (None, _, _) => Err(Refused::because(ErrorCode::InvalidRequiredAcks)),
                (_, Err(unknown), _) => Err(Refused::because(*unknown)),
                (Some(acks), Ok(hosted), verified) => {
                    let verification = verified.and_then(|verified| verified.as_ref().ok()).copied();
                    let wish = Wish { acks, zstd: version >= ZSTD_FROM, verification };
                    append(node, hosted, data, wish, place, &mut pending)
                }
            };
            partition_response(data.index, outcome)
        });
        let partition_responses = partitions.collect();
        responses.push(TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses,
        });
    }
    (ProduceResponse { responses, ..ProduceResponse::default() }, pending)
}

/// Nothing of the request is appended.
fn refused(request: &ProduceRequest, refusal: &Refused) -> ProduceResponse {
    let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|data| partition_response(data.index, Err(refusal.clone())))
            .collect(),
    });
    ProduceResponse { responses: responses.collect(), ..ProduceResponse::default() }
}

fn hosted(node: &Node, version: i16, topic: &TopicProduceData) -> Result<Arc<Topic>, ErrorCode> {
    if version >= BY_ID_FROM {
        return node.replicas.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId);
    }
    node.replicas.by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
}

fn answer(reply: ReplyTo, request: &ProduceRequest, response: ProduceResponse, pending: Pending) -> Answer {
    let acks = Acks::from_wire(request.acks);
    if acks == Some(Acks::Never) {
        // The producer reads no answer: the end of the connection is all that it can notice.
        let failed = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let failed = failed.into_iter().any(|partition| partition.error_code != ErrorCode::None.code());
        return if failed { Answer::Close } else { Answer::Nothing };
    }
    if pending.is_empty() {
        return reply.now(&response);
    }
    reply.later(pending.settle(response))
}

fn append(
    node: &Node,
    topic: &Arc<Topic>,
    data: &PartitionProduceData,
    wish: Wish,
    place: Place,
    pending: &mut Pending,
) -> Result<Appended, Refused> {
    let partition = topic.partition(PartitionIndex(data.index));
    let partition = partition.ok_or(Refused::because(ErrorCode::UnknownTopicOrPartition))?;
    let mut log = partition.leader_log(LeaderEpoch::UNKNOWN).map_err(|reason| Refused::because((&reason).into()))?;
    let config = topic.config();
    if wish.acks == Acks::All && !node.has_enough_replicas(&partition, config.min_insync_replicas) {
        return Err(Refused::because(ErrorCode::NotEnoughReplicas));
    }
    if !wish.zstd && is_zstd(data) {
        return Err(Refused::because(ErrorCode::UnsupportedCompressionType));
    }
    let now = node.clock.now();
    let batch = checked(data, &config, now, log.log_start());
    let batch = batch.inspect_err(|_| {
        topic.metrics.failed_produce.inc();
    })?;
    let appended = match wish.verification {
        None => partition.append(&mut log, &batch, now),
        Some(verification) => partition.append_verified(&mut log, &batch, Origin::Client, verification, now),
    };
    let appended = appended
        .map_err(|error| Refused::because(append_error_code(&partition.id, &error)).naming_start(log.log_start()))?;
    if !appended.duplicate {
        topic.metrics.bytes_in.inc_by(batch.header.size_in_bytes() as u64);
        topic.metrics.messages_in.inc_by(batch.header.records_count.max(0) as u64);
    }
    if let Some(to) = appended.flush_to {
        pending.add(place, Arc::clone(&partition), &log, to);
    }
    Ok(appended)
}

fn is_zstd(data: &PartitionProduceData) -> bool {
    let Some(Records::Bytes(bytes)) = &data.records else { return false };
    BatchHeader::parse(bytes).is_ok_and(|header| header.attributes.compression() == Ok(Compression::Zstd))
}

fn checked(
    data: &PartitionProduceData,
    config: &TopicConfig,
    now: Millis,
    log_start: Offset,
) -> Result<CheckedBatch, Refused> {
    let Some(Records::Bytes(bytes)) = &data.records else {
        return Err(Refused::because(ErrorCode::InvalidRecord));
    };
    check_produce(bytes, &rules(config), now).map_err(|rejection| match &rejection {
        // No single batch: found before any partition is looked at.
        ProduceRejection::Batch(BatchError::Incomplete { .. } | BatchError::Magic(_))
        | ProduceRejection::MoreThanOneBatch { .. } => rejected(&rejection),
        _ => rejected(&rejection).naming_start(log_start),
    })
}

fn rules(config: &TopicConfig) -> ProduceRules {
    ProduceRules {
        max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        timestamp_type: config.message_timestamp_type,
        timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        compression: target(config.compression),
        depth: match config.produce_validation {
            ProduceValidation::Records => Depth::Records,
            ProduceValidation::Header => Depth::HeaderOnly,
        },
    }
}

fn target(compression: CompressionType) -> TargetCompression {
    match compression {
        CompressionType::Producer => TargetCompression::Producer,
        CompressionType::Codec { codec, level } => TargetCompression::Codec(codec, Some(level)),
    }
}

fn rejected(rejection: &ProduceRejection) -> Refused {
    let records = rejection.record_errors().map(|(batch_index, message)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(message),
    });
    Refused {
        error: rejection.error_code(),
        message: Some(rejection.message()),
        records: records.collect(),
        log_start_offset: Offset(-1),
    }
}

fn partition_response(index: i32, outcome: Result<Appended, Refused>) -> PartitionProduceResponse {
    match outcome {
        Ok(appended) => PartitionProduceResponse {
            index,
            error_code: ErrorCode::None.code(),
            base_offset: appended.first_offset.0,
            log_append_time_ms: appended.log_append_time.0,
            log_start_offset: appended.log_start_offset.0,
            ..PartitionProduceResponse::default()
        },
        Err(refused) => PartitionProduceResponse {
            index,
            error_code: refused.error.code(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: refused.log_start_offset.0,
            record_errors: refused.records,
            error_message: refused.message,
            ..PartitionProduceResponse::default()
        },
    }
}
