//! Who gets a place in a group, and whose epoch is good.
//!
//! Invariants: a member id has one place and an instance id has one; between members of the consumer protocol an instance
//! changes hands only when its member has left it.

use super::{
    ConsumerGroup, Context, Refused,
    member::{Held, JOIN_EPOCH, Member, Partitions, STATIC_LEAVE_EPOCH, removal_records, target_record},
};
use crate::record::GroupRecord;

/// Whether there is room for who is not a member yet.
pub(super) fn check_size(context: Context<'_>, group: &ConsumerGroup, member_id: &str) -> Result<(), Refused> {
    let max = context.settings.groups.consumer_max_size;
    let full = i64::try_from(group.members.len()).unwrap_or(i64::MAX) >= i64::from(max);
    if full && !group.members.contains_key(member_id) { Err(Refused::GroupFull(max)) } else { Ok(()) }
}

/// Who wants a place in a group.
pub(super) struct Newcomer<'a> {
    pub(super) member_id: &'a str,
    pub(super) instance_id: Option<&'a str>,
    /// None for those of the classic protocol, whose epochs are checked elsewhere.
    pub(super) epoch: Option<i32>,
    /// Whether it may become a member, or take an instance's place.
    pub(super) may_join: bool,
    pub(super) owned: Option<&'a Partitions>,
}

/// A place in a group, and who had it so far.
pub(super) struct Seat {
    /// The member as it was, be it under its predecessor's id.
    pub(super) member: Member,
    /// Whether there was nobody before.
    pub(super) is_new: bool,
    /// The id of the static member whose place it takes.
    pub(super) replaced: Option<String>,
}

impl Seat {
    pub(super) fn before(&self) -> Option<&Member> {
        (!self.is_new).then_some(&self.member)
    }
}

/// Finds a member, or makes one.
pub(super) fn take_seat(
    context: Context<'_>,
    group: &ConsumerGroup,
    newcomer: &Newcomer<'_>,
    records: &mut Vec<GroupRecord>,
) -> Result<Seat, Refused> {
    let known = |member: &Member| Seat { member: member.clone(), is_new: false, replaced: None };
    let new = || Seat { member: Member::new(newcomer.member_id), is_new: true, replaced: None };
    let Some(instance_id) = newcomer.instance_id else {
        let Some(member) = group.members.get(newcomer.member_id) else {
            return if newcomer.may_join { Ok(new()) } else { Err(unknown(context, newcomer.member_id)) };
        };
        check_epoch(member, newcomer)?;
        return Ok(known(member));
    };
    match group.instance(instance_id) {
        None if newcomer.may_join => Ok(group.members.get(newcomer.member_id).map_or_else(new, known)),
        None => Err(Refused::UnknownInstance(instance_id.to_owned())),
        Some(owner) if newcomer.may_join => replace(context, group, newcomer, owner, records),
        Some(owner) => {
            check_owner(owner, newcomer.member_id, instance_id)?;
            check_epoch(owner, newcomer)?;
            Ok(known(owner))
        }
    }
}

pub(super) fn unknown(context: Context<'_>, member_id: &str) -> Refused {
    Refused::UnknownMember { member: member_id.to_owned(), group: context.group_id.to_owned() }
}

/// Whether `member_id` is the member that has the instance.
pub(super) fn check_owner(owner: &Member, member_id: &str, instance_id: &str) -> Result<(), Refused> {
    if owner.id == member_id {
        return Ok(());
    }
    let (member, instance) = (member_id.to_owned(), instance_id.to_owned());
    Err(Refused::InstanceFenced { member, instance, owner: owner.id.clone() })
}

/// Puts a newcomer in the place of the static member of its instance, which among members of the consumer protocol must
/// have left it.
fn replace(
    context: Context<'_>,
    group: &ConsumerGroup,
    newcomer: &Newcomer<'_>,
    owner: &Member,
    records: &mut Vec<GroupRecord>,
) -> Result<Seat, Refused> {
    let both_new = newcomer.epoch.is_some() && !owner.is_classic();
    if both_new && owner.epoch != STATIC_LEAVE_EPOCH {
        let member = newcomer.member_id.to_owned();
        let instance = newcomer.instance_id.unwrap_or_default().to_owned();
        return Err(Refused::InstanceUnreleased { member, instance, owner: owner.id.clone() });
    }
    let member =
        Member { id: newcomer.member_id.to_owned(), epoch: JOIN_EPOCH, previous_epoch: JOIN_EPOCH, ..owner.clone() };
    records.extend(removal_records(context.group_id, &owner.id));
    records.push(member.metadata_record(context.group_id));
    records.push(target_record(context.group_id, &member.id, &group.target_of(&owner.id, None)));
    records.push(member.current_record(context.group_id));
    Ok(Seat { member, is_new: false, replaced: Some(owner.id.clone()) })
}

/// Whether a member may use an epoch: its own, or the one before while the answer that raised it may have been lost.
fn check_epoch(member: &Member, newcomer: &Newcomer<'_>) -> Result<(), Refused> {
    let Some(received) = newcomer.epoch else { return Ok(()) };
    let answer_was_lost = || received == member.previous_epoch && owns_at_most(newcomer.owned, &member.assigned);
    if received == JOIN_EPOCH || received == member.epoch || (received < member.epoch && answer_was_lost()) {
        return Ok(());
    }
    Err(Refused::FencedEpoch { received, known: member.epoch })
}

fn owns_at_most(owned: Option<&Partitions>, assigned: &Held) -> bool {
    let Some(owned) = owned else { return false };
    owned.iter().all(|(topic, partitions)| {
        assigned.get(topic).is_some_and(|assigned| partitions.iter().all(|partition| assigned.contains_key(partition)))
    })
}

/// Whether this is a copy of an old request that the network kept back: the member has used its current epoch since, and
/// clients never go back. What it says it owned then must not count as having given up what it got later.
pub(super) fn is_late(group: &ConsumerGroup, member: &Member, received: i32) -> bool {
    received != JOIN_EPOCH
        && received != member.epoch
        && group.soft.used_epochs.get(&member.id).is_some_and(|used| *used == member.epoch)
}
