//! What the handlers of transactional APIs share.

use ottla_controller::MetadataImage;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{
    ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TopicName, TopicPartition,
};

use crate::node::Node;

pub(super) fn producer(id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}

/// Asks the coordinator of `transactional_id`.
pub(super) async fn ask(
    node: &Node,
    transactional_id: &str,
    request: TransactionRequest,
) -> Result<TransactionReply, ErrorCode> {
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    // As in Kafka, a topic that is not there yet has another coordinator.
    node.transactions.partition(transactional_id).ok_or(ErrorCode::NotCoordinator)?;
    node.transactions.ask(transactional_id, request).await
}

/// Asks; where the answer needs a producer id that nobody has, asks again with one.
pub(super) async fn ask_with_id(
    node: &Node,
    transactional_id: &str,
    request: impl Fn(Option<ProducerId>) -> TransactionRequest,
) -> Result<TransactionReply, ErrorCode> {
    match ask(node, transactional_id, request(None)).await? {
        TransactionReply::NeedsProducerId => {
            let fresh = node.fresh_producer_id().await?;
            ask(node, transactional_id, request(Some(fresh))).await
        }
        reply => Ok(reply),
    }
}

/// The partition that a client names, if there is one.
pub(super) fn existing(image: &MetadataImage, topic: &str, partition: i32) -> Option<TopicPartition> {
    let partition = PartitionIndex(partition);
    image.partition(topic, partition)?;
    Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition })
}
