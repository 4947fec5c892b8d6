//! Signs of life, and their absence.

use super::*;

#[test]
fn heartbeats_are_checked() {
    let mut world = World::new();
    let ids = world.stable(2);
    type Change = fn(&mut HeartbeatRequest);
    let cases: [(Change, ErrorCode); 6] = [
        (|r| r.group_id = String::new(), ErrorCode::InvalidGroupId),
        (|r| r.group_id = "other".to_owned(), ErrorCode::UnknownMemberId),
        (|r| r.member_id = "nobody".to_owned(), ErrorCode::UnknownMemberId),
        (|r| r.group_instance_id = Some("i".to_owned()), ErrorCode::UnknownMemberId),
        (|r| r.generation_id += 1, ErrorCode::IllegalGeneration),
        (|_| {}, ErrorCode::None),
    ];
    for (change, expected) in cases {
        assert_eq!(world.beat_as(&ids[0], change), expected);
    }
}

#[test]
fn who_is_silent_is_put_out() {
    let mut world = World::new();
    let ids = world.stable(2);
    for _ in 0..3 {
        world.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(world.beat(&ids[0]), ErrorCode::None);
        assert_eq!(world.beat(&ids[1]), ErrorCode::None);
    }
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(world.beat(&ids[0]), ErrorCode::None);
    world.pass(1);
    assert_eq!(world.beat(&ids[0]), ErrorCode::RebalanceInProgress);
    assert_eq!(world.beat(&ids[1]), ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_of_silent_members_becomes_empty() {
    let mut world = World::new();
    world.stable(3);
    world.pass(2 * i64::from(SESSION_MS));
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.last_record().members.len(), 0);
}

#[test]
fn who_waits_is_alive() {
    let mut world = World::new();
    let ids = world.stable(2);
    let parked = world.rejoin(&ids[0]);
    for _ in 0..5 {
        world.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(world.beat(&ids[1]), ErrorCode::RebalanceInProgress, "alive, but does not come");
        assert!(world.is_open(parked), "its session ended long ago");
    }
    world.pass(i64::from(SESSION_MS));
    assert_eq!(world.joined(parked).generation_id, 2);
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(world.beat(&ids[0]), ErrorCode::None, "a session began with the generation");
}

#[test]
fn who_waits_for_an_assignment_is_alive() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.rejoin(&ids[0]);
    world.rejoin(&ids[1]);
    let parked = world.sync(&ids[1], &[]);
    for _ in 0..3 {
        world.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(world.beat(&ids[0]), ErrorCode::None);
    }
    assert!(world.is_open(parked), "its session ended long ago");
    world.sync(&ids[0], &assignments(&ids));
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(world.beat(&ids[1]), ErrorCode::None, "a session began with the assignment");
    assert_eq!(world.beat(&ids[0]), ErrorCode::None);
    world.pass(2 * i64::from(SESSION_MS));
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let ids = world.stable(1);
    for _ in 0..3 {
        world.pass(i64::from(SESSION_MS) - 1);
        crate::classic::committed(&mut world.shard, world.now, GROUP, &ids[0]);
        crate::classic::committed(&mut world.shard, world.now, GROUP, "nobody");
        crate::classic::committed(&mut world.shard, world.now, "other", &ids[0]);
    }
    assert_eq!(world.beat(&ids[0]), ErrorCode::None);
}

#[test]
fn commits_are_checked() {
    let mut world = World::new();
    let ids = world.stable(2);
    let check = |world: &World, id: &str, instance: Option<&str>, generation, transactional| {
        world.group().unwrap().check_commit(id, instance, generation, transactional).err()
    };
    let (unknown, illegal) = (Some(ErrorCode::UnknownMemberId), Some(ErrorCode::IllegalGeneration));
    assert_eq!(check(&world, &ids[0], None, 1, false), None);
    assert_eq!(check(&world, &ids[0], None, 0, false), illegal);
    assert_eq!(check(&world, &ids[0], None, -1, false), illegal);
    assert_eq!(check(&world, "nobody", None, 1, false), unknown);
    assert_eq!(check(&world, &ids[0], Some("i"), 1, false), unknown);
    assert_eq!(check(&world, "", None, -1, false), unknown, "an outsider, while there are members");
    assert_eq!(check(&world, "", None, -1, true), None, "old transactional producers name nobody");
    world.rejoin(&ids[0]);
    assert_eq!(check(&world, &ids[1], None, 1, false), None, "of the last generation");
    world.rejoin(&ids[1]);
    assert_eq!(check(&world, &ids[1], None, 2, false), Some(ErrorCode::RebalanceInProgress));
    assert_eq!(check(&world, &ids[1], None, 2, true), None);
    world.leave(ids.iter().map(|id| identity(id, None)).collect());
    assert_eq!(check(&world, "", None, -1, false), None);
    assert_eq!(check(&world, "anybody", None, -1, false), None);
    assert_eq!(check(&world, "anybody", None, 3, false), unknown);
}

#[test]
fn timeouts_of_nothing_end() {
    let mut world = World::with(|settings| {
        settings.min_session_timeout_ms = 0;
        settings.initial_rebalance_delay_ms = 0;
    });
    for rebalance_timeout_ms in [0, -1, i32::MIN] {
        for (version, instance) in [(3, None), (9, Some("i"))] {
            let ticket = world.join_as(version, "c", |request| {
                request.session_timeout_ms = 0;
                request.rebalance_timeout_ms = rebalance_timeout_ms;
                request.group_instance_id = instance.map(str::to_owned);
            });
            world.pass(10_000);
            assert!(!world.is_open(ticket));
        }
    }
    assert_eq!(world.state(), "Empty");
}
