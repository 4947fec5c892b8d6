//! Requests that nobody can mean.

use super::*;

fn check(version: i16, request: ConsumerGroupHeartbeatRequest, expected: &str) {
    let mut world = World::new();
    world.create("a", 1);
    world.join("m", &["a"]);
    let written = world.written(|world| {
        let response = world.send_as(version, request);
        assert_eq!(world.show(&response), expected);
        assert_eq!((response.member_id, response.member_epoch, response.heartbeat_interval_ms), (None, 0, 0));
    });
    assert_eq!(written, "");
}

fn joins() -> ConsumerGroupHeartbeatRequest {
    joining("n", &["a"])
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn what_must_be_there() {
    let invalid = |what: &str| format!("error 42: {what}");
    check(1, joining(" ", &["a"]), &invalid("MemberId can't be empty."));
    check(0, beating("", 1), &invalid("MemberId can't be empty."));
    check(0, beating("", -1), &invalid("MemberId can't be empty."));
    check(
        1,
        ConsumerGroupHeartbeatRequest { group_id: "\t".to_owned(), ..joins() },
        &invalid("GroupId can't be empty."),
    );
    check(
        1,
        ConsumerGroupHeartbeatRequest { instance_id: some(""), ..joins() },
        &invalid("InstanceId can't be empty."),
    );
    check(1, ConsumerGroupHeartbeatRequest { rack_id: some(""), ..joins() }, &invalid("RackId can't be empty."));
    check(
        1,
        ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..joins() },
        &invalid("RebalanceTimeoutMs must be provided in first request."),
    );
    let partitions = vec![TopicPartitions::default()];
    for topic_partitions in [None, Some(partitions)] {
        check(
            1,
            ConsumerGroupHeartbeatRequest { topic_partitions, ..joins() },
            &invalid("TopicPartitions must be empty when (re-)joining."),
        );
    }
    check(
        1,
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..joins() },
        &invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."),
    );
    check(1, beating("m", -2), &invalid("InstanceId can't be null."));
    check(1, beating("m", -3), &invalid("MemberEpoch is invalid."));
}

#[test]
fn an_assignor_that_is_not_offered() {
    check(
        1,
        ConsumerGroupHeartbeatRequest { server_assignor: some("sticky"), ..joins() },
        "error 112: ServerAssignor sticky is not supported. Supported assignors: uniform, range.",
    );
}

#[test]
fn members_and_groups_that_are_not_there() {
    check(1, beating("n", 1), "error 25: Member n is not a member of group g.");
    check(1, beating("n", -1), "error 25: Member n is not a member of group g.");
    let elsewhere = |epoch| ConsumerGroupHeartbeatRequest { group_id: "h".to_owned(), ..beating("m", epoch) };
    check(1, elsewhere(2), "error 69: Consumer group h not found.");
    check(1, elsewhere(-1), "error 69: Group h not found.");
}

#[test]
fn patterns_that_are_none() {
    check(
        1,
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: some("["), ..joins() },
        "error 128: SubscribedTopicRegex `[` is not a valid regular expression: missing closing ].",
    );
}

#[test]
fn messages_fit_into_a_response() {
    let mut world = World::new();
    let pattern = format!("[{}", "ä".repeat(16_000));
    let response =
        world.send(ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some(pattern.clone()), ..joins() });
    assert_eq!(response.error_code, 128);
    assert!(response.error_message.unwrap().starts_with(&format!("SubscribedTopicRegex `{pattern}`")));
    let group_id = "g".repeat(ottla_wire::STRING_BYTES_MAX);
    let response = world.send(ConsumerGroupHeartbeatRequest { group_id, ..beating("m", 1) });
    assert_eq!(response.error_message.unwrap().len(), ottla_wire::STRING_BYTES_MAX);
}
