//! `EndTxn` up to version 4: the epoch stays.

use super::*;

const P: fn(i16) -> ProducerIdAndEpoch = |epoch| producer(1_000, epoch);

#[test]
fn an_end_keeps_the_epoch() {
    for version in 0..=KEEPS {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            let mut world = World::entered();
            world.add(ADDS_KEEPING, P(0), &["a-0"]);
            assert_eq!(world.end(version, P(0), outcome), Ok(P(0)));
            let order = world.order();
            assert_eq!((order.producer, order.outcome, order.transaction_version), (P(0), outcome, 0));
            assert_eq!(world.end(version, P(0), outcome), Err(ErrorCode::ConcurrentTransactions));
            world.written(&order, &order.partitions);
            assert_eq!((world.id().producer, world.id().client_version), (P(0), 0));
            assert_eq!(world.end(version, P(0), outcome), Ok(P(0)), "its repetition");
        }
    }
}

#[test]
fn every_state_and_every_request() {
    let (commit, abort) = (Outcome::Commit, Outcome::Abort);
    let invalid = Err(ErrorCode::InvalidTxnState);
    let again = Err(ErrorCode::ConcurrentTransactions);
    type Answer = Result<ProducerIdAndEpoch, ErrorCode>;
    let worlds: [(World, Answer, Answer); 6] = [
        (World::entered(), invalid, invalid),
        (ongoing(), Ok(P(0)), Ok(P(0))),
        (ended(commit, false), again, again),
        (ended(abort, false), again, again),
        (ended(commit, true), Ok(P(0)), invalid),
        (ended(abort, true), invalid, Ok(P(0))),
    ];
    for (world, committed, aborted) in worlds {
        for (outcome, expected) in [(commit, committed), (abort, aborted)] {
            assert_eq!(world.clone().end(KEEPS, P(0), outcome), expected, "{outcome:?} in {:?}", world.state());
            assert_eq!(world.clone().end(KEEPS, producer(7, 0), outcome), Err(ErrorCode::InvalidProducerIdMapping));
            for epoch in [-1, 1] {
                assert_eq!(world.clone().end(2, P(epoch), outcome), Err(ErrorCode::ProducerFenced));
                assert_eq!(world.clone().end(1, P(epoch), outcome), Err(ErrorCode::InvalidProducerEpoch));
            }
        }
    }
}

fn ongoing() -> World {
    let mut world = World::entered();
    world.add(ADDS_KEEPING, P(0), &["a-0"]);
    world
}

fn ended(outcome: Outcome, complete: bool) -> World {
    let mut world = ongoing();
    world.end(KEEPS, P(0), outcome).unwrap();
    if complete {
        world.complete();
    }
    world
}

/// Why there is version 5; nothing here can tell the two requests apart.
#[test]
fn a_late_end_may_hit_the_next_transaction() {
    let mut world = ended(Outcome::Commit, true);
    world.add(ADDS_KEEPING, P(0), &["b-0"]);
    assert_eq!(world.end(KEEPS, P(0), Outcome::Commit), Ok(P(0)), "sent for the first transaction");
    assert_eq!(world.state(), State::PrepareCommit);
}

#[test]
fn the_last_epoch_needs_no_new_producer_id() {
    let mut world = World::entered();
    let last = world.at_epoch(i16::MAX - 1);
    world.add(ADDS_KEEPING, last, &["a-0"]);
    assert_eq!(world.end(KEEPS, last, Outcome::Commit), Ok(last));
    world.complete();
    assert_eq!(world.id().producer, last);
}
