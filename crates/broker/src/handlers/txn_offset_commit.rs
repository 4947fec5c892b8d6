//! `TxnOffsetCommit`: what a group has read up to, once the transaction is committed.
//!
//! As with a produce request, the partition of `__consumer_offsets` becomes part of the transaction (version 5), or is found
//! there, before the first offsets are written to it.

use std::sync::Arc;

use ottla_groups::GroupRequest;
use ottla_log::{ToVerify, Verification};
use ottla_records::NO_SEQUENCE;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    txn_offset_commit_request::TxnOffsetCommitRequest,
    txn_offset_commit_response::{
        TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    },
};

use super::{
    add_offsets_to_txn::offsets_partition,
    enlist::{Support, enlist},
    groups::reply_of,
    offset_commit::{commit_code, is_too_large},
    transactions::{existing, producer},
};
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: TxnOffsetCommitRequest) -> Answer {
    let node = Arc::clone(node);
    let support = Support::of_offset_commit(reply.version);
    reply.exclusive(async move {
        let outline = outline(&node, &request);
        let is_known = |partition: &TxnOffsetCommitResponsePartition| partition.error_code == ErrorCode::None.code();
        // Where nothing is left to commit, nobody is asked.
        if !outline.iter().flat_map(|topic| &topic.partitions).any(is_known) {
            return TxnOffsetCommitResponse { topics: outline, ..TxnOffsetCommitResponse::default() };
        }
        commit(&node, support, request).await.unwrap_or_else(|error| refused(outline, commit_code(error)))
    })
}

async fn commit(
    node: &Node,
    support: Support,
    request: TxnOffsetCommitRequest,
) -> Result<TxnOffsetCommitResponse, ErrorCode> {
    let group = request.group_id.clone();
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.len(), partition.committed_metadata.as_ref()))
    });
    if is_too_large(&group, partitions) {
        return Err(ErrorCode::InvalidCommitOffsetSize);
    }
    let verification = verified(node, support, &request).await?;
    let request = GroupRequest::CommitTransactionalOffsets { request };
    reply_of!(CommitTransactionalOffsets, node.groups.ask_verified(&group, request, verification).await)
}

async fn verified(node: &Node, support: Support, request: &TxnOffsetCommitRequest) -> Result<Verification, ErrorCode> {
    if !support.asks(node) {
        return Ok(Verification::Off);
    }
    let producer = producer(request.producer_id, request.producer_epoch);
    let partition = offsets_partition(node, &request.group_id).await?;
    let to_verify = ToVerify { producer, base_sequence: NO_SEQUENCE, bumps_epochs: support.bumps_epochs() };
    let verification = node.groups.verify(&request.group_id, &to_verify)?;
    if matches!(verification, Verification::Guard(_)) {
        let codes = enlist(node, support, &request.transactional_id, producer, vec![partition]).await;
        if let Some(error) = codes.into_iter().find(|code| *code != ErrorCode::None) {
            return Err(error);
        }
    }
    Ok(verification)
}

/// The answer before the group is asked: partitions that do not exist have their code already.
fn outline(node: &Node, request: &TxnOffsetCommitRequest) -> Vec<TxnOffsetCommitResponseTopic> {
    let image = node.quorum.image();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let found = existing(&image, &topic.name, partition.partition_index);
            let error = if found.is_some() { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            TxnOffsetCommitResponsePartition { partition_index: partition.partition_index, error_code: error.code() }
        });
        TxnOffsetCommitResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
    });
    topics.collect()
}

/// Partitions that exist are refused alike.
fn refused(mut topics: Vec<TxnOffsetCommitResponseTopic>, error: ErrorCode) -> TxnOffsetCommitResponse {
    let all = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in all.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        partition.error_code = error.code();
    }
    TxnOffsetCommitResponse { topics, ..TxnOffsetCommitResponse::default() }
}
