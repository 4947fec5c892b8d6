//! Consumer groups (KIP-848): members heartbeat, the broker works out who gets what and hands it over one member at a time.
//!
//! Three epochs drive a group. Whatever asks for another distribution (a member, a subscription, a topic) raises the group
//! epoch; a target is computed for it and carries it as target epoch; each member walks to the target by itself, giving up
//! before it receives, and then has the target's epoch too.
//!
//! Invariants: epochs never fall; a partition has at most one holder, be it one that is asked to give it up, and nobody else
//! receives it before that holder confirmed, left or was fenced; all but `soft` follows from the records.

mod advance;
mod after;
mod assignor;
mod classic_join;
mod classic_member;
mod describe;
mod error;
mod expire;
mod fence;
mod heartbeat;
mod index;
mod matching;
mod member;
mod migration;
mod protocol;
mod reconcile;
mod replay;
mod seat;
mod subscribe;
mod target;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use ottla_controller::MetadataImage;
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::{
    consumer_group_metadata_key::ConsumerGroupMetadataKey, consumer_group_metadata_value::ConsumerGroupMetadataValue,
    consumer_group_regular_expression_key::ConsumerGroupRegularExpressionKey,
    consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue,
    consumer_group_target_assignment_metadata_key::ConsumerGroupTargetAssignmentMetadataKey,
    consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue,
};

pub use self::matching::{Matched, Matching};
pub(crate) use self::{
    classic_join::classic_join,
    classic_member::{classic_heartbeat, classic_leave, classic_sync, committed},
    describe::describe,
    expire::{Timer, expire, loaded},
    heartbeat::heartbeat,
    matching::Matcher,
    replay::{replay_current, replay_epoch, replay_member, replay_regex, replay_target, replay_target_epoch},
};
use self::{
    error::Refused,
    index::Index,
    member::{Member, Partitions},
};
use crate::{record::GroupRecord, settings::Settings};

/// First version of `OffsetCommit` that carries member epochs.
const COMMIT_WITH_EPOCH: i16 = 9;
/// Epoch of a group, and of its target, of which nothing was written.
const FIRST_EPOCH: i32 = 1;

/// What a pattern matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) topics: std::collections::BTreeSet<String>,
    /// Version of the image that was looked at.
    pub(crate) version: i64,
    pub(crate) at: i64,
}

/// What dies with the coordinator; without it, all is only looked at once more.
#[derive(Clone, Debug, Default, PartialEq)]
struct Soft {
    /// Version of the image whose topics were last compared with the metadata hash.
    checked: Option<u64>,
    /// The image that the patterns were last held against.
    looked: Option<matching::Looked>,
    /// Highest epoch that each member used itself.
    used_epochs: BTreeMap<String, i32>,
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConsumerGroup {
    epoch: i32,
    metadata_hash: i64,
    target_epoch: i32,
    /// When the target was computed; 0 when never.
    target_at: i64,
    members: BTreeMap<String, Member>,
    targets: BTreeMap<String, Arc<Partitions>>,
    regexes: BTreeMap<String, Resolved>,
    index: Index,
    soft: Soft,
}

/// What every step of a decision needs to know.
#[derive(Clone, Copy)]
struct Context<'a> {
    now: Millis,
    image: &'a MetadataImage,
    settings: &'a Settings,
    group_id: &'a str,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            target_epoch: FIRST_EPOCH,
            target_at: 0,
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            index: Index::default(),
            soft: Soft::default(),
        }
    }
}

impl ConsumerGroup {
    /// What the records say of it, without what is soft.
    #[cfg(test)]
    pub(crate) fn hard(&self) -> Self {
        Self { soft: Soft::default(), ..self.clone() }
    }

