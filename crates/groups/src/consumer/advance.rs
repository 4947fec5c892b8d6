//! What follows when a member says something: its subscription, the group epoch, the target, its next step.

use super::{
    ConsumerGroup, Context, Refused, Timer,
    after::After,
    expire::{cancel, cancel_all, set},
    matching::Found,
    member::{JOIN_EPOCH, Member, MemberState, Partitions},
    reconcile::Reconciler,
    seat::Seat,
    subscribe::subscribe,
    target::target,
};
use crate::{record::GroupRecord, shard::GroupShard};

/// A member after what it said was taken over and it took its next step.
pub(super) struct Advanced {
    pub(super) member: Member,
    /// Whether it may work on other partitions than before.
    pub(super) assigned_changed: bool,
    /// Whether its step was written.
    stepped: bool,
    checked: Option<u64>,
}

/// Takes over what a member says and what was `found` out about its pattern, sees to the group epoch and the target, and lets the member take its next step.
pub(super) fn advance(
    context: Context<'_>,
    group: &ConsumerGroup,
    seat: &Seat,
    come: &Member,
    owned: Option<&Partitions>,
    found: Option<&Found>,
    records: &mut Vec<GroupRecord>,
) -> Result<Advanced, Refused> {
    let mut after = After::with(group, come, seat.replaced.as_deref());
    let subscribed = subscribe(context, seat.before(), found, &mut after, records)?;
    let target = target(context, &after, subscribed.epoch, records)?;
    let reconciler =
        Reconciler { context, after: &after, target: &target, subscription_changed: subscribed.changed, owned };
    let member = reconciler.step(come)?;
    let stepped = member != *come;
    if stepped {
        records.push(member.current_record(context.group_id));
    }
    Ok(Advanced {
        assigned_changed: member.assigned != seat.member.assigned,
        member,
        stepped,
        checked: subscribed.checked,
    })
}

/// Soft state after [`advance`]: how long the member may take to give up, what was looked at, and the end of its
/// predecessor. `used` is the epoch that it came with.
pub(super) fn settle(
    shard: &mut GroupShard,
    context: Context<'_>,
    seat: &Seat,
    advanced: &Advanced,
    used: Option<i32>,
) {
    let (group_id, member) = (context.group_id, &advanced.member);
    if let Some(replaced) = seat.replaced.as_deref().filter(|replaced| *replaced != member.id) {
        cancel_all(shard, group_id, replaced);
    }
    if seat.member.is_classic() && !member.is_classic() {
        cancel(shard, group_id, Timer::Join(member.id.clone()));
        cancel(shard, group_id, Timer::Sync(member.id.clone()));
    }
    if advanced.stepped && !member.is_classic() {
        let timer = Timer::Revocation(member.id.clone());
        if member.state == MemberState::UnrevokedPartitions {
            let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
            set(shard, group_id, timer, context.now.plus(timeout_ms));
        } else {
            cancel(shard, group_id, timer);
        }
    }
    let Some(group) = shard.consumer_mut(group_id) else { return };
    group.soft.checked = advanced.checked.or(group.soft.checked);
    if let Some(used) = used.filter(|used| *used == seat.member.epoch && *used != JOIN_EPOCH) {
        group.soft.used_epochs.insert(member.id.clone(), used);
    }
}
