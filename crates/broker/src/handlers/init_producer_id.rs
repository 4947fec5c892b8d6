//! `InitProducerId` for idempotent producers. A transactional id is refused until transactions are served: with
//! INVALID_REQUEST, which no client retries.

use std::sync::Arc;

use ottla_types::ErrorCode;
use ottla_wire::messages::{
    init_producer_id_request::InitProducerIdRequest, init_producer_id_response::InitProducerIdResponse,
};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: InitProducerIdRequest) -> Answer {
    if request.transactional_id.is_some() {
        return reply.now(&refused(ErrorCode::InvalidRequest));
    }
    // A producer names both what it had, or neither.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return reply.now(&refused(ErrorCode::InvalidRequest));
    }
    let node = Arc::clone(node);
    reply.exclusive(async move {
        match node.producer_ids.next(&node.quorum, node.broker_id, node.broker_epoch()).await {
            Ok(id) => {
                InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..InitProducerIdResponse::default() }
            }
            Err(error) => {
                tracing::error!(%error, "no producer id");
                refused(ErrorCode::CoordinatorLoadInProgress)
            }
        }
    })
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    }
}
