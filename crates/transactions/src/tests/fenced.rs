//! `EndTxn` since version 5: every end bumps the epoch.

use super::*;

const P: fn(i16) -> ProducerIdAndEpoch = |epoch| producer(1_000, epoch);
const COMMIT: Outcome = Outcome::Commit;
const ABORT: Outcome = Outcome::Abort;

#[test]
fn an_end_bumps_the_epoch_and_orders_markers_under_it() {
    for (outcome, prepared, completed) in
        [(COMMIT, State::PrepareCommit, State::CompleteCommit), (ABORT, State::PrepareAbort, State::CompleteAbort)]
    {
        let mut world = World::entered();
        world.add(BUMPS, P(0), &["a-0", "b-1"]);
        assert_eq!(world.end(BUMPS, P(0), outcome), Ok(P(1)));
        assert_eq!((world.state(), world.id().producer), (prepared, P(1)));
        let order = world.order();
        assert_eq!((order.producer, order.outcome, order.transaction_version), (P(1), outcome, 2));
        assert_eq!(order.partitions, partitions(&["a-0", "b-1"]));
        world.written(&order, &order.partitions);
        assert_eq!((world.state(), world.id().producer), (completed, P(1)));
        assert_eq!(world.id().partitions.len(), 0);
        assert_eq!(world.id().client_version, 2);
    }
}

/// The states a transaction can be in, with the epoch 5.
fn world_in(state: State) -> World {
    let mut world = World::entered();
    world.at_epoch(4);
    let (outcome, complete) = match state {
        State::Empty => {
            assert_eq!(world.init(None), Ok(P(5)));
            return world;
        }
        State::Ongoing => {
            let next = world.transact(BUMPS, P(4), COMMIT);
            world.add(BUMPS, next, &["a-0"]);
            return world;
        }
        State::PrepareCommit => (COMMIT, false),
        State::PrepareAbort => (ABORT, false),
        State::CompleteCommit => (COMMIT, true),
        State::CompleteAbort => (ABORT, true),
        State::Dead | State::PrepareEpochFence => panic!("is never there"),
    };
    world.add(BUMPS, P(4), &["a-0"]);
    world.end(BUMPS, P(4), outcome).unwrap();
    if complete {
        world.complete();
    }
    world
}

/// What Kafka answers to the end of the transaction before (epoch 4) and of this one (epoch 5).
#[test]
fn every_state_and_every_request() {
    let again = Err(ErrorCode::ConcurrentTransactions);
    let fenced = Err(ErrorCode::ProducerFenced);
    let invalid = Err(ErrorCode::InvalidTxnState);
    let (same, bumped) = (Ok(P(5)), Ok(P(6)));
    for (state, commit_4, abort_4, commit_5, abort_5) in [
        (State::Empty, fenced, fenced, invalid, bumped),
        (State::Ongoing, fenced, fenced, bumped, bumped),
        (State::PrepareCommit, again, again, again, again),
        (State::PrepareAbort, again, again, again, again),
        (State::CompleteCommit, same, invalid, invalid, bumped),
        (State::CompleteAbort, invalid, same, invalid, bumped),
    ] {
        for (epoch, outcome, expected) in
            [(4, COMMIT, commit_4), (4, ABORT, abort_4), (5, COMMIT, commit_5), (5, ABORT, abort_5)]
        {
            let mut world = world_in(state);
            let written = world.log.len();
            let answer = world.end(BUMPS, P(epoch), outcome);
            assert_eq!(answer, expected, "{state:?}: {outcome:?} of epoch {epoch}");
            assert_eq!(world.log.len() > written, answer == bumped, "{state:?}: {outcome:?} of epoch {epoch}");
        }
        let prepared = state.prepared().is_some();
        for epoch in [0, 3, 6, i16::MAX, i16::MIN, -1] {
            for outcome in [COMMIT, ABORT] {
                let mut world = world_in(state);
                let (written, expected) = (world.log.len(), if prepared { again } else { fenced });
                assert_eq!(world.end(BUMPS, P(epoch), outcome), expected, "{state:?}: {outcome:?} of epoch {epoch}");
                assert_eq!(world.log.len(), written);
            }
        }
        let mut world = world_in(state);
        let unknown = if prepared { again } else { Err(ErrorCode::InvalidProducerIdMapping) };
        assert_eq!(world.end(BUMPS, producer(7, 5), COMMIT), unknown, "{state:?}");
    }
}

