//! What time does.

use super::*;

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    for (adds, version) in [(ADDS_KEEPING, KEEPS), (BUMPS, BUMPS)] {
        let mut world = World::entered();
        let p = producer(1_000, 0);
        world.add(adds, p, &["a-0"]);
        world.pass(i64::from(TIMEOUT_MS));
        assert_eq!(world.state(), State::Ongoing, "not longer than allowed");
        world.add(adds, p, &["a-1"]);
        world.pass(i64::from(ABORT_EVERY_MS));
        assert_eq!(world.state(), State::PrepareAbort, "counted from its begin");
        let order = world.order();
        assert_eq!((order.producer, order.transaction_version), (producer(1_000, 1), 2), "fenced");
        assert_eq!(
            world.end(version, p, Outcome::Commit).unwrap_err(),
            match version {
                KEEPS => ErrorCode::ProducerFenced,
                _ => ErrorCode::ConcurrentTransactions,
            }
        );
        world.written(&order, &order.partitions);
        assert_eq!(world.add(adds, p, &["a-0"]), [ErrorCode::ProducerFenced]);
        if version == KEEPS {
            assert_eq!(world.end(version, p, Outcome::Commit), Err(ErrorCode::ProducerFenced));
            assert_eq!(world.end(version, p, Outcome::Abort), Err(ErrorCode::ProducerFenced));
        } else {
            assert_eq!(world.end(version, p, Outcome::Commit), Err(ErrorCode::InvalidTxnState));
            assert_eq!(world.end(version, p, Outcome::Abort), Ok(producer(1_000, 1)), "it goes on");
        }
        assert_eq!(world.init(Some(p)), Ok(producer(1_000, 1)), "or enters again");
    }
}

/// Looked for every ten seconds: at multiples of them.
#[test]
fn the_abort_comes_when_it_is_looked_for() {
    for (timeout_ms, at) in [(1, 1_010_000), (9_999, 1_010_000), (10_000, 1_020_000), (60_000, 1_070_000)] {
        let mut world = World::new();
        world.init_as(INIT, ID, timeout_ms, None).unwrap();
        world.add(BUMPS, producer(1_000, 0), &["a-0"]);
        assert_eq!(world.shard.next_deadline(), Some(Millis(at)));
    }
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let forget_ms = i64::from(FORGET_AFTER_MS);
    let states: [fn(&mut World); 3] = [
        |_| {},
        |world| {
            world.transact(BUMPS, producer(1_000, 0), Outcome::Commit);
        },
        |world| {
            world.transact(KEEPS, producer(1_000, 0), Outcome::Abort);
        },
    ];
    for bring in states {
        let mut world = World::entered();
        bring(&mut world);
        world.pass(forget_ms - 1);
        assert_eq!(world.shard.ids.len(), 1);
        world.pass(i64::from(FORGET_EVERY_MS));
        assert_eq!(world.shard.ids.len(), 0);
        assert_eq!(world.log.last(), Some(&crate::state::tombstone(ID)));
        assert_eq!(world.shard.next_deadline(), None, "nothing is left to wake up for");
        assert_eq!(world.add(BUMPS, producer(1_000, 0), &["a-0"]), [ErrorCode::InvalidProducerIdMapping]);
        assert_eq!(world.init(Some(producer(1_000, 0))), Ok(producer(1_001, 0)));
    }
}

#[test]
fn an_id_with_an_end_under_way_is_never_forgotten() {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    assert_eq!(world.shard.next_deadline(), None);
    world.pass(i64::from(FORGET_AFTER_MS) * 3);
    assert_eq!(world.state(), State::PrepareCommit);
    world.complete();
    world.pass(i64::from(FORGET_AFTER_MS) - 1);
    assert_eq!(world.state(), State::CompleteCommit, "counted from its completion");
}

#[test]
fn use_keeps_an_id() {
    let mut world = World::entered();
    world.pass(i64::from(FORGET_AFTER_MS) - 1);
    world.init(None).unwrap();
    world.pass(i64::from(FORGET_AFTER_MS) - 1);
    assert_eq!(world.shard.ids.len(), 1);
}
