//! `DescribeTransactions`: where transactional ids stand.

use std::sync::Arc;

use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    describe_transactions_request::DescribeTransactionsRequest,
    describe_transactions_response::{DescribeTransactionsResponse, TransactionState},
};

use super::transactions::ask;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: DescribeTransactionsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.later(async move {
        let mut transaction_states = Vec::new();
        for transactional_id in request.transactional_ids {
            let asked = TransactionRequest::Describe { transactional_id: transactional_id.clone() };
            let refused = |error: ErrorCode| TransactionState {
                error_code: error.code(),
                transactional_id: transactional_id.clone(),
                ..TransactionState::default()
            };
            transaction_states.push(match ask(&node, &transactional_id, asked).await {
                Ok(TransactionReply::Describe(state)) => state,
                Ok(_) => refused(ErrorCode::CoordinatorNotAvailable),
                Err(error) => refused(error),
            });
        }
        DescribeTransactionsResponse { throttle_time_ms: 0, transaction_states }
    })
}
