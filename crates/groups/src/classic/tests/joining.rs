//! How a group forms.

use super::*;

#[test]
fn a_member_gets_its_id_then_its_generation() {
    let mut world = World::new();
    let first = world.join("c1", |_| {});
    let id = "c1-00000000-0000-4000-8000-000000000001";
    assert_eq!(world.join_error(first), ErrorCode::MemberIdRequired);
    assert_eq!(world.joined(first).member_id, id);
    let written = world.last_record();
    assert_eq!((written.generation, written.protocol_type.as_str(), &written.protocol), (0, "", &None));
    assert_eq!((written.members.len(), &written.leader, written.current_state_timestamp), (0, &None, 1_000_000));

    let second = world.rejoin(id);
    world.pass(DELAY_MS - 1);
    assert!(world.is_open(second), "others may come");
    world.pass(1);
    let joined = world.joined(second);
    assert_eq!((joined.error_code, joined.generation_id, joined.leader.as_str()), (OK, 1, id));
    assert_eq!((joined.protocol_type.as_deref(), joined.protocol_name.as_deref()), (Some("consumer"), Some("range")));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, protocol("range", "t").metadata);
    assert!(!joined.skip_assignment);
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(world.log.len(), 1, "the generation is written with its assignment");
}

#[test]
fn old_versions_join_at_once() {
    let mut world = World::new();
    let ticket = world.join_as(3, "old", |_| {});
    assert!(world.is_open(ticket));
    assert_eq!(world.log.len(), 1);
    world.pass(DELAY_MS);
    assert_eq!(world.joined(ticket).generation_id, 1);
}

#[test]
fn version_0_has_one_timeout() {
    let mut world = World::new();
    world.join_as(0, "old", |request| request.rebalance_timeout_ms = -1);
    let timeouts: Vec<_> = world.group().unwrap().members.iter().map(|(_, m)| m.rebalance_timeout_ms).collect();
    assert_eq!(timeouts, [SESSION_MS]);
}

#[test]
fn the_first_rebalance_waits_while_members_come() {
    let mut world = World::new();
    let (_, a) = world.enter("a");
    world.pass(2_000);
    let (_, b) = world.enter("b");
    world.pass(DELAY_MS - 2_000);
    assert!(world.is_open(a), "b came during the wait");
    world.pass(DELAY_MS - 1);
    assert!(world.is_open(b));
    world.pass(1);
    assert_eq!(world.joined(a).generation_id, 1);
    assert_eq!(world.joined(b).generation_id, 1);
    assert_eq!(world.joined(a).leader, world.joined(b).leader);
    assert_eq!(world.joined(a).members.len() + world.joined(b).members.len(), 2, "the leader alone hears of all");
}

#[test]
fn the_first_rebalance_waits_no_longer_than_members_want() {
    let mut world = World::new();
    let a = world.join_as(3, "a", |request| request.rebalance_timeout_ms = 5_000);
    for second in 0..5 {
        world.join_as(3, &format!("more-{second}"), |request| request.rebalance_timeout_ms = 5_000);
        assert!(world.is_open(a));
        world.pass(1_000);
    }
    assert_eq!(world.joined(a).generation_id, 1);
}

#[test]
fn requests_are_checked() {
    type Change = fn(&mut JoinGroupRequest);
    let cases: [(Change, ErrorCode); 7] = [
        (|r| r.group_id = String::new(), ErrorCode::InvalidGroupId),
        (|r| r.session_timeout_ms = 5_999, ErrorCode::InvalidSessionTimeout),
        (|r| r.session_timeout_ms = 1_800_001, ErrorCode::InvalidSessionTimeout),
        (|r| r.session_timeout_ms = -1, ErrorCode::InvalidSessionTimeout),
        (|r| r.member_id = "nobody".to_owned(), ErrorCode::UnknownMemberId),
        (|r| r.protocol_type = String::new(), ErrorCode::InconsistentGroupProtocol),
        (|r| r.protocols = Vec::new(), ErrorCode::InconsistentGroupProtocol),
    ];
    for (change, expected) in cases {
        for (version, protocol_name) in [(6, Some("")), (7, None)] {
            let mut world = World::new();
            let ticket = world.join_as(version, "c", change);
            let refused = world.joined(ticket);
            assert_eq!(code(refused.error_code), expected);
            assert_eq!((refused.generation_id, refused.protocol_name.as_deref()), (-1, protocol_name));
            assert_eq!(refused.member_id, if expected == ErrorCode::UnknownMemberId { "nobody" } else { "" });
        }
    }
}

#[test]
fn protocols_must_be_shared() {
    let mut world = World::new();
    world.join_as(3, "a", |request| request.protocols = vec![protocol("range", "t"), protocol("sticky", "t")]);
    let cases: [(&str, &[&str], bool); 5] = [
        ("consumer", &["sticky"], true),
        ("consumer", &["range", "sticky"], true),
        ("consumer", &["range"], false), // the second one does not know it
        ("consumer", &[], false),
        ("connect", &["sticky"], false),
    ];
    for (protocol_type, names, fits) in cases {
        let ticket = world.join_as(3, "b", |request| {
            request.protocol_type = protocol_type.to_owned();
            request.protocols = names.iter().map(|name| protocol(name, "t")).collect();
        });
        assert_eq!(world.is_open(ticket), fits, "{protocol_type} {names:?}");
    }
    world.begin();
    assert_eq!(world.group().unwrap().protocol.as_deref(), Some("sticky"));
}

