//! What administrators are shown.

use ottla_wire::messages::describe_transactions_response::{TopicData, TransactionState as Described};

use super::*;

impl World {
    fn describe(&mut self, id: &str) -> Described {
        match self.answer(TransactionRequest::Describe { transactional_id: id.to_owned() }) {
            TransactionReply::Describe(described) => described,
            other => panic!("{other:?}"),
        }
    }

    /// Ids that are listed, and states that are unknown.
    fn list(&mut self, states: &[&str], producers: &[i64], duration_ms: i64) -> (String, String) {
        let request = TransactionRequest::List {
            states: states.iter().map(|&state| state.to_owned()).collect(),
            producers: producers.iter().map(|&id| ProducerId(id)).collect(),
            duration_ms,
        };
        match self.answer(request) {
            TransactionReply::List { unknown_states, listed } => {
                let ids: Vec<_> = listed.into_iter().map(|listed| listed.transactional_id).collect();
                (ids.join(" "), unknown_states.join(" "))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_transaction_from_begin_to_end() {
    let mut world = World::entered();
    let empty = Described {
        transactional_id: ID.to_owned(),
        transaction_state: "Empty".to_owned(),
        transaction_timeout_ms: TIMEOUT_MS,
        transaction_start_time_ms: -1,
        producer_id: 1_000,
        producer_epoch: 0,
        ..Described::default()
    };
    assert_eq!(world.describe(ID), empty);
    world.add(BUMPS, producer(1_000, 0), &["b-0", "a-1", "a-0"]);
    let topic =
        |topic: &str, partitions: &[i32]| TopicData { topic: topic.to_owned(), partitions: partitions.to_vec() };
    let ongoing = Described {
        transaction_state: "Ongoing".to_owned(),
        transaction_start_time_ms: 1_000_000,
        topics: vec![topic("a", &[0, 1]), topic("b", &[0])],
        ..empty
    };
    assert_eq!(world.describe(ID), ongoing);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    let order = world.order();
    world.written(&order, &partitions(&["a-0", "b-0"]));
    let preparing = Described {
        transaction_state: "PrepareCommit".to_owned(),
        producer_epoch: 1,
        topics: vec![topic("a", &[1])],
        ..ongoing
    };
    assert_eq!(world.describe(ID), preparing, "what is left to do");
    world.written(&order, &order.partitions);
    let complete = Described { transaction_state: "CompleteCommit".to_owned(), topics: Vec::new(), ..preparing };
    assert_eq!(world.describe(ID), complete);
}

#[test]
fn what_cannot_be_described() {
    let mut world = World::new();
    assert_eq!(world.describe("").error_code, ErrorCode::InvalidRequest.code());
    let missing = world.describe("other");
    assert_eq!(missing.error_code, ErrorCode::TransactionalIdNotFound.code());
    assert_eq!(missing.transactional_id, "other");
}

#[test]
fn filters() {
    let mut world = World::new();
    for id in ["b1", "a1", "a2"] {
        world.init_as(INIT, id, TIMEOUT_MS, None).unwrap();
    }
    world.answer(TransactionRequest::AddPartitions {
        version: BUMPS,
        transactional_id: "a2".to_owned(),
        producer: producer(1_002, 0),
        partitions: partitions(&["a-0"]),
        verify_only: false,
    });
    world.now = world.now.plus(100);
    let mut check = |states: &[&str], producers: &[i64], duration_ms, listed: &str, unknown: &str| {
        let expected = (listed.to_owned(), unknown.to_owned());
        assert_eq!(world.list(states, producers, duration_ms), expected, "{states:?} {producers:?}");
    };
    check(&[], &[], -1, "a1 a2 b1", "");
    check(&["Empty"], &[], -1, "a1 b1", "");
    check(&["Empty", "Ongoing"], &[], -1, "a1 a2 b1", "");
    check(&["empty", "Nonsense", "empty"], &[], -1, "", "empty Nonsense");
    check(&["Nonsense", "Ongoing"], &[], -1, "a2", "Nonsense");
    check(&["Dead", "PrepareEpochFence", "CompleteAbort"], &[], -1, "", "");
    check(&[], &[1_000, 1_002, 7], -1, "a2 b1", "");
    check(&[], &[], 99, "a1 a2 b1", "");
    // Who has no transaction has been without one since ever, to Kafka.
    check(&[], &[], 100, "a1 b1", "");
    check(&["Ongoing"], &[], 100, "", "");
    check(&["Ongoing"], &[], 99, "a2", "");
}
