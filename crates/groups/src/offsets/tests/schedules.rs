//! Whatever happens, in whatever order: the laws hold (each step checks them), and offsets are what a plain list of
//! what was written says.

use std::collections::BTreeMap;

use ottla_wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Commit { group: u8, partition: i32, offset: i64 },
    Write { producer: i64, group: u8, offset: i64 },
    End { producer: i64, commit: bool },
    Delete { group: u8, partition: i32 },
    DeleteGroup { group: u8 },
    EmptyClassic { group: u8 },
    EmptyConsumer { group: u8 },
    TopicGone,
    Pass { millis: i64 },
    Expire,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_u8, -1..4_i32, -2..100_i64)
            .prop_map(|(group, partition, offset)| Event::Commit { group, partition, offset }),
        4 => (0..3_i64, 0..3_u8, 0..100_i64)
            .prop_map(|(producer, group, offset)| Event::Write { producer, group, offset }),
        3 => (0..3_i64, any::<bool>()).prop_map(|(producer, commit)| Event::End { producer, commit }),
        1 => (0..3_u8, 0..3_i32).prop_map(|(group, partition)| Event::Delete { group, partition }),
        1 => (0..3_u8).prop_map(|group| Event::DeleteGroup { group }),
        1 => (0..3_u8).prop_map(|group| Event::EmptyClassic { group }),
        1 => (0..3_u8).prop_map(|group| Event::EmptyConsumer { group }),
        1 => Just(Event::TopicGone),
        2 => (1..RETENTION_MS).prop_map(|millis| Event::Pass { millis }),
        2 => Just(Event::Expire),
    ]
}

impl World {
    fn happen(&mut self, event: Event) {
        let name = |group: u8| format!("g{group}");
        match event {
            Event::Commit { group, partition, offset } => {
                self.commit_with(NAMES, request(&name(group), &[("a", &[(partition, offset)])]));
            }
            Event::Write { producer: by, group, offset } => self.write(producer(by), &name(group), "a", offset),
            Event::End { producer: by, commit } => {
                self.end(producer(by), if commit { Outcome::Commit } else { Outcome::Abort });
            }
            Event::Delete { group, partition } => {
                let partitions = vec![OffsetDeleteRequestPartition { partition_index: partition }];
                let topics = vec![OffsetDeleteRequestTopic { name: "a".to_owned(), partitions }];
                self.ask(GroupRequest::DeleteOffsets {
                    request: OffsetDeleteRequest { group_id: name(group), topics },
                });
            }
            Event::DeleteGroup { group } => {
                self.ask(GroupRequest::Delete { group_id: name(group) });
            }
            // One kind follows the other only when the group is gone: what comes between is not under test here.
            Event::EmptyClassic { group } if self.shard.consumer(&name(group)).is_none() => {
                self.empty_classic(&name(group), "consumer", self.now);
            }
            Event::EmptyConsumer { group } if self.shard.classic(&name(group)).is_none() => {
                self.empty_consumer(&name(group));
            }
            Event::TopicGone => {
                self.step(|shard, now, _| shard.topics_deleted(now, &["a"]));
            }
            Event::Pass { millis } => self.now = self.now.plus(millis),
            Event::Expire => {
                self.expire();
            }
            Event::EmptyClassic { .. } | Event::EmptyConsumer { .. } => {}
        }
    }

    /// What the log says, read the slow way: a write counts when it is plain or its transaction committed, and no
    /// tombstone stands between.
    fn by_log(&self) -> BTreeMap<(String, i32), i64> {
        let mut pending: BTreeMap<(i64, String, i32), (usize, i64)> = BTreeMap::new();
        let mut now: BTreeMap<(String, i32), (usize, i64)> = BTreeMap::new();
        for (at, entry) in self.log.iter().enumerate() {
            match entry {
                Entry::End(by, outcome) => {
                    let ended: Vec<_> = pending.keys().filter(|(producer, ..)| *producer == by.id.0).cloned().collect();
                    for key in ended {
                        let (written, offset) = pending.remove(&key).unwrap();
                        let current = now.get(&(key.1.clone(), key.2));
                        if *outcome == Outcome::Commit && current.is_none_or(|(current, _)| *current < written) {
                            now.insert((key.1, key.2), (written, offset));
                        }
                    }
                }
                Entry::Record(by, key, value) => {
                    let record = GroupRecord::decode(Some(key.clone()), value.clone()).unwrap();
                    let GroupRecord::Offset(key, value) = record else { continue };
                    match (by, value) {
                        (_, None) => {
                            now.remove(&(key.group.clone(), key.partition));
                            pending
                                .retain(|(_, group, partition), _| (group, *partition) != (&key.group, key.partition));
                        }
                        (None, Some(value)) => {
                            now.insert((key.group, key.partition), (at, value.offset));
                        }
                        (Some(by), Some(value)) => {
                            pending.insert((by.id.0, key.group, key.partition), (at, value.offset));
                        }
                    }
                }
            }
        }
        now.into_iter().map(|(key, (_, offset))| (key, offset)).collect()
    }
}

proptest! {
    #[test]
    fn offsets_are_what_the_log_says(events in vec(events(), 1..40)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            let stored = world.shard.committed();
            let stored = stored.map(|(group, _, partition, it)| ((group.to_owned(), partition), it.offset.0));
            prop_assert_eq!(stored.collect::<BTreeMap<_, _>>(), world.by_log());
        }
    }
}
