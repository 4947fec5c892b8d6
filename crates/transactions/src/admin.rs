//! `DescribeTransactions` and `ListTransactions`.

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, ProducerId, TopicPartition};
use ottla_wire::messages::{
    describe_transactions_response::{TopicData, TransactionState as Described},
    list_transactions_response::TransactionState as Listed,
};

use crate::{
    request::TransactionReply,
    shard::{Decided, TransactionShard},
    state::{State, Transaction},
};

/// Which transactions are asked for.
pub(crate) struct Filters<'a> {
    pub(crate) states: &'a [String],
    pub(crate) producers: &'a [ProducerId],
    pub(crate) duration_ms: i64,
}

/// One id. Partitions whose markers are written are not shown any more.
pub(crate) fn describe(shard: &TransactionShard, transactional_id: String) -> Described {
    let refused = |transactional_id, error: ErrorCode| Described {
        error_code: error.code(),
        transactional_id,
        ..Described::default()
    };
    if transactional_id.is_empty() {
        return refused(transactional_id, ErrorCode::InvalidRequest);
    }
    let Some(entry) = shard.entry(&transactional_id) else {
        return refused(transactional_id, ErrorCode::TransactionalIdNotFound);
    };
    let hard = &entry.hard;
    let partitions = if hard.state.prepared().is_some() { &entry.unmarked } else { &hard.partitions };
    Described {
        error_code: ErrorCode::None.code(),
        transactional_id,
        transaction_state: hard.state.name().to_owned(),
        transaction_timeout_ms: hard.timeout_ms,
        transaction_start_time_ms: hard.started.0,
        producer_id: hard.producer.id.0,
        producer_epoch: hard.producer.epoch.0,
        topics: by_topic(partitions),
    }
}

/// Ids ascending.
pub(crate) fn list(shard: &TransactionShard, now: Millis, from: Ticket, filters: &Filters<'_>) -> Decided {
    let mut unknown_states: Vec<String> = Vec::new();
    let mut states: Vec<State> = Vec::new();
    for name in filters.states {
        match State::ALL.into_iter().find(|state| state.name() == name) {
            Some(state) => states.push(state),
            None if unknown_states.contains(name) => {}
            None => unknown_states.push(name.clone()),
        }
    }
    let fits = |hard: &Transaction| {
        hard.state != State::Dead
            && (filters.producers.is_empty() || filters.producers.contains(&hard.producer.id))
            && (filters.states.is_empty() || states.contains(&hard.state))
            && (filters.duration_ms < 0 || now.since(hard.started) > filters.duration_ms)
    };
    let entries = shard.ids.iter().filter(|(_, entry)| fits(&entry.hard));
    let mut listed: Vec<_> = entries
        .map(|(id, entry)| Listed {
            transactional_id: id.clone(),
            producer_id: entry.hard.producer.id.0,
            transaction_state: entry.hard.state.name().to_owned(),
        })
        .collect();
    listed.sort_unstable_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
    Decision::reply(from, TransactionReply::List { unknown_states, listed })
}

fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<TopicData> {
    let mut topics: Vec<TopicData> = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match topics.last_mut() {
            Some(last) if last.topic == topic.as_str() => last.partitions.push(partition.0),
            _ => topics.push(TopicData { topic: topic.as_str().to_owned(), partitions: vec![partition.0] }),
        }
    }
    topics
}