#[test]
fn what_names_no_id_is_refused() {
    let mut world = World::entered();
    for (id, code) in [("", ErrorCode::InvalidRequest), ("other", ErrorCode::InvalidProducerIdMapping)] {
        for version in [KEEPS, BUMPS] {
            let reply = world.answer(TransactionRequest::End {
                version,
                transactional_id: id.to_owned(),
                producer: P(0),
                outcome: COMMIT,
                fresh: None,
            });
            assert_eq!(reply, TransactionReply::End(Err(code)));
        }
    }
}

#[test]
fn an_abort_of_nothing_is_complete_at_once() {
    let mut world = World::entered();
    world.now = world.now.plus(3);
    assert_eq!(world.end(BUMPS, P(0), ABORT), Ok(P(1)));
    assert_eq!((world.state(), world.id().producer), (State::CompleteAbort, P(1)));
    assert_eq!(world.id().started, world.now);
    assert_eq!(world.end(BUMPS, P(0), ABORT), Ok(P(1)), "its repetition");
    let states: Vec<_> = world.log.iter().rev().take(2).map(status).collect();
    assert_eq!(states, [State::CompleteAbort, State::PrepareAbort], "Kafka writes both");
    let ticket = world.ask(TransactionRequest::NextMarkers);
    assert!(world.open.contains(&ticket), "there is no order");
}

fn status(record: &TransactionRecord) -> State {
    match record {
        TransactionRecord::State(_, Some(value)) => State::of(value.transaction_status).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn epochs_that_are_used_up_give_a_new_producer_id() {
    for outcome in [COMMIT, ABORT] {
        let mut world = World::entered();
        let last = world.at_epoch(i16::MAX - 1);
        world.add(BUMPS, last, &["a-0"]);
        assert_eq!(world.end(BUMPS, last, outcome), Ok(producer(1_001, 0)), "told at once");
        let hard = world.id();
        assert_eq!((hard.producer, hard.next), (P(i16::MAX), ProducerId(1_001)), "markers carry the old id");
        world.crash();
        let order = world.order();
        assert_eq!(order.producer, P(i16::MAX));
        assert_eq!(world.end(BUMPS, last, outcome), Err(ErrorCode::ConcurrentTransactions));
        world.written(&order, &order.partitions);
        let hard = world.id();
        assert_eq!((hard.producer, hard.next), (producer(1_001, 0), ProducerId::NONE));
        assert_eq!(hard.previous, ProducerId(1_000));
        assert_eq!(world.end(BUMPS, last, outcome), Ok(producer(1_001, 0)), "its repetition");
        let other = if outcome == COMMIT { ABORT } else { COMMIT };
        assert_eq!(world.end(BUMPS, last, other), Err(ErrorCode::InvalidTxnState));
        assert_eq!(world.end(BUMPS, P(i16::MAX - 2), outcome), Err(ErrorCode::InvalidProducerIdMapping));
        world.add(BUMPS, producer(1_001, 0), &["a-0"]);
        assert_eq!(world.end(BUMPS, last, outcome), Err(ErrorCode::InvalidProducerIdMapping), "late");
        assert_eq!(world.state(), State::Ongoing);
    }
}

/// Time aborts without a producer id at hand.
#[test]
fn who_timed_out_at_the_last_epoch_goes_on_under_a_new_id() {
    let mut world = World::entered();
    let last = world.at_epoch(i16::MAX - 1);
    world.add(BUMPS, last, &["a-0"]);
    world.pass(i64::from(TIMEOUT_MS + ABORT_EVERY_MS));
    world.complete();
    assert_eq!((world.state(), world.id().producer), (State::CompleteAbort, P(i16::MAX)));
    let mut entered = world.clone();
    assert_eq!(entered.init(None), Ok(producer(1_001, 1)));
    assert_eq!(world.end(BUMPS, last, COMMIT), Err(ErrorCode::InvalidTxnState));
    assert_eq!(world.end(BUMPS, last, ABORT), Ok(producer(1_001, 0)));
    assert_eq!(world.end(BUMPS, last, ABORT), Ok(producer(1_001, 0)), "its repetition");
    assert_eq!(world.add(BUMPS, producer(1_001, 0), &["a-0"]), [ErrorCode::None]);
}
