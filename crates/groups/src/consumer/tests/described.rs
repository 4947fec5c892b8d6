//! What others are told of a group, and whom it lets commit and read offsets.

use ottla_wire::messages::consumer_group_describe_response::Assignment;

use super::*;

fn shown(assignment: &Assignment) -> String {
    let topic = |topic: &ottla_wire::messages::consumer_group_describe_response::TopicPartitions| {
        format!("{}{:?}", topic.topic_name, topic.partitions)
    };
    assignment.topic_partitions.iter().map(topic).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_group_that_rebalances() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    world.beat("m", 2);
    let group = world.describe();
    assert_eq!((group.error_code, group.group_state.as_str(), group.group_epoch), (0, "Reconciling", 3));
    assert_eq!((group.assignment_epoch, group.assignor_name.as_str()), (3, "uniform"));
    assert_eq!(group.authorized_operations, i32::MIN);
    let [m, n] = &group.members[..] else { panic!() };
    assert_eq!((m.member_id.as_str(), m.member_epoch, m.member_type), ("m", 2, 1));
    assert_eq!((m.client_id.as_str(), m.client_host.as_str()), ("client", "/127.0.0.1"));
    assert_eq!(shown(&m.assignment), "a[0, 1]", "what it has yet to give up is still its");
    assert_eq!(shown(&m.target_assignment), "a[0]");
    assert_eq!((shown(&n.assignment), shown(&n.target_assignment)), (String::new(), "a[1]".to_owned()));
    assert_eq!((&n.subscribed_topic_names, n.subscribed_topic_regex.as_deref()), (&vec!["a".to_owned()], Some("")));
}

#[test]
fn a_group_that_is_not_there() {
    let mut world = World::new();
    let group = world.describe();
    assert_eq!((group.error_code, group.error_message.as_deref()), (69, Some("Group g not found.")));
}

#[test]
fn commits_are_checked_against_the_member_epoch() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    let group = world.group();
    assert_eq!(group.check_commit("m", None, 2, 9), Ok(()));
    assert_eq!(group.check_commit("m", None, 2, 8), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(group.check_commit("m", None, 3, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_commit("m", None, 1, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_commit("x", None, 2, 9), Err(ErrorCode::UnknownMemberId));
    assert_eq!(group.check_commit("", None, -1, 9), Err(ErrorCode::UnknownMemberId), "it has members");
    world.leave("m");
    assert_eq!(world.group().check_commit("", None, -1, 2), Ok(()));
}

#[test]
fn a_late_commit_of_a_partition_that_was_not_given_up_is_good() {
    let mut world = World::new();
    world.create("a", 1);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.grow("a", 2);
    world.beat("m", 2);
    let (group, topic) = (world.group(), world.id("a"));
    assert_eq!(group.members["m"].epoch, 3);
    assert_eq!(group.check_commit("m", None, 2, 9), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_late_commit("m", 2, topic, 0), Ok(()));
    assert_eq!(group.check_late_commit("m", 2, topic, 1), Err(ErrorCode::StaleMemberEpoch), "its only since epoch 3");
    assert_eq!(group.check_late_commit("m", 3, topic, 1), Ok(()));
    assert_eq!(group.check_late_commit("m", 4, topic, 0), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_late_commit("m", 2, topic, 7), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_late_commit("x", 2, topic, 0), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn offsets_are_read_by_members_and_by_those_who_say_nothing() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    let group = world.group();
    assert_eq!(group.check_fetch(None, -1), Ok(()));
    assert_eq!(group.check_fetch(Some("m"), 2), Ok(()));
    assert_eq!(group.check_fetch(Some("m"), 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_fetch(Some("x"), 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(group.check_fetch(None, 2), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_group_knows_what_it_is_subscribed_to() {
    let mut world = World::new();
    world.create("a", 1);
    world.create("logs-1", 1);
    world.join("m", &["a"]);
    let pattern =
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("logs-.*".to_owned()), ..joining("n", &[]) };
    world.send(pattern);
    let group = world.group();
    assert!(group.is_subscribed("a") && group.is_subscribed("logs-1") && !group.is_subscribed("b"));
    world.leave("n");
    assert!(!world.group().is_subscribed("logs-1"));
}
