//! A consumer group as `ConsumerGroupDescribe` shows it, and as `DescribeGroups` does not.

use std::collections::{BTreeMap, BTreeSet};

use ottla_controller::MetadataImage;
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::{
    consumer_group_describe_response::{Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions},
    describe_groups_response,
};

use super::{
    ConsumerGroup, Context, Refused,
    member::{Held, Member, Partitions},
    target,
};
use crate::shard::{Group, GroupShard};

/// Members of the classic and of the consumer protocol.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// A group as `ConsumerGroupDescribe` shows it.
pub(crate) fn describe(shard: &GroupShard, image: &MetadataImage, group_id: String) -> DescribedGroup {
    let refused = match shard.groups.get(&group_id) {
        Some(Group::Consumer(group)) => {
            // Nothing that is described depends on the time.
            let context = Context { now: Millis(0), image, settings: &shard.settings, group_id: &group_id };
            return described(context, group);
        }
        Some(Group::Classic(_)) => Refused::NotConsumerGroup(group_id.clone()),
        None if shard.offsets.has_group(&group_id) => Refused::NotConsumerGroup(group_id.clone()),
        None => Refused::GroupNotFound(group_id.clone()),
    };
    DescribedGroup {
        error_code: refused.code().code(),
        error_message: Some(refused.message()),
        group_id,
        ..DescribedGroup::default()
    }
}

fn described(context: Context<'_>, group: &ConsumerGroup) -> DescribedGroup {
    DescribedGroup {
        group_id: context.group_id.to_owned(),
        group_state: group.state_name().to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: target::preferred(context, group.members.values()).to_owned(),
        members: group.members.values().map(|member| described_member(context.image, group, member)).collect(),
        ..DescribedGroup::default()
    }
}

fn described_member(image: &MetadataImage, group: &ConsumerGroup, member: &Member) -> DescribedMember {
    // What a member has yet to give up is still its.
    let mut held = without_epochs(&member.assigned);
    for (topic, partitions) in without_epochs(&member.revoking) {
        held.entry(topic).or_default().extend(partitions);
    }
    DescribedMember {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        subscribed_topic_regex: member.regex.clone(),
        assignment: assignment(image, &held),
        target_assignment: assignment(image, &group.targets.get(&member.id).cloned().unwrap_or_default()),
        member_type: if member.is_classic() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

fn without_epochs(held: &Held) -> Partitions {
    held.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}

fn assignment(image: &MetadataImage, partitions: &BTreeMap<Uuid, BTreeSet<i32>>) -> Assignment {
    let topic_partitions = partitions.iter().filter_map(|(topic_id, partitions)| {
        let topic_name = image.topic_by_id(*topic_id)?.name.to_string();
        Some(TopicPartitions { topic_id: *topic_id, topic_name, partitions: partitions.iter().copied().collect() })
    });
    Assignment { topic_partitions: topic_partitions.collect() }
}

impl ConsumerGroup {
    /// `DescribeGroups` knows classic groups only.
    pub(crate) fn describe_classic(&self, group_id: &str) -> describe_groups_response::DescribedGroup {
        describe_groups_response::DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(format!("Group {group_id} is not a classic group.")),
            group_id: group_id.to_owned(),
            group_state: "Dead".to_owned(),
            ..describe_groups_response::DescribedGroup::default()
        }
    }
}
