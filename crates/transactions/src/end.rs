//! `EndTxn`, versions 0 to 5: a transaction is to be committed or aborted.
//!
//! Invariants: what is decided stays decided. Since version 5 every end bumps the epoch, so that a request is either of the
//! transaction that is open, or a repetition of the one that ended last, or late; a late one changes nothing. Up to version 4
//! the epoch stays, and a late request of one transaction may end the next: clients of those versions have Kafka's guarantee.

use ottla_coordinator::{Decision, Outcome, Ticket};
use ottla_types::{Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use crate::{
    markers,
    refused::Refused,
    request::TransactionReply,
    shard::{Decided, Entry, TransactionShard},
    state::{BUMPING_VERSION, EPOCH_MAX, State, Transaction},
};

/// From here on a fenced producer is told by a code of its own.
const FENCED_VERSION: i16 = 2;
/// From here on the epoch is bumped.
const BUMPS_EPOCH_VERSION: i16 = 5;

/// What is asked.
pub(crate) struct End<'a> {
    pub(crate) version: i16,
    pub(crate) transactional_id: &'a str,
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) outcome: Outcome,
    pub(crate) fresh: Option<ProducerId>,
}

/// What follows.
enum Ending {
    /// It is decided: markers are due.
    Prepare(Transaction),
    /// It was decided before; the producer goes on with this.
    Again(ProducerIdAndEpoch),
    /// It was decided before, under the last epoch of all: the producer goes on under another id.
    Rotate(Transaction),
    /// When there is an id for it.
    NeedsProducerId,
}

/// See the file's head.
pub(crate) fn end(shard: &mut TransactionShard, now: Millis, from: Ticket, request: &End<'_>) -> Decided {
    let id = request.transactional_id;
    match ending(shard, now, request) {
        Ok(Ending::Prepare(prepared)) => {
            let reply = TransactionReply::End(Ok(prepared.goes_on_with()));
            let mut decided = prepare(shard, now, id, &prepared);
            decided.replies.push((from, reply));
            decided
        }
        Ok(Ending::Again(producer)) => Decision::reply(from, TransactionReply::End(Ok(producer))),
        Ok(Ending::Rotate(hard)) => {
            Decision::new(vec![hard.record(id)], from, TransactionReply::End(Ok(hard.producer)))
        }
        Ok(Ending::NeedsProducerId) => Decision::reply(from, TransactionReply::NeedsProducerId),
        Err(refused) => {
            Decision::reply(from, TransactionReply::End(Err(refused.code(request.version, FENCED_VERSION))))
        }
    }
}

/// Aborts what is open under an epoch that nobody has. Where the epochs are used up the id goes on under `fresh`, if that is
/// there; if not, it is fenced all the same: the last epoch of all is kept for this.
pub(crate) fn fence(
    shard: &mut TransactionShard,
    now: Millis,
    transactional_id: &str,
    fresh: Option<ProducerId>,
) -> Decided {
    let Some(entry) = shard.entry(transactional_id) else { return Decision::none() };
    let next = fresh.filter(|_| entry.hard.is_exhausted()).unwrap_or(ProducerId::NONE);
    let prepared = entry.hard.prepare(Outcome::Abort, BUMPING_VERSION, next, now);
    prepare(shard, now, transactional_id, &prepared)
}

fn prepare(shard: &mut TransactionShard, now: Millis, transactional_id: &str, prepared: &Transaction) -> Decided {
    if let Some(entry) = shard.ids.get_mut(transactional_id)
        && prepared.producer.epoch != entry.hard.producer.epoch
    {
        entry.last_epoch = entry.hard.producer.epoch;
    }
    markers::prepare(shard, now, transactional_id, prepared)
}

fn ending(shard: &TransactionShard, now: Millis, request: &End<'_>) -> Result<Ending, Refused> {
    if request.transactional_id.is_empty() {
        return Err(Refused::EmptyId);
    }
    let entry = shard.entry(request.transactional_id).ok_or(Refused::ProducerId)?;
    if request.version >= BUMPS_EPOCH_VERSION {
        end_bumping(&entry.hard, now, request)
    } else {
        end_keeping(entry, now, request)
    }
}

/// Versions 0 and 1 of transactions: the epoch stays.
fn end_keeping(entry: &Entry, now: Millis, request: &End<'_>) -> Result<Ending, Refused> {
    let hard = &entry.hard;
    if hard.producer.id != request.producer.id {
        return Err(Refused::ProducerId);
    }
    if hard.producer.epoch != request.producer.epoch {
        return Err(Refused::Fenced);
    }
    match (hard.state, request.outcome) {
        (State::PrepareCommit | State::PrepareAbort, _) => Err(Refused::Concurrent),
        (State::Ongoing, outcome) => Ok(Ending::Prepare(hard.prepare(outcome, 0, ProducerId::NONE, now))),
        (State::CompleteCommit, Outcome::Commit) | (State::CompleteAbort, Outcome::Abort) => {
            Ok(Ending::Again(hard.producer))
        }
        _ => Err(Refused::State),
    }
}

/// Version 2 of transactions: every end bumps the epoch.
fn end_bumping(hard: &Transaction, now: Millis, request: &End<'_>) -> Result<Ending, Refused> {
    let End { producer, outcome, .. } = *request;
    if hard.state.prepared().is_some() {
        return Err(Refused::Concurrent);
    }
    let bumped = hard.producer.id == producer.id && hard.producer.epoch.0.checked_sub(1) == Some(producer.epoch.0);
    let rotated = hard.producer.id != producer.id
        && hard.previous == producer.id
        && producer.epoch == EPOCH_MAX
        && hard.producer.epoch == ProducerEpoch(0);
    if hard.producer.id != producer.id && !rotated {
        return Err(Refused::ProducerId);
    }
    let ended = matches!(hard.state, State::CompleteCommit | State::CompleteAbort);
    let repeated = ended && (bumped || rotated);
    if hard.producer != producer && !repeated {
        return Err(Refused::Fenced);
    }
    match (hard.state, outcome, repeated) {
        (State::CompleteCommit, Outcome::Commit, true) | (State::CompleteAbort, Outcome::Abort, true) => {
            Ok(again(hard, now, request))
        }
        (State::Ongoing, ..)
        // A client that is not sure whether anything was added aborts to be sure.
        | (State::Empty | State::CompleteCommit | State::CompleteAbort, Outcome::Abort, false) => {
            Ok(bump(hard, now, request))
        }
        _ => Err(Refused::State),
    }
}

fn bump(hard: &Transaction, now: Millis, request: &End<'_>) -> Ending {
    let next = match (hard.is_exhausted(), request.fresh) {
        (false, _) => ProducerId::NONE,
        (true, Some(id)) => id,
        (true, None) => return Ending::NeedsProducerId,
    };
    Ending::Prepare(hard.prepare(request.outcome, BUMPING_VERSION, next, now))
}

fn again(hard: &Transaction, now: Millis, request: &End<'_>) -> Ending {
    if hard.producer.epoch <= EPOCH_MAX {
        return Ending::Again(hard.producer);
    }
    let Some(id) = request.fresh else { return Ending::NeedsProducerId };
    let producer = ProducerIdAndEpoch { id, epoch: ProducerEpoch(0) };
    Ending::Rotate(Transaction { producer, ..hard.to(hard.state, now) })
}
