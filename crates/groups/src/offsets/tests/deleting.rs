//! `OffsetDelete`, and topics that are gone.

use ottla_wire::messages::{
    offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
    offset_delete_response::OffsetDeleteResponse,
};

use super::*;

fn delete(world: &mut World, group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteResponse {
    let partition = |partition: &i32| OffsetDeleteRequestPartition { partition_index: *partition };
    let topic = |(name, partitions): &(&str, &[i32])| OffsetDeleteRequestTopic {
        name: (*name).to_owned(),
        partitions: partitions.iter().map(partition).collect(),
    };
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics: topics.iter().map(topic).collect() };
    match world.ask(GroupRequest::DeleteOffsets { request }) {
        GroupReply::DeleteOffsets(response) => response,
        other => panic!("{other:?}"),
    }
}

/// Topic, partition and error.
fn errors(response: &OffsetDeleteResponse) -> Vec<(&str, i32, i16)> {
    assert_eq!(response.error_code, NONE);
    let topics = response.topics.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|it| (topic.name.as_str(), it.partition_index, it.error_code)))
        .collect()
}

#[test]
fn what_is_there_is_deleted_and_the_rest_is_no_error() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("g", "a", 1, 1);
    let missing = ErrorCode::UnknownTopicOrPartition.code();
    let response = delete(&mut world, "g", &[("x", &[0]), ("a", &[0, 2, 9]), ("b", &[0])]);
    let expected = [("x", 0, missing), ("a", 9, missing), ("a", 0, NONE), ("a", 2, NONE), ("b", 0, NONE)];
    assert_eq!(errors(&response), expected);
    assert_eq!(world.committed("g"), committed(&[("a", 1, 1)]));
}

#[test]
fn a_group_must_be_there_and_named() {
    let mut world = World::new();
    assert_eq!(delete(&mut world, "g", &[("x", &[0])]).error_code, ErrorCode::GroupIdNotFound.code());
    world.commit("", "a", 0, 1);
    let response = delete(&mut world, "", &[("a", &[0])]);
    assert_eq!((response.error_code, response.topics.len()), (ErrorCode::InvalidGroupId.code(), 0));
}

#[test]
fn a_group_outlives_its_last_offset() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    for _ in 0..2 {
        assert_eq!(errors(&delete(&mut world, "g", &[("a", &[0])])), [("a", 0, NONE)]);
        assert!(world.shard.offsets.has_group("g"));
    }
    assert_eq!(world.expire(), 1, "until somebody looks");
    assert_eq!(delete(&mut world, "g", &[("a", &[0])]).error_code, ErrorCode::GroupIdNotFound.code());
}

#[test]
fn what_members_read_stays() {
    let mut world = World::new();
    world.stable_classic("classic", "consumer", &["a"]);
    world.joined_consumer("consumer");
    let subscribed = ErrorCode::GroupSubscribedToTopic.code();
    for (group, epoch) in [("classic", 3), ("consumer", 5)] {
        world.commit_with(NAMES, by_member(epoch, request(group, &[("a", &[(0, 1)]), ("b", &[(0, 1)])])));
        let response = delete(&mut world, group, &[("a", &[0]), ("b", &[0])]);
        assert_eq!(errors(&response), [("a", 0, subscribed), ("b", 0, NONE)]);
        assert_eq!(world.committed(group), committed(&[("a", 0, 1)]));
    }
}

#[test]
fn nobody_knows_what_members_of_another_protocol_read() {
    let mut world = World::new();
    world.stable_classic("g", "connect", &[]);
    assert_eq!(delete(&mut world, "g", &[("a", &[0])]).error_code, ErrorCode::NonEmptyGroup.code());
    world.empty_classic("g", "connect", NOW);
    assert_eq!(errors(&delete(&mut world, "g", &[("a", &[0])])), [("a", 0, NONE)]);
}

#[test]
fn offsets_go_with_their_topic() {
    let mut world = World::new();
    for group in ["g", "h"] {
        for partition in 0..3 {
            world.commit(group, "a", partition, 1);
        }
        world.commit(group, "b", 0, 1);
    }
    world.write(producer(1), "i", "a", 5);
    world.remove(id(1));
    world.step(|shard, now, _| shard.topics_deleted(now, &["a", "x"]));
    assert_eq!(world.committed("g"), committed(&[("b", 0, 1)]));
    assert_eq!(world.committed("h"), committed(&[("b", 0, 1)]));
    world.end(producer(1), Outcome::Commit);
    assert_eq!(world.committed("i"), []);
    assert_eq!(world.shard.offsets.gone, std::collections::BTreeMap::new());
}

#[test]
fn a_topic_of_many_groups_goes_bit_by_bit() {
    let mut world = World::new();
    let group = |number: usize| format!("{number:0>2000}");
    for number in 0..200 {
        let key = OffsetCommitKey { group: group(number), topic: "a".to_owned(), partition: 0 };
        let record = GroupRecord::Offset(key, Some(OffsetCommitValue::default()));
        let (key, value) = record.encode().unwrap();
        let at = Offset(world.log.len() as i64);
        world.log.push(Entry::Record(None, key, value));
        world.shard.replay(at, None, record);
    }
    let left = |world: &World| world.shard.committed().count();
    world.step(|shard, now, _| shard.topics_deleted(now, &["a"]));
    let mut counts = vec![left(&world)];
    while left(&world) > 0 {
        world.now = world.shard.next_deadline().unwrap();
        world.step(|shard, now, image| shard.expire(now, image));
        counts.push(left(&world));
    }
    assert_eq!(counts, [134, 68, 2, 0], "some 128 KiB of keys each time");
}

#[test]
fn a_topic_that_came_since_keeps_its_offsets() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("g", "a", 1, 1);
    let gone_since = world.now;
    world.now = world.now.plus(1);
    world.commit("g", "a", 1, 7);
    world.step(|shard, _, _| shard.topics_deleted(gone_since, &["a"]));
    assert_eq!(world.committed("g"), committed(&[("a", 1, 7)]));
}
