//! Groups of all kinds as administrators see them.
#![allow(clippy::unwrap_used)] // a test may

use ottla_coordinator::{Shard, Ticket};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{describe_groups_response::DescribedGroup, list_groups_response::ListedGroup};

use crate::{
    offsets::tests::World,
    request::{GroupReply, GroupRequest},
};

/// One group of each kind, two of them with offsets.
fn world() -> World {
    let mut world = World::new();
    world.empty_classic("classic-empty", "consumer", Millis(5));
    world.stable_classic("classic-stable", "connect", &[]);
    world.commit("classic-empty", "a", 0, 1);
    world.empty_consumer("consumer-empty");
    world.joined_consumer("consumer-joined");
    world.commit("stored", "a", 0, 1);
    world
}

fn describe(world: &mut World, version: i16, group: &str) -> DescribedGroup {
    match world.ask(GroupRequest::Describe { version, group_id: group.to_owned() }) {
        GroupReply::Describe(described) => described,
        other => panic!("{other:?}"),
    }
}

fn list(world: &mut World, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    match world.ask(GroupRequest::List { states: owned(states), types: owned(types) }) {
        GroupReply::List(listed) => listed,
        other => panic!("{other:?}"),
    }
}

fn delete(world: &mut World, group: &str) -> ErrorCode {
    match world.ask(GroupRequest::Delete { group_id: group.to_owned() }) {
        GroupReply::Delete(code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_are_described() {
    let mut world = world();
    let described = describe(&mut world, 6, "classic-stable");
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Stable", 1));
    let described = describe(&mut world, 6, "stored");
    let expected =
        DescribedGroup { group_id: "stored".to_owned(), group_state: "Empty".to_owned(), ..DescribedGroup::default() };
    assert_eq!(described, expected);
}

#[test]
fn what_is_no_classic_group_is_dead_and_an_error_since_version_6() {
    let mut world = world();
    for (group, message) in
        [("none", "Group none not found."), ("consumer-joined", "Group consumer-joined is not a classic group.")]
    {
        let dead =
            DescribedGroup { group_id: group.to_owned(), group_state: "Dead".to_owned(), ..DescribedGroup::default() };
        assert_eq!(describe(&mut world, 5, group), dead);
        let error_code = ErrorCode::GroupIdNotFound.code();
        let expected = DescribedGroup { error_code, error_message: Some(message.to_owned()), ..dead };
        assert_eq!(describe(&mut world, 6, group), expected);
    }
}

#[test]
fn all_groups_are_listed() {
    let mut world = world();
    let listed = list(&mut world, &[], &[]);
    let rows: Vec<_> =
        listed.iter().map(|it| [&*it.group_id, &*it.protocol_type, &*it.group_state, &*it.group_type]).collect();
    let joined = world.shard.consumer("consumer-joined").unwrap().state_name();
    let expected = [
        ["classic-empty", "consumer", "Empty", "classic"],
        ["classic-stable", "connect", "Stable", "classic"],
        ["consumer-empty", "consumer", "Empty", "consumer"],
        ["consumer-joined", "consumer", joined, "consumer"],
        ["stored", "", "Empty", "classic"],
    ];
    assert_eq!(rows, expected);
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case() {
    let mut world = world();
    let mut ids = |states: &[&str], types: &[&str]| -> Vec<String> {
        list(&mut world, states, types).into_iter().map(|group| group.group_id).collect()
    };
    assert_eq!(ids(&[" EMPTY "], &[]), ["classic-empty", "consumer-empty", "stored"]);
    assert_eq!(ids(&["empty", "stable"], &["Classic"]), ["classic-empty", "classic-stable", "stored"]);
    assert_eq!(ids(&["Empty"], &["CONSUMER"]), ["consumer-empty"]);
    assert_eq!(ids(&[], &["consumer", "classic"]).len(), 5);
    assert_eq!(ids(&["nonsense"], &[]), [""; 0]);
    assert_eq!(ids(&[], &["share", ""]), [""; 0]);
}

#[test]
fn a_group_is_deleted_with_all_that_it_has() {
    let mut world = world();
    world.commit("consumer-empty", "b", 0, 1);
    for group in ["classic-empty", "consumer-empty", "stored"] {
        assert_eq!(delete(&mut world, group), ErrorCode::None);
        assert_eq!(describe(&mut world, 5, group).group_state, "Dead");
        assert_eq!(delete(&mut world, group), ErrorCode::GroupIdNotFound);
        assert_eq!(world.committed(group), []);
    }
    assert_eq!(list(&mut world, &[], &[]).len(), 2);
}

#[test]
fn a_group_with_members_stays() {
    let mut world = world();
    for group in ["classic-stable", "consumer-joined"] {
        assert_eq!(delete(&mut world, group), ErrorCode::NonEmptyGroup);
    }
    assert_eq!(list(&mut world, &[], &[]).len(), 5);
}

#[test]
fn the_empty_id_is_an_id() {
    let mut world = world();
    assert_eq!(delete(&mut world, ""), ErrorCode::GroupIdNotFound);
    world.commit("", "a", 0, 1);
    assert_eq!(describe(&mut world, 6, "").group_state, "Empty");
    assert_eq!(delete(&mut world, ""), ErrorCode::None);
}

/// A group with so many offsets that deleting them takes several appends.
fn large() -> World {
    let mut world = world();
    for number in 0..150 {
        world.commit_long("large", &format!("{number:0>2000}"));
    }
    world
}

fn start_deleting(world: &mut World, ticket: u64) -> Vec<(Ticket, GroupReply)> {
    let request = GroupRequest::Delete { group_id: "large".to_owned() };
    world.step(|shard, now, image| shard.decide(now, image, Ticket(ticket), request.clone())).replies
}

/// Lets the deletion go on to its end; how many appends it took, and what was answered.
fn go_on(world: &mut World) -> (usize, Vec<(Ticket, GroupReply)>) {
    for appends in 1.. {
        world.now = world.now.max(world.shard.next_deadline().unwrap());
        let decided = world.step(|shard, now, image| shard.expire(now, image));
        if !decided.replies.is_empty() {
            return (appends, decided.replies);
        }
        assert!(world.shard.offsets.has_group("large"), "until the last append");
    }
    unreachable!()
}

#[test]
fn a_large_group_goes_bit_by_bit_and_is_answered_at_the_end() {
    let mut world = large();
    let deleted = GroupReply::Delete(ErrorCode::None);
    assert_eq!(start_deleting(&mut world, 1), []);
    assert_eq!(start_deleting(&mut world, 2), [], "who asks again waits with it");
    assert_eq!(world.shard.committed().filter(|(group, ..)| *group == "large").count(), 84, "some 128 KiB at once");
    let (appends, replies) = go_on(&mut world);
    assert_eq!((appends, replies), (2, vec![(Ticket(1), deleted.clone()), (Ticket(2), deleted)]));
    assert_eq!(delete(&mut world, "large"), ErrorCode::GroupIdNotFound);
    world.commit("large", "a", 0, 1);
}

#[test]
fn nobody_finds_half_a_group() {
    let mut world = large();
    start_deleting(&mut world, 1);
    let refused = GroupReply::Refused(ErrorCode::CoordinatorLoadInProgress);
    let group = ottla_wire::messages::offset_fetch_request::OffsetFetchRequestGroup {
        group_id: "large".to_owned(),
        ..Default::default()
    };
    assert_eq!(world.ask(GroupRequest::FetchOffsets { version: 9, require_stable: false, group }), refused);
    assert_eq!(describe(&mut world, 6, "large").group_state, "Empty");
    world.commit("stored", "a", 0, 2);
    go_on(&mut world);
    world.commit("large", "a", 0, 1);
}

#[test]
fn a_crash_amid_a_deletion_leaves_a_group_that_can_be_deleted() {
    let mut world = large();
    start_deleting(&mut world, 1);
    world.restart();
    assert!(world.shard.offsets.has_group("large"));
    assert_eq!(start_deleting(&mut world, 3), []);
    assert_eq!(go_on(&mut world).1, [(Ticket(3), GroupReply::Delete(ErrorCode::None))]);
    world.restart();
    assert_eq!(delete(&mut world, "large"), ErrorCode::GroupIdNotFound);
}

#[test]
fn what_was_done_is_counted() {
    let mut world = World::new();
    world.commit("stored", "a", 0, 1);
    world.commit("stored", "a", 1, 1);
    world.commit("gone", "a", 0, 1);
    delete(&mut world, "gone");
    world.now = world.now.plus(crate::offsets::tests::RETENTION_MS);
    world.step(|shard, now, image| {
        shard.timers.set(crate::shard::Timer::OffsetsExpire, now);
        shard.expire(now, image)
    });
    let expected =
        crate::tally::Tally { offset_commits: 3, offset_deletions: 1, offset_expirations: 2, ..Default::default() };
    assert_eq!(world.shard.tally(), expected);
}

#[test]
fn groups_are_counted_by_protocol_and_state() {
    let world = world();
    let mut states: Vec<_> = world.shard.states().collect();
    states.sort_unstable();
    let joined = world.shard.consumer("consumer-joined").unwrap().state_name();
    let classic = [("classic", "Empty"), ("classic", "Empty"), ("classic", "Stable")];
    let mut expected = [&classic[..], &[("consumer", "Empty"), ("consumer", joined)]].concat();
    expected.sort_unstable();
    assert_eq!(states, expected);
}
