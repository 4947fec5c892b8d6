//! `InitProducerId`.

use super::*;

#[test]
fn a_new_id_gets_a_fresh_producer_id_and_epoch_0() {
    let mut world = World::new();
    assert_eq!(world.init(None), Ok(producer(1_000, 0)));
    assert_eq!((world.state(), world.id().timeout_ms), (State::Empty, TIMEOUT_MS));
    assert_eq!(world.id().started, Millis::NONE);
}

#[test]
fn a_new_id_takes_whatever_was_expected() {
    let mut world = World::new();
    assert_eq!(world.init(Some(producer(5, 7))), Ok(producer(1_000, 0)));
}

#[test]
fn bad_requests_are_refused() {
    let mut world = World::entered();
    let written = world.log.len();
    assert_eq!(world.init_as(INIT, "", TIMEOUT_MS, None), Err(ErrorCode::InvalidRequest));
    for timeout_ms in [0, -1, i32::MIN, TIMEOUT_MAX_MS + 1, i32::MAX] {
        assert_eq!(world.init_as(INIT, ID, timeout_ms, None), Err(ErrorCode::InvalidTransactionTimeout));
        assert_eq!(world.init_as(INIT, "new", timeout_ms, None), Err(ErrorCode::InvalidTransactionTimeout));
    }
    assert_eq!(world.log.len(), written);
    assert_eq!(world.init_as(INIT, ID, TIMEOUT_MAX_MS, None), Ok(producer(1_000, 1)));
    assert_eq!(world.id().timeout_ms, TIMEOUT_MAX_MS);
}

#[test]
fn whoever_enters_without_expecting_fences_the_one_before() {
    let mut world = World::entered();
    assert_eq!(world.init(None), Ok(producer(1_000, 1)));
    assert_eq!(world.add(BUMPS, producer(1_000, 0), &["a-0"]), [ErrorCode::ProducerFenced]);
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ProducerFenced));
    for (version, code) in
        [(3, ErrorCode::InvalidProducerEpoch), (4, ErrorCode::ProducerFenced), (5, ErrorCode::ProducerFenced)]
    {
        assert_eq!(world.init_as(version, ID, TIMEOUT_MS, Some(producer(1_000, 0))), Err(code));
    }
}

#[test]
fn a_producer_goes_on_and_may_ask_twice() {
    let mut world = World::entered();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    let written = world.log.len();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)), "the answer was lost");
    assert_eq!(world.log.len(), written, "which changes nothing");
    assert_eq!(world.init_as(INIT, ID, 1_000, Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    assert_eq!(world.id().timeout_ms, 1_000);
    assert_eq!(world.init(Some(producer(1_000, 1))), Ok(producer(1_000, 2)));
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init(Some(producer(1_000, 3))), Err(ErrorCode::ProducerFenced), "from the future");
    assert_eq!(world.init(Some(producer(7, 2))), Err(ErrorCode::ProducerFenced), "another id");
}

#[test]
fn after_somebody_entered_the_one_before_is_out() {
    let mut world = World::entered();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    assert_eq!(world.init(None), Ok(producer(1_000, 2)));
    assert_eq!(world.init(Some(producer(1_000, 1))), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_repetition_is_not_known_to_a_shard_that_was_loaded_since() {
    let mut world = World::entered();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    world.crash();
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ProducerFenced), "Kafka's record has no room");
}

#[test]
fn an_open_transaction_is_aborted_first() {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    assert_eq!(world.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!((world.state(), world.id().producer), (State::PrepareAbort, producer(1_000, 1)));
    assert_eq!(world.init(None), Err(ErrorCode::ConcurrentTransactions), "markers are due");
    assert_eq!(world.init(Some(producer(9, 9))), Err(ErrorCode::ConcurrentTransactions), "whoever it is");
    let order = world.order();
    assert_eq!((order.producer, order.outcome, order.transaction_version), (producer(1_000, 1), Outcome::Abort, 2));
    world.written(&order, &order.partitions);
    assert_eq!(world.state(), State::CompleteAbort);
    assert_eq!(world.init(None), Ok(producer(1_000, 2)), "the epoch of the abort is nobody's");
}

#[test]
fn the_owner_of_an_open_transaction_may_abort_it_so() {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ConcurrentTransactions));
    world.complete();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    assert_eq!(world.state(), State::Empty);
}

/// A repetition of a request to go on, that comes when the producer did go on and has a transaction open.
#[test]
fn a_late_request_to_go_on_aborts_nothing() {
    let mut world = World::entered();
    assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_000, 1)));
    world.add(BUMPS, producer(1_000, 1), &["a-0"]);
    assert_eq!(world.init(Some(producer(1_000, 0))), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init(Some(producer(9, 1))), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.state(), State::Ongoing);
}

#[test]
fn epochs_that_are_used_up_give_a_new_producer_id() {
    let mut world = World::entered();
    world.at_epoch(i16::MAX - 2);
    let last = producer(1_000, i16::MAX - 1);
    assert_eq!(world.init(None), Ok(last), "the last epoch that is given");
    assert_eq!(world.init(None), Ok(producer(1_001, 0)));
    assert_eq!(world.id().previous, ProducerId(1_000));
    assert_eq!(world.init(Some(last)), Err(ErrorCode::ProducerFenced), "fenced by one that expected nothing");
}

#[test]
fn a_producer_goes_on_under_a_new_id_and_may_ask_twice() {
    let mut world = World::entered();
    let last = world.at_epoch(i16::MAX - 1);
    assert_eq!(world.init(Some(last)), Ok(producer(1_001, 0)));
    assert_eq!(world.init(Some(last)), Ok(producer(1_001, 0)));
    assert_eq!(world.init_as(INIT, ID, 1_000, Some(last)), Ok(producer(1_001, 0)));
    assert_eq!(world.init(Some(last)), Ok(producer(1_001, 0)), "as often as it likes");
    assert_eq!(world.init(Some(producer(1_000, i16::MAX - 2))), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init(Some(producer(1_001, 0))), Ok(producer(1_001, 1)));
    assert_eq!(world.init(Some(last)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn the_last_epoch_is_left_for_fencing() {
    let mut world = World::entered();
    let last = world.at_epoch(i16::MAX - 1);
    world.add(BUMPS, last, &["a-0"]);
    assert_eq!(world.init(None), Err(ErrorCode::ConcurrentTransactions));
    let order = world.order();
    assert_eq!(order.producer, producer(1_000, i16::MAX));
    world.written(&order, &order.partitions);
    assert_eq!((world.state(), world.id().producer), (State::CompleteAbort, producer(1_001, 0)));
    assert_eq!(world.init(None), Ok(producer(1_001, 1)), "as in Kafka, the end of the transaction took epoch 0");
    assert_eq!(world.end(BUMPS, last, Outcome::Abort), Err(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn a_producer_that_was_fenced_under_the_last_epoch_goes_on_under_a_new_id() {
    let mut world = World::entered();
    let last = world.at_epoch(i16::MAX - 1);
    world.add(BUMPS, last, &["a-0"]);
    assert_eq!(world.init(Some(last)), Err(ErrorCode::ConcurrentTransactions));
    world.complete();
    assert_eq!(world.init(Some(last)), Ok(producer(1_001, 0)));
    assert_eq!(world.init(Some(last)), Ok(producer(1_001, 0)));
}
