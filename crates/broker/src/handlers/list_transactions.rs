//! `ListTransactions`: the transactional ids of every shard that is here. The pattern of version 2 is RE2J's, as in
//! subscriptions of groups, and like theirs it is worked out where no shard waits for it.

use std::sync::Arc;

use ottla_coordinator::Pattern;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, ProducerId};
use ottla_wire::messages::{
    list_transactions_request::ListTransactionsRequest,
    list_transactions_response::{ListTransactionsResponse, TransactionState},
};
use tokio::sync::Semaphore;

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
    });
    let turns = Arc::clone(&node.pattern_turns);
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
        if let Some(pattern) = pattern {
            match fitting(response.transaction_states, pattern, &turns).await {
                Ok(fitting) => response.transaction_states = fitting,
                Err(error) => response = ListTransactionsResponse { error_code: error.code(), ..Default::default() },
            }
        }
        response
    })
}

/// Those whose id fits. A pattern waits for its turn among all that clients sent.
async fn fitting(
    mut listed: Vec<TransactionState>,
    pattern: Pattern,
    turns: &Semaphore,
) -> Result<Vec<TransactionState>, ErrorCode> {
    // It is closed by nobody.
    let turn = turns.acquire().await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let worked_out = tokio::task::spawn_blocking(move || {
        listed.retain(|state| pattern.matches(&state.transactional_id));
        listed
    });
    let fitting = worked_out.await.map_err(|error| {
        tracing::error!(%error, "a pattern could not be worked out");
        ErrorCode::CoordinatorNotAvailable
    });
    drop(turn);
    fitting
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may
mod tests {
    use super::*;

    fn ids(listed: &[TransactionState]) -> Vec<&str> {
        listed.iter().map(|state| state.transactional_id.as_str()).collect()
    }

    #[tokio::test]
    async fn the_whole_id_fits_or_not_once_the_pattern_has_its_turn() {
        let listed: Vec<_> = ["a1", "a2", "b1", "xa1"]
            .map(|id| TransactionState { transactional_id: id.to_owned(), ..TransactionState::default() })
            .into();
        let turns = Semaphore::new(1);
        let costly = turns.acquire().await.unwrap();
        let mut waits = Box::pin(fitting(listed.clone(), Pattern::compile("a.*").unwrap(), &turns));
        let pending = std::future::poll_fn(|context| std::task::Poll::Ready(waits.as_mut().poll(context).is_pending()));
        assert!(pending.await, "another one has the turn");
        drop(costly);
        assert_eq!(ids(&waits.await.unwrap()), ["a1", "a2"]);
        let none = fitting(listed.clone(), Pattern::compile("a").unwrap(), &turns).await.unwrap();
        assert_eq!(ids(&none), Vec::<&str>::new());
        assert_eq!(ids(&fitting(listed, Pattern::compile("a2|b.").unwrap(), &turns).await.unwrap()), ["a2", "b1"]);
    }
}
