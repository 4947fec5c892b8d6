//! Members that leave.

use super::*;

fn errors(response: &LeaveGroupResponse) -> Vec<ErrorCode> {
    assert_eq!(response.error_code, OK);
    response.members.iter().map(|member| code(member.error_code)).collect()
}

#[test]
fn the_others_rebalance() {
    let mut world = World::new();
    let ids = world.stable(2);
    let left = world.leave(vec![identity(&ids[0], None)]);
    assert_eq!(errors(&left), [ErrorCode::None]);
    assert_eq!(left.members[0].member_id, ids[0]);
    assert_eq!(world.state(), "PreparingRebalance");
    let ticket = world.rejoin(&ids[1]);
    assert_eq!((world.joined(ticket).generation_id, &world.joined(ticket).leader), (2, &ids[1]));
}

#[test]
fn the_last_one_leaves_an_empty_group() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.pass(7);
    let all = ids.iter().map(|id| identity(id, None)).collect();
    assert_eq!(errors(&world.leave(all)), [ErrorCode::None; 2]);
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.group().unwrap().empty_since(), Some(world.now));
    let record = world.last_record();
    assert_eq!((record.generation, record.protocol_type.as_str(), &record.protocol), (2, "consumer", &None));
    assert_eq!((&record.leader, record.members.len(), record.current_state_timestamp), (&None, 0, world.now.0));
    assert!(!world.group().unwrap().is_subscribed("t"));
    assert_eq!(world.shard.next_deadline(), None, "nothing is left to wait for");

    let again = world.join_as(3, "new", |request| request.protocol_type = "connect".to_owned());
    world.pass(DELAY_MS);
    assert_eq!(world.joined(again).generation_id, 3, "an empty group becomes whatever comes");
}

#[test]
fn each_has_its_own_error() {
    let mut world = World::new();
    let ticket = world.join("s", |request| request.group_instance_id = Some("i".to_owned()));
    let (dynamic, _) = world.enter("d");
    world.begin();
    let id = world.joined(ticket).member_id.clone();
    let left = world.leave(vec![
        identity("nobody", None),
        identity("", None),
        identity("", Some("other")),
        identity("older", Some("i")),
        identity(&dynamic, Some("other")),
        identity(&id, Some("i")),
        identity(&id, Some("i")),
    ]);
    let (unknown, fenced) = (ErrorCode::UnknownMemberId, ErrorCode::FencedInstanceId);
    assert_eq!(errors(&left), [unknown, unknown, unknown, fenced, unknown, ErrorCode::None, unknown]);
    assert_eq!(left.members[3].group_instance_id.as_deref(), Some("i"));
    assert_eq!(world.group().unwrap().members.ids().collect::<Vec<_>>(), [&dynamic]);
}

#[test]
fn an_administrator_knows_the_instance_only() {
    let mut world = World::new();
    let ticket = world.join("s", |request| request.group_instance_id = Some("i".to_owned()));
    world.pass(DELAY_MS);
    assert_eq!(world.joined(ticket).generation_id, 1);
    let left = world.leave(vec![identity("", Some("i"))]);
    assert_eq!(errors(&left), [ErrorCode::None]);
    assert_eq!((left.members[0].member_id.as_str(), left.members[0].group_instance_id.as_deref()), ("", Some("i")));
    assert_eq!(world.state(), "Empty");
}

#[test]
fn old_versions_name_one() {
    let mut world = World::new();
    let ids = world.stable(2);
    let request = |group: &str, id: &str| LeaveGroupRequest {
        group_id: group.to_owned(),
        member_id: id.to_owned(),
        ..LeaveGroupRequest::default()
    };
    for (version, group, id, expected) in [
        (2, GROUP, "nobody", ErrorCode::UnknownMemberId),
        (0, "other", &*ids[0], ErrorCode::UnknownMemberId),
        (1, "", &*ids[0], ErrorCode::InvalidGroupId),
        (2, GROUP, &*ids[0], ErrorCode::None),
    ] {
        let left = world.leave_as(version, request(group, id));
        assert_eq!((code(left.error_code), left.members.len()), (expected, 0));
    }
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn a_group_that_is_not_there_has_no_members() {
    let mut world = World::new();
    assert_eq!(errors(&world.leave(vec![identity("a", None), identity("b", None)])), [ErrorCode::UnknownMemberId; 2]);
    let nowhere = world.leave_as(5, LeaveGroupRequest::default());
    assert_eq!((code(nowhere.error_code), nowhere.members.len()), (ErrorCode::InvalidGroupId, 0));
}

#[test]
fn what_a_leaver_has_parked_is_answered() {
    let mut world = World::new();
    let ids = world.stable(2);
    let join = world.rejoin(&ids[0]);
    world.leave(vec![identity(&ids[0], None)]);
    assert_eq!((world.join_error(join), world.joined(join).member_id.as_str()), (ErrorCode::UnknownMemberId, ""));
    world.rejoin(&ids[1]);
    let (c, _) = world.enter("c");
    world.rejoin(&ids[1]);
    let sync = world.sync(&c, &[]);
    assert!(world.is_open(sync));
    world.leave(vec![identity(&c, None)]);
    assert_eq!(world.sync_error(sync), ErrorCode::UnknownMemberId);
}

#[test]
fn a_promise_may_be_given_back() {
    let mut world = World::new();
    let ids = world.stable(1);
    let promise = world.join("b", |_| {});
    let promised = world.joined(promise).member_id.clone();
    let another = world.join("c", |_| {});
    let another = world.joined(another).member_id.clone();
    assert_eq!(errors(&world.leave(vec![identity(&another, None)])), [ErrorCode::None]);
    assert_eq!(world.state(), "Stable", "nothing changed for the members");
    let waiting = world.rejoin(&ids[0]);
    assert!(world.is_open(waiting));
    world.leave(vec![identity(&promised, None)]);
    assert_eq!(world.joined(waiting).generation_id, 2, "there is nobody left to wait for");
}
