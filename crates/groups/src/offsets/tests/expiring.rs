//! Expiry of offsets and of groups that nothing is left of.

use super::*;

impl World {
    fn later(&mut self, millis: i64) {
        self.now = self.now.plus(millis);
    }

    fn has(&self, group: &str) -> bool {
        self.shard.groups.contains_key(group) || self.shard.offsets.has_group(group)
    }
}

#[test]
fn without_members_it_is_the_time_of_the_commit_that_counts() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.later(1_000);
    world.commit("g", "a", 1, 1);
    world.later(RETENTION_MS - 1_001);
    assert_eq!(world.expire(), 0);
    world.later(1);
    assert_eq!(world.expire(), 1);
    assert_eq!(world.committed("g"), committed(&[("a", 1, 1)]));
    world.later(1_000);
    assert_eq!(world.expire(), 2, "the last offset, and the group");
    assert!(!world.has("g"));
    assert_eq!(world.expire(), 0);
}

#[test]
fn a_group_that_lost_its_members_has_as_long_from_then() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.later(1_000);
    world.empty_classic("g", "consumer", world.now);
    world.later(RETENTION_MS - 1);
    assert_eq!(world.expire(), 0);
    world.commit("g", "a", 1, 1);
    world.later(1);
    assert_eq!(world.expire(), 1);
    assert_eq!(world.committed("g"), committed(&[("a", 1, 1)]), "a commit from outside has its own time");
    assert!(world.has("g"));
    world.later(RETENTION_MS);
    assert_eq!(world.expire(), 2);
    assert!(!world.has("g"));
}

#[test]
fn a_group_of_which_nobody_knows_since_when_goes_by_its_commits() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.empty_classic("g", "consumer", Millis::NONE);
    world.later(RETENTION_MS - 1);
    assert_eq!(world.expire(), 0);
    world.later(1);
    assert_eq!(world.expire(), 2);
}

#[test]
fn what_members_read_does_not_expire() {
    let mut world = World::new();
    world.stable_classic("classic", "consumer", &["a"]);
    world.joined_consumer("consumer");
    for (group, epoch) in [("classic", 3), ("consumer", 5)] {
        let mut request = by_member(epoch, request(group, &[("a", &[(0, 1)]), ("b", &[(0, 1)])]));
        world.commit_with(NAMES, request.clone());
        request.topics[0].partitions[0].partition_index = 1;
        world.commit_with(NAMES, request);
    }
    world.later(RETENTION_MS);
    assert_eq!(world.expire(), 2);
    for group in ["classic", "consumer"] {
        assert_eq!(world.committed(group), committed(&[("a", 0, 1), ("a", 1, 1)]));
    }
}

#[test]
fn nobody_knows_what_members_of_another_protocol_read() {
    let mut world = World::new();
    world.stable_classic("g", "connect", &[]);
    world.commit_with(NAMES, by_member(3, request("g", &[("a", &[(0, 1)])])));
    world.later(10 * RETENTION_MS);
    assert_eq!(world.expire(), 0);
}

#[test]
fn nothing_expires_while_members_come_together() {
    let mut world = World::new();
    world.stable_classic("g", "consumer", &["a"]);
    world.commit_with(NAMES, by_member(3, request("g", &[("b", &[(0, 1)])])));
    world.rejoin("g", &["a"]);
    world.later(RETENTION_MS);
    assert_eq!(world.expire(), 0);
}

#[test]
fn an_empty_consumer_group_goes_by_its_commits() {
    let mut world = World::new();
    world.empty_consumer("g");
    world.commit("g", "a", 0, 1);
    world.later(RETENTION_MS - 1);
    assert_eq!(world.expire(), 0);
    world.later(1);
    assert!(world.expire() > 1);
    assert!(!world.has("g"));
}

#[test]
fn a_time_that_the_client_gave_comes_first() {
    let mut world = World::new();
    let mut early = request("g", &[("a", &[(0, 1)])]);
    early.retention_time_ms = 1_000;
    world.commit_with(4, early);
    let mut late = request("g", &[("a", &[(1, 1)])]);
    late.retention_time_ms = 10 * RETENTION_MS;
    world.commit_with(4, late);
    world.later(999);
    assert_eq!(world.expire(), 0);
    world.later(1);
    assert_eq!(world.expire(), 1);
    world.later(2 * RETENTION_MS);
    assert_eq!(world.expire(), 0);
    world.later(8 * RETENTION_MS);
    assert_eq!(world.expire(), 2);
}

#[test]
fn what_a_transaction_is_about_to_replace_stays() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.write(producer(1), "g", "a", 2);
    world.write(producer(2), "h", "a", 2);
    world.later(RETENTION_MS);
    assert_eq!(world.expire(), 0);
    world.end(producer(1), Outcome::Abort);
    world.end(producer(2), Outcome::Abort);
    assert!(world.has("h"));
    assert_eq!(world.expire(), 3, "an offset and two groups");
    assert!(!world.has("g") && !world.has("h"));
}

#[test]
fn groups_without_members_and_offsets_go_at_once() {
    let mut world = World::new();
    world.empty_classic("classic", "consumer", NOW);
    world.empty_consumer("consumer");
    world.stable_classic("busy", "consumer", &["a"]);
    assert!(world.expire() >= 2);
    assert_eq!(world.shard.groups.keys().collect::<Vec<_>>(), ["busy"]);
}

#[test]
fn the_check_comes_round_by_itself() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.step(|shard, now, image| shard.loaded(now, image));
    while world.has("g") {
        world.now = world.shard.next_deadline().unwrap();
        world.step(|shard, now, image| shard.expire(now, image));
    }
    assert_eq!(world.now, NOW.plus(RETENTION_MS));
}

#[test]
fn much_that_expires_goes_bit_by_bit() {
    let mut world = World::new();
    for number in 0..200 {
        let key = OffsetCommitKey { group: format!("{number:0>2000}"), topic: "a".to_owned(), partition: 0 };
        world.shard.replay(Offset(number), None, GroupRecord::Offset(key, Some(OffsetCommitValue::default())));
    }
    world.shard.timers.set(Timer::OffsetsExpire, world.now);
    let mut rounds = Vec::new();
    while world.shard.committed().count() > 0 {
        world.now = world.shard.next_deadline().unwrap();
        let decided = world.shard.expire(world.now, &world.image);
        let bytes: usize = decided.records.iter().map(|record| record.encode().unwrap().0.len()).sum();
        assert!(bytes < 140 << 10, "{bytes} in one append");
        rounds.push(decided.records.len());
        decided.records.into_iter().for_each(|record| world.shard.replay(Offset(1_000), None, record));
    }
    assert_eq!(rounds.iter().sum::<usize>(), 400, "{rounds:?}");
    assert_eq!(world.now, NOW.plus(rounds.len() as i64 - 1));
}
