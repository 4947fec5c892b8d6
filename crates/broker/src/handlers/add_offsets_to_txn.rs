//! `AddOffsetsToTxn`: the partition of `__consumer_offsets` where a group's offsets are becomes part of a transaction.

use std::sync::Arc;

use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, TopicName, TopicPartition};
use ottla_wire::messages::{
    add_offsets_to_txn_request::AddOffsetsToTxnRequest, add_offsets_to_txn_response::AddOffsetsToTxnResponse,
};

use super::transactions::{ask, producer};
use crate::{coordinators::OFFSETS_TOPIC, net::Answer, node::Node, service::ReplyTo};

/// Clients that ask so run version 1 of transactions, whichever version the request has.
const AS_VERSION: i16 = 3;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: AddOffsetsToTxnRequest) -> Answer {
    let node = Arc::clone(node);
    let version = reply.version.min(AS_VERSION);
    reply.exclusive(async move {
        let added = add(&node, version, request).await;
        AddOffsetsToTxnResponse { throttle_time_ms: 0, error_code: added.err().unwrap_or(ErrorCode::None).code() }
    })
}

async fn add(node: &Node, version: i16, request: AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let offsets = offsets_partition(node, &request.group_id).await?;
    let asked = TransactionRequest::AddPartitions {
        version,
        transactional_id: request.transactional_id.clone(),
        producer: producer(request.producer_id, request.producer_epoch),
        partitions: vec![offsets],
        verify_only: false,
    };
    match ask(node, &request.transactional_id, asked).await? {
        TransactionReply::AddPartitions(codes) => match codes.first() {
            Some(ErrorCode::None) => Ok(()),
            Some(error) => Err(*error),
            None => Err(ErrorCode::CoordinatorNotAvailable),
        },
        _ => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Where the offsets of `group` are. The topic is made where there is none yet: a client may ask for this before it looks
/// for the group's coordinator.
pub(super) async fn offsets_partition(node: &Node, group: &str) -> Result<TopicPartition, ErrorCode> {
    let topic = TopicName::new(OFFSETS_TOPIC).map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    if node.groups.partition(group).is_none() {
        node.auto_create(vec![topic.clone()]).await;
    }
    let partition = node.groups.partition(group).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok(TopicPartition { topic, partition })
}
