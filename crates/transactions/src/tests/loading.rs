//! A new coordinator takes over what the log says.

use super::*;

#[test]
fn ends_that_are_decided_go_on() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let mut world = World::entered();
        world.add(BUMPS, producer(1_000, 0), &["a-0", "a-1"]);
        world.end(BUMPS, producer(1_000, 0), outcome).unwrap();
        let before = world.order();
        world.written(&before, &partitions(&["a-0"]));
        world.crash();
        assert_eq!(world.order(), before, "all markers once more");
        world.written(&before, &before.partitions);
        assert!(world.state().is_idle());
    }
}

#[test]
fn an_end_without_partitions_is_completed() {
    let mut world = World::entered();
    assert_eq!(world.end(BUMPS, producer(1_000, 0), Outcome::Abort), Ok(producer(1_000, 1)));
    assert_eq!(world.log.pop().map(|_| ()), Some(()), "it did not come into the log");
    world.crash();
    assert_eq!((world.state(), world.id().producer), (State::CompleteAbort, producer(1_000, 1)));
}

#[test]
fn open_transactions_time_out() {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    world.crash();
    world.pass(i64::from(TIMEOUT_MS + ABORT_EVERY_MS));
    assert_eq!(world.state(), State::PrepareAbort);
}

#[test]
fn who_waited_is_forgotten() {
    let mut world = World::entered();
    world.ask(TransactionRequest::NextMarkers);
    world.crash();
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    world.complete();
}

/// At every place where the log may end.
#[test]
fn a_crash_at_each_append_loses_only_what_was_not_answered() {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), &["a-0", "b-0"]);
    let next = world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    world.complete();
    world.add(BUMPS, next, &["a-0"]);
    world.init(None).unwrap_err();
    world.complete();
    world.init(None).unwrap();
    for length in 0..=world.log.len() {
        let mut cut = world.clone();
        cut.log.truncate(length);
        cut.crash();
        let Some(entry) = cut.shard.ids.get(ID) else { continue };
        let outcome = entry.hard.state.prepared();
        if outcome.is_some() {
            cut.complete();
        }
        let epoch = cut.id().producer.epoch;
        while let Err(error) = cut.init(None) {
            assert_eq!(error, ErrorCode::ConcurrentTransactions);
            cut.complete();
        }
        assert!(cut.id().producer.epoch > epoch, "whoever enters has an epoch that nobody had");
    }
}
