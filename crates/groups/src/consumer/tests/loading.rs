//! A coordinator that starts from its log.

use super::*;

fn stable_group() -> World {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    world.beat("m", 2);
    world.own("m", 2, &[("a", &[0])]);
    world.beat("n", 3);
    world
}

#[test]
fn members_that_come_back_in_time_notice_nothing() {
    let mut world = stable_group();
    world.restart();
    world.pass(SESSION_MS - 1);
    let written = world.written(|world| {
        assert_eq!(world.beat("m", 3), "3");
        assert_eq!(world.beat("n", 3), "3");
    });
    assert_eq!(written, "");
    assert_eq!((world.state(), world.epochs()), ("Stable", (3, 3)));
}

#[test]
fn members_that_do_not_come_back_are_put_out() {
    let mut world = stable_group();
    world.restart();
    world.pass(SESSION_MS - 1);
    world.beat("m", 3);
    world.pass(1);
    assert_eq!(world.group().members.keys().collect::<Vec<_>>(), ["m"]);
    assert_eq!(world.beat("m", 3), "4: a[0, 1]");
}

#[test]
fn topics_that_changed_meanwhile_are_noticed() {
    let mut world = stable_group();
    world.pass(INTERVAL_MS);
    world.grow("a", 4);
    world.restart();
    assert!(world.beat("m", 3).starts_with("4: a[0, "));
}

#[test]
fn giving_up_is_still_asked_for_and_still_has_an_end() {
    let mut world = stable_group();
    world.pass(INTERVAL_MS);
    world.join("o", &["a"]);
    world.join("p", &["a"]);
    world.pass(INTERVAL_MS);
    world.leave("m");
    world.pass(INTERVAL_MS);
    world.create("b", 1);
    let other = ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(vec!["b".to_owned()]), ..beating("n", 3) };
    world.send(other);
    world.restart();
    let epoch = world.group().members["n"].epoch;
    for _ in 0..6 {
        assert!(world.group().members.contains_key("n"));
        world.beat("n", epoch);
        world.pass(i64::from(REBALANCE_MS) / 6);
    }
    assert!(!world.group().members.contains_key("n"));
}

#[test]
fn records_of_members_that_are_gone_mean_nothing() {
    let world = stable_group();
    let log = world.log.clone();
    let tombstones = world.group().tombstones(GROUP);
    let mut shard = GroupShard::new(Arc::clone(&world.shard.settings));
    for record in tombstones.iter().chain(&tombstones) {
        shard.replay(Offset(0), None, record.clone());
    }
    assert!(shard.groups.is_empty());
    for record in log.iter().chain(&tombstones) {
        shard.replay(Offset(0), None, record.clone());
    }
    assert!(shard.groups.is_empty());
}

#[test]
fn a_log_without_assignment_epochs_is_read_as_older_versions_meant_it() {
    let mut world = stable_group();
    let mut shard = GroupShard::new(Arc::clone(&world.shard.settings));
    for record in &world.log {
        let mut record = record.clone();
        if let GroupRecord::Current(_, Some(value)) = &mut record {
            value.assigned_partitions.iter_mut().for_each(|topic| topic.assignment_epochs = None);
        }
        shard.replay(Offset(0), None, record);
    }
    let group = shard.consumer(GROUP).unwrap();
    assert_eq!(group.members["m"].assigned[&world.id("a")], BTreeMap::from([(0, 3)]), "the member's epoch");
    assert_eq!(world.group().members["m"].assigned[&world.id("a")], BTreeMap::from([(0, 2)]));
    assert!(world.beat("m", 3) == "3");
}

#[test]
fn a_member_in_a_state_that_nobody_knows_must_start_over() {
    let mut world = stable_group();
    for record in &mut world.log {
        if let GroupRecord::Current(_, Some(value)) = record {
            value.state = 9;
        }
    }
    world.restart();
    assert_eq!(
        world.beat("m", 3),
        "error 110: The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin."
    );
    assert_eq!(world.join("m", &["a"]), "3: a[0]");
}
