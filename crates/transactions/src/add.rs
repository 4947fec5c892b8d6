//! `AddPartitionsToTxn`, versions 0 to 5: partitions enter a transaction, or are verified to be in it.
//!
//! Versions up to 3 are those of clients without bumped epochs. While the end of a transaction is under way a request to add is to
//! be repeated, whoever sends it: only when that is over it can be told whether it is late.

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, ProducerIdAndEpoch, TopicPartition};

use crate::{
    refused::Refused,
    request::TransactionReply,
    shard::{Decided, Entry, TransactionShard},
    state::{BUMPING_VERSION, State, Transaction},
};

/// From here on a fenced producer is told by a code of its own.
const FENCED_VERSION: i16 = 2;
/// From here on the transaction ends with a bumped epoch.
const BUMPS_EPOCH_VERSION: i16 = 4;

/// What is asked.
pub(crate) struct Add<'a> {
    pub(crate) version: i16,
    pub(crate) transactional_id: &'a str,
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) partitions: Vec<TopicPartition>,
}

/// Adds partitions: all of them or none.
pub(crate) fn add(shard: &mut TransactionShard, now: Millis, from: Ticket, request: &Add<'_>) -> Decided {
    let count = request.partitions.len();
    let all = |code| TransactionReply::AddPartitions(vec![code; count]);
    match grown(shard, now, request) {
        Ok(Some(hard)) => Decision::new(vec![hard.record(request.transactional_id)], from, all(ErrorCode::None)),
        Ok(None) => Decision::reply(from, all(ErrorCode::None)),
        Err(refused) => Decision::reply(from, all(refused.code(request.version, FENCED_VERSION))),
    }
}

/// Says of each partition whether it is in the transaction.
pub(crate) fn verify(shard: &TransactionShard, from: Ticket, request: &Add<'_>) -> Decided {
    let entry = verified(shard, request);
    let code = |partition| match entry {
        Ok(entry) if entry.is_in(partition) => ErrorCode::None,
        Ok(_) => Refused::NotInTransaction.code(request.version, FENCED_VERSION),
        Err(refused) => refused.code(request.version, FENCED_VERSION),
    };
    Decision::reply(from, TransactionReply::AddPartitions(request.partitions.iter().map(code).collect()))
}

/// The transaction with the partitions, unless they are there.
fn grown(shard: &TransactionShard, now: Millis, request: &Add<'_>) -> Result<Option<Transaction>, Refused> {
    let hard = &find(shard, request)?.hard;
    if !hard.state.is_idle() && hard.state != State::Ongoing {
        return Err(Refused::Concurrent);
    }
    check_producer(hard, request.producer)?;
    let open = hard.state == State::Ongoing;
    if open && request.partitions.iter().all(|partition| hard.partitions.contains(partition)) {
        return Ok(None);
    }
    let mut grown = hard.to(State::Ongoing, now);
    grown.started = if open { hard.started } else { now };
    grown.partitions.extend(request.partitions.iter().cloned());
    grown.client_version = if request.version >= BUMPS_EPOCH_VERSION { BUMPING_VERSION } else { 0 };
    Ok(Some(grown))
}

fn verified<'a>(shard: &'a TransactionShard, request: &Add<'_>) -> Result<&'a Entry, Refused> {
    let entry = find(shard, request)?;
    check_producer(&entry.hard, request.producer)?;
    if entry.hard.state.prepared().is_some() {
        return Err(Refused::Concurrent);
    }
    Ok(entry)
}

fn find<'a>(shard: &'a TransactionShard, request: &Add<'_>) -> Result<&'a Entry, Refused> {
    if request.transactional_id.is_empty() {
        return Err(Refused::EmptyId);
    }
    shard.entry(request.transactional_id).ok_or(Refused::ProducerId)
}

fn check_producer(hard: &Transaction, producer: ProducerIdAndEpoch) -> Result<(), Refused> {
    if hard.producer.id != producer.id {
        return Err(Refused::ProducerId);
    }
    if hard.producer.epoch != producer.epoch { Err(Refused::Fenced) } else { Ok(()) }
}
