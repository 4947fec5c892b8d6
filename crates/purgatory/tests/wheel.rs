//! The wheel against a list of deadlines that is searched.

use ottla_purgatory::{TimerKey, TimingWheel};
use ottla_types::Millis;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        after: i64,
    },
    Cancel {
        nth: usize,
    },
    Advance {
        by: i64,
    },
    /// To the time that the wheel asks for.
    Follow,
}

fn distance() -> impl Strategy<Value = i64> {
    prop_oneof![
        -100..100_i64,
        0..5_000_i64,
        (0..62_u32, -2..3_i64).prop_map(|(bit, off)| (1_i64 << bit) + off),
        Just(i64::MAX),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => distance().prop_map(|after| Step::Insert { after }),
        1 => (0..100_usize).prop_map(|nth| Step::Cancel { nth }),
        2 => distance().prop_map(|by| Step::Advance { by }),
        2 => Just(Step::Follow),
    ];
    prop::collection::vec(step, 0..200)
}

/// The wheel, and the same timers in a list.
struct Pair {
    wheel: TimingWheel<usize>,
    list: Vec<(Millis, usize, TimerKey)>,
    keys: Vec<TimerKey>,
    now: Millis,
}

impl Pair {
    fn new(now: Millis) -> Self {
        Self { wheel: TimingWheel::new(now), list: Vec::new(), keys: Vec::new(), now }
    }

    fn insert(&mut self, after: i64) {
        let (deadline, number) = (self.now.plus(after), self.keys.len());
        let key = self.wheel.insert(deadline, number);
        self.list.push((deadline, number, key));
        self.keys.push(key);
    }

    fn cancel(&mut self, nth: usize) {
        let Some(key) = self.keys.get(nth % self.keys.len().max(1)) else { return };
        let at = self.list.iter().position(|(_, _, other)| other == key);
        let expected = at.map(|at| self.list.remove(at).1);
        assert_eq!(self.wheel.cancel(*key), expected);
    }

    fn advance(&mut self, to: Millis) {
        self.now = self.now.max(to);
        let mut expired = self.wheel.advance(to);
        expired.sort_unstable();
        let now = self.now;
        let expected: Vec<_> =
            self.list.extract_if(.., |(deadline, ..)| *deadline <= now).map(|(_, number, _)| number).collect();
        assert_eq!(expired, expected);
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.list.len());
        let earliest = self.list.iter().map(|(deadline, ..)| *deadline).min();
        assert_eq!(self.wheel.next_deadline().is_some(), earliest.is_some());
        if let (Some(next), Some(earliest)) = (self.wheel.next_deadline(), earliest) {
            assert!(next <= earliest.max(self.now), "{next} is after the deadline {earliest}");
        }
    }
}

proptest! {
    #[test]
    fn it_expires_what_a_searched_list_expires(start in prop_oneof![Just(0), any::<i64>()], steps in steps()) {
        let mut pair = Pair::new(Millis(start));
        for step in steps {
            match step {
                Step::Insert { after } => pair.insert(after),
                Step::Cancel { nth } => pair.cancel(nth),
                Step::Advance { by } => pair.advance(pair.now.plus(by)),
                Step::Follow => {
                    if let Some(next) = pair.wheel.next_deadline() {
                        pair.advance(next);
                    }
                }
            }
            pair.check();
        }
    }
}

#[test]
fn a_timer_expires_at_its_millisecond() {
    for distance in [1, 63, 64, 65, 4095, 4096, 86_400_000, 1 << 40] {
        let mut wheel = TimingWheel::new(Millis(1_700_000_000_123));
        let deadline = Millis(1_700_000_000_123).plus(distance);
        wheel.insert(deadline, "t");
        assert!(wheel.advance(deadline.plus(-1)).is_empty(), "{distance}");
        assert_eq!(wheel.advance(deadline), ["t"], "{distance}");
    }
}

#[test]
fn following_the_wheel_wakes_few_times_however_far_the_deadline() {
    let mut wheel = TimingWheel::new(Millis(12_345));
    wheel.insert(Millis(i64::MAX), ());
    let wakes = std::iter::from_fn(|| wheel.next_deadline().inspect(|next| drop(wheel.advance(*next)))).count();
    assert!(wakes <= 11, "{wakes} wakes for one timer");
}

#[test]
fn a_key_does_not_outlive_its_timer() {
    let mut wheel = TimingWheel::new(Millis(0));
    let first = wheel.insert(Millis(5), 1);
    assert_eq!(wheel.cancel(first), Some(1));
    let second = wheel.insert(Millis(5), 2);
    assert_eq!(wheel.cancel(first), None, "the slot is another timer's now");
    assert_eq!(wheel.advance(Millis(9)), [2]);
    assert_eq!(wheel.cancel(second), None);
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut wheel = TimingWheel::new(Millis(1000));
    wheel.insert(Millis(1500), ());
    assert!(wheel.advance(Millis(-5)).is_empty());
    wheel.insert(Millis(900), ());
    assert_eq!(wheel.advance(Millis(10)).len(), 1, "a deadline in the past is due at once");
    assert!(wheel.advance(Millis(1499)).is_empty());
    assert_eq!(wheel.advance(Millis(1500)).len(), 1);
}
