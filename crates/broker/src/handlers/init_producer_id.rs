//! `InitProducerId`: an id and an epoch, of its own for each idempotent producer, kept by the coordinator for each
//! transactional id.

use std::sync::Arc;

use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, ProducerEpoch, ProducerIdAndEpoch};
use ottla_wire::messages::{
    init_producer_id_request::InitProducerIdRequest, init_producer_id_response::InitProducerIdResponse,
};

use super::transactions::{ask_with_id, producer};
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: InitProducerIdRequest) -> Answer {
    // A producer names both what it had, or neither.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return reply.now(&response(Err(ErrorCode::InvalidRequest)));
    }
    let node = Arc::clone(node);
    let version = reply.version;
    reply.exclusive(async move {
        response(match request.transactional_id {
            Some(_) => transactional(&node, version, request).await,
            None => node.fresh_producer_id().await.map(|id| ProducerIdAndEpoch { id, epoch: ProducerEpoch(0) }),
        })
    })
}

async fn transactional(
    node: &Node,
    version: i16,
    request: InitProducerIdRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    let transactional_id = request.transactional_id.unwrap_or_default();
    let timeout_ms = request.transaction_timeout_ms;
    if !transactional_id.is_empty() && (timeout_ms <= 0 || timeout_ms > node.settings.transactions.max_timeout_ms) {
        // Whoever coordinates: the same everywhere.
        return Err(ErrorCode::InvalidTransactionTimeout);
    }
    let expected = (request.producer_id != -1).then(|| producer(request.producer_id, request.producer_epoch));
    let entered = ask_with_id(node, &transactional_id, |fresh| TransactionRequest::Init {
        version,
        transactional_id: transactional_id.clone(),
        timeout_ms,
        expected,
        fresh,
    });
    match entered.await? {
        TransactionReply::Init(entered) => entered,
        _ => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

fn response(entered: Result<ProducerIdAndEpoch, ErrorCode>) -> InitProducerIdResponse {
    match entered {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            ..InitProducerIdResponse::default()
        },
        Err(error) => InitProducerIdResponse {
            error_code: error.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}
