//! The purgatory against a list of operations that is searched.

use ottla_purgatory::{OperationKey, Purgatory};
use ottla_types::Millis;
use proptest::prelude::*;

/// An operation of the tests: complete when `wanted` reaches 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operation {
    number: usize,
    wanted: u32,
}

fn step_towards(operation: &mut Operation) -> bool {
    operation.wanted = operation.wanted.saturating_sub(1);
    operation.wanted == 0
}

#[derive(Clone, Debug)]
enum Step {
    Insert { keys: Vec<u8>, after: i64, wanted: u32 },
    Check { key: u8 },
    Cancel { nth: usize },
    Advance { by: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (prop::collection::vec(0..12_u8, 0..6), -5..300_i64, 1..4_u32)
            .prop_map(|(keys, after, wanted)| Step::Insert { keys, after, wanted }),
        4 => (0..12_u8).prop_map(|key| Step::Check { key }),
        1 => (0..100_usize).prop_map(|nth| Step::Cancel { nth }),
        1 => (-20..150_i64).prop_map(|by| Step::Advance { by }),
    ];
    prop::collection::vec(step, 0..150)
}

struct Waiting {
    key: OperationKey,
    operation: Operation,
    keys: Vec<u8>,
    deadline: Millis,
}

struct Pair {
    purgatory: Purgatory<u8, Operation>,
    list: Vec<Waiting>,
    given: Vec<OperationKey>,
    now: Millis,
}

impl Pair {
    fn run(&mut self, step: Step) {
        match step {
            Step::Insert { mut keys, after, wanted } => {
                let operation = Operation { number: self.given.len(), wanted };
                let deadline = self.now.plus(after);
                let key = self.purgatory.insert(keys.clone(), deadline, operation.clone());
                keys.sort_unstable();
                keys.dedup();
                self.list.push(Waiting { key, operation, keys, deadline });
                self.given.push(key);
            }
            Step::Check { key } => {
                let completed = self.purgatory.check(&key, step_towards);
                let watches =
                    |waiting: &mut Waiting| waiting.keys.contains(&key) && step_towards(&mut waiting.operation);
                let expected: Vec<_> = self.list.extract_if(.., watches).map(|waiting| waiting.operation).collect();
                assert_eq!(completed, expected);
            }
            Step::Cancel { nth } => {
                let Some(key) = self.given.get(nth % self.given.len().max(1)) else { return };
                let at = self.list.iter().position(|waiting| waiting.key == *key);
                assert_eq!(self.purgatory.cancel(*key), at.map(|at| self.list.remove(at).operation));
            }
            Step::Advance { by } => {
                let to = self.now.plus(by);
                self.now = self.now.max(to);
                let now = self.now;
                let mut expired = self.purgatory.advance(to);
                expired.sort_by_key(|operation| operation.number);
                let expected: Vec<_> = self
                    .list
                    .extract_if(.., |waiting| waiting.deadline <= now)
                    .map(|waiting| waiting.operation)
                    .collect();
                assert_eq!(expired, expected);
            }
        }
    }

    /// The bound on memory: one list entry for each key of each waiting operation, one list for each key among them.
    fn check_bound(&self) {
        let mut keys: Vec<u8> = self.list.iter().flat_map(|waiting| waiting.keys.clone()).collect();
        assert_eq!(self.purgatory.watches(), keys.len());
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(self.purgatory.keys(), keys.len());
        assert_eq!(self.purgatory.len(), self.list.len());
        assert_eq!(self.purgatory.next_deadline().is_some(), !self.list.is_empty(), "a timer without an operation");
    }
}

proptest! {
    #[test]
    fn it_completes_what_a_searched_list_completes(steps in steps()) {
        let now = Millis(1_000);
        let mut pair = Pair { purgatory: Purgatory::new(now), list: Vec::new(), given: Vec::new(), now };
        for step in steps {
            pair.run(step);
            pair.check_bound();
        }
    }
}

#[test]
fn an_operation_leaves_all_its_lists_at_once() {
    let mut purgatory = Purgatory::new(Millis(0));
    purgatory.insert(0..1000_u32, Millis(10), "many keys");
    assert_eq!(purgatory.watches(), 1000);
    assert_eq!(purgatory.check(&500, |_| true), ["many keys"]);
    assert_eq!((purgatory.watches(), purgatory.keys(), purgatory.next_deadline()), (0, 0, None));
    assert!(purgatory.check(&7, |_| true).is_empty() && purgatory.advance(Millis(10)).is_empty());
}

#[test]
fn an_operation_without_keys_waits_for_its_deadline() {
    let mut purgatory: Purgatory<u8, _> = Purgatory::new(Millis(0));
    purgatory.insert([], Millis(10), "alone");
    assert!(purgatory.advance(Millis(9)).is_empty());
    assert_eq!(purgatory.advance(Millis(10)), ["alone"]);
    assert!(purgatory.is_empty());
}
