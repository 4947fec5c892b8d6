//! How the assignment reaches the members.

use super::*;

/// Two members in a generation that completes, the leader first.
fn completing(world: &mut World) -> Vec<String> {
    let ids = world.stable(2);
    world.rejoin(&ids[0]);
    world.rejoin(&ids[1]);
    assert_eq!(world.state(), "CompletingRebalance");
    ids
}

#[test]
fn the_assignment_is_written_and_then_told() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let follower = world.sync(&ids[1], &[]);
    assert!(world.is_open(follower), "the leader has not spoken");
    let (written, since) = (world.log.len(), world.now.0);
    world.pass(5);
    let leader = world.sync(&ids[0], &assignments(&ids));
    for (ticket, id) in [(leader, &ids[0]), (follower, &ids[1])] {
        let synced = world.synced(ticket);
        assert_eq!((synced.error_code, &synced.assignment[..]), (OK, format!("work of {id}").as_bytes()));
        assert_eq!(
            (synced.protocol_type.as_deref(), synced.protocol_name.as_deref()),
            (Some("consumer"), Some("range"))
        );
    }
    assert_eq!(world.log.len(), written + 1);
    let record = world.last_record();
    assert_eq!(
        (record.generation, record.protocol.as_deref(), record.leader.as_deref()),
        (2, Some("range"), Some(&*ids[0]))
    );
    assert_eq!(record.current_state_timestamp, since, "when the generation began to complete, as Kafka writes it");
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(
        record.members.iter().map(|member| &member.member_id).collect::<Vec<_>>(),
        sorted.iter().collect::<Vec<_>>()
    );
    let member = &record.members[0];
    assert_eq!((member.session_timeout, member.rebalance_timeout), (SESSION_MS, REBALANCE_MS));
    assert_eq!((member.client_host.as_str(), &member.subscription), ("/127.0.0.1", &protocol("range", "t").metadata));
    assert_eq!(member.assignment, format!("work of {}", sorted[0]));
}

#[test]
fn who_is_not_mentioned_gets_nothing() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let mut work = assignments(&ids[..1]);
    work.push(SyncGroupRequestAssignment { member_id: "nobody".to_owned(), assignment: Bytes::from("work") });
    world.sync(&ids[0], &work);
    let follower = world.sync(&ids[1], &[]);
    assert_eq!((world.sync_error(follower), world.synced(follower).assignment.len()), (ErrorCode::None, 0));
}

#[test]
fn requests_are_checked() {
    type Change = fn(&mut SyncGroupRequest);
    let cases: [(Change, ErrorCode); 9] = [
        (|r| r.group_id = String::new(), ErrorCode::InvalidGroupId),
        (|r| r.group_id = "other".to_owned(), ErrorCode::UnknownMemberId),
        (|r| r.member_id = "nobody".to_owned(), ErrorCode::UnknownMemberId),
        (|r| r.group_instance_id = Some("i".to_owned()), ErrorCode::UnknownMemberId),
        (|r| r.generation_id -= 1, ErrorCode::IllegalGeneration),
        (|r| r.protocol_type = Some("connect".to_owned()), ErrorCode::InconsistentGroupProtocol),
        (|r| r.protocol_name = Some("sticky".to_owned()), ErrorCode::InconsistentGroupProtocol),
        (|r| r.protocol_name = None, ErrorCode::InconsistentGroupProtocol),
        (|r| r.protocol_type = None, ErrorCode::InconsistentGroupProtocol),
    ];
    let mut world = World::new();
    let ids = completing(&mut world);
    for (change, expected) in cases {
        let ticket = world.sync_as(5, &ids[1], change);
        assert_eq!(world.sync_error(ticket), expected);
        assert_eq!(world.synced(ticket).protocol_name, None);
    }
    let older = world.sync_as(4, &ids[1], |request| (request.protocol_type, request.protocol_name) = (None, None));
    assert!(world.is_open(older), "older versions need not say");
}

#[test]
fn an_empty_group_has_no_assignment() {
    let mut world = World::new();
    world.join("c", |_| {});
    let ticket = world.sync("c", &[]);
    assert_eq!(world.sync_error(ticket), ErrorCode::UnknownMemberId);
}

#[test]
fn a_sync_that_comes_twice_is_answered_twice() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let earlier = world.sync(&ids[1], &[]);
    let later = world.sync(&ids[1], &[]);
    assert_eq!(world.sync_error(earlier), ErrorCode::RebalanceInProgress);
    world.sync(&ids[0], &assignments(&ids));
    assert_eq!(world.sync_error(later), ErrorCode::None);
}

#[test]
fn who_never_syncs_is_put_out() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let leader = world.sync(&ids[0], &assignments(&ids));
    assert_eq!(world.sync_error(leader), ErrorCode::None);
    for _ in 0..12 {
        assert_eq!(world.state(), "Stable");
        world.pass(i64::from(REBALANCE_MS) / 12);
        world.beat(&ids[0]);
        world.beat(&ids[1]);
    }
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.beat(&ids[1]), ErrorCode::UnknownMemberId, "heartbeats do not help");
    let ticket = world.rejoin(&ids[0]);
    assert_eq!(world.joined(ticket).members.len(), 1);
}

#[test]
fn a_leader_that_never_syncs_is_put_out() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let follower = world.sync(&ids[1], &[]);
    for _ in 0..12 {
        world.pass(i64::from(REBALANCE_MS) / 12);
        world.beat(&ids[0]);
    }
    assert_eq!(world.sync_error(follower), ErrorCode::RebalanceInProgress);
    let ticket = world.rejoin(&ids[1]);
    assert_eq!((world.joined(ticket).generation_id, &world.joined(ticket).leader), (3, &ids[1]));
}

#[test]
fn what_is_kept_does_not_hold_its_frame() {
    let mut world = World::new();
    let ids = completing(&mut world);
    let frame = Bytes::from(vec![7; 1 << 20]);
    let work = vec![SyncGroupRequestAssignment { member_id: ids[0].clone(), assignment: frame.slice(..3) }];
    world.sync(&ids[0], &work);
    drop(work);
    assert!(frame.is_unique(), "the assignment was copied");
}
