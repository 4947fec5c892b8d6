//! Static members: a process that comes back under the same instance takes its place again.

use super::*;

fn stays(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some("i".to_owned()), ..beating(member, epoch) }
}

fn comes(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some("i".to_owned()), ..joining(member, &["a"]) }
}

/// `m`, which is instance `i`, and `n` share `a`, in epoch 3.
fn two_members() -> World {
    let mut world = World::new();
    world.create("a", 2);
    world.send(comes("m"));
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    world.beat("m", 2);
    world.own("m", 2, &[("a", &[0])]);
    assert_eq!(world.beat("n", 3), "3: a[1]");
    world.pass(INTERVAL_MS);
    world
}

fn say(world: &mut World, request: ConsumerGroupHeartbeatRequest) -> String {
    let response = world.send(request);
    world.show(&response)
}

#[test]
fn a_restart_in_time_is_no_rebalance() {
    let mut world = two_members();
    let written = world.written(|world| assert_eq!(say(world, stays("m", -2)), "-2"));
    assert_eq!(written, "Current(m)");
    world.pass(10_000);
    let written = world.written(|world| assert_eq!(say(world, comes("o")), "3: a[0]"));
    assert_eq!(
        written, "-Current(m) -Target(m) -Member(m) Member(o) Target(o) Current(o) Current(o)",
        "the predecessor's place, then the step into its epoch"
    );
    assert_eq!(world.epochs(), (3, 3));
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.beat("n", 3), "3");
    assert_eq!(world.beat("m", 3), "error 25: Member m is not a member of group g.");
}

#[test]
fn a_second_process_is_refused_while_the_first_is_there() {
    let mut world = two_members();
    let refused = "error 111: Static member o with instance id i cannot join the group because the instance id is owned by \
                   m member.";
    assert_eq!(say(&mut world, comes("o")), refused);
    assert_eq!(say(&mut world, stays("m", 3)), "3");
}

#[test]
fn a_process_that_lost_its_place_is_fenced() {
    let mut world = two_members();
    say(&mut world, stays("m", -2));
    say(&mut world, comes("o"));
    let fenced = "error 82: Static member m with instance id i was fenced by member o.";
    assert_eq!(say(&mut world, stays("m", 3)), fenced);
    assert_eq!(say(&mut world, stays("m", -1)), fenced);
    assert_eq!(say(&mut world, stays("m", -2)), fenced);
    let unknown = ConsumerGroupHeartbeatRequest { instance_id: Some("j".to_owned()), ..beating("m", 3) };
    assert_eq!(say(&mut world, unknown), "error 25: Instance id j is unknown.");
}

#[test]
fn a_place_is_kept_as_long_as_a_session() {
    let mut world = two_members();
    say(&mut world, stays("m", -2));
    world.pass(30_000);
    world.beat("n", 3);
    world.pass(SESSION_MS - 30_000 - INTERVAL_MS);
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
    assert_eq!(say(&mut world, comes("o")).split(':').next(), Some("4"), "as a new member");
}

#[test]
fn leaving_for_good_is_leaving() {
    let mut world = two_members();
    assert_eq!(say(&mut world, stays("m", -1)), "-1");
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
}

#[test]
fn one_that_left_in_the_middle_of_a_revocation_is_not_put_out_for_it() {
    let mut world = World::new();
    world.create("a", 2);
    world.send(comes("m"));
    world.pass(INTERVAL_MS);
    world.join("n", &["a"]);
    assert_eq!(world.beat("m", 2), "2: a[0]");
    say(&mut world, stays("m", -2));
    assert_eq!(world.beat("n", 3), "3: a[1]", "who left works on nothing");
    world.restart();
    assert_eq!(say(&mut world, comes("o")), "3: a[0]");
}

#[test]
fn what_it_had_since_when_begins_anew() {
    let mut world = two_members();
    say(&mut world, stays("m", -2));
    say(&mut world, comes("o"));
    assert_eq!(world.group().members["o"].assigned[&world.id("a")], BTreeMap::from([(0, 0)]));
    assert_eq!(world.group().members["o"].previous_epoch, 0);
}
