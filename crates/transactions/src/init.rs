//! `InitProducerId`, versions 0 to 5: a producer enters, and who had the transactional id before is fenced.
//!
//! Invariants: whoever enters without saying what it had gets an epoch that nobody had. A producer that says what it had
//! gets on only where nobody entered since; the same request again gets the same answer, until another epoch is given or
//! the shard is loaded anew. An open transaction is aborted, under an epoch of its own, before anybody enters.
//!
//! Kafka aborts an open transaction also for a producer that says it had an epoch of long ago, to refuse it afterwards. Here
//! it is refused at once: a late repetition of such a request would abort a transaction that is none of its business.

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use crate::{
    end::fence,
    refused::Refused,
    request::TransactionReply,
    shard::{Decided, Entry, TransactionShard},
    state::{EPOCH_MAX, State, Transaction},
};

/// From here on a fenced producer is told by a code of its own.
const FENCED_VERSION: i16 = 4;

/// What is asked.
pub(crate) struct Init<'a> {
    pub(crate) version: i16,
    pub(crate) transactional_id: &'a str,
    pub(crate) timeout_ms: i32,
    pub(crate) expected: Option<ProducerIdAndEpoch>,
    pub(crate) fresh: Option<ProducerId>,
}

/// What follows.
enum Enter {
    /// The producer of the first goes on; the other is what it had, if it said so.
    As(Transaction, ProducerEpoch),
    /// As it was told before.
    Again(ProducerIdAndEpoch),
    /// When the open transaction is aborted.
    Later,
    /// When there is an id for it.
    NeedsProducerId,
}

/// See the file's head.
pub(crate) fn init(shard: &mut TransactionShard, now: Millis, from: Ticket, request: &Init<'_>) -> Decided {
    let id = request.transactional_id;
    match enter(shard, now, request) {
        Ok(Enter::As(hard, last_epoch)) => {
            if let Some(entry) = shard.ids.get_mut(id) {
                entry.last_epoch = last_epoch;
            }
            Decision::new(vec![hard.record(id)], from, TransactionReply::Init(Ok(hard.producer)))
        }
        Ok(Enter::Again(producer)) => Decision::reply(from, TransactionReply::Init(Ok(producer))),
        Ok(Enter::Later) => {
            let mut decided = fence(shard, now, id, request.fresh);
            decided.replies.push((from, TransactionReply::Init(Err(ErrorCode::ConcurrentTransactions))));
            decided
        }
        Ok(Enter::NeedsProducerId) => Decision::reply(from, TransactionReply::NeedsProducerId),
        Err(refused) => {
            let code = refused.code(request.version, FENCED_VERSION);
            Decision::reply(from, TransactionReply::Init(Err(code)))
        }
    }
}

fn enter(shard: &TransactionShard, now: Millis, request: &Init<'_>) -> Result<Enter, Refused> {
    if request.transactional_id.is_empty() {
        return Err(Refused::EmptyId);
    }
    if request.timeout_ms <= 0 || request.timeout_ms > shard.settings.max_timeout_ms {
        return Err(Refused::Timeout);
    }
    match shard.entry(request.transactional_id) {
        None => Ok(match request.fresh {
            Some(id) => Enter::As(Transaction::new(id, request.timeout_ms, now), ProducerEpoch::NONE),
            None => Enter::NeedsProducerId,
        }),
        Some(entry) if entry.hard.state.prepared().is_some() => Err(Refused::Concurrent),
        Some(entry) if entry.hard.state.is_open() => match request.expected {
            Some(expected) if expected != entry.hard.producer => Err(Refused::Fenced),
            _ if entry.hard.is_exhausted() && request.fresh.is_none() => Ok(Enter::NeedsProducerId),
            _ => Ok(Enter::Later),
        },
        Some(entry) => match request.expected {
            None => Ok(go_on(&entry.hard, now, request, ProducerEpoch::NONE)),
            Some(expected) if expected == entry.hard.producer => Ok(go_on(&entry.hard, now, request, expected.epoch)),
            Some(expected) if was_answered(entry, expected) => Ok(repeat(entry, now, request)),
            Some(_) => Err(Refused::Fenced),
        },
    }
}

/// The next epoch of the producer, or a new producer id where they are used up.
fn go_on(hard: &Transaction, now: Millis, request: &Init<'_>, last_epoch: ProducerEpoch) -> Enter {
    let producer = if hard.is_exhausted() {
        let Some(id) = request.fresh else { return Enter::NeedsProducerId };
        // Kafka leaves epoch 0 to the end of the transaction that was aborted when its time was over.
        ProducerIdAndEpoch { id, epoch: ProducerEpoch(i16::from(hard.producer.epoch > EPOCH_MAX)) }
    } else {
        ProducerIdAndEpoch { epoch: hard.next_epoch(), ..hard.producer }
    };
    Enter::As(Transaction { producer, ..emptied(hard, now, request.timeout_ms) }, last_epoch)
}

/// Whether the present producer is what one with `expected` was given, which may not have heard of it.
fn was_answered(entry: &Entry, expected: ProducerIdAndEpoch) -> bool {
    let hard = &entry.hard;
    let rotated = expected.id == hard.previous && expected.epoch >= EPOCH_MAX;
    (expected.id == hard.producer.id || rotated) && expected.epoch == entry.last_epoch
}

/// The same answer once more.
fn repeat(entry: &Entry, now: Millis, request: &Init<'_>) -> Enter {
    let hard = &entry.hard;
    if hard.producer.epoch > EPOCH_MAX {
        // It was fenced under the last epoch of all, which is not given to anybody.
        return go_on(hard, now, request, entry.last_epoch);
    }
    if hard.state == State::Empty && hard.timeout_ms == request.timeout_ms {
        return Enter::Again(hard.producer);
    }
    let again = Transaction { previous: hard.previous, ..emptied(hard, now, request.timeout_ms) };
    Enter::As(again, entry.last_epoch)
}

fn emptied(hard: &Transaction, now: Millis, timeout_ms: i32) -> Transaction {
    Transaction { timeout_ms, started: Millis::NONE, partitions: Default::default(), ..hard.to(State::Empty, now) }
}
