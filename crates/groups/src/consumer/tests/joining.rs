//! Members enter, and hear of what they get when it changes.

use super::*;

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut world = World::new();
    world.create("a", 2);
    world.create("b", 1);
    let written = world.written(|world| assert_eq!(world.join("m", &["a", "b"]), "2: a[0, 1] b[0]"));
    assert_eq!(written, "Member(m) Epoch(2) Target(m) TargetEpoch(2) Current(m)");
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_heartbeat_without_news_writes_nothing_and_tells_nothing() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    let written = world.written(|world| {
        assert_eq!(world.beat("m", 2), "2");
        assert_eq!(world.own("m", 2, &[("a", &[0, 1])]), "2");
        let full = ConsumerGroupHeartbeatRequest { member_epoch: 2, ..joining("m", &["a"]) };
        let response = world.send(full);
        assert_eq!(world.show(&response), "2: a[0, 1]", "who says all hears all");
        assert_eq!(response.heartbeat_interval_ms, 5_000);
    });
    assert_eq!(written, "");
}

#[test]
fn who_joins_without_a_subscription_gets_nothing_and_changes_nothing() {
    let mut world = World::new();
    world.create("a", 2);
    let written = world.written(|world| assert_eq!(world.join("m", &[]), "1:"));
    assert_eq!(written, "Member(m) Current(m)");
    assert_eq!((world.state(), world.epochs()), ("Stable", (1, 1)));
    let subscribing =
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(vec!["a".to_owned()]), ..beating("m", 1) };
    let response = world.send(subscribing);
    assert_eq!(world.show(&response), "2: a[0, 1]");
}

#[test]
fn topics_that_do_not_exist_come_with_their_creation() {
    let mut world = World::new();
    assert_eq!(world.join("m", &["a"]), "2:");
    world.create("a", 1);
    world.pass(INTERVAL_MS);
    assert_eq!(world.beat("m", 2), "3: a[0]");
}

#[test]
fn a_second_member_waits_for_what_the_first_gives_up() {
    let mut world = World::new();
    world.create("a", 4);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    let written = world.written(|world| assert_eq!(world.join("n", &["a"]), "3:"));
    assert_eq!(written, "Member(n) Epoch(3) Target(m) Target(n) TargetEpoch(3) Current(n)");
    assert_eq!(world.state(), "Reconciling");
    assert_eq!(world.beat("n", 3), "3", "m has everything yet");

    let kept = world.beat("m", 2);
    assert_eq!(kept, "2: a[0, 1]", "m is asked to give up, in its old epoch");
    assert_eq!(world.beat("n", 3), "3", "m has not confirmed");
    assert_eq!(world.own("m", 2, &[("a", &[0, 1, 2, 3])]), "2", "m still has them");
    assert_eq!(world.beat("n", 3), "3");
    assert_eq!(world.own("m", 2, &[("a", &[0, 1])]), "3", "m is through");
    assert_eq!(world.beat("n", 3), "3: a[2, 3]");
    assert_eq!(world.state(), "Stable");
}

#[test]
fn targets_are_not_made_more_often_than_the_interval_allows() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS - 1);
    assert_eq!(world.join("n", &["a"]), "2:", "the old target has nothing for it");
    assert_eq!((world.state(), world.epochs()), ("Assigning", (3, 2)));
    assert_eq!(world.beat("m", 2), "2");
    world.pass(1);
    assert_eq!(world.beat("m", 2), "2: a[0]");
    assert_eq!(world.epochs(), (3, 3));
}

#[test]
fn a_group_may_have_an_interval_of_its_own() {
    use ottla_controller::{Config, ConfigResource};
    let mut world = World::new();
    world.create("a", 2);
    let set = |name: &str, value: &str| {
        let (resource, name) = (ConfigResource::group(GROUP), name.to_owned());
        MetadataRecord::Config(Config { resource, name, value: Some(value.to_owned()) })
    };
    world.change_topics(&[
        set("consumer.assignment.interval.ms", "0"),
        set("consumer.heartbeat.interval.ms", "7000"),
        set("consumer.session.timeout.ms", "50000"),
    ]);
    world.join("m", &["a"]);
    assert_eq!(world.join("n", &["a"]), "3:");
    assert_eq!(world.epochs(), (3, 3));
    assert_eq!(world.send(beating("m", 2)).heartbeat_interval_ms, 7_000);
    world.pass(49_999);
    assert_eq!(world.group().members.len(), 2);
    world.pass(1);
    assert!(world.group().is_empty());
}

#[test]
fn a_client_of_the_first_version_may_be_given_its_id() {
    let mut world = World::new();
    world.create("a", 1);
    let response = world.send_as(0, joining("", &["a"]));
    let id = Uuid([0xfe; 16]).to_string();
    assert_eq!(response.member_id.as_deref(), Some(id.as_str()));
    assert_eq!(world.show(&response), "2: a[0]");
    assert_eq!(world.beat(&id, 2), "2");
}

#[test]
fn a_member_that_joins_again_keeps_its_place() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    let written = world.written(|world| assert_eq!(world.join("m", &["a"]), "2: a[0, 1]"));
    assert_eq!(written, "");
}

#[test]
fn a_group_has_room_for_so_many() {
    let mut world = World::with(|settings| settings.consumer_max_size = 1);
    world.create("a", 2);
    world.join("m", &["a"]);
    assert_eq!(world.join("n", &["a"]), "error 81: The consumer group has reached its maximum capacity of 1 members.");
    assert_eq!(world.join("m", &["a"]), "2: a[0, 1]");
    assert_eq!(world.beat("m", 2), "2");
}

#[test]
fn what_most_members_ask_for_decides_the_assignor() {
    let mut world = World::new();
    world.create("a", 1);
    world.create("b", 1);
    let with = |member: &str, assignor: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor.to_owned()),
        ..joining(member, &["a", "b"])
    };
    world.send(with("m", "range"));
    world.pass(INTERVAL_MS);
    world.send(with("n", "range"));
    assert_eq!(world.beat("m", 2), "3", "range leaves both topics with the first");
    assert_eq!(world.describe().assignor_name, "range");
    world.pass(INTERVAL_MS);
    // Another assignor alone is no reason to distribute anew.
    let uniform = |member: &str, epoch: i32| ConsumerGroupHeartbeatRequest {
        server_assignor: Some("uniform".to_owned()),
        ..beating(member, epoch)
    };
    world.send(uniform("m", 3));
    world.send(uniform("n", 3));
    assert_eq!(world.epochs(), (3, 3));
    world.create("c", 1);
    world.delete("c");
    assert_eq!(world.epochs(), (3, 3));
    world.grow("a", 2);
    world.beat("m", 3);
    assert_eq!(world.describe().assignor_name, "uniform");
    let shares = world.group().targets.values().map(|target| target.values().map(BTreeSet::len).sum::<usize>());
    assert_eq!(shares.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
}
