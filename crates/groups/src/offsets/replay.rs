//! Offset records and ends of transactions onto the state.

use std::collections::BTreeMap;
#[cfg(test)]
use std::collections::BTreeSet;

use ottla_coordinator::Outcome;
use ottla_types::{LeaderEpoch, Millis, Offset, ProducerId, ProducerIdAndEpoch};
use ottla_wire::messages::{offset_commit_key::OffsetCommitKey, offset_commit_value::OffsetCommitValue};

use super::{CommittedOffset, Offsets, Slot};
use crate::shard::GroupShard;

/// How the record says that an offset expires by the broker's retention.
const NEVER: i64 = -1;

/// Takes over one record; what is part of a transaction waits for its end.
pub(crate) fn replay(
    shard: &mut GroupShard,
    at: Offset,
    by: Option<ProducerIdAndEpoch>,
    key: OffsetCommitKey,
    value: Option<OffsetCommitValue>,
) {
    match (value.map(|value| committed(at, value)), by.filter(|by| by.id != ProducerId::NONE)) {
        (None, _) => shard.offsets.remove(&key),
        (Some(offset), None) => shard.offsets.slot_mut(&key).committed = Some(offset),
        (Some(offset), Some(by)) => {
            shard.offsets.slot_mut(&key).pending.insert(by.id, offset);
            shard.offsets.open.entry(by.id).or_default().insert((key.group, key.topic, key.partition));
        }
    }
}

/// Lets what a transaction wrote hold, or throws it away.
pub(crate) fn end_transaction(shard: &mut GroupShard, by: ProducerIdAndEpoch, outcome: Outcome) {
    for (group, topic, partition) in shard.offsets.open.remove(&by.id).unwrap_or_default() {
        shard.offsets.change(&group, &topic, partition, |slot| slot.end(by.id, outcome));
    }
}

/// The group's own tombstone was replayed: with nothing left in it, it is not known any more.
pub(crate) fn forget(shard: &mut GroupShard, group: &str) {
    if shard.offsets.groups.get(group).is_some_and(BTreeMap::is_empty) {
        shard.offsets.groups.remove(group);
    }
}

fn committed(at: Offset, value: OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: value.metadata,
        commit_timestamp: Millis(value.commit_timestamp),
        expire_timestamp: (value.expire_timestamp != NEVER).then_some(Millis(value.expire_timestamp)),
        topic_id: value.topic_id,
        at,
    }
}

impl Slot {
    fn end(&mut self, producer: ProducerId, outcome: Outcome) {
        let Some(pending) = self.pending.remove(&producer) else { return };
        // By place in the log and not by time of ending: compaction keeps the later record only, so the other order
        // would come out differently after a restart.
        let newer = self.committed.as_ref().is_none_or(|committed| pending.at > committed.at);
        if outcome == Outcome::Commit && newer {
            self.committed = Some(pending);
        }
    }
}

impl Offsets {
    /// A tombstone: voids what is pending, too.
    fn remove(&mut self, key: &OffsetCommitKey) {
        let Some(gone) = self.change(&key.group, &key.topic, key.partition, std::mem::take) else { return };
        for producer in gone.pending.keys() {
            let Some(open) = self.open.get_mut(producer) else { continue };
            open.remove(&(key.group.clone(), key.topic.clone(), key.partition));
            if open.is_empty() {
                self.open.remove(producer);
            }
        }
    }

    /// Whether `open` and what is pending agree.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let mut open: BTreeMap<ProducerId, BTreeSet<(String, String, i32)>> = BTreeMap::new();
        for (group, topics) in &self.groups {
            for (topic, partition, slot) in self.slots(group) {
                for producer in slot.pending.keys() {
                    open.entry(*producer).or_default().insert((group.clone(), topic.to_owned(), partition));
                }
            }
            if topics.values().any(|slots| slots.is_empty() || slots.values().any(Slot::is_empty)) {
                return false;
            }
        }
        open == self.open
    }
}
