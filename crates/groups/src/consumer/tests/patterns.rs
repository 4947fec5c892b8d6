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
    assert_eq!(world.beat("m", 1), "1");
    assert_eq!(world.beat("m", 1), "2: logs-1[0]");
}

#[test]
fn topics_that_come_and_go_are_noticed() {
    let mut world = World::new();
    world.create("logs-1", 1);
    say(&mut world, by_pattern("m", 0, "logs-."));
    world.pass(INTERVAL_MS);
    world.create("logs-2", 1);
    assert_eq!(world.written(|world| assert_eq!(world.beat("m", 2), "2")), "Regex(logs-.) Epoch(3)");
    let written = world.written(|world| assert_eq!(world.beat("m", 2), "3: logs-1[0] logs-2[0]"));
    assert_eq!(written, "Target(m) TargetEpoch(3) Current(m)");
    world.pass(INTERVAL_MS);
    world.create("other", 1);
    assert_eq!(world.written(|world| assert_eq!(world.beat("m", 3), "3")), "");
    world.delete("logs-1");
    assert_eq!(world.beat("m", 3), "3: logs-2[0]", "its hash shows that at once");
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
    assert_eq!(world.beat("m", 1), "1");
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
    world.pass(INTERVAL_MS);
    world.matches_at_once = false;
    let epoch = world.group().members["m00"].epoch;
    world.beat("m00", epoch);
    let resolved = |world: &World| world.group().regexes.values().filter(|regex| regex.topics.contains("t")).count();
    let mut seen = vec![resolved(&world)];
    while let Some(matching) = world.shard.next_matching() {
        world.feed(matching);
        seen.push(resolved(&world));
    }
    assert_eq!(seen, [0, 64, 100]);
}

/// Sends a heartbeat with a pattern that is not worked out at once.
fn park(world: &mut World, request: ConsumerGroupHeartbeatRequest) -> Ticket {
    let client = Client { id: "client".to_owned(), host: "/127.0.0.1".to_owned() };
    let ticket = world.ask(GroupRequest::ConsumerHeartbeat { version: 1, client, fresh: Uuid([0xfe; 16]), request });
    assert_eq!(world.replies.get(&ticket), None, "parked");
    ticket
}

fn answer(world: &mut World, ticket: Ticket) -> String {
    match world.replies.remove(&ticket) {
        Some(GroupReply::ConsumerHeartbeat(response)) => world.show(&response),
        other => panic!("{other:?}"),
    }
}

fn parking() -> World {
    let mut world = World::new();
    world.create("a", 2);
    world.matches_at_once = false;
    world
}

#[test]
fn who_waits_for_a_pattern_holds_nobody_up() {
    let mut world = parking();
    let (first, second) = (park(&mut world, by_pattern("m", 0, "a")), park(&mut world, by_pattern("n", 0, "[")));
    let other = ConsumerGroupHeartbeatRequest { group_id: "other".to_owned(), ..joining("o", &["a"]) };
    assert_eq!(say(&mut world, other), "2: a[0, 1]");
    assert_eq!(world.join("named", &["a"]), "2: a[0, 1]", "not even in its own group");
    assert_eq!(world.match_all(), 1, "both at once");
    assert_eq!(answer(&mut world, first), "2:", "the assignment interval has not passed");
    let invalid = "error 128: SubscribedTopicRegex `[` is not a valid regular expression: missing closing ].";
    assert_eq!(answer(&mut world, second), invalid);
    assert_eq!(world.shard.matcher, crate::consumer::Matcher::default(), "nothing is kept");
}

#[test]
fn a_pattern_that_somebody_has_is_known() {
    let mut world = parking();
    let first = park(&mut world, by_pattern("m", 0, "a"));
    world.match_all();
    assert_eq!(answer(&mut world, first), "2: a[0, 1]");
    assert_eq!(say(&mut world, by_pattern("n", 0, "a")), "2:");
}

#[test]
fn who_says_something_else_meanwhile_is_answered_twice() {
    let mut world = parking();
    let first = park(&mut world, by_pattern("m", 0, "a"));
    let again = park(&mut world, by_pattern("m", 0, "a"));
    assert_eq!(answer(&mut world, first), "error 14: -");
    assert_eq!(world.leave("m"), "error 69: Group g not found.");
    assert_eq!(answer(&mut world, again), "error 14: -");
    world.match_all();
    assert!(world.shard.groups.is_empty(), "it left before it was in");
    assert_eq!(world.shard.matcher, crate::consumer::Matcher::default());
}

#[test]
fn who_is_in_the_group_stays_in_it_while_it_waits() {
    let mut world = parking();
    world.join("m", &["a"]);
    world.pass(SESSION_MS - 1);
    let ticket = park(&mut world, by_pattern("m", 2, "a"));
    world.pass(SESSION_MS - 1);
    world.match_all();
    assert_eq!(answer(&mut world, ticket), "3");
}

#[test]
fn one_matching_of_a_group_at_a_time() {
    let mut world = parking();
    let first = park(&mut world, by_pattern("m", 0, "a"));
    let under_way = world.shard.next_matching().unwrap();
    let second = park(&mut world, by_pattern("n", 0, "b"));
    assert_eq!(world.shard.next_matching(), None);
    world.step(|shard, now, image| shard.matched(now, image, under_way.clone().given_up()));
    world.pass(0);
    assert!(answer(&mut world, first).starts_with("error 128: "), "better than no answer");
    world.match_all();
    assert_eq!(answer(&mut world, second), "1:");
}

#[test]
fn the_end_of_the_shard_is_the_end_of_waiting() {
    let mut world = parking();
    park(&mut world, by_pattern("m", 0, "a"));
    let under_way = world.shard.next_matching().unwrap();
    world.restart();
    world.feed(under_way);
    assert!(world.shard.groups.is_empty());
}
