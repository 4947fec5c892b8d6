//! From a classic group to a consumer group and back, with members in it.
//!
//! Up: the first member of the consumer protocol finds a classic group of consumers. Its members become classic members of a
//! consumer group, with what they have; they learn of the rebalance from their next heartbeat. Down: the last member of the
//! consumer protocol goes, and the others are asked to join again. Both only where `group.consumer.migration.policy` allows.
//!
//! Invariants: the records of a migration remove the old group and make the new one in one batch; nobody loses a partition
//! by it, and no group goes up in which two members have the same partition.

use std::{collections::BTreeSet, sync::Arc};

use ottla_config::MigrationPolicy;
use ottla_coordinator::Ticket;
use ottla_types::{ErrorCode, Uuid};
use ottla_wire::messages::{
    consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol},
    join_group_request::JoinGroupRequestProtocol,
};

use super::{
    ConsumerGroup, Context, Refused, Timer,
    after::After,
    epoch_record,
    expire::set,
    member::{Member, target_record},
    protocol, subscribe, target_epoch_record,
};
use crate::{
    classic::{self, ClassicGroup},
    record::GroupRecord,
    request::GroupReply,
    shard::GroupShard,
};

/// A classic group as a consumer group, and what must be written for that.
pub(super) struct Upgrade {
    pub(super) group: ConsumerGroup,
    pub(super) records: Vec<GroupRecord>,
    /// Its members and their session timeouts.
    pub(super) sessions: Vec<(String, i64)>,
}

/// Makes a consumer group of a classic group with members.
pub(super) fn upgrade(context: Context<'_>, classic: &ClassicGroup) -> Result<Upgrade, Refused> {
    let group_id = context.group_id;
    check_upgrade(context, classic)?;
    let epoch = classic.generation;
    let mut group = ConsumerGroup { epoch, target_epoch: epoch, ..ConsumerGroup::default() };
    let mut taken: BTreeSet<(Uuid, i32)> = BTreeSet::new();
    for (id, old) in classic.members.iter() {
        let member = classic_member(context, classic, id, old)?;
        let partitions = protocol::without_epochs(&member.assigned);
        // What two members have, an assignor of their own gave them.
        if !partitions.iter().all(|(topic, of)| of.iter().all(|partition| taken.insert((*topic, *partition)))) {
            return Err(Refused::CustomAssignor(group_id.to_owned()));
        }
        group.targets.insert(id.clone(), Arc::new(partitions));
        group.put(member);
    }
    let topics = After::without(&group, Vec::new()).topics().into_iter().map(str::to_owned).collect::<Vec<_>>();
    group.metadata_hash = subscribe::metadata_hash(&topics.iter().map(String::as_str).collect(), context.image);

    let mut records = classic.tombstones(group_id);
    records.extend(group.members.values().map(|member| member.metadata_record(group_id)));
    records.push(epoch_record(group_id, group.epoch, group.metadata_hash));
    records.extend(group.targets.iter().map(|(id, target)| target_record(group_id, id, target)));
    records.push(target_epoch_record(group_id, group.target_epoch, group.target_at));
    records.extend(group.members.values().map(|member| member.current_record(group_id)));
    let sessions = classic.members.iter().map(|(id, old)| (id.clone(), i64::from(old.session_timeout_ms))).collect();
    Ok(Upgrade { group, records, sessions })
}

fn check_upgrade(context: Context<'_>, classic: &ClassicGroup) -> Result<(), Refused> {
    let group_id = || context.group_id.to_owned();
    let settings = &context.settings.groups;
    let allowed =
        matches!(settings.consumer_migration_policy, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional);
    if !allowed {
        Err(Refused::UpgradeDisabled(group_id()))
    } else if classic.protocol_type() != protocol::CONSUMER {
        Err(Refused::NotConsumerProtocol(group_id()))
    } else if i64::try_from(classic.members.len()).unwrap_or(i64::MAX) > i64::from(settings.consumer_max_size) {
        Err(Refused::TooManyToUpgrade(group_id()))
    } else {
        Ok(())
    }
}

