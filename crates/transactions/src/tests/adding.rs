//! `AddPartitionsToTxn`, adding and verifying.

use super::*;

#[test]
fn partitions_enter_and_stay() {
    let mut world = World::entered();
    let p = producer(1_000, 0);
    assert_eq!(world.add(BUMPS, p, &["a-0", "b-3"]), [ErrorCode::None; 2]);
    let started = world.now;
    assert_eq!((world.state(), world.id().started, world.id().client_version), (State::Ongoing, started, 2));
    world.now = world.now.plus(5);
    assert_eq!(world.add(BUMPS, p, &["a-1"]), [ErrorCode::None]);
    assert_eq!(world.id().partitions, partitions(&["a-0", "a-1", "b-3"]).into_iter().collect());
    assert_eq!((world.id().started, world.id().updated), (started, world.now));
    let written = world.log.len();
    assert_eq!(world.add(BUMPS, p, &["b-3", "a-1", "b-3"]), [ErrorCode::None; 3]);
    assert_eq!(world.log.len(), written, "what is there is not written");
}

#[test]
fn a_new_transaction_begins_where_the_last_one_ended() {
    for (version, adds, recorded) in [(KEEPS, ADDS_KEEPING, 0), (BUMPS, BUMPS, 2), (BUMPS, 4, 2)] {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            let mut world = World::entered();
            let next = world.transact(version, producer(1_000, 0), outcome);
            world.now = world.now.plus(7);
            assert_eq!(world.add(adds, next, &["b-0"]), [ErrorCode::None]);
            assert_eq!(world.id().partitions, partitions(&["b-0"]).into_iter().collect());
            assert_eq!((world.id().started, world.id().client_version), (world.now, recorded));
        }
    }
}

#[test]
fn who_is_refused_and_how() {
    let mut world = World::entered();
    assert_eq!(world.add(BUMPS, producer(7, 0), &["a-0"]), [ErrorCode::InvalidProducerIdMapping]);
    for (version, code) in [
        (0, ErrorCode::InvalidProducerEpoch),
        (1, ErrorCode::InvalidProducerEpoch),
        (2, ErrorCode::ProducerFenced),
        (4, ErrorCode::ProducerFenced),
        (5, ErrorCode::ProducerFenced),
    ] {
        assert_eq!(world.add(version, producer(1_000, 1), &["a-0", "a-1"]), [code; 2]);
    }
    for (id, code) in [("", ErrorCode::InvalidRequest), ("other", ErrorCode::InvalidProducerIdMapping)] {
        for verify_only in [false, true] {
            let reply = world.answer(TransactionRequest::AddPartitions {
                version: BUMPS,
                transactional_id: id.to_owned(),
                producer: producer(1_000, 0),
                partitions: partitions(&["a-0"]),
                verify_only,
            });
            assert_eq!(reply, TransactionReply::AddPartitions(vec![code]));
        }
    }
    assert_eq!(world.state(), State::Empty);
}

#[test]
fn while_markers_are_due_everybody_is_to_come_again() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let mut world = World::entered();
        world.add(BUMPS, producer(1_000, 0), &["a-0"]);
        world.end(BUMPS, producer(1_000, 0), outcome).unwrap();
        for by in [producer(1_000, 0), producer(1_000, 1), producer(7, 0)] {
            assert_eq!(world.add(BUMPS, by, &["a-0"]), [ErrorCode::ConcurrentTransactions]);
        }
        assert_eq!(world.add_or_verify(BUMPS, producer(1_000, 1), &["a-0"], true), [ErrorCode::ConcurrentTransactions]);
    }
}

#[test]
fn verifying_adds_nothing() {
    let mut world = World::entered();
    let p = producer(1_000, 0);
    let (ok, abortable) = (ErrorCode::None, ErrorCode::TransactionAbortable);
    assert_eq!(world.add_or_verify(4, p, &["a-0"], true), [abortable], "there is no transaction");
    world.add(BUMPS, p, &["a-0", "b-0"]);
    let written = world.log.len();
    assert_eq!(world.add_or_verify(4, p, &["a-1", "b-0", "a-0"], true), [abortable, ok, ok]);
    assert_eq!(world.add_or_verify(4, producer(7, 0), &["a-0"], true), [ErrorCode::InvalidProducerIdMapping]);
    assert_eq!(world.add_or_verify(4, producer(1_000, 1), &["a-0"], true), [ErrorCode::ProducerFenced]);
    let next = world.end(BUMPS, p, Outcome::Commit).unwrap();
    world.complete();
    assert_eq!(world.add_or_verify(4, p, &["a-0"], true), [ErrorCode::ProducerFenced], "it is over");
    assert_eq!(world.add_or_verify(4, next, &["a-0"], true), [abortable], "the next one is without it");
    assert_eq!(world.log.len(), written + 2);
}
