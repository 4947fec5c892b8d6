//! `AddPartitionsToTxn`: clients add partitions to their transaction (versions 0 to 3), brokers add or verify those of many
//! transactions at once (versions 4 and 5).
//!
//! Invariant: where one partition of a transaction does not exist, none of it is added, and the others are answered with
//! OPERATION_NOT_ATTEMPTED.

use std::sync::Arc;

use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    add_partitions_to_txn_request::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
    },
    add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
        AddPartitionsToTxnTopicResult,
    },
};

use super::transactions::{ask, existing, producer};
use crate::{net::Answer, node::Node, service::ReplyTo};

/// Version from which a request has many transactions.
const MANY_FROM: i16 = 4;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: AddPartitionsToTxnRequest) -> Answer {
    let node = Arc::clone(node);
    let version = reply.version;
    reply.exclusive(async move {
        if version >= MANY_FROM {
            let mut results_by_transaction = Vec::new();
            for transaction in request.transactions {
                results_by_transaction.push(AddPartitionsToTxnResult {
                    topic_results: add(&node, version, &transaction).await,
                    transactional_id: transaction.transactional_id,
                });
            }
            return AddPartitionsToTxnResponse { results_by_transaction, ..AddPartitionsToTxnResponse::default() };
        }
        let only = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        let results_by_topic_v3_and_below = add(&node, version, &only).await;
        AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..AddPartitionsToTxnResponse::default() }
    })
}

async fn add(
    node: &Node,
    version: i16,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let image = node.quorum.image();
    let named = transaction.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |index| (topic, *index)));
    let found: Vec<_> = named.map(|(topic, index)| existing(&image, &topic.name, index)).collect();
    if found.contains(&None) {
        let code = |found: &Option<_>| match found {
            Some(_) => ErrorCode::OperationNotAttempted,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        return results(&transaction.topics, found.iter().map(code).collect());
    }
    let partitions: Vec<_> = found.into_iter().flatten().collect();
    let count = partitions.len();
    let request = TransactionRequest::AddPartitions {
        version,
        transactional_id: transaction.transactional_id.clone(),
        producer: producer(transaction.producer_id, transaction.producer_epoch),
        partitions,
        verify_only: transaction.verify_only,
    };
    let codes = match ask(node, &transaction.transactional_id, request).await {
        Ok(TransactionReply::AddPartitions(codes)) => codes,
        Ok(_) => vec![ErrorCode::CoordinatorNotAvailable; count],
        Err(error) => vec![error; count],
    };
    results(&transaction.topics, codes)
}

/// The answer in the shape of the request; `codes` in its order.
fn results(topics: &[AddPartitionsToTxnTopic], codes: Vec<ErrorCode>) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut codes = codes.into_iter();
    let topic_result = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .zip(codes.by_ref())
            .map(|(index, code)| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: code.code(),
            })
            .collect(),
    };
    topics.iter().map(topic_result).collect()
}