#[test]
fn members_vote_for_a_protocol() {
    let elected = |votes: &[&[&str]]| {
        let mut world = World::new();
        for names in votes {
            let protocols = names.iter().map(|name| protocol(name, "t")).collect();
            world.join_as(3, "c", |request| request.protocols = protocols);
        }
        world.begin();
        world.group().unwrap().protocol.clone().unwrap()
    };
    assert_eq!(elected(&[&["a", "b"], &["b", "a"], &["b", "a"]]), "b");
    assert_eq!(elected(&[&["c", "a", "b"], &["b", "a"], &["a", "b"], &["c", "b"]]), "b", "not all know a and c");
    assert_eq!(elected(&[&["a", "a", "b"], &["b", "a"], &["b", "a"]]), "b", "a vote counts once");
    // Java's String.hashCode: "range" is 108280125, which is bucket 9 of 16; "sticky" is -892259863, which is bucket 8.
    assert_eq!(elected(&[&["range", "sticky"], &["sticky", "range"]]), "sticky");
}

#[test]
fn a_group_has_a_size() {
    let mut world = World::with(|settings| settings.max_size = 2);
    let (_, a) = world.enter("a");
    let (_, b) = world.enter("b");
    let c = world.join("c", |_| {});
    assert_eq!(world.join_error(c), ErrorCode::GroupMaxSizeReached);
    assert_eq!(world.joined(c).member_id, "");
    world.begin();
    let d = world.join_as(3, "d", |_| {});
    assert_eq!(world.join_error(d), ErrorCode::GroupMaxSizeReached);
    assert_eq!((world.joined(a).error_code, world.joined(b).error_code), (OK, OK));
}

#[test]
fn a_promised_id_is_waited_for_until_its_session_ends() {
    let mut world = World::new();
    let ids = world.stable(1);
    let promise = world.join("b", |_| {});
    let promised = world.joined(promise).member_id.clone();
    assert_eq!(world.state(), "Stable", "a promise is no member");
    let a = world.rejoin(&ids[0]);
    world.pass(i64::from(SESSION_MS) - 1);
    assert!(world.is_open(a));
    world.pass(1);
    assert_eq!(world.joined(a).generation_id, 2);
    let late = world.rejoin(&promised);
    assert_eq!(world.join_error(late), ErrorCode::UnknownMemberId);

    world.sync_all(&ids);
    world.join("c", |request| request.session_timeout_ms = 6_000);
    world.pass(6_000);
    assert_eq!(world.state(), "Stable", "nobody minds a promise that ends");
}

#[test]
fn a_promise_is_not_for_static_members() {
    let mut world = World::new();
    let promise = world.join("b", |_| {});
    let id = world.joined(promise).member_id.clone();
    let ticket = world.join("b", |request| {
        request.member_id = id;
        request.group_instance_id = Some("i".to_owned());
    });
    assert_eq!(world.join_error(ticket), ErrorCode::UnknownServerError);
}

#[test]
fn a_new_member_is_asked_to_try_again_after_a_while() {
    let mut world = World::new();
    let long = |request: &mut JoinGroupRequest| {
        request.rebalance_timeout_ms = 3_600_000;
        request.session_timeout_ms = 1_800_000;
    };
    let a = world.join_as(3, "a", long);
    world.pass(DELAY_MS);
    let id = world.joined(a).member_id.clone();
    world.sync_all(&[id]);
    let b = world.join_as(3, "b", long);
    world.pass(5 * 60 * 1000 - 1);
    assert!(world.is_open(b), "a has not come yet");
    world.pass(1);
    assert_eq!(world.join_error(b), ErrorCode::UnknownMemberId);
    assert_eq!(world.joined(b).member_id, "");
}

#[test]
fn other_protocol_types_work_alike() {
    let mut world = World::new();
    let connect = |request: &mut JoinGroupRequest| {
        request.protocol_type = "connect".to_owned();
        request.protocols = vec![JoinGroupRequestProtocol { name: "sessioned".to_owned(), metadata: Bytes::new() }];
    };
    let ticket = world.join_as(3, "w", connect);
    world.pass(DELAY_MS);
    let id = world.joined(ticket).member_id.clone();
    let synced = world.sync_as(3, &id, |request| {
        request.protocol_type = None;
        request.protocol_name = None;
    });
    assert_eq!(world.sync_error(synced), ErrorCode::None);
    assert_eq!(world.group().unwrap().protocol_type(), "connect");
    assert!(world.group().unwrap().is_subscribed("anything"), "nobody can tell");
    assert_eq!(world.last_record().protocol.as_deref(), Some("sessioned"));
}
