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

/// What somebody was answered.
enum Answer {
    /// This is your producer.
    Entered(ProducerIdAndEpoch),
    /// These are in your transaction.
    Added(ProducerIdAndEpoch, &'static [&'static str]),
    /// Your transaction ends so, and you go on with the second.
    Ended(ProducerIdAndEpoch, Outcome, ProducerIdAndEpoch),
    /// Come again; whoever has the id meanwhile is fenced.
    Fenced(ProducerIdAndEpoch),
}

impl Answer {
    /// Who may be at work once this was said.
    fn producer(&self) -> ProducerIdAndEpoch {
        match self {
            Self::Entered(producer) | Self::Added(producer, _) | Self::Fenced(producer) => *producer,
            Self::Ended(.., next) => *next,
        }
    }

    /// Asks again, of a coordinator that was told nothing since.
    fn check(&self, world: &mut World) {
        match *self {
            Self::Entered(producer) => {
                assert_eq!(world.id().producer, producer);
                assert_eq!(world.add(BUMPS, producer, &["z-0"]), [ErrorCode::None]);
            }
            Self::Added(producer, names) => {
                assert_eq!(world.add_or_verify(BUMPS, producer, names, true), vec![ErrorCode::None; names.len()]);
                world.end(BUMPS, producer, Outcome::Commit).unwrap();
                assert_eq!(world.order().partitions, partitions(names));
            }
            Self::Ended(producer, outcome, next) => {
                if let Some(prepared) = world.state().prepared() {
                    assert_eq!(prepared, outcome);
                    world.complete();
                }
                let other = if outcome == Outcome::Commit { Outcome::Abort } else { Outcome::Commit };
                assert_eq!(world.end(BUMPS, producer, outcome), Ok(next));
                assert_eq!(world.end(BUMPS, producer, other), Err(ErrorCode::InvalidTxnState));
                assert_eq!(world.add(BUMPS, next, &["z-0"]), [ErrorCode::None]);
            }
            Self::Fenced(producer) => {
                assert_ne!(world.add(BUMPS, producer, &["z-0"]), [ErrorCode::None]);
                world.end(BUMPS, producer, Outcome::Commit).unwrap_err();
            }
        }
    }
}

/// At every place where the log may end: what was answered when it was no longer holds, and nothing else has to.
#[test]
fn a_crash_at_each_append_loses_only_what_was_not_answered() {
    let mut world = World::new();
    let mut answers = Vec::new();
    let mut note = |world: &World, answer| answers.push((world.log.len(), answer));

    let mut by = world.init(None).unwrap();
    note(&world, Answer::Entered(by));
    for outcome in [Outcome::Commit, Outcome::Abort] {
        world.add(BUMPS, by, &["a-0"]);
        note(&world, Answer::Added(by, &["a-0"]));
        world.add(BUMPS, by, &["a-0", "b-0"]);
        note(&world, Answer::Added(by, &["a-0", "b-0"]));
        let next = world.end(BUMPS, by, outcome).unwrap();
        note(&world, Answer::Ended(by, outcome, next));
        world.complete();
        by = next;
    }
    world.add(BUMPS, by, &["a-0"]);
    note(&world, Answer::Added(by, &["a-0"]));
    assert_eq!(world.init(None), Err(ErrorCode::ConcurrentTransactions));
    note(&world, Answer::Fenced(by));
    world.complete();
    by = world.init(None).unwrap();
    note(&world, Answer::Entered(by));

    for length in 0..=world.log.len() {
        let mut cut = world.clone();
        cut.log.truncate(length);
        cut.crash();
        let answered: Vec<_> = answers.iter().filter(|(said, _)| *said <= length).map(|(_, answer)| answer).collect();
        let Some(last) = answered.last() else {
            assert!(cut.shard.ids.is_empty(), "nobody was answered");
            continue;
        };
        last.check(&mut cut.clone());
        let fresh = loop {
            match cut.init(None) {
                Err(ErrorCode::ConcurrentTransactions) => cut.complete(),
                entered => break entered.unwrap(),
            }
        };
        for answer in answered {
            let producer = answer.producer();
            assert!(fresh.id != producer.id || fresh.epoch > producer.epoch, "{fresh:?} may be {producer:?}");
        }
    }
}
