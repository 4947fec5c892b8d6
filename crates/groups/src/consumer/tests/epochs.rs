//! Epochs tell who is up to date, whose answer was lost, and who is a ghost.

use super::*;

#[test]
fn epochs_that_were_never_given_out_are_fenced() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    assert_eq!(
        world.beat("m", 3),
        "error 110: The consumer group member has a greater member epoch (3) than the one known by the group coordinator \
         (2). The member must abandon all its partitions and rejoin."
    );
    assert_eq!(
        world.beat("m", 1),
        "error 110: The consumer group member has a smaller member epoch (1) than the one known by the group coordinator \
         (2). The member must abandon all its partitions and rejoin."
    );
    assert_eq!(world.beat("m", 2), "2", "the member is still one");
}

/// A world in which `m` goes from epoch 2 to 3 and to `a[0, 1, 2]`, with an answer that it does not get.
fn with_lost_answer() -> World {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.grow("a", 3);
    assert_eq!(world.beat("m", 2), "3: a[0, 1, 2]");
    world
}

#[test]
fn the_epoch_before_is_good_while_the_answer_may_be_lost() {
    let mut world = with_lost_answer();
    let full = ConsumerGroupHeartbeatRequest {
        member_epoch: 2,
        topic_partitions: Some(world.owned(&[("a", &[0, 1])])),
        ..joining("m", &["a"])
    };
    let response = world.send(full);
    assert_eq!(world.show(&response), "3: a[0, 1, 2]");
    assert_eq!(world.beat("m", 3), "3");
}

#[test]
fn the_epoch_before_is_bad_with_partitions_that_are_not_the_members() {
    let mut world = with_lost_answer();
    assert!(world.own("m", 2, &[("a", &[0, 1, 7])]).starts_with("error 110"));
    assert!(world.beat("m", 2).starts_with("error 110"), "it does not say what it owns");
    assert!(world.own("m", 1, &[("a", &[0])]).starts_with("error 110"), "not even the epoch before");
}

#[test]
fn a_late_copy_of_a_request_confirms_nothing() {
    let mut world = with_lost_answer();
    world.own("m", 3, &[("a", &[0, 1, 2])]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    let written = world.written(|world| {
        assert_eq!(world.own("m", 2, &[("a", &[0, 1])]), "3", "of a time before it had 2");
    });
    assert_eq!(written, "");
    assert_eq!(world.beat("n", 4), "4", "so n does not get it");
    assert_eq!(world.beat("m", 3), "3: a[0, 1]", "m was not even asked");
    assert_eq!(world.own("m", 3, &[("a", &[0, 1])]), "4");
    assert_eq!(world.beat("n", 4), "4: a[2]");
}

#[test]
fn who_starts_over_owns_nothing() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("m", &["a"]);
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    assert_eq!(world.beat("m", 2), "2: a[0]");
    assert_eq!(world.join("m", &["a"]), "3: a[0]", "which gives up what it had");
    assert_eq!(world.beat("n", 3), "3: a[1]");
}
