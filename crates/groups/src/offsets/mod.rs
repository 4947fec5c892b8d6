//! Committed offsets of all groups, and those that transactions wrote and did not end yet.
//!
//! Invariants: `open` names, by producer, exactly the partitions with something pending of it; a partition with
//! neither a committed nor a pending offset is not kept, nor is a topic without partitions. A group stays known, even
//! with nothing left in it, until the tombstone of its own: Kafka keeps groups that only store offsets as long.

mod commit;
mod delete;
mod expire;
mod fetch;
mod replay;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use commit::{commit, commit_transactional};
pub(crate) use delete::delete;
pub(crate) use expire::{Round, expire};
pub(crate) use fetch::fetch;
use ottla_types::{LeaderEpoch, Millis, Offset, ProducerId, Uuid};
use ottla_wire::messages::{group_metadata_key::GroupMetadataKey, offset_commit_key::OffsetCommitKey};
pub(crate) use replay::{end_transaction, forget, replay};

use crate::{record::GroupRecord, shard::GroupShard};

/// How far a group has read one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read; whatever the client sent, even a negative one.
    pub offset: Offset,
    /// Epoch of the record before it; [`LeaderEpoch::UNKNOWN`] where the client did not say.
    pub leader_epoch: LeaderEpoch,
    /// The client's own words.
    pub metadata: String,
    /// When it was committed.
    pub commit_timestamp: Millis,
    /// When it expires, where the client said so: versions 2 to 4 of the request.
    pub expire_timestamp: Option<Millis>,
    /// The topic's id; zero where the record does not say, being an old one or one with a time to expire at.
    pub topic_id: Uuid,
    /// Where its record lies in the log.
    pub at: Offset,
}

/// What there is of one partition of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slot {
    committed: Option<CommittedOffset>,
    pending: BTreeMap<ProducerId, CommittedOffset>,
}

/// Partitions by topic.
type Topics = BTreeMap<String, BTreeMap<i32, Slot>>;

/// See the file's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Offsets {
    groups: BTreeMap<String, Topics>,
    open: BTreeMap<ProducerId, BTreeSet<(String, String, i32)>>,
    /// Soft: topics that are gone, and since when, while offsets of them are left.
    gone: BTreeMap<String, Millis>,
}

impl Slot {
    /// Whether something was committed, or is pending, after `since`.
    fn is_newer(&self, since: Millis) -> bool {
        self.committed.iter().chain(self.pending.values()).any(|offset| offset.commit_timestamp > since)
    }

    fn is_empty(&self) -> bool {
        self.committed.is_none() && self.pending.is_empty()
    }
}

impl Offsets {
    /// Group, topic, partition and what is committed, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, i32, &CommittedOffset)> {
        let topics = self.groups.iter().flat_map(|(group, topics)| topics.iter().map(move |topic| (group, topic)));
        topics.flat_map(|(group, (topic, slots))| {
            let committed = slots.iter().filter_map(|(partition, slot)| Some((*partition, slot.committed.as_ref()?)));
            committed.map(move |(partition, committed)| (group.as_str(), topic.as_str(), partition, committed))
        })
    }

    /// Whether the group has offsets, or had some and was not deleted since.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// All groups of which [`Offsets::has_group`] holds, ascending.
    pub(crate) fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// All partitions of a group, ascending.
    fn slots(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Slot)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, slots)| slots.iter().map(|(partition, slot)| (topic.as_str(), *partition, slot)))
    }

    /// Partitions of one topic.
    fn topic(&self, group: &str, topic: &str) -> Option<&BTreeMap<i32, Slot>> {
        self.groups.get(group)?.get(topic)
    }

    fn slot_mut(&mut self, key: &OffsetCommitKey) -> &mut Slot {
        let topics = self.groups.entry(key.group.clone()).or_default();
        topics.entry(key.topic.clone()).or_default().entry(key.partition).or_default()
    }

    /// Changes a partition that is there; takes it out where nothing is left in it.
    fn change<T>(&mut self, group: &str, topic: &str, partition: i32, f: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let topics = self.groups.get_mut(group)?;
        let slots = topics.get_mut(topic)?;
        let slot = slots.get_mut(&partition)?;
        let result = f(slot);
        if slot.is_empty() {
            slots.remove(&partition);
        }
        if slots.is_empty() {
            topics.remove(topic);
        }
        Some(result)
    }
}

/// Deletes offsets of a group, pending ones too, as many as fit into `round`; whether those are all.
pub(crate) fn delete_some(shard: &GroupShard, group: &str, round: &mut Round) -> bool {
    for (topic, partition, _) in shard.offsets.slots(group) {
        if round.is_full() {
            return false;
        }
        round.push(tombstone(group, topic, partition));
    }
    true
}

/// The record that deletes one offset.
fn tombstone(group: &str, topic: &str, partition: i32) -> GroupRecord {
    GroupRecord::Offset(OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition }, None)
}

/// The record that deletes a group that only stores offsets.
pub(crate) fn group_tombstone(group: &str) -> GroupRecord {
    GroupRecord::Classic(GroupMetadataKey { group: group.to_owned() }, None)
}
