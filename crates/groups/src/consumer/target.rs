//! Who is to have what: a new target when the group epoch has passed the old one's, though not more often than the
//! assignment interval allows.
//!
//! Invariant: a target and its epoch are written together; members whose share stays as it is are not written again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_types::{Millis, Uuid};

use super::{
    ConsumerGroup, Context, Refused,
    after::After,
    assignor,
    member::{Member, Partitions, target_record},
    target_epoch_record,
};
use crate::record::GroupRecord;

/// What a member is to walk to.
pub(super) struct Target {
    pub(super) epoch: i32,
    pub(super) partitions: Arc<Partitions>,
}

/// Whether a target is to be computed for `epoch`: it is newer than the last target's, and enough time has passed since that.
/// Before the first one, any has.
pub(super) fn may_assign(context: Context<'_>, group: &ConsumerGroup, epoch: i32) -> bool {
    if epoch <= group.target_epoch {
        return false;
    }
    let interval_ms = context.settings.assignment_interval_ms(context.image, context.group_id);
    let age_ms = context.now.since(Millis(group.target_at));
    group.target_at == 0 || interval_ms == 0 || age_ms >= i64::from(interval_ms)
}

/// The target of `after.come`, computed anew if `epoch`, the group's, asks for it.
pub(super) fn target(
    context: Context<'_>,
    after: &After<'_>,
    epoch: i32,
    records: &mut Vec<GroupRecord>,
) -> Result<Target, Refused> {
    let group = after.group;
    let Some(member) = after.come else { unreachable!("a target is somebody's") };
    let last = group.target_of(&member.id, member.instance_id.as_deref());
    if !may_assign(context, group, epoch) {
        return Ok(Target { epoch: group.target_epoch, partitions: last });
    }
    let mut shares = assign(context, after, epoch)?;
    for (id, share) in &shares {
        let before = if *id == member.id { after.share_written(member) } else { group.targets.get(id) };
        if before.is_none_or(|before| **before != *share) {
            records.push(target_record(context.group_id, id, share));
        }
    }
    records.push(target_epoch_record(context.group_id, epoch, context.now.0));
    Ok(Target { epoch, partitions: Arc::new(shares.remove(&member.id).unwrap_or_default()) })
}

impl After<'_> {
    /// The share of `come` that stands in the log: its own, or the one that was written over from its predecessor.
    fn share_written(&self, come: &Member) -> Option<&Arc<Partitions>> {
        let ids = [&come.id].into_iter().chain(self.gone.iter().map(|gone| &gone.id));
        ids.filter_map(|id| self.group.targets.get(id)).next()
    }
}

fn assign(context: Context<'_>, after: &After<'_>, epoch: i32) -> Result<BTreeMap<String, Partitions>, Refused> {
    let mut topics = BTreeSet::new();
    let members: Vec<assignor::Member<'_>> = after
        .members()
        .map(|member| {
            let subscribed = after.wanted_by(member, context.image);
            topics.extend(subscribed.iter().copied());
            let current = after.group.target_of(&member.id, member.instance_id.as_deref());
            let instance_id = member.instance_id.as_deref();
            assignor::Member { id: &member.id, instance_id, subscribed, current: (*current).clone() }
        })
        .collect();
    let counts: BTreeMap<Uuid, i32> =
        topics.into_iter().map(|topic| (topic, partition_count(context, topic))).collect();
    let name = preferred(context, after.members());
    assignor::assign(name, &members, &counts)
        .or_else(|| assignor::assign(default_assignor(context), &members, &counts))
        .ok_or(Refused::NoAssignment(epoch))
}

fn partition_count(context: Context<'_>, topic: Uuid) -> i32 {
    let count = context.image.topic_by_id(topic).map_or(0, |topic| topic.partitions.len());
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The assignor that most members ask for; a vote for one that is not offered (any more) does not count.
pub(super) fn preferred<'a>(context: Context<'a>, members: impl Iterator<Item = &'a Member>) -> &'a str {
    let offered = &context.settings.groups.consumer_assignors;
    let vote = |member: &'a Member| {
        member.assignor.as_deref().filter(|name| offered.iter().any(|offered| **offered == **name))
    };
    assignor::preferred(members.map(vote), default_assignor(context))
}

fn default_assignor<'a>(context: Context<'a>) -> &'a str {
    context.settings.groups.consumer_assignors.first().map_or("uniform", |name| name)
}
