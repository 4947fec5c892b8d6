//! What calls for another distribution, and how it comes about.

use super::*;

/// `m` and `n` share the four partitions of `a`, in epoch 3.
fn two_members() -> World {
    let mut world = World::new();
    world.create("a", 4);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    world.beat("m", 2);
    assert_eq!(world.own("m", 2, &[("a", &[0, 1])]), "3");
    assert_eq!(world.beat("n", 3), "3: a[2, 3]");
    world.pass(INTERVAL_MS);
    world
}

#[test]
fn a_topic_that_grows() {
    let mut world = two_members();
    world.grow("a", 6);
    let grown = (world.beat("m", 3), world.beat("n", 3));
    assert_eq!(world.epochs(), (4, 4));
    let (m, n) = (grown.0.as_str(), grown.1.as_str());
    assert!(m.starts_with("4: a[0, 1, ") && n.starts_with("4: a[2, 3, "), "{m}, {n}");
}

#[test]
fn a_topic_that_is_deleted() {
    let mut world = two_members();
    world.delete("a");
    assert_eq!(world.beat("m", 3), "3:", "to be given up first");
    let nothing = ConsumerGroupHeartbeatRequest { topic_partitions: Some(Vec::new()), ..beating("m", 3) };
    let response = world.send(nothing);
    assert_eq!(world.show(&response), "4");
    assert_eq!(world.epochs(), (4, 4));
}

#[test]
fn a_topic_that_is_deleted_and_made_again_is_another() {
    let mut world = World::new();
    world.create("a", 1);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.delete("a");
    world.create("a", 1);
    assert_eq!(world.beat("m", 2), "2:", "the old one is to be given up");
    let nothing = ConsumerGroupHeartbeatRequest { topic_partitions: Some(Vec::new()), ..beating("m", 2) };
    let response = world.send(nothing);
    assert_eq!(world.show(&response), "3: a[0]");
}

#[test]
fn another_subscription() {
    let mut world = two_members();
    world.create("b", 1);
    assert_eq!(world.beat("m", 3), "3", "a topic that nobody wants changes nothing");
    let other = ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(vec!["b".to_owned()]), ..beating("m", 3) };
    let response = world.send(other);
    assert_eq!(world.show(&response), "3:", "what it no longer wants, it gives up first");
    let nothing = ConsumerGroupHeartbeatRequest { topic_partitions: Some(Vec::new()), ..beating("m", 3) };
    let response = world.send(nothing);
    assert_eq!(world.show(&response), "4: b[0]");
    assert_eq!(world.beat("n", 3), "4: a[0, 1, 2, 3]");
}

#[test]
fn what_is_no_longer_wanted_goes_even_before_there_is_a_new_target() {
    let mut world = two_members();
    world.create("b", 1);
    world.join("o", &["b"]);
    assert_eq!((world.beat("m", 3), world.beat("n", 3)), ("4".to_owned(), "4".to_owned()), "nothing changed for them");
    let other = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["b".to_owned()]),
        topic_partitions: Some(world.owned(&[("a", &[0, 1])])),
        ..beating("m", 4)
    };
    let response = world.send(other);
    assert_eq!(world.epochs(), (5, 4), "o had the target of this moment");
    assert_eq!(world.show(&response), "4:");
    assert_eq!(world.beat("n", 4), "4", "nobody else gets it yet");
    world.pass(INTERVAL_MS);
    assert_eq!(world.beat("n", 4), "5", "m has not confirmed");
    assert_eq!(world.own("m", 4, &[]), "5");
    assert_eq!(world.beat("n", 5), "5: a[0, 1, 2, 3]");
}

#[test]
fn nothing_else() {
    use ottla_controller::{Config, ConfigResource, PartitionChange};
    let mut world = two_members();
    world.create("b", 3);
    let config =
        Config { resource: ConfigResource::topic("a"), name: "retention.ms".to_owned(), value: Some("1".to_owned()) };
    world.change_topics(&[MetadataRecord::Config(config)]);
    let led_anew =
        PartitionChange { leader: Some(Some(BrokerId(1))), ..PartitionChange::of(world.id("a"), PartitionIndex(0)) };
    world.change_topics(&[MetadataRecord::PartitionChange(led_anew)]);
    world.grow("b", 5);
    world.delete("b");
    let other = ConsumerGroupHeartbeatRequest { group_id: "other".to_owned(), ..joining("m", &["a"]) };
    world.send(other.clone());
    world.send(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..other });
    world.pass(40_000);
    let written = world.written(|world| {
        assert_eq!(world.beat("m", 3), "3");
        world.own("n", 3, &[("a", &[2, 3])]);
        let racked = ConsumerGroupHeartbeatRequest {
            rack_id: Some("r".to_owned()),
            rebalance_timeout_ms: 5_000,
            ..beating("m", 3)
        };
        world.send(racked);
    });
    assert_eq!(written, "Member(m)");
    assert_eq!(world.epochs(), (3, 3));
}

#[test]
fn who_does_not_give_up_in_time_is_put_out() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    assert_eq!(world.beat("m", 2), "2: a[0]");
    for _ in 0..5 {
        world.pass(i64::from(REBALANCE_MS) / 6);
        assert_eq!(world.own("m", 2, &[("a", &[0, 1])]), "2");
        world.beat("n", 3);
    }
    world.pass(i64::from(REBALANCE_MS) / 6 - 1);
    assert_eq!(world.group().members.len(), 2);
    let written = world.written(|world| world.pass(1));
    assert_eq!(written, "-Current(m) -Target(m) -Member(m) Epoch(4)");
    assert_eq!(world.beat("m", 2), "error 25: Member m is not a member of group g.");
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
}

#[test]
fn who_gives_up_in_time_is_not_put_out() {
    let mut world = two_members();
    world.join("o", &["a"]);
    world.beat("m", 3);
    world.beat("n", 3);
    world.own("m", 3, &[]);
    world.own("n", 3, &[]);
    for _ in 0..6 {
        world.pass(i64::from(REBALANCE_MS) / 6);
        for member in ["m", "n", "o"] {
            world.beat(member, 4);
        }
    }
    assert_eq!(world.group().members.len(), 3);
    assert_eq!(world.state(), "Stable");
}
