//! `OffsetCommit`.

use super::*;

const TOO_LARGE: i16 = ErrorCode::OffsetMetadataTooLarge as i16;
const NO_PARTITION: i16 = ErrorCode::UnknownTopicOrPartition as i16;
const NO_TOPIC_ID: i16 = ErrorCode::UnknownTopicId as i16;
const STALE: i16 = ErrorCode::StaleMemberEpoch as i16;

fn one(offset: i64) -> OffsetCommitRequest {
    request("g", &[("a", &[(0, offset)])])
}

/// The code that a commit to `a-0` is answered with.
fn code(world: &mut World, version: i16, request: OffsetCommitRequest) -> ErrorCode {
    let errors = world.commit_errors(version, request);
    let known = [
        ErrorCode::None,
        ErrorCode::IllegalGeneration,
        ErrorCode::UnknownMemberId,
        ErrorCode::RebalanceInProgress,
        ErrorCode::GroupIdNotFound,
        ErrorCode::StaleMemberEpoch,
        ErrorCode::FencedInstanceId,
        ErrorCode::UnsupportedVersion,
    ];
    known.into_iter().find(|known| known.code() == errors[0].2).unwrap_or_else(|| panic!("{errors:?}"))
}

#[test]
fn everything_that_is_committed_is_stored() {
    let mut world = World::new();
    let mut request = one(42);
    request.topics[0].partitions[0].committed_leader_epoch = 7;
    request.topics[0].partitions[0].committed_metadata = Some("where".to_owned());
    assert_eq!(world.commit_errors(NAMES, request), [("a".to_owned(), 0, NONE)]);
    let expected = CommittedOffset {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(7),
        metadata: "where".to_owned(),
        commit_timestamp: NOW,
        expire_timestamp: None,
        topic_id: id(1),
        at: Offset(0),
    };
    assert_eq!(world.stored("g", "a", 0), Some(&expected));
    world.commit("g", "a", 0, 43);
    assert_eq!(world.stored("g", "a", 0).map(|stored| (stored.offset, stored.at)), Some((Offset(43), Offset(1))));
}

#[test]
fn the_client_may_say_when_it_expires() {
    let mut world = World::new();
    let mut request = one(1);
    request.retention_time_ms = 5_000;
    world.commit_with(4, request.clone());
    let stored = world.stored("g", "a", 0).unwrap();
    assert_eq!(stored.expire_timestamp, Some(NOW.plus(5_000)));
    assert_eq!(stored.topic_id, Uuid::ZERO, "the record has no room for it");
    request.retention_time_ms = i64::MAX;
    world.commit_with(4, request);
    assert_eq!(world.stored("g", "a", 0).unwrap().expire_timestamp, Some(Millis(i64::MAX)));
}

#[test]
fn negative_offsets_and_no_metadata_are_taken() {
    let mut world = World::new();
    let mut request = one(-1);
    request.topics[0].partitions[0].committed_metadata = None;
    assert_eq!(code(&mut world, NAMES, request), ErrorCode::None);
    let stored = world.stored("g", "a", 0).unwrap();
    assert_eq!((stored.offset, stored.metadata.as_str()), (Offset(-1), ""));
}

#[test]
fn metadata_is_counted_in_utf16_units() {
    let mut world = World::new();
    for (metadata, expected) in
        [("12345678", NONE), ("123456789", TOO_LARGE), ("ääääääää", NONE), ("😀😀😀😀😀", TOO_LARGE)]
    {
        let mut request = request("g", &[("a", &[(0, 1), (1, 2)])]);
        request.topics[0].partitions[0].committed_metadata = Some(metadata.to_owned());
        let errors = world.commit_errors(NAMES, request);
        assert_eq!(errors, [("a".to_owned(), 0, expected), ("a".to_owned(), 1, NONE)], "{metadata}");
    }
}

#[test]
fn what_does_not_exist_is_refused_by_name_and_by_id() {
    let mut world = World::new();
    let request = request("g", &[("x", &[(0, 1)]), ("a", &[(0, 1), (9, 1), (-1, 1)]), ("b", &[(0, 1)])]);
    let expected =
        [("x", 0, NO_PARTITION), ("a", 9, NO_PARTITION), ("a", -1, NO_PARTITION), ("a", 0, NONE), ("b", 0, NONE)];
    let errors = world.commit_errors(NAMES, request);
    assert!(
        errors.iter().map(|(topic, partition, error)| (topic.as_str(), *partition, *error)).eq(expected),
        "{errors:?}"
    );

    let mut request = by_id("h", id(1), &[(2, 5), (3, 5)]);
    request.topics.extend(by_id("h", id(9), &[(0, 5)]).topics);
    request.topics.extend(by_id("h", Uuid::ZERO, &[(0, 5)]).topics);
    let response = world.commit_with(IDS, request);
    let errors: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|it| (topic.topic_id, it.partition_index, it.error_code)))
        .collect();
    let refused = [(id(1), 3, NO_PARTITION), (id(1), 2, NONE), (id(9), 0, NO_TOPIC_ID), (Uuid::ZERO, 0, NO_TOPIC_ID)];
    assert_eq!(errors, refused);
    assert_eq!(world.committed("h"), committed(&[("a", 2, 5)]));
}

