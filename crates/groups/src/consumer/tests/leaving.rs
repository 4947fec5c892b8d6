//! Members go: they say so, or nothing at all.

use super::*;

#[test]
fn a_member_that_leaves_frees_what_it_had() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    world.pass(INTERVAL_MS);
    let written = world.written(|world| assert_eq!(world.leave("m"), "-1"));
    assert_eq!(written, "-Current(m) -Target(m) -Member(m) Epoch(4)");
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
    assert_eq!(world.leave("m"), "error 25: Member m is not a member of group g.");
}

#[test]
fn the_last_member_leaves_an_empty_group() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.leave("m");
    assert_eq!((world.state(), world.epochs()), ("Empty", (3, 2)));
    assert_eq!(world.shard.next_deadline(), None);
    world.pass(INTERVAL_MS);
    assert_eq!(world.join("n", &["a"]), "4: a[0, 1]", "epochs go on");
}

#[test]
fn silence_ends_a_session() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(SESSION_MS - 1);
    assert_eq!(world.beat("m", 2), "2");
    world.pass(SESSION_MS - 1);
    assert_eq!(world.state(), "Stable");
    world.pass(1);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_refused_heartbeat_keeps_no_session() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(SESSION_MS - 1);
    assert!(world.beat("m", 7).starts_with("error 110"));
    world.pass(1);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn an_empty_group_is_removed_without_a_trace() {
    let mut world = World::new();
    world.create("a", 2);
    let pattern = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("a".to_owned()), ..joining("m", &[]) };
    world.send(pattern);
    world.leave("m");
    let records = world.group().tombstones(GROUP);
    let shown: Vec<_> = records.iter().map(show_record).collect();
    assert_eq!(shown.join(" "), "-TargetEpoch -Epoch");
    for record in records {
        world.shard.replay(Offset(0), None, record);
    }
    assert!(world.shard.groups.is_empty());
}

#[test]
fn tombstones_take_every_member_away() {
    let mut world = World::new();
    world.create("a", 2);
    let pattern = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("a".to_owned()), ..joining("m", &[]) };
    world.send(pattern);
    let shown: Vec<_> = world.group().tombstones(GROUP).iter().map(show_record).collect();
    assert_eq!(shown.join(" "), "-Current(m) -Target(m) -TargetEpoch -Member(m) -Regex(a) -Epoch");
}
