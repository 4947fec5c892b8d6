//! Subscriptions by pattern.

use super::*;

fn by_pattern(member: &str, epoch: i32, pattern: &str) -> ConsumerGroupHeartbeatRequest {
    let regex = Some(pattern.to_owned());
    match epoch {
        0 => ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: None,
            subscribed_topic_regex: regex,
            ..joining(member, &[])
        },
        _ => ConsumerGroupHeartbeatRequest { subscribed_topic_regex: regex, ..beating(member, epoch) },
    }
}

fn say(world: &mut World, request: ConsumerGroupHeartbeatRequest) -> String {
    let response = world.send(request);
    world.show(&response)
}

#[test]
fn what_matches_comes_with_the_first_answer() {
    let mut world = World::new();
    world.create("logs-1", 1);
    world.create("logs-2", 1);
    world.create("more-logs-3", 1);
    let written = world.written(|world| assert_eq!(say(world, by_pattern("m", 0, "logs-.")), "2: logs-1[0] logs-2[0]"));
    assert_eq!(written, "Member(m) Regex(logs-.) Epoch(2) Target(m) TargetEpoch(2) Current(m)");
    let resolved = &world.group().regexes["logs-."];
    assert_eq!((resolved.at, resolved.version), (world.now.0, world.image.version() as i64));
}

#[test]
fn a_pattern_that_matches_nothing_changes_nothing() {
    let mut world = World::new();
    let written = world.written(|world| assert_eq!(say(world, by_pattern("m", 0, "logs-.")), "1:"));
    assert_eq!(written, "Member(m) Regex(logs-.) Current(m)");
    world.pass(INTERVAL_MS);
    world.create("logs-1", 1);
    assert_eq!(world.beat("m", 1), "2: logs-1[0]");
}

#[test]
fn topics_that_come_and_go_are_noticed() {
    let mut world = World::new();
    world.create("logs-1", 1);
    say(&mut world, by_pattern("m", 0, "logs-."));
    world.pass(INTERVAL_MS);
    world.create("logs-2", 1);
    let written = world.written(|world| assert_eq!(world.beat("m", 2), "3: logs-1[0] logs-2[0]"));
    assert_eq!(written, "Regex(logs-.) Epoch(3) Target(m) TargetEpoch(3) Current(m)");
    world.pass(INTERVAL_MS);
    world.create("other", 1);
    assert_eq!(world.written(|world| assert_eq!(world.beat("m", 3), "3")), "");
    world.delete("logs-1");
    assert_eq!(world.beat("m", 3), "3: logs-2[0]");
    assert_eq!(world.own("m", 3, &[("logs-2", &[0])]), "4");
}

#[test]
fn one_for_another_is_noticed_after_a_while() {
    let mut world = World::new();
    world.create("x", 1);
    say(&mut world, by_pattern("m", 0, "logs-."));
    world.beat("m", 1);
    world.delete("x");
    world.create("logs-1", 1);
    assert_eq!(world.beat("m", 1), "1", "as many topics as before, so nobody looks at once");
    world.pass(10_000);
    assert_eq!(world.beat("m", 1), "2: logs-1[0]");
}

#[test]
fn a_pattern_lives_as_long_as_somebody_has_it() {
    let mut world = World::new();
    world.create("a", 2);
    world.create("b", 1);
    say(&mut world, by_pattern("m", 0, "a"));
    world.pass(INTERVAL_MS);
    let written = world.written(|world| assert_eq!(say(world, by_pattern("n", 0, "a")), "3:"));
    assert!(!written.contains("Regex"), "{written}");
    world.pass(INTERVAL_MS);
    let written = world.written(|world| assert_eq!(say(world, by_pattern("m", 2, "b")), "2:"));
    assert_eq!(written, "Member(m) Regex(b) Epoch(4) Target(m) Target(n) TargetEpoch(4) Current(m)");
    let nothing = ConsumerGroupHeartbeatRequest { topic_partitions: Some(Vec::new()), ..beating("m", 2) };
    assert_eq!(say(&mut world, nothing), "4: b[0]");
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
    world.pass(INTERVAL_MS);
    let written = world.written(|world| assert_eq!(world.leave("n"), "-1"));
    assert_eq!(written, "-Current(n) -Target(n) -Member(n) -Regex(a) Epoch(5)");
    let written = world.written(|world| assert_eq!(say(world, by_pattern("m", 4, "")), "4:"));
    assert_eq!(written, "Member(m) -Regex(b) Epoch(6) Target(m) TargetEpoch(6) Current(m)");
}

#[test]
fn names_and_a_pattern_add_up() {
    let mut world = World::new();
    for topic in ["a", "b", "c"] {
        world.create(topic, 1);
    }
    let both =
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("b|a".to_owned()), ..joining("m", &["c", "a"]) };
    assert_eq!(say(&mut world, both), "2: a[0] b[0] c[0]");
}

#[test]
fn a_restart_looks_once_more_and_writes_nothing() {
    let mut world = World::new();
    world.create("a", 1);
    say(&mut world, by_pattern("m", 0, "a"));
    world.restart();
    assert_eq!(world.written(|world| assert_eq!(world.beat("m", 2), "2")), "");
}

#[test]
fn many_patterns_are_looked_at_a_few_at_a_time() {
    let mut world = World::new();
    for number in 0..100 {
        say(&mut world, by_pattern(&format!("m{number:02}"), 0, &format!("t|x{number:02}")));
    }
    world.beat("m00", 1);
    world.create("t", 1);
    let resolved = |world: &World| world.group().regexes.values().filter(|regex| regex.topics.contains("t")).count();
    world.pass(INTERVAL_MS);
    let epoch = |world: &World| world.group().members["m00"].epoch;
    let mut seen = vec![resolved(&world)];
    for _ in 0..3 {
        let at = epoch(&world);
        world.beat("m00", at);
        seen.push(resolved(&world));
    }
    assert_eq!(seen, [0, 64, 100, 100]);
}
