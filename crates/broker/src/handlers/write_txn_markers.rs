//! `WriteTxnMarkers`: another broker's coordinator, or an admin, ends transactions in partitions that are here.

use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_types::{ErrorCode, PartitionIndex, TopicName, TopicPartition};
use ottla_wire::messages::{
    write_txn_markers_request::{WritableTxnMarker, WriteTxnMarkersRequest},
    write_txn_markers_response::{
        WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
        WriteTxnMarkersResponse,
    },
};

use super::transactions::producer;
use crate::{net::Answer, node::Node, replicas::Marker, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: WriteTxnMarkersRequest) -> Answer {
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let mut markers = Vec::new();
        for asked in &request.markers {
            markers.push(WritableTxnMarkerResult { producer_id: asked.producer_id, topics: write(&node, asked).await });
        }
        WriteTxnMarkersResponse { markers }
    })
}

async fn write(node: &Node, asked: &WritableTxnMarker) -> Vec<WritableTxnMarkerTopicResult> {
    let marker = Marker {
        producer: producer(asked.producer_id, asked.producer_epoch),
        outcome: if asked.transaction_result { Outcome::Commit } else { Outcome::Abort },
        coordinator_epoch: asked.coordinator_epoch,
        transaction_version: asked.transaction_version,
    };
    // All are in their logs before any is waited for.
    let writing: Vec<_> = asked
        .topics
        .iter()
        .map(|topic| {
            let name = TopicName::new(&topic.name).map_err(|_| ErrorCode::UnknownTopicOrPartition);
            let partitions = topic.partition_indexes.iter().map(|index| {
                let written = name.clone().map(|topic| {
                    node.markers.write(&TopicPartition { topic, partition: PartitionIndex(*index) }, &marker)
                });
                (*index, written)
            });
            (topic.name.clone(), partitions.collect::<Vec<_>>())
        })
        .collect();
    let mut topics = Vec::new();
    for (name, writing) in writing {
        let mut partitions = Vec::new();
        for (partition_index, written) in writing {
            let written = match written {
                Ok(written) => written.await,
                Err(error) => Err(error),
            };
            let error_code = written.err().unwrap_or(ErrorCode::None).code();
            partitions.push(WritableTxnMarkerPartitionResult { partition_index, error_code });
        }
        topics.push(WritableTxnMarkerTopicResult { name, partitions });
    }
    topics
}
