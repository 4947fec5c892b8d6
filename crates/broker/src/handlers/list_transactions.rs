//! `ListTransactions`: the transactional ids of every shard that is here. The pattern of version 2 is RE2J's, as in
//! subscriptions of groups.

use ottla_coordinator::Pattern;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, ProducerId};
use ottla_wire::messages::{
    list_transactions_request::ListTransactionsRequest, list_transactions_response::ListTransactionsResponse,
};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: ListTransactionsRequest) -> Answer {
    let pattern = request.transactional_id_pattern.filter(|pattern| !pattern.is_empty());
    let pattern = match pattern.as_deref().map(Pattern::compile).transpose() {
        Ok(pattern) => pattern,
        Err(error) => {
            tracing::debug!(%error, "a pattern of transactional ids is none");
            let error_code = ErrorCode::InvalidRegularExpression.code();
            return reply.now(&ListTransactionsResponse { error_code, ..ListTransactionsResponse::default() });
        }
    };
    let listed = node.transactions.ask_all(&TransactionRequest::List {
        states: request.state_filters,
        producers: request.producer_id_filters.into_iter().map(ProducerId).collect(),
        duration_ms: request.duration_filter,
        pattern,
    });
    reply.later(async move {
        let mut response = ListTransactionsResponse::default();
        match listed.await {
            Ok(replies) => {
                for reply in replies {
                    let TransactionReply::List { unknown_states, listed } = reply else { continue };
                    // Every shard says the same of the filters.
                    response.unknown_state_filters = unknown_states;
                    response.transaction_states.extend(listed);
                }
            }
            Err(error) => response.error_code = error.code(),
        }
        response
    })
}
