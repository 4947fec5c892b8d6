//! Whatever happens, in whatever order: the laws hold (each step checks them), and offsets, decided or pending, are what a
//! plain list of what was written says. A crash loses what was decided and not written, and what is soft.

use std::collections::{BTreeMap, BTreeSet};

use ottla_wire::messages::{
    offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
    txn_offset_commit_request::{TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
};
use proptest::{collection::vec, prelude::*};

use super::*;

/// A group and a partition of `a`.
type Place = (String, i32);

#[derive(Clone, Debug)]
enum Event {
    Commit { group: u8, partition: i32, offset: i64 },
    Write { producer: i64, group: u8, offset: i64 },
    Transact { producer: i64, group: u8, partitions: Vec<(i32, i64)>, crash: bool },
    End { producer: i64, commit: bool },
    Delete { group: u8, partition: i32 },
    DeleteGroup { group: u8 },
    EmptyClassic { group: u8 },
    EmptyConsumer { group: u8 },
    TopicGone,
    Pass { millis: i64 },
    Expire,
    Crash,
}

/// A commit in a transaction of producer `by`, from outside of the group.
fn transactional(by: i64, group: String, partitions: &[(i32, i64)]) -> GroupRequest {
    let partition = |&(partition_index, committed_offset): &(i32, i64)| TxnOffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..TxnOffsetCommitRequestPartition::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    let request = TxnOffsetCommitRequest {
        transactional_id: format!("t{by}"),
        group_id: group,
        producer_id: by,
        topics: vec![TxnOffsetCommitRequestTopic { name: "a".to_owned(), partitions }],
        ..TxnOffsetCommitRequest::default()
    };
    GroupRequest::CommitTransactionalOffsets { request }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_u8, -1..4_i32, -2..100_i64)
            .prop_map(|(group, partition, offset)| Event::Commit { group, partition, offset }),
        4 => (0..3_i64, 0..3_u8, 0..100_i64)
            .prop_map(|(producer, group, offset)| Event::Write { producer, group, offset }),
        4 => (0..3_i64, 0..3_u8, vec((-1..4_i32, -2..100_i64), 0..3), prop::bool::weighted(0.2))
            .prop_map(|(producer, group, partitions, crash)| Event::Transact { producer, group, partitions, crash }),
        1 => Just(Event::Crash),
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
            Event::Transact { producer: by, group, partitions, crash: false } => {
                self.ask(transactional(by, name(group), &partitions));
            }
            Event::Transact { producer: by, group, partitions, crash: true } => {
                let (now, image) = (self.now, self.image.clone());
                // Nothing of it is written, and nobody hears of it.
                self.shard.decide(now, &image, Ticket(7), transactional(by, name(group), &partitions));
                self.crash();
            }
            Event::Crash => self.crash(),
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

    fn crash(&mut self) {
        self.shard = self.rebuilt();
        self.step(|shard, now, image| shard.loaded(now, image));
    }

    /// Partitions of `a` whose offset a group is not told of while it wants only what is decided.
    fn unstable(&mut self) -> BTreeSet<Place> {
        let mut unstable = BTreeSet::new();
        for group in (0..3).map(|group| format!("g{group}")) {
            let topic = OffsetFetchRequestTopics {
                name: "a".to_owned(),
                partition_indexes: (0..3).collect(),
                ..OffsetFetchRequestTopics::default()
            };
            let of_group =
                OffsetFetchRequestGroup { group_id: group.clone(), topics: Some(vec![topic]), ..Default::default() };
            for topic in self.fetch_with(NAMES, true, of_group).topics {
                let pending =
                    topic.partitions.iter().filter(|it| it.error_code == ErrorCode::UnstableOffsetCommit.code());
                unstable.extend(pending.map(|it| (group.clone(), it.partition_index)));
            }
        }
        unstable
    }

    /// What the log says, read the slow way: a write counts when it is plain or its transaction committed, and no
    /// tombstone stands between. The second is what is not decided.
    fn by_log(&self) -> (BTreeMap<Place, i64>, BTreeSet<Place>) {
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
        let undecided = pending.into_keys().map(|(_, group, partition)| (group, partition)).collect();
        (now.into_iter().map(|(key, (_, offset))| (key, offset)).collect(), undecided)
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
            let stored = stored.collect::<BTreeMap<_, _>>();
            prop_assert_eq!((stored, world.unstable()), world.by_log());
        }
    }
}
