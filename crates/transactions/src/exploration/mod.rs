//! Every interleaving of a few producers with one transactional id, of a network that keeps whatever was ever sent and delivers it
//! late, again or never, of a coordinator that dies at any point, and of partitions that take writes and markers.
//!
//! The coordinator is the machine itself; clients, network and partitions are models. The states that can be reached are visited
//! breadth first, so that a violation comes with the shortest way to it. What must hold in each of them is in [`rules`]: no
//! request of one transaction ends another, a transaction is atomic over its partitions, what is aborted is never
//! committed nor the reverse, and no transaction is left open in a partition.
//!
//! That the rules can fail is shown too: without the bump of the epoch, without asking the coordinator about a write, and with
//! markers that an equal epoch lets pass, the same search finds a violation.
//!
//! Some 1,700,000 states and 23 million steps. A step is cheap because the coordinator is asked each thing once in each of its
//! states, of which there are a few hundred: what it decides depends on nothing else.
#![allow(clippy::unwrap_used)] // a test may

mod clients;
mod coordinator;
mod model;
mod network;
mod partitions;
mod rules;
mod search;

use model::{Bounds, Universe};
use network::Tag;
use ottla_types::{ErrorCode as Code, ProducerIdAndEpoch as Producer};
use rules::Violation;
use search::{Found, explore};

/// What is left out of the protocol, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The epoch stays as it is with every end, as in version 1 of transactions; a write is void once a marker came between its
    /// verification and its append, as there.
    EpochBump,
    /// A write is appended even if the coordinator refuses to add its partition.
    Verification,
    /// A partition takes a marker of the epoch that is writing.
    MarkerCheck,
}

/// One producer, which repeats all it sends, in two partitions.
const ONE: Bounds = Bounds { transactions: [2, 0], partitions: 2, enters: 1, late_writes: true, epoch: None };
/// A producer and its successor, which fences it.
const ZOMBIE: Bounds = Bounds { transactions: [2, 1], partitions: 1, enters: 1, late_writes: true, epoch: None };
/// The same in two partitions, with one transaction each and no late writes.
const ZOMBIE_IN_TWO: Bounds = Bounds { transactions: [1, 1], partitions: 2, late_writes: false, ..ZOMBIE };
/// Two producers whose requests to enter are repeated, too, so that a repetition fences who sent it.
const REPEATED: Bounds = Bounds { transactions: [1, 1], enters: 2, ..ZOMBIE };
/// One producer that comes to the end of its epochs.
const EXHAUSTED: Bounds =
    Bounds { transactions: [3, 0], partitions: 1, enters: 1, late_writes: true, epoch: Some(i16::MAX - 4) };

fn search(bounds: Bounds, without: Without) -> Found {
    let mut universe = Universe::new(bounds, without);
    let found = explore(&mut universe);
    println!("{bounds:?} without {without:?}: {} states ({universe:?}), {} steps", found.states, found.steps);
    if let Some(violation) = found.violation {
        println!("{violation:?} after\n  {}", found.way.join("\n  "));
    }
    found
}

/// Nothing is found, in at least so many states, and each transaction is committed in one of them.
fn check(bounds: Bounds, states: usize) {
    let found = search(bounds, Without::Nothing);
    assert_eq!(found.violation, None);
    assert!(found.states >= states, "only {} states", found.states);
    for (client, transactions) in (0..).zip(bounds.transactions) {
        let all = (0..transactions).map(|transaction| Tag { client, transaction });
        assert!(all.into_iter().all(|tag| found.told.contains(tag)), "{:?}", found.told);
    }
}

#[test]
fn one_producer_that_repeats_itself() {
    check(ONE, 83_000);
}

#[test]
fn a_zombie_and_its_successor() {
    check(ZOMBIE, 611_000);
}

#[test]
fn a_zombie_and_its_successor_in_two_partitions() {
    check(ZOMBIE_IN_TWO, 590_000);
}

#[test]
fn producers_that_fence_themselves_by_repeating_themselves() {
    check(REPEATED, 335_000);
}

#[test]
fn a_producer_that_runs_out_of_epochs() {
    check(EXHAUSTED, 85_000);
}

#[test]
fn without_the_bump_of_the_epoch_a_late_write_enters_another_transaction() {
    let violation = search(ONE, Without::EpochBump).violation;
    assert!(matches!(violation, Some(Violation::JoinedAnother(..))), "{violation:?}");
}

#[test]
fn without_the_bump_of_the_epoch_a_late_request_ends_another_transaction() {
    let violation = search(Bounds { late_writes: false, ..ONE }, Without::EpochBump).violation;
    assert!(matches!(violation, Some(Violation::EndedAnother(..))), "{violation:?}");
}

#[test]
fn without_verification_a_late_write_stays_open() {
    let violation = search(ONE, Without::Verification).violation;
    assert!(matches!(violation, Some(Violation::LeftOpen(_))), "{violation:?}");
}

#[test]
fn without_the_check_of_markers_a_late_marker_ends_another_transaction() {
    let violation = search(ONE, Without::MarkerCheck).violation;
    assert!(matches!(violation, Some(Violation::CommittedUnasked(_))), "{violation:?}");
}
