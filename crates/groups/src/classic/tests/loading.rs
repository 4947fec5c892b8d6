//! Groups from the log, for descriptions, and between the protocols.

use ottla_wire::messages::{group_metadata_key::GroupMetadataKey, group_metadata_value::MemberMetadata};

use super::*;
use crate::classic::{Member, subscription};

#[test]
fn members_come_back_after_a_restart() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.pass(i64::from(SESSION_MS) - 1);
    world.crash();
    assert_eq!(world.state(), "Stable");
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!((world.beat(&ids[0]), world.beat(&ids[1])), (ErrorCode::None, ErrorCode::None), "sessions began anew");
    let ticket = world.sync(&ids[1], &[]);
    assert_eq!(world.synced(ticket).assignment, format!("work of {}", ids[1]));
    let ticket = world.rejoin(&ids[1]);
    assert_eq!(world.joined(ticket).generation_id, 1);
    assert!(world.group().unwrap().is_subscribed("t") && !world.group().unwrap().is_subscribed("u"));
    world.pass(2 * i64::from(SESSION_MS));
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_rebalance_is_forgotten_in_a_restart() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.rejoin(&ids[0]);
    world.rejoin(&ids[1]);
    world.crash();
    assert_eq!((world.state(), world.group().unwrap().generation), ("Stable", 1), "the assignment was never told");
    assert_eq!(world.beat_as(&ids[0], |request| request.generation_id = 2), ErrorCode::IllegalGeneration);
}

#[test]
fn a_tombstone_ends_the_group() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.leave(vec![identity(&ids[0], None)]);
    world.join("c", |_| {});
    for record in world.group().unwrap().tombstones(GROUP) {
        world.log.push(record.clone());
        world.shard.replay(Offset(9), None, record);
    }
    assert_eq!(world.group(), None);
    assert_eq!(world.shard.next_deadline(), None);
    let rebuilt = world.rebuilt();
    assert_eq!(rebuilt.classic(GROUP), None);
}

#[test]
fn records_need_not_make_sense() {
    let member = |id: &str, instance: Option<&str>| MemberMetadata {
        member_id: id.to_owned(),
        group_instance_id: instance.map(str::to_owned),
        session_timeout: i32::MIN,
        rebalance_timeout: -1,
        subscription: Bytes::from_static(&[0xff; 9]),
        ..MemberMetadata::default()
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: i32::MAX,
        protocol: None,
        leader: Some("nobody".to_owned()),
        current_state_timestamp: -1,
        members: vec![member("a", Some("i")), member("b", Some("i")), member("a", None)],
    };
    let mut world = World::new();
    world.log.push(GroupRecord::Classic(GroupMetadataKey { group: GROUP.to_owned() }, Some(value)));
    world.crash();
    assert_eq!((world.state(), world.group().unwrap().since), ("Stable", None));
    assert!(world.group().unwrap().is_subscribed("anything"), "nobody can tell");
    world.pass(1);
    assert_eq!((world.state(), world.group().unwrap().generation), ("Empty", i32::MAX));
}

#[test]
fn an_older_record_has_no_times() {
    let members = vec![MemberMetadata { session_timeout: 7, rebalance_timeout: -1, ..MemberMetadata::default() }];
    let full = GroupMetadataValue { members, ..GroupMetadataValue::default() };
    let group = ClassicGroup::from_value(&full);
    assert_eq!(group.members.iter().next().unwrap().1.rebalance_timeout_ms, 7);
    let empty = ClassicGroup::from_value(&GroupMetadataValue::default());
    assert_eq!((empty.is_empty(), empty.empty_since()), (true, None));
}

#[test]
fn a_description_says_what_is_settled() {
    let mut world = World::new();
    let ids = world.stable(2);
    let described = world.group().unwrap().describe(GROUP, 6);
    assert_eq!((described.group_id.as_str(), described.group_state.as_str()), (GROUP, "Stable"));
    assert_eq!((described.protocol_type.as_str(), described.protocol_data.as_str()), ("consumer", "range"));
    assert_eq!(described.members.len(), 2);
    let leader = described.members.iter().find(|member| member.member_id == ids[0]).unwrap();
    assert_eq!(leader.member_metadata, protocol("range", "t").metadata);
    assert_eq!(leader.member_assignment, format!("work of {}", ids[0]));
    assert_eq!(leader.client_host, "/127.0.0.1");
    world.rejoin(&ids[0]);
    let described = world.group().unwrap().describe(GROUP, 5);
    assert_eq!((described.group_state.as_str(), described.protocol_data.as_str()), ("PreparingRebalance", ""));
    assert!(described.members.iter().all(|member| member.member_metadata.is_empty()));
    assert!(!described.members[0].member_assignment.is_empty());
}

#[test]
fn a_group_may_come_from_the_consumer_protocol() {
    for rebalance in [false, true] {
        let mut world = World::new();
        let mut group = ClassicGroup::new(world.now);
        for id in ["a", "b"] {
            let member = Member {
                session_timeout_ms: SESSION_MS,
                rebalance_timeout_ms: REBALANCE_MS,
                protocols: vec![protocol("range", "t")],
                ..Member::default()
            };
            group.add(id.to_owned(), "consumer".to_owned(), member);
        }
        (group.state, group.generation, group.protocol) = (State::Stable, 7, group.members.select_protocol());
        world.step(|shard, now, _| {
            let record = crate::classic::adopt(shard, now, GROUP, &group, rebalance);
            Decided { records: vec![record], ..Decided::none() }
        });
        world.pass(0);
        let expected = if rebalance { ErrorCode::RebalanceInProgress } else { ErrorCode::None };
        assert_eq!(world.beat_as("a", |request| request.generation_id = 7), expected);
        world.pass(i64::from(REBALANCE_MS) + i64::from(SESSION_MS));
        assert_eq!(world.state(), "Empty", "sessions began");
    }
}

#[test]
fn a_group_may_end_with_members_in_it() {
    let mut world = World::new();
    let ids = world.stable(3);
    let join = world.rejoin(&ids[0]);
    let refused = world.shard.classic_mut(GROUP).unwrap().refuse_parked(ErrorCode::RebalanceInProgress);
    assert_eq!(refused.replies.len(), 1);
    assert_eq!(refused.replies[0].0, join);
    assert!(refused.records.is_empty());
}

#[test]
fn subscriptions_are_read_as_far_as_they_are_known() {
    let newer = [&protocol("range", "topic").metadata[..], b"what version 1 and later add"].concat();
    assert_eq!(subscription::topics(newer.into()), Some(vec!["topic".to_owned()]));
    let whole = protocol("range", "topic").metadata;
    for cut in 0..whole.len() {
        assert_eq!(subscription::topics(whole.slice(..cut)), None, "{cut} bytes");
    }
    assert_eq!(subscription::topics(Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff])), None);
}