/// A member of a classic group as a classic member of a consumer group.
fn classic_member(
    context: Context<'_>,
    classic: &ClassicGroup,
    id: &str,
    old: &classic::Member,
) -> Result<Member, Refused> {
    let malformed = |_| Refused::MalformedProtocol(context.group_id.to_owned());
    let known = classic.protocol.as_deref().map(|protocol| old.metadata(protocol)).filter(|bytes| !bytes.is_empty());
    // Before its first generation a group has no protocol; all of a consumer's say the same.
    let metadata = known.or_else(|| Some(old.protocols.first()?.metadata.clone())).unwrap_or_default();
    let subscription = protocol::subscription(&metadata).map_err(malformed)?;
    let assignment = protocol::assignment(&old.assignment).map_err(malformed)?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        return Err(Refused::CustomAssignor(context.group_id.to_owned()));
    }
    let topics = assignment.assigned_partitions.iter().map(|of| (of.topic.as_str(), of.partitions.as_slice()));
    let assigned = protocol::held_since(&protocol::by_id(topics, context.image), classic.generation);
    let supported_protocols = old
        .protocols
        .iter()
        .map(|protocol| ClassicProtocol { name: protocol.name.clone(), metadata: protocol.metadata.clone() });
    let session_timeout_ms = old.session_timeout_ms;
    let classic_metadata =
        ClassicMemberMetadata { session_timeout_ms, supported_protocols: supported_protocols.collect() };
    Ok(Member {
        epoch: classic.generation,
        previous_epoch: classic.generation,
        instance_id: old.instance_id.clone(),
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
        rebalance_timeout_ms: old.rebalance_timeout_ms,
        client_id: old.client_id.clone(),
        client_host: old.client_host.clone(),
        topics: Arc::new(subscription.topics.into_iter().collect()),
        assigned: Arc::new(assigned),
        classic: Some(Arc::new(classic_metadata)),
        ..Member::new(id)
    })
}

/// After [`upgrade`] was decided: whoever waits in the classic group is to join again, and the sessions begin.
pub(super) fn finish_upgrade(
    shard: &mut GroupShard,
    context: Context<'_>,
    sessions: &[(String, i64)],
) -> Vec<(Ticket, GroupReply)> {
    if sessions.is_empty() {
        return Vec::new();
    }
    for (id, timeout_ms) in sessions {
        set(shard, context.group_id, Timer::Session(id.clone()), context.now.plus(*timeout_ms));
    }
    let Some(classic) = shard.classic_mut(context.group_id) else { return Vec::new() };
    classic.refuse_parked(ErrorCode::RebalanceInProgress).replies
}

/// The classic group of those who stay, if all of them speak the classic protocol and it may be.
pub(super) fn downgrade(context: Context<'_>, after: &After<'_>) -> Option<ClassicGroup> {
    let settings = &context.settings.groups;
    let allowed =
        matches!(settings.consumer_migration_policy, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional);
    // Cheap first: most groups have no classic member at all.
    if !allowed || after.members_unordered().any(|member| !member.is_classic()) {
        return None;
    }
    let count = after.members_unordered().count();
    if count == 0 || i64::try_from(count).unwrap_or(i64::MAX) > i64::from(settings.max_size) {
        return None;
    }
    let mut classic = ClassicGroup { generation: after.group.epoch, ..ClassicGroup::new(context.now) };
    for member in after.members() {
        classic.add(member.id.clone(), protocol::CONSUMER.to_owned(), old_member(member)?);
    }
    classic.protocol = classic.members.select_protocol();
    let protocol = classic.protocol.clone()?;
    for member in after.members() {
        // What it has, not what it was to get: that, another member may still have.
        let has = protocol::without_epochs(&member.assigned);
        let edit = |old: &mut classic::Member| {
            let assignment = protocol::assignment_bytes(&has, context.image, &old.metadata(&protocol));
            assignment.map(|assignment| old.assignment = assignment)
        };
        classic.members.edit(&member.id, edit)?.ok()?;
    }
    classic.state = classic::State::Stable;
    Some(classic)
}

fn old_member(member: &Member) -> Option<classic::Member> {
    let classic = member.classic.as_ref()?;
    let protocols = classic
        .supported_protocols
        .iter()
        .map(|protocol| JoinGroupRequestProtocol { name: protocol.name.clone(), metadata: protocol.metadata.clone() });
    Some(classic::Member {
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: protocols.collect(),
        ..classic::Member::default()
    })
}

/// After [`downgrade`] was decided: the record of the classic group, which belongs behind the tombstones of the other.
pub(super) fn finish_downgrade(
    shard: &mut GroupShard,
    context: Context<'_>,
    classic: &ClassicGroup,
    rebalance: bool,
) -> GroupRecord {
    classic::adopt(shard, context.now, context.group_id, classic, rebalance)
}
