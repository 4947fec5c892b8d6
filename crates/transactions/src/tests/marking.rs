//! Orders for markers, and word of those that are written.

use super::*;

fn prepared(names: &[&str]) -> World {
    let mut world = World::entered();
    world.add(BUMPS, producer(1_000, 0), names);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    world
}

#[test]
fn who_waits_gets_the_order_with_the_decision() {
    let mut world = World::entered();
    let tickets = [world.ask(TransactionRequest::NextMarkers), world.ask(TransactionRequest::NextMarkers)];
    assert_eq!(world.open.len(), 2, "there is none yet");
    world.add(BUMPS, producer(1_000, 0), &["a-0"]);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    let TransactionReply::NextMarkers(order) = world.replies[&tickets[0]].clone() else { panic!() };
    assert_eq!(order.partitions, partitions(&["a-0"]));
    assert!(world.open.contains(&tickets[1]), "one order, one answer");
    world.written(&order, &order.partitions);
    world.transact_with_waiting(tickets[1]);
}

impl World {
    fn transact_with_waiting(&mut self, ticket: Ticket) {
        let by = self.id().producer;
        self.add(BUMPS, by, &["b-0"]);
        self.end(BUMPS, by, Outcome::Abort).unwrap();
        let TransactionReply::NextMarkers(order) = self.replies[&ticket].clone() else { panic!() };
        assert_eq!((order.outcome, order.partitions), (Outcome::Abort, partitions(&["b-0"])));
    }
}

#[test]
fn an_order_is_taken_once_in_the_order_of_the_decisions() {
    let mut world = World::new();
    for id in ["x", "y", "z"] {
        let by = world.init_as(INIT, id, TIMEOUT_MS, None).unwrap();
        let transactional_id = id.to_owned();
        world.answer(TransactionRequest::AddPartitions {
            version: BUMPS,
            transactional_id: transactional_id.clone(),
            producer: by,
            partitions: partitions(&["a-0"]),
            verify_only: false,
        });
        let outcome = Outcome::Commit;
        world.answer(TransactionRequest::End { version: BUMPS, transactional_id, producer: by, outcome, fresh: None });
        world.now = world.now.plus(1);
    }
    for reloaded in [false, true] {
        if reloaded {
            world.crash();
        }
        let taken: Vec<_> = (0..3).map(|_| world.order().transactional_id).collect();
        assert_eq!(taken, ["x", "y", "z"]);
        let ticket = world.ask(TransactionRequest::NextMarkers);
        assert!(world.open.contains(&ticket), "no more");
    }
}

#[test]
fn the_last_marker_completes() {
    let mut world = prepared(&["a-0", "a-1", "b-0"]);
    let order = world.order();
    world.written(&order, &partitions(&["a-1", "a-0"]));
    world.written(&order, &partitions(&["a-1"]));
    world.written(&order, &[]);
    world.written(&order, &partitions(&["c-0"]));
    assert_eq!(world.state(), State::PrepareCommit);
    let written = world.log.len();
    world.now = world.now.plus(9);
    world.written(&order, &partitions(&["b-0"]));
    assert_eq!((world.state(), world.log.len()), (State::CompleteCommit, written + 1));
    assert_eq!(world.id().updated, world.now);
    world.written(&order, &order.partitions);
    assert_eq!(world.log.len(), written + 1, "a repetition changes nothing");
}

#[test]
fn word_of_other_markers_changes_nothing() {
    let mut world = prepared(&["a-0"]);
    let order = world.order();
    for wrong in [
        MarkerOrder { transactional_id: "other".to_owned(), ..order.clone() },
        MarkerOrder { producer: producer(1_000, 0), ..order.clone() },
        MarkerOrder { producer: producer(7, 1), ..order.clone() },
        MarkerOrder { decided: order.decided.plus(-1), ..order.clone() },
    ] {
        world.written(&wrong, &order.partitions);
        assert_eq!(world.state(), State::PrepareCommit, "{wrong:?}");
    }
}

/// Two transactions of a client that keeps its epoch, within a millisecond: word of the first one's markers, from an order that
/// was taken before the shard was loaded anew, comes while those of the second are due.
#[test]
fn late_word_of_markers_does_not_complete_the_next_transaction() {
    let mut world = World::entered();
    let by = producer(1_000, 0);
    world.add(ADDS_KEEPING, by, &["a-0"]);
    world.end(KEEPS, by, Outcome::Commit).unwrap();
    let first = world.order();
    world.crash();
    world.complete();
    world.add(ADDS_KEEPING, by, &["a-0"]);
    world.end(KEEPS, by, Outcome::Commit).unwrap();
    world.written(&first, &first.partitions);
    assert_eq!(world.state(), State::PrepareCommit);
    world.complete();
    assert_eq!(world.state(), State::CompleteCommit);
}

/// Its markers were written by whoever took it before the shard was loaded: the order is void.
#[test]
fn an_order_that_is_done_is_not_handed_out() {
    let mut world = prepared(&["a-0"]);
    let order = world.order();
    world.crash();
    world.written(&order, &order.partitions);
    assert_eq!(world.state(), State::CompleteCommit);
    let ticket = world.ask(TransactionRequest::NextMarkers);
    assert!(world.open.contains(&ticket));
    world.transact_with_waiting(ticket);
}

/// The queue has the id twice: the void order and the new one.
#[test]
fn a_void_order_does_not_double_the_next() {
    let mut world = prepared(&["a-0"]);
    let order = world.order();
    world.crash();
    world.written(&order, &order.partitions);
    world.add(BUMPS, producer(1_000, 1), &["b-0"]);
    world.end(BUMPS, producer(1_000, 1), Outcome::Abort).unwrap();
    assert_eq!(world.order().partitions, partitions(&["b-0"]));
    let ticket = world.ask(TransactionRequest::NextMarkers);
    assert!(world.open.contains(&ticket));
}

/// Word from before the load leaves a part to be done; the new order is for that part.
#[test]
fn an_order_leaves_out_what_is_written() {
    let mut world = prepared(&["a-0", "a-1"]);
    let order = world.order();
    world.crash();
    world.written(&order, &partitions(&["a-0"]));
    assert_eq!(world.order().partitions, partitions(&["a-1"]));
}
