//! Static members: an instance keeps its place while its processes come and go.

use super::*;

fn join_static(world: &mut World, version: i16, instance: &str) -> Ticket {
    world.join_as(version, "c", |request| request.group_instance_id = Some(instance.to_owned()))
}

/// A stable group of two instances `a` and `b`, the leader first.
fn stable(world: &mut World) -> Vec<(String, String)> {
    let (a, b) = (join_static(world, 9, "a"), join_static(world, 9, "b"));
    world.begin();
    let leader = world.joined(a).leader.clone();
    let mut members: Vec<_> =
        [("a", a), ("b", b)].map(|(name, ticket)| (name.to_owned(), world.joined(ticket).member_id.clone())).into();
    members.sort_by_key(|(_, id)| *id != leader);
    let ids: Vec<_> = members.iter().map(|(_, id)| id.clone()).collect();
    world.sync_all(&ids);
    members
}

fn beat(world: &mut World, instance: &str, id: &str) -> ErrorCode {
    world.beat_as(id, |request| request.group_instance_id = Some(instance.to_owned()))
}

#[test]
fn its_id_is_the_instances() {
    let mut world = World::new();
    let ticket = join_static(&mut world, 9, "a");
    assert!(world.is_open(ticket), "no id is promised, it is in at once");
    world.pass(DELAY_MS);
    assert_eq!(world.joined(ticket).member_id, "a-00000000-0000-4000-8000-000000000001");
    assert_eq!(world.joined(ticket).members[0].group_instance_id.as_deref(), Some("a"));
}

#[test]
fn a_new_process_takes_over_without_a_rebalance() {
    let mut world = World::new();
    let members = stable(&mut world);
    let (instance, older) = members[1].clone();
    let written = world.log.len();
    let ticket = join_static(&mut world, 9, &instance);
    let joined = world.joined(ticket);
    let newer = joined.member_id.clone();
    assert_ne!(newer, older);
    assert_eq!((joined.error_code, joined.generation_id, &joined.leader), (OK, 1, &members[0].1));
    assert_eq!((joined.skip_assignment, joined.members.len()), (false, 0));
    assert_eq!((world.state(), world.log.len()), ("Stable", written + 1));
    let record = world.last_record();
    let member = record.members.iter().find(|member| member.member_id == newer).unwrap();
    assert_eq!(member.assignment, format!("work of {older}"));
    assert!(record.members.iter().all(|member| member.member_id != older));

    let sync = world.sync_as(5, &newer, |request| request.group_instance_id = Some(instance.clone()));
    assert_eq!(world.synced(sync).assignment, format!("work of {older}"));
    assert_eq!(beat(&mut world, &instance, &newer), ErrorCode::None);
    assert_eq!(world.beat(&members[0].1), ErrorCode::None);
}

#[test]
fn the_older_process_is_fenced() {
    let mut world = World::new();
    let members = stable(&mut world);
    let (instance, older) = members[1].clone();
    join_static(&mut world, 9, &instance);
    assert_eq!(beat(&mut world, &instance, &older), ErrorCode::FencedInstanceId);
    assert_eq!(world.beat(&older), ErrorCode::UnknownMemberId, "who does not say its instance is just unknown");
    let sync = world.sync_as(5, &older, |request| request.group_instance_id = Some(instance.clone()));
    assert_eq!(world.sync_error(sync), ErrorCode::FencedInstanceId);
    let join = world.join("c", |request| {
        request.member_id = older.clone();
        request.group_instance_id = Some(instance.clone());
    });
    assert_eq!((world.join_error(join), &world.joined(join).member_id), (ErrorCode::FencedInstanceId, &older));
    let committed = world.group().unwrap().check_commit(&older, Some(&instance), 1, false);
    assert_eq!(committed, Err(ErrorCode::FencedInstanceId));
    world.crash();
    assert_eq!(beat(&mut world, &instance, &older), ErrorCode::FencedInstanceId, "after a restart as well");
}

