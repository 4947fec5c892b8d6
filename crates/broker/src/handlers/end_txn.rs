//! `EndTxn`: a transaction is committed or aborted. Answered when that is decided for good; the markers follow.

use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, ProducerIdAndEpoch};
use ottla_wire::messages::{end_txn_request::EndTxnRequest, end_txn_response::EndTxnResponse};

use super::transactions::{ask_with_id, producer};
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: EndTxnRequest) -> Answer {
    let node = Arc::clone(node);
    let version = reply.version;
    reply.exclusive(async move { response(end(&node, version, &request).await) })
}

async fn end(node: &Node, version: i16, request: &EndTxnRequest) -> Result<ProducerIdAndEpoch, ErrorCode> {
    let ended = ask_with_id(node, &request.transactional_id, |fresh| TransactionRequest::End {
        version,
        transactional_id: request.transactional_id.clone(),
        producer: producer(request.producer_id, request.producer_epoch),
        outcome: if request.committed { Outcome::Commit } else { Outcome::Abort },
        fresh,
    });
    match ended.await? {
        TransactionReply::End(ended) => ended,
        _ => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Versions before 5 have no room for the producer.
fn response(ended: Result<ProducerIdAndEpoch, ErrorCode>) -> EndTxnResponse {
    let nobody = EndTxnResponse { producer_id: -1, producer_epoch: -1, ..EndTxnResponse::default() };
    match ended {
        Ok(producer) => EndTxnResponse { producer_id: producer.id.0, producer_epoch: producer.epoch.0, ..nobody },
        Err(error) => EndTxnResponse { error_code: error.code(), ..nobody },
    }
}
