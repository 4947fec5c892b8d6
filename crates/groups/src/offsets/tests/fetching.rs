//! `OffsetFetch`.

use ottla_wire::messages::offset_fetch_response::OffsetFetchResponseTopics;

use super::*;

fn found(partition: i32, offset: i64) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions { committed_offset: offset, ..nothing(partition, ErrorCode::None) }
}

fn topic(name: &str, topic_id: Uuid, partitions: &[OffsetFetchResponsePartitions]) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics { name: name.to_owned(), topic_id, partitions: partitions.to_vec() }
}

fn all(group: &str) -> OffsetFetchRequestGroup {
    OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..OffsetFetchRequestGroup::default() }
}

#[test]
fn what_is_unknown_has_no_offset_and_no_error() {
    let mut world = World::new();
    let nothing = nothing(4, ErrorCode::None);
    let asked = fetching("g", &[("a", Uuid::ZERO, &[4]), ("x", Uuid::ZERO, &[4])]);
    let expected = ["a", "x"].map(|name| topic(name, Uuid::ZERO, std::slice::from_ref(&nothing)));
    for group in ["g", "h"] {
        let response =
            world.fetch_with(NAMES, true, OffsetFetchRequestGroup { group_id: group.to_owned(), ..asked.clone() });
        assert_eq!((response.group_id.as_str(), response.error_code), (group, NONE));
        assert_eq!(response.topics, expected);
        world.commit("h", "a", 0, 1);
    }
    assert_eq!(world.fetch_with(NAMES, false, all("g")).topics, []);
}

#[test]
fn what_was_committed_is_found() {
    let mut world = World::new();
    let mut request = request("g", &[("a", &[(1, 10)])]);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    request.topics[0].partitions[0].committed_metadata = Some("m".to_owned());
    world.commit_with(NAMES, request);
    world.commit("g", "b", 0, 20);
    let full =
        OffsetFetchResponsePartitions { committed_leader_epoch: 3, metadata: Some("m".to_owned()), ..found(1, 10) };
    let asked = fetching("g", &[("b", Uuid::ZERO, &[0]), ("a", Uuid::ZERO, &[1, 0])]);
    let expected =
        [topic("b", Uuid::ZERO, &[found(0, 20)]), topic("a", Uuid::ZERO, &[full.clone(), nothing(0, ErrorCode::None)])];
    assert_eq!(world.fetch_with(NAMES, false, asked).topics, expected);
    let expected = [topic("a", Uuid::ZERO, &[full]), topic("b", Uuid::ZERO, &[found(0, 20)])];
    assert_eq!(world.fetch_with(NAMES, false, all("g")).topics, expected);
}

#[test]
fn ids_name_topics_both_ways() {
    let mut world = World::new();
    world.commit("g", "a", 0, 10);
    world.commit("g", "b", 0, 20);
    let asked = fetching("g", &[("", id(9), &[0, 1]), ("", id(2), &[0]), ("", id(1), &[0])]);
    let unknown = [nothing(0, ErrorCode::UnknownTopicId), nothing(1, ErrorCode::UnknownTopicId)];
    let expected = [topic("b", id(2), &[found(0, 20)]), topic("a", id(1), &[found(0, 10)]), topic("", id(9), &unknown)];
    assert_eq!(world.fetch_with(IDS, false, asked).topics, expected);
    let expected = [topic("a", id(1), &[found(0, 10)]), topic("b", id(2), &[found(0, 20)])];
    assert_eq!(world.fetch_with(IDS, false, all("g")).topics, expected);
    world.remove(id(1));
    assert_eq!(world.fetch_with(IDS, false, all("g")).topics, expected[1..], "without an id it cannot be named");
    assert_eq!(world.committed("g"), committed(&[("a", 0, 10), ("b", 0, 20)]));
}

#[test]
fn a_topic_made_anew_has_no_offsets() {
    let mut world = World::new();
    world.commit("g", "a", 0, 10);
    world.remove(id(1));
    world.create("a", id(3), 1);
    let asked = fetching("g", &[("", id(3), &[0])]);
    assert_eq!(world.fetch_with(IDS, false, asked.clone()).topics, [topic("a", id(3), &[nothing(0, ErrorCode::None)])]);
    world.commit_with(IDS, by_id("g", id(3), &[(0, 1)]));
    assert_eq!(world.fetch_with(IDS, false, asked).topics, [topic("a", id(3), &[found(0, 1)])]);
}

#[test]
fn a_member_of_a_consumer_group_fetches_in_its_epoch() {
    let mut world = World::new();
    world.joined_consumer("g");
    let asked = |member: Option<&str>, epoch| OffsetFetchRequestGroup {
        member_id: member.map(str::to_owned),
        member_epoch: epoch,
        ..fetching("g", &[("a", Uuid::ZERO, &[0])])
    };
    for (member, epoch, error) in [
        (None, -1, ErrorCode::None),
        (Some("m"), 5, ErrorCode::None),
        (Some("m"), 4, ErrorCode::StaleMemberEpoch),
        (Some("x"), 5, ErrorCode::UnknownMemberId),
        (None, 5, ErrorCode::UnknownMemberId),
    ] {
        let response = world.fetch_with(NAMES, false, asked(member, epoch));
        assert_eq!(response.error_code, error.code(), "{member:?} {epoch}");
        assert_eq!(response.topics.is_empty(), error != ErrorCode::None);
    }
}
