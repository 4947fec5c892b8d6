//! Records of consumer groups onto the shard: the only writers of their hard state.
//!
//! Records of one group may come in an order that compaction left, so each stands for itself: a value makes the group and the
//! member it speaks of, a tombstone of what is not there means nothing.

use std::sync::Arc;

use ottla_wire::messages::{
    consumer_group_current_member_assignment_key::ConsumerGroupCurrentMemberAssignmentKey,
    consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue,
    consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey,
    consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue,
    consumer_group_metadata_key::ConsumerGroupMetadataKey, consumer_group_metadata_value::ConsumerGroupMetadataValue,
    consumer_group_regular_expression_key::ConsumerGroupRegularExpressionKey,
    consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue,
    consumer_group_target_assignment_member_key::ConsumerGroupTargetAssignmentMemberKey,
    consumer_group_target_assignment_member_value::ConsumerGroupTargetAssignmentMemberValue,
    consumer_group_target_assignment_metadata_key::ConsumerGroupTargetAssignmentMetadataKey,
    consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue,
};

use super::{
    ConsumerGroup, Resolved,
    member::{LEAVE_EPOCH, Member, target_from},
};
use crate::shard::{Group, GroupShard};

/// Epoch of a target that was taken away.
const NO_TARGET: i32 = -1;

pub(crate) fn replay_epoch(
    shard: &mut GroupShard,
    key: ConsumerGroupMetadataKey,
    value: Option<ConsumerGroupMetadataValue>,
) {
    match value {
        Some(value) => {
            let group = made(shard, key.group_id);
            group.epoch = value.epoch;
            group.metadata_hash = value.metadata_hash;
        }
        None if shard.consumer(&key.group_id).is_some() => {
            shard.groups.remove(&key.group_id);
        }
        None => {}
    }
}

pub(crate) fn replay_member(
    shard: &mut GroupShard,
    key: ConsumerGroupMemberMetadataKey,
    value: Option<ConsumerGroupMemberMetadataValue>,
) {
    match value {
        Some(value) => {
            let group = made(shard, key.group_id);
            let mut member = known_or_new(group, &key.member_id);
            member.set_metadata(value);
            group.put(member);
        }
        None => {
            if let Some(group) = shard.consumer_mut(&key.group_id) {
                group.remove(&key.member_id);
            }
        }
    }
}

pub(crate) fn replay_target_epoch(
    shard: &mut GroupShard,
    key: ConsumerGroupTargetAssignmentMetadataKey,
    value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
) {
    match value {
        Some(value) => {
            let group = made(shard, key.group_id);
            group.target_epoch = value.assignment_epoch;
            group.target_at = value.assignment_timestamp;
        }
        None => {
            if let Some(group) = shard.consumer_mut(&key.group_id) {
                group.target_epoch = NO_TARGET;
                group.target_at = 0;
            }
        }
    }
}

pub(crate) fn replay_target(
    shard: &mut GroupShard,
    key: ConsumerGroupTargetAssignmentMemberKey,
    value: Option<ConsumerGroupTargetAssignmentMemberValue>,
) {
    match value {
        Some(value) => {
            made(shard, key.group_id).targets.insert(key.member_id, Arc::new(target_from(value)));
        }
        None => {
            if let Some(group) = shard.consumer_mut(&key.group_id) {
                group.targets.remove(&key.member_id);
            }
        }
    }
}

pub(crate) fn replay_current(
    shard: &mut GroupShard,
    key: ConsumerGroupCurrentMemberAssignmentKey,
    value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
) {
    match value {
        Some(value) => {
            let group = made(shard, key.group_id);
            let mut member = known_or_new(group, &key.member_id);
            member.set_current(&value);
            group.put(member);
        }
        None => {
            let Some(group) = shard.consumer_mut(&key.group_id) else { return };
            let Some(member) = group.members.get(&key.member_id).cloned() else { return };
            group.put(Member {
                epoch: LEAVE_EPOCH,
                previous_epoch: LEAVE_EPOCH,
                assigned: Arc::default(),
                revoking: Arc::default(),
                ..member
            });
        }
    }
}

pub(crate) fn replay_regex(
    shard: &mut GroupShard,
    key: ConsumerGroupRegularExpressionKey,
    value: Option<ConsumerGroupRegularExpressionValue>,
) {
    match value {
        Some(value) => {
            let (version, at) = (value.version, value.timestamp);
            let resolved = Resolved { topics: value.topics.into_iter().collect(), version, at };
            made(shard, key.group_id).regexes.insert(key.regular_expression, resolved);
        }
        None => {
            if let Some(group) = shard.consumer_mut(&key.group_id) {
                group.regexes.remove(&key.regular_expression);
            }
        }
    }
}

/// The group of that id; a new one where there is none, or one of which only the memory is left.
fn made(shard: &mut GroupShard, group_id: String) -> &mut ConsumerGroup {
    let group = shard.groups.entry(group_id).or_insert_with(|| Group::Consumer(ConsumerGroup::default()));
    if let Group::Classic(_) = group {
        *group = Group::Consumer(ConsumerGroup::default());
    }
    match group {
        Group::Consumer(group) => group,
        Group::Classic(_) => unreachable!("it was just replaced"),
    }
}

fn known_or_new(group: &ConsumerGroup, member_id: &str) -> Member {
    group.members.get(member_id).cloned().unwrap_or_else(|| Member::new(member_id))
}
