//! Members that join again, and what that does to the others.

use super::*;

#[test]
fn a_follower_with_nothing_new_hears_of_the_generation() {
    let mut world = World::new();
    let ids = world.stable(2);
    let ticket = world.rejoin(&ids[1]);
    let joined = world.joined(ticket);
    assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (OK, 1, 0));
    assert_eq!(joined.leader, ids[0]);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_leader_that_comes_back_wants_a_rebalance() {
    let mut world = World::new();
    let ids = world.stable(2);
    let leader = world.rejoin(&ids[0]);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.beat(&ids[1]), ErrorCode::RebalanceInProgress);
    let follower = world.rejoin(&ids[1]);
    assert_eq!(world.joined(leader).generation_id, 2);
    assert_eq!(world.joined(leader).members.len(), 2);
    assert_eq!(world.joined(follower).leader, ids[0]);
}

#[test]
fn news_from_a_follower_call_for_a_rebalance() {
    let mut world = World::new();
    let ids = world.stable(2);
    let follower = world.join("c", |request| {
        request.member_id = ids[1].clone();
        request.protocols = vec![protocol("range", "another")];
    });
    assert!(world.is_open(follower));
    world.rejoin(&ids[0]);
    assert_eq!(world.joined(follower).generation_id, 2);
    let group = world.group().unwrap();
    assert!(group.is_subscribed("another") && group.is_subscribed("t") && !group.is_subscribed("other"));
}

#[test]
fn a_missed_answer_is_given_again_while_the_generation_completes() {
    let mut world = World::new();
    let (a, _) = world.enter("a");
    let (b, _) = world.enter("b");
    world.begin();
    let (a, b) = (world.rejoin(&a), world.rejoin(&b));
    assert_eq!((world.joined(a).generation_id, world.joined(b).generation_id), (1, 1));
    assert_eq!(world.joined(a).members.len() + world.joined(b).members.len(), 2, "the leader hears of all again");
}

#[test]
fn news_while_the_generation_completes_begin_the_next_one() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.rejoin(&ids[0]);
    world.rejoin(&ids[1]);
    let waiting = world.sync(&ids[1], &[]);
    assert!(world.is_open(waiting));
    let news = world.join("c", |request| {
        request.member_id = ids[1].clone();
        request.protocols = vec![protocol("range", "another")];
    });
    assert_eq!(world.sync_error(waiting), ErrorCode::RebalanceInProgress);
    assert!(world.is_open(news));
    let late = world.sync_as(5, &ids[0], |_| {});
    assert_eq!(world.sync_error(late), ErrorCode::RebalanceInProgress, "the leader is too late");
    world.rejoin(&ids[0]);
    assert_eq!(world.joined(news).generation_id, 3);
}

#[test]
fn who_does_not_come_is_left_out() {
    let mut world = World::with(|settings| settings.max_session_timeout_ms = i32::MAX);
    let patient = |request: &mut JoinGroupRequest| request.session_timeout_ms = 1_000_000;
    let (a, b) = (world.join_as(3, "a", patient), world.join_as(3, "b", patient));
    world.begin();
    let ids = [world.joined(a).member_id.clone(), world.joined(b).member_id.clone()];
    let leader = ids.iter().position(|id| *id == world.joined(a).leader).unwrap();
    let (leader, follower) = (ids[leader].clone(), ids[1 - leader].clone());
    world.sync_all(&[leader.clone(), follower.clone()]);

    let news = world.join("c", |request| {
        patient(request);
        request.member_id = follower.clone();
        request.protocols = vec![protocol("range", "another")];
    });
    world.pass(i64::from(REBALANCE_MS) - 1);
    assert!(world.is_open(news));
    world.pass(1);
    let joined = world.joined(news);
    assert_eq!((joined.generation_id, &joined.leader, joined.members.len()), (2, &follower, 1), "a leader is elected");
    assert_eq!(world.beat(&leader), ErrorCode::UnknownMemberId);
}

#[test]
fn a_join_that_comes_twice_is_answered_twice() {
    let mut world = World::new();
    let ids = world.stable(2);
    let earlier = world.rejoin(&ids[0]);
    let later = world.rejoin(&ids[0]);
    assert_eq!(world.join_error(earlier), ErrorCode::RebalanceInProgress);
    assert_eq!(world.joined(earlier).member_id, ids[0]);
    world.rejoin(&ids[1]);
    assert_eq!(world.joined(later).generation_id, 2);
}

#[test]
fn a_common_protocol_cannot_be_given_up() {
    let mut world = World::new();
    let ids = world.stable(2);
    let ticket = world.join("c", |request| {
        request.member_id = ids[0].clone();
        request.protocols = vec![protocol("sticky", "t")];
    });
    assert_eq!(world.join_error(ticket), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(world.joined(ticket).member_id, ids[0]);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_group_over_its_size_keeps_those_who_come_first() {
    let mut world = World::new();
    let ids = world.stable(3);
    let mut smaller = settings();
    smaller.groups.max_size = 2;
    world.shard.settings = Arc::new(smaller);
    world.crash();
    assert_eq!(world.state(), "PreparingRebalance");
    let [a, b, c] = [0, 1, 2].map(|n| world.rejoin(&ids[n]));
    assert_eq!(world.join_error(c), ErrorCode::GroupMaxSizeReached);
    assert_eq!((world.joined(a).generation_id, world.joined(b).generation_id), (2, 2), "nobody else is waited for");
}