#[test]
fn a_leader_that_takes_over_need_not_assign() {
    let mut world = World::new();
    let members = stable(&mut world);
    let (instance, older) = members[0].clone();
    let ticket = join_static(&mut world, 9, &instance);
    let joined = world.joined(ticket).clone();
    assert!(joined.skip_assignment);
    assert_eq!((&joined.leader, joined.members.len()), (&joined.member_id, 2));

    let ticket = join_static(&mut world, 8, &instance);
    let older_client = world.joined(ticket).clone();
    assert!(!older_client.skip_assignment);
    assert_eq!((&older_client.leader, older_client.members.len()), (&joined.member_id, 0), "it believes to follow");
    assert_ne!(older_client.leader, older);
    assert_eq!(world.group().unwrap().leader.as_deref(), Some(&*older_client.member_id));
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_follower_that_takes_over_before_it_synced_is_still_waited_for() {
    let mut world = World::new();
    let ids: Vec<_> = stable(&mut world);
    let (follower, leader) = (&ids[1], &ids[0]);
    world.join("c", |request| {
        request.member_id = leader.1.clone();
        request.group_instance_id = Some(leader.0.clone());
    });
    world.join("c", |request| {
        request.member_id = follower.1.clone();
        request.group_instance_id = Some(follower.0.clone());
    });
    world.sync(&leader.1, &assignments(&[leader.1.clone(), follower.1.clone()]));
    let ticket = join_static(&mut world, 9, &follower.0);
    let newer = world.joined(ticket).member_id.clone();
    assert_eq!(world.group().unwrap().pending_sync.iter().collect::<Vec<_>>(), [&newer]);
    world.sync(&newer, &[]);
    for _ in 0..20 {
        world.pass(5_000);
        assert_eq!((world.beat(&newer), world.beat(&leader.1)), (ErrorCode::None, ErrorCode::None), "no rebalance");
    }
}

#[test]
fn parked_requests_of_the_older_process_are_fenced() {
    let mut world = World::new();
    let earlier = join_static(&mut world, 9, "a");
    let later = join_static(&mut world, 9, "a");
    assert_eq!(world.join_error(earlier), ErrorCode::FencedInstanceId);
    assert!(world.is_open(later));

    let mut world = World::new();
    let members = stable(&mut world);
    for (instance, id) in &members {
        world.join("c", |request| {
            request.member_id = id.clone();
            request.group_instance_id = Some(instance.clone());
        });
    }
    let sync = world.sync(&members[1].1, &[]);
    let taking_over = join_static(&mut world, 9, &members[1].0);
    assert_eq!(world.sync_error(sync), ErrorCode::FencedInstanceId);
    assert!(world.is_open(taking_over), "the leader may already assign to the older one: once more");
    assert_eq!(world.beat(&members[0].1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_new_process_with_another_choice_calls_for_a_rebalance() {
    let mut world = World::new();
    let both = |request: &mut JoinGroupRequest, favourite: &str, other: &str| {
        request.group_instance_id = Some("a".to_owned());
        request.protocols = vec![protocol(favourite, "t"), protocol(other, "t")];
    };
    let ticket = world.join("c", |request| both(request, "range", "sticky"));
    world.pass(DELAY_MS);
    let id = world.joined(ticket).member_id.clone();
    world.sync_all(&[id]);
    let ticket = world.join("c", |request| both(request, "sticky", "range"));
    assert_eq!(
        (world.joined(ticket).generation_id, world.joined(ticket).protocol_name.as_deref()),
        (2, Some("sticky"))
    );
}

#[test]
fn its_place_is_kept_through_a_rebalance_that_it_misses() {
    let mut world = World::with(|settings| settings.max_session_timeout_ms = i32::MAX);
    let patient = |request: &mut JoinGroupRequest| {
        request.group_instance_id = Some("a".to_owned());
        request.session_timeout_ms = 600_000;
    };
    let a = world.join("c", patient);
    let (b, _) = world.enter("b");
    world.begin();
    let a = world.joined(a).member_id.clone();
    let leader = world.group().unwrap().leader.clone().unwrap();
    let mut ids = vec![a.clone(), b.clone()];
    ids.sort_by_key(|id| *id != leader);
    world.sync_all(&ids);
    let ticket = world.join("c", |request| {
        request.member_id = b.clone();
        request.protocols = vec![protocol("range", "another")];
    });
    world.pass(REBALANCE_MS.into());
    assert_eq!((world.joined(ticket).generation_id, &world.joined(ticket).leader), (2, &b));
    assert_eq!(world.joined(ticket).members.len(), 2, "a is still a member");
    let sync = world.sync(&b, &assignments(&ids));
    assert_eq!(world.sync_error(sync), ErrorCode::None);
    assert_eq!(world.beat_as(&a, |request| request.generation_id = 1), ErrorCode::IllegalGeneration);
}

#[test]
fn absent_instances_are_waited_for_until_their_sessions_end() {
    let mut world = World::new();
    let impatient = |name: &'static str| {
        move |request: &mut JoinGroupRequest| {
            request.group_instance_id = Some(name.to_owned());
            request.rebalance_timeout_ms = 1;
        }
    };
    let (a, b) = (world.join("c", impatient("a")), world.join("c", impatient("b")));
    world.pass(DELAY_MS);
    let mut ids = vec![world.joined(a).member_id.clone(), world.joined(b).member_id.clone()];
    let leader = world.joined(a).leader.clone();
    ids.sort_by_key(|id| *id != leader);
    world.sync_all(&ids);
    world.leave(vec![identity(&ids[0], None)]);
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(world.state(), "PreparingRebalance");
    world.pass(1);
    assert_eq!(world.state(), "Empty");
}
