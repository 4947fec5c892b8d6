//! Offsets that transactions write.

use super::*;

fn unstable(world: &mut World, group: &str) -> bool {
    let stable = world.fetch_with(NAMES, true, fetching(group, &[("a", Uuid::ZERO, &[0])]));
    stable.topics[0].partitions[0] == nothing(0, ErrorCode::UnstableOffsetCommit)
}

#[test]
fn it_holds_when_the_transaction_commits() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.write(producer(1), "g", "a", 2);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 1)]));
    assert!(unstable(&mut world, "g"));
    world.end(producer(1), Outcome::Commit);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 2)]));
    assert!(!unstable(&mut world, "g"));
}

#[test]
fn it_is_void_when_the_transaction_aborts() {
    let mut world = World::new();
    world.write(producer(1), "g", "a", 2);
    assert_eq!(world.committed("g"), []);
    assert!(unstable(&mut world, "g"), "though nothing is committed");
    world.end(producer(1), Outcome::Abort);
    assert_eq!(world.committed("g"), []);
    assert!(!unstable(&mut world, "g"));
}

#[test]
fn all_that_is_pending_is_asked_for_as_stable() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("g", "b", 0, 1);
    world.write(producer(1), "g", "a", 2);
    let all = OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: None, ..Default::default() };
    let response = world.fetch_with(NAMES, true, all);
    let codes: Vec<_> = response.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
    assert_eq!(codes, [ErrorCode::UnstableOffsetCommit.code(), NONE]);
}

#[test]
fn the_later_record_wins_and_not_the_later_end() {
    let mut world = World::new();
    world.write(producer(1), "g", "a", 1);
    world.write(producer(2), "g", "a", 2);
    world.end(producer(2), Outcome::Commit);
    world.end(producer(1), Outcome::Commit);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 2)]));
    world.write(producer(1), "g", "a", 3);
    world.commit("g", "a", 0, 4);
    world.end(producer(1), Outcome::Commit);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 4)]));
}

#[test]
fn a_tombstone_voids_what_is_pending() {
    let mut world = World::new();
    world.write(producer(1), "g", "a", 1);
    world.write(producer(1), "g", "b", 1);
    world.write(producer(2), "g", "a", 2);
    let key = OffsetCommitKey { group: "g".to_owned(), topic: "a".to_owned(), partition: 0 };
    world.append(None, GroupRecord::Offset(key, None));
    world.end(producer(1), Outcome::Commit);
    world.end(producer(2), Outcome::Commit);
    assert_eq!(world.committed("g"), committed(&[("b", 0, 1)]));
}

#[test]
fn an_end_without_a_beginning_is_nothing() {
    let mut world = World::new();
    world.end(producer(1), Outcome::Commit);
    world.end(producer(1), Outcome::Abort);
    assert_eq!(world.shard.offsets, Offsets::default());
}

#[test]
fn a_record_of_no_producer_is_an_ordinary_one() {
    let mut world = World::new();
    world.write(ProducerIdAndEpoch::NONE, "g", "a", 1);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 1)]));
}
