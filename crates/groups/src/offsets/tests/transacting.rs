//! Offsets that transactions write.

use ottla_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::*;

/// A commit in the transaction of producer 1, of partitions and offsets by topic, from outside of the group.
fn transactional(group: &str, topics: &[(&str, &[(i32, i64)])]) -> TxnOffsetCommitRequest {
    let partition = |(partition, offset): &(i32, i64)| TxnOffsetCommitRequestPartition {
        partition_index: *partition,
        committed_offset: *offset,
        ..TxnOffsetCommitRequestPartition::default()
    };
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| TxnOffsetCommitRequestTopic {
        name: (*name).to_owned(),
        partitions: partitions.iter().map(partition).collect(),
    };
    TxnOffsetCommitRequest {
        transactional_id: "t".to_owned(),
        group_id: group.to_owned(),
        producer_id: 1,
        topics: topics.iter().map(topic).collect(),
        ..TxnOffsetCommitRequest::default()
    }
}

/// Topic, partition and error of the answer.
fn errors(world: &mut World, request: TxnOffsetCommitRequest) -> Vec<(String, i32, i16)> {
    let GroupReply::CommitTransactionalOffsets(response) =
        world.ask(GroupRequest::CommitTransactionalOffsets { request })
    else {
        panic!("another reply");
    };
    let topics = response.topics.into_iter();
    topics
        .flat_map(|topic| {
            topic.partitions.into_iter().map(move |it| (topic.name.clone(), it.partition_index, it.error_code))
        })
        .collect()
}

/// The code that offset 7 for `a-0` is answered with.
fn code(world: &mut World, member: &str, instance: Option<&str>, generation: i32) -> i16 {
    let request = TxnOffsetCommitRequest {
        member_id: member.to_owned(),
        group_instance_id: instance.map(str::to_owned),
        generation_id: generation,
        ..transactional("g", &[("a", &[(0, 7)])])
    };
    errors(world, request)[0].2
}

const UNKNOWN_MEMBER: i16 = ErrorCode::UnknownMemberId as i16;
const ILLEGAL_GENERATION: i16 = ErrorCode::IllegalGeneration as i16;

#[test]
fn what_a_transaction_commits_is_pending_until_it_ends() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    let mut request = transactional("g", &[("a", &[(0, 7)])]);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    request.topics[0].partitions[0].committed_metadata = Some("here".to_owned());
    let decided = world.step(|shard, now, image| {
        shard.decide(now, image, Ticket(7), GroupRequest::CommitTransactionalOffsets { request: request.clone() })
    });
    assert_eq!(decided.transaction, Some(producer(1)));
    assert_eq!(decided.records.len(), 1);
    assert_eq!(world.committed("g"), committed(&[("a", 0, 1)]));
    assert!(unstable(&mut world, "g"));
    world.end(producer(1), Outcome::Commit);
    let stored = world.stored("g", "a", 0).unwrap();
    assert_eq!((stored.offset, stored.leader_epoch, stored.metadata.as_str()), (Offset(7), LeaderEpoch(3), "here"));
    assert_eq!((stored.topic_id, stored.expire_timestamp), (Uuid::ZERO, None), "as Kafka has it");
}

#[test]
fn a_transaction_may_know_no_more_of_the_group_than_its_id() {
    let mut world = World::new();
    assert_eq!(code(&mut world, "", None, 0), ILLEGAL_GENERATION, "there is no group");
    assert_eq!(code(&mut world, "m", None, 3), ILLEGAL_GENERATION);
    assert!(!world.shard.offsets.has_group("g"));
    assert_eq!(code(&mut world, "", None, -1), NONE);
    assert_eq!(code(&mut world, "m", None, 3), UNKNOWN_MEMBER, "now there is one, without members");
    world.stable_classic("g", "consumer", &["a"]);
    assert_eq!(code(&mut world, "", None, -1), NONE, "though it has members");
    world.joined_consumer("h");
    let mut of_h = transactional("h", &[("a", &[(0, 7)])]);
    assert_eq!(errors(&mut world, of_h.clone())[0].2, NONE);
    of_h.generation_id = -2;
    assert_eq!(errors(&mut world, of_h)[0].2, UNKNOWN_MEMBER);
}

#[test]
fn a_transaction_of_a_member_of_a_classic_group_is_of_its_generation() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    assert_eq!(code(&mut world, "m", None, 3), NONE);
    assert_eq!(code(&mut world, "m", None, 2), ILLEGAL_GENERATION);
    assert_eq!(code(&mut world, "m", None, -1), ILLEGAL_GENERATION, "who names itself says all of it");
    assert_eq!(code(&mut world, "x", None, 3), UNKNOWN_MEMBER);
    assert_eq!(code(&mut world, "m", Some("i"), 3), UNKNOWN_MEMBER, "of no static member");
    assert_eq!(code(&mut world, "", Some("i"), -1), UNKNOWN_MEMBER);
    world.rejoin("g", &["a"]);
    assert_eq!(code(&mut world, "m", None, 4), NONE, "a rebalance is no reason to refuse");
    assert_eq!(code(&mut world, "m", None, 3), ILLEGAL_GENERATION);
}

#[test]
fn a_transaction_of_a_member_of_a_consumer_group_is_of_its_epoch_or_for_what_it_kept() {
    let mut world = World::new();
    world.joined_consumer("g");
    assert_eq!(code(&mut world, "m", None, 5), NONE);
    assert_eq!(code(&mut world, "m", None, 6), ILLEGAL_GENERATION, "and not STALE_MEMBER_EPOCH");
    assert_eq!(code(&mut world, "m", None, 4), NONE, "the partition was its own by then");
    assert_eq!(code(&mut world, "m", None, 3), ILLEGAL_GENERATION);
    assert_eq!(code(&mut world, "x", None, 5), UNKNOWN_MEMBER);
    assert_eq!(code(&mut world, "", None, 5), UNKNOWN_MEMBER);
}

#[test]
fn a_transaction_stores_what_exists_and_fits() {
    let mut world = World::new();
    let mut request = transactional("g", &[("x", &[(0, 1)]), ("a", &[(0, 1), (9, 1), (1, 2)]), ("b", &[(0, 3)])]);
    request.topics[1].partitions[0].committed_metadata = Some("123456789".to_owned());
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let expected = [
        ("x", 0, unknown),
        ("a", 9, unknown),
        ("a", 0, ErrorCode::OffsetMetadataTooLarge.code()),
        ("a", 1, NONE),
        ("b", 0, NONE),
    ];
    let found = errors(&mut world, request);
    assert!(found.iter().map(|(topic, at, error)| (topic.as_str(), *at, *error)).eq(expected), "{found:?}");
    world.end(producer(1), Outcome::Commit);
    assert_eq!(world.committed("g"), committed(&[("a", 1, 2), ("b", 0, 3)]));
}

#[test]
fn a_transaction_keeps_no_session() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    assert_eq!(code(&mut world, "m", None, 3), NONE);
    assert_eq!(world.shard.next_deadline(), None);
}

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
