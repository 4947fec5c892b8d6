//! Groups of all kinds as administrators see them.
#![allow(clippy::unwrap_used)] // a test may

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