    /// `Empty`, `Assigning`, `Reconciling` or `Stable`.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().any(|member| !member.is_reconciled_to(self.target_epoch)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member wants `topic`, by name or by pattern.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        let matched = |(pattern, resolved): (&String, &Resolved)| {
            self.index.subscribers_of(pattern) > 0 && resolved.topics.contains(topic)
        };
        self.index.is_named(topic) || self.regexes.iter().any(matched)
    }

    /// Whether a member may commit offsets with `epoch`; `version` is that of `OffsetCommit`. An epoch that the member has
    /// left behind is refused here, though [`ConsumerGroup::check_late_commit`] may still allow single partitions.
    pub(crate) fn check_commit(
        &self,
        member_id: &str,
        _instance_id: Option<&str>,
        epoch: i32,
        version: i16,
    ) -> Result<(), ErrorCode> {
        // The admin client and consumers without a group commit like this, which an empty group allows.
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if !member.is_classic() && version < COMMIT_WITH_EPOCH {
            return Err(ErrorCode::UnsupportedVersion);
        }
        check_epoch(member, epoch)
    }

    /// The same for a commit that is part of a transaction, whatever its version.
    pub(crate) fn check_transactional_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        // From a producer that knows no more of the group than its id.
        if epoch == -1 && member_id.is_empty() && instance_id.is_none() {
            return Ok(());
        }
        self.check_commit(member_id, instance_id, epoch, COMMIT_WITH_EPOCH)
    }

    /// Whether a member may commit the offset of one partition with an epoch that it has left behind: when it has had the
    /// partition since that epoch or longer (KIP-1251).
    pub(crate) fn check_late_commit(
        &self,
        member_id: &str,
        epoch: i32,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let since = member.held_since(topic, partition);
        if epoch <= member.epoch && since.is_some_and(|since| epoch >= since) {
            return Ok(());
        }
        check_epoch(member, epoch)
    }

    /// Whether whoever says it is `member_id` at `epoch` may read offsets.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| self.members.get(id)).ok_or(ErrorCode::UnknownMemberId)?;
        check_epoch(member, epoch)
    }

    /// What removes the group, in the order that Kafka insists on.
    pub(crate) fn tombstones(&self, group_id: &str) -> Vec<GroupRecord> {
        let mut records: Vec<_> = self.members.keys().map(|id| member::current_tombstone(group_id, id)).collect();
        records.extend(self.targets.keys().map(|id| member::target_tombstone(group_id, id)));
        records.push(GroupRecord::TargetEpoch(
            ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id.to_owned() },
            None,
        ));
        records.extend(self.members.keys().map(|id| member::member_tombstone(group_id, id)));
        records.extend(self.regexes.keys().map(|pattern| regex_record(group_id, pattern, None)));
        records.push(GroupRecord::Epoch(ConsumerGroupMetadataKey { group_id: group_id.to_owned() }, None));
        records
    }

    /// The member that has `instance_id`.
    fn instance(&self, instance_id: &str) -> Option<&Member> {
        self.members.get(self.index.member_of(instance_id)?)
    }

    /// The target of a member; a static member has its predecessor's until it has one of its own.
    fn target_of(&self, member_id: &str, instance_id: Option<&str>) -> Arc<Partitions> {
        let predecessor = || self.targets.get(self.index.member_of(instance_id?)?);
        self.targets.get(member_id).or_else(predecessor).cloned().unwrap_or_default()
    }

    fn put(&mut self, member: Member) {
        let id = member.id.clone();
        self.index.member_changed(self.members.get(&id), Some(&member));
        self.members.insert(id, member);
    }

    fn remove(&mut self, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        self.index.member_changed(Some(&member), None);
        self.soft.used_epochs.remove(member_id);
    }
}

fn check_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    match epoch == member.epoch {
        true => Ok(()),
        false if member.is_classic() => Err(ErrorCode::IllegalGeneration),
        false => Err(ErrorCode::StaleMemberEpoch),
    }
}

fn epoch_record(group_id: &str, epoch: i32, metadata_hash: i64) -> GroupRecord {
    let key = ConsumerGroupMetadataKey { group_id: group_id.to_owned() };
    GroupRecord::Epoch(key, Some(ConsumerGroupMetadataValue { epoch, metadata_hash }))
}

fn target_epoch_record(group_id: &str, assignment_epoch: i32, assignment_timestamp: i64) -> GroupRecord {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id.to_owned() };
    let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
    GroupRecord::TargetEpoch(key, Some(value))
}

fn regex_record(group_id: &str, pattern: &str, resolved: Option<&Resolved>) -> GroupRecord {
    let key =
        ConsumerGroupRegularExpressionKey { group_id: group_id.to_owned(), regular_expression: pattern.to_owned() };
    let value = resolved.map(|resolved| ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.at,
    });
    GroupRecord::Regex(key, value)
}
