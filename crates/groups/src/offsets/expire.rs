//! Expiry: offsets that nobody came back for, and groups of which nothing is left.
//!
//! An offset expires `offsets.retention.minutes` after it was committed: in a group that only stores offsets, in one
//! with members that no longer read the topic, and in one that lost all members, where time counts from then at the
//! earliest. A time that the client gave with the commit comes before all that. Offsets of topics that members read,
//! and those that a transaction is about to replace, stay. A group without members and without offsets goes.

use ottla_coordinator::Decision;
use ottla_types::Millis;

use super::{
    CommittedOffset, Slot,
    delete::{CONSUMER_PROTOCOL, delete_gone, is_subscribed},
    group_tombstone, tombstone,
};
use crate::{
    record::GroupRecord,
    shard::{Decided, Group, GroupShard, Timer},
};

/// Bytes of keys that one round writes. All records of a round are one append, which keeps requests waiting; and with
/// what a record has beside its key (at most 40 bytes next to keys of at least 8) it stays below 1 MiB, what batches
/// have by default.
const ROUND_BYTES_MAX: usize = 128 << 10;
/// When the next round follows where one was not enough. Not at once, so that requests get their turn.
const ROUND_PAUSE_MS: i64 = 1;
/// State of a classic group in which its members and what they read are settled.
const STABLE: &str = "Stable";

/// Records of one append.
#[derive(Default)]
pub(crate) struct Round {
    records: Vec<GroupRecord>,
    bytes: usize,
}

impl Round {
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= ROUND_BYTES_MAX
    }

    pub(crate) fn push(&mut self, record: GroupRecord) {
        self.bytes += record.encode().map_or(0, |(key, _)| key.len());
        self.records.push(record);
    }

    pub(crate) fn into_records(self) -> Vec<GroupRecord> {
        self.records
    }

    /// The records; where there may be more, the timer is set for them.
    pub(super) fn finish(self, shard: &mut GroupShard, now: Millis) -> Decided {
        if self.is_full() {
            shard.timers.set(Timer::OffsetsExpire, now.plus(ROUND_PAUSE_MS));
        }
        Decision { records: self.records, ..Decision::none() }
    }
}

/// See the file's head.
pub(crate) fn expire(shard: &mut GroupShard, now: Millis) -> Decided {
    let mut round = Round::default();
    delete_gone(shard, &mut round);
    for group in group_ids(shard) {
        if round.is_full() {
            break;
        }
        expire_group(shard, now, group, &mut round);
    }
    round.finish(shard, now)
}

/// All groups, ascending.
fn group_ids(shard: &GroupShard) -> Vec<&str> {
    let mut ids: Vec<_> = shard.groups.keys().map(String::as_str).chain(shard.offsets.group_ids()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn expire_group(shard: &GroupShard, now: Millis, id: &str, round: &mut Round) {
    let group = shard.groups.get(id);
    let mut all = true;
    for (topic, partition, slot) in shard.offsets.slots(id) {
        if !round.is_full() && is_expired(shard, now, group, topic, slot) {
            round.push(tombstone(id, topic, partition));
        } else {
            all = false;
        }
    }
    if all {
        group_tombstones(id, group).into_iter().for_each(|record| round.push(record));
    }
}

fn is_expired(shard: &GroupShard, now: Millis, group: Option<&Group>, topic: &str, slot: &Slot) -> bool {
    let Some(committed) = slot.committed.as_ref().filter(|_| slot.pending.is_empty()) else { return false };
    let Some(since) = counts_from(group, committed) else { return false };
    if group.is_some_and(|group| is_subscribed(group, topic)) {
        return false;
    }
    match committed.expire_timestamp {
        Some(at) => now >= at,
        None => now.since(since) >= shard.settings.offsets.retention_ms,
    }
}

/// Since when retention counts; nothing where the offset must stay whatever its age.
fn counts_from(group: Option<&Group>, committed: &CommittedOffset) -> Option<Millis> {
    let committed = committed.commit_timestamp;
    match group {
        None | Some(Group::Consumer(_)) => Some(committed),
        Some(Group::Classic(group)) if group.protocol_type().is_empty() => Some(committed),
        Some(Group::Classic(group)) if group.is_empty() => {
            Some(group.empty_since().map_or(committed, |empty| empty.max(committed)))
        }
        Some(Group::Classic(group)) if group.protocol_type() == CONSUMER_PROTOCOL && group.state_name() == STABLE => {
            Some(committed)
        }
        Some(Group::Classic(_)) => None,
    }
}

/// What deletes the group itself; nothing while it has members.
fn group_tombstones(id: &str, group: Option<&Group>) -> Vec<GroupRecord> {
    match group {
        None => vec![group_tombstone(id)],
        Some(Group::Classic(group)) if group.is_empty() => group.tombstones(id),
        Some(Group::Consumer(group)) if group.is_empty() => group.tombstones(id),
        Some(_) => Vec::new(),
    }
}