#[test]
fn a_group_is_not_asked_about_what_does_not_exist() {
    let mut world = World::new();
    assert_eq!(world.commit_errors(NAMES, request("g", &[])), []);
    let errors = world.commit_errors(NAMES, by_member(3, request("g", &[("x", &[(0, 1)])])));
    assert_eq!(errors, [("x".to_owned(), 0, NO_PARTITION)]);
    assert!(!world.shard.offsets.has_group("g"));
}

#[test]
fn without_a_group_anybody_commits_from_outside_and_no_member_does() {
    let mut world = World::new();
    assert_eq!(code(&mut world, NAMES, by_member(3, one(1))), ErrorCode::GroupIdNotFound);
    assert_eq!(code(&mut world, 8, by_member(3, one(1))), ErrorCode::IllegalGeneration);
    assert_eq!(code(&mut world, NAMES, by_member(-1, one(1))), ErrorCode::None, "whatever its member id");
    assert_eq!(code(&mut world, NAMES, by_member(3, one(2))), ErrorCode::UnknownMemberId, "now there is a group");
    assert_eq!(code(&mut world, 8, by_member(0, one(2))), ErrorCode::UnknownMemberId);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 1)]));
    world.commit("", "a", 0, 5);
    assert_eq!(world.committed(""), committed(&[("a", 0, 5)]), "the empty group is one");
}

#[test]
fn members_of_a_classic_group_commit_in_their_generation() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    assert_eq!(code(&mut world, NAMES, by_member(3, one(1))), ErrorCode::None);
    assert_eq!(code(&mut world, NAMES, by_member(2, one(2))), ErrorCode::IllegalGeneration);
    assert_eq!(code(&mut world, NAMES, one(2)), ErrorCode::UnknownMemberId, "from outside");
    let stranger = OffsetCommitRequest { member_id: "x".to_owned(), ..by_member(3, one(2)) };
    assert_eq!(code(&mut world, NAMES, stranger), ErrorCode::UnknownMemberId);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 1)]));
    world.empty_classic("g", "consumer", NOW);
    assert_eq!(code(&mut world, NAMES, one(3)), ErrorCode::None, "nobody is there any more");
}

#[test]
fn a_commit_keeps_the_session() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    assert_eq!(code(&mut world, NAMES, by_member(2, one(1))), ErrorCode::IllegalGeneration);
    assert_eq!(world.shard.next_deadline(), None, "a refused one does not");
    assert_eq!(code(&mut world, NAMES, by_member(3, one(1))), ErrorCode::None);
    assert_eq!(world.shard.next_deadline(), Some(NOW.plus(10_000)));
}

#[test]
fn between_join_and_sync_nobody_commits() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    world.rejoin("g", &["a"]);
    assert_eq!(code(&mut world, NAMES, by_member(4, one(1))), ErrorCode::RebalanceInProgress);
    assert_eq!(code(&mut world, NAMES, by_member(3, one(1))), ErrorCode::IllegalGeneration);
}

#[test]
fn an_error_of_the_group_refuses_all_that_exists() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    let request = request("g", &[("a", &[(0, 1), (7, 1)]), ("b", &[(0, 1)])]);
    let unknown = ErrorCode::UnknownMemberId.code();
    let expected = [("a".to_owned(), 7, NO_PARTITION), ("a".to_owned(), 0, unknown), ("b".to_owned(), 0, unknown)];
    assert_eq!(world.commit_errors(NAMES, request), expected);
}

#[test]
fn members_of_a_consumer_group_commit_in_their_epoch_or_for_what_they_kept() {
    let mut world = World::new();
    world.joined_consumer("g");
    assert_eq!(code(&mut world, NAMES, by_member(5, one(1))), ErrorCode::None);
    assert_eq!(code(&mut world, NAMES, by_member(6, one(2))), ErrorCode::StaleMemberEpoch);
    assert_eq!(code(&mut world, NAMES, by_member(4, one(3))), ErrorCode::None, "the partition was its own by then");
    assert_eq!(code(&mut world, NAMES, by_member(3, one(4))), ErrorCode::StaleMemberEpoch, "and here it was not");
    assert_eq!(code(&mut world, 8, by_member(5, one(4))), ErrorCode::UnsupportedVersion);
    let mixed = by_member(4, request("g", &[("a", &[(0, 5), (1, 5)])]));
    let all = [("a".to_owned(), 0, STALE), ("a".to_owned(), 1, STALE)];
    assert_eq!(world.commit_errors(NAMES, mixed), all, "one that it has not refuses all");
    assert_eq!(world.committed("g"), committed(&[("a", 0, 3)]));
    let by_id = by_member(4, by_id("g", id(1), &[(0, 6)]));
    assert_eq!(world.commit_with(IDS, by_id).topics[0].partitions[0].error_code, NONE);
}

#[test]
fn a_topic_that_is_named_twice_is_answered_once() {
    let mut world = World::new();
    let request = request("g", &[("a", &[(0, 1)]), ("a", &[(0, 2)])]);
    assert_eq!(world.commit_with(NAMES, request).topics.len(), 1);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 2)]), "the last one holds");
}
