//! Markers: what is decided is written into the logs of all partitions, and only then complete.
//!
//! Invariants: where somebody waits for an order, none is there to be taken. An order is handed out once in the life of a
//! shard, and again after it is loaded anew. Without partitions there is no order: what is decided is complete at once.

use std::collections::{BTreeSet, VecDeque};

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{Millis, ProducerIdAndEpoch, TopicPartition};

use crate::{
    request::{MarkerOrder, TransactionReply},
    shard::{Decided, TransactionShard},
    state::Transaction,
};

/// All of it is soft.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Markers {
    /// Transactional ids with orders to be taken, oldest first; some may be out of date.
    orders: VecDeque<String>,
    /// Who waits for one.
    waiting: VecDeque<Ticket>,
}

/// What was written.
pub(crate) struct Written<'a> {
    pub(crate) transactional_id: &'a str,
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) decided: Millis,
    pub(crate) partitions: &'a [TopicPartition],
}

/// Writes that the end of a transaction is decided, and hands the order out.
pub(crate) fn prepare(
    shard: &mut TransactionShard,
    now: Millis,
    transactional_id: &str,
    prepared: &Transaction,
) -> Decided {
    let mut decided = Decision { records: vec![prepared.record(transactional_id)], ..Decision::none() };
    if prepared.partitions.is_empty() {
        decided.records.push(prepared.complete(now).record(transactional_id));
        return decided;
    }
    let Some(entry) = shard.ids.get_mut(transactional_id) else { return decided };
    let waiting = shard.markers.waiting.pop_front();
    entry.ordered = waiting.is_some();
    match (waiting, order(transactional_id, prepared, &prepared.partitions)) {
        (Some(ticket), Some(order)) => decided.replies.push((ticket, TransactionReply::NextMarkers(order))),
        _ => shard.markers.orders.push_back(transactional_id.to_owned()),
    }
    decided
}

/// The oldest order that nobody took, or a place in the queue.
pub(crate) fn next(shard: &mut TransactionShard, from: Ticket) -> Decided {
    while let Some(transactional_id) = shard.markers.orders.pop_front() {
        let Some(entry) = shard.ids.get_mut(&transactional_id).filter(|entry| !entry.ordered) else { continue };
        let Some(order) = order(&transactional_id, &entry.hard, &entry.unmarked) else { continue };
        entry.ordered = true;
        return Decision::reply(from, TransactionReply::NextMarkers(order));
    }
    shard.markers.waiting.push_back(from);
    Decision::none()
}

/// Takes note of markers; with the last one the transaction is complete.
pub(crate) fn written(shard: &mut TransactionShard, now: Millis, from: Ticket, written: &Written<'_>) -> Decided {
    let mut decided = Decision::reply(from, TransactionReply::MarkersWritten);
    let Some(entry) = shard.ids.get_mut(written.transactional_id) else { return decided };
    let hard = &entry.hard;
    let meant = hard.producer == written.producer && hard.updated == written.decided;
    if hard.state.prepared().is_none() || !meant {
        return decided;
    }
    for partition in written.partitions {
        entry.unmarked.remove(partition);
    }
    if entry.unmarked.is_empty() {
        decided.records.push(hard.complete(now).record(written.transactional_id));
    }
    decided
}

/// Takes up what was decided before the shard was loaded.
pub(crate) fn loaded(shard: &mut TransactionShard, now: Millis) -> Decided {
    let mut decided = Decision::none();
    let mut ids: Vec<_> = shard.ids.iter().filter(|(_, entry)| entry.hard.state.prepared().is_some()).collect();
    ids.sort_unstable_by_key(|(id, entry)| (entry.hard.updated, *id));
    for (id, entry) in ids {
        if entry.unmarked.is_empty() {
            decided.records.push(entry.hard.complete(now).record(id));
        } else {
            shard.markers.orders.push_back(id.clone());
        }
    }
    decided
}

fn order(transactional_id: &str, hard: &Transaction, partitions: &BTreeSet<TopicPartition>) -> Option<MarkerOrder> {
    Some(MarkerOrder {
        transactional_id: transactional_id.to_owned(),
        producer: hard.producer,
        outcome: hard.state.prepared()?,
        decided: hard.updated,
        transaction_version: i8::try_from(hard.client_version).unwrap_or(0),
        partitions: partitions.iter().cloned().collect(),
    })
}
