//! A member of the classic protocol joins a consumer group: a heartbeat in other words, which says what the member owns.
//!
//! The generation is the member epoch. Nobody leads, so nobody is asked to assign.

use std::sync::Arc;

use bytes::Bytes;
use ottla_config::MigrationPolicy;
use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::{
    consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol},
    join_group_request::JoinGroupRequest,
    join_group_response::JoinGroupResponse,
};

use super::{
    ConsumerGroup, Context, Refused, Timer,
    advance::{advance, settle},
    after::After,
    expire::{cancel, cancel_all, set},
    member::{Member, NOT_SAID, Partitions},
    migration, protocol,
    seat::{Newcomer, Seat, check_size, take_seat},
};
use crate::{
    classic,
    record::GroupRecord,
    request::{Client, GroupReply},
    shard::{Decided, GroupShard},
};

/// From this version on a new dynamic member joins twice, the second time with the id it was given.
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// From this version on the protocol of a refused join is null, not empty.
const NULLABLE_PROTOCOL_SINCE: i16 = 7;

/// `JoinGroup`. Where nobody is in the group any more, it becomes a classic one.
#[allow(clippy::too_many_arguments)] // what a request is and where it comes from
pub(crate) fn classic_join(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    mut request: JoinGroupRequest,
) -> Decided {
    let Some(group) = shard.consumer(&request.group_id) else { return Decision::none() };
    if group.is_empty() {
        return join_empty(shard, now, from, version, client, fresh, request);
    }
    if version == 0 {
        request.rebalance_timeout_ms = request.session_timeout_ms; // which had only one of them
    }
    let bounds = &shard.settings.groups;
    if !(bounds.min_session_timeout_ms..=bounds.max_session_timeout_ms).contains(&request.session_timeout_ms) {
        return join_refused(from, version, &request.member_id, ErrorCode::InvalidSessionTimeout);
    }
    join(shard, now, image, from, version, client, fresh, request)
        .unwrap_or_else(|refused| join_refused(from, version, "", refused.code()))
}

/// The tombstones of what was a consumer group go before what the classic group writes.
fn join_empty(
    shard: &mut GroupShard,
    now: Millis,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    request: JoinGroupRequest,
) -> Decided {
    let group_id = request.group_id.clone();
    let mut records = shard.consumer(&group_id).map(|group| group.tombstones(&group_id)).unwrap_or_default();
    let mut decided = classic::join(shard, now, from, version, client, fresh, request);
    if shard.classic(&group_id).is_some() {
        records.append(&mut decided.records);
        decided.records = records;
    }
    decided
}

fn join_refused(from: Ticket, version: i16, member_id: &str, code: ErrorCode) -> Decided {
    let response = JoinGroupResponse {
        error_code: code.code(),
        member_id: member_id.to_owned(),
        protocol_name: (version < NULLABLE_PROTOCOL_SINCE).then(String::new),
        ..JoinGroupResponse::default()
    };
    Decision::reply(from, GroupReply::Join(response))
}

#[allow(clippy::too_many_arguments)] // what a request is and where it comes from
fn join(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    request: JoinGroupRequest,
) -> Result<Decided, Refused> {
    let settings = Arc::clone(&shard.settings);
    let context = Context { now, image, settings: &settings, group_id: &request.group_id };
    let not_found = || Refused::GroupNotFound(request.group_id.clone());
    let group = shard.consumer(context.group_id).ok_or_else(not_found)?;
    let member_id = if request.member_id.is_empty() { fresh.to_string() } else { request.member_id.clone() };
    check(context, group, &member_id, &request)?;
    let is_dynamic = request.group_instance_id.is_none();
    if request.member_id.is_empty() && is_dynamic && version >= MEMBER_ID_REQUIRED_SINCE {
        return Ok(join_refused(from, version, &member_id, ErrorCode::MemberIdRequired));
    }
    let Seated { seat, come, owned, mut records } = take_place(context, group, &member_id, client, &request)?;
    if let Some(decided) = join_downgraded(shard, context, from, &seat, &come) {
        return Ok(decided);
    }
    let group = shard.consumer(context.group_id).ok_or_else(not_found)?;
    let advanced = advance(context, group, &seat, &come, Some(&owned), None, &mut records)?;
    let reply = joined(&advanced.member, request.protocols.first().map(|protocol| protocol.name.clone()));
    settle(shard, context, &seat, &advanced, None);
    let id = advanced.member.id;
    cancel(shard, context.group_id, Timer::Join(id.clone()));
    set(shard, context.group_id, Timer::Session(id.clone()), now.plus(request.session_timeout_ms.into()));
    set(shard, context.group_id, Timer::Sync(id), now.plus(i64::from(request.rebalance_timeout_ms.max(0))));
    Ok(Decision::new(records, from, reply))
}

/// Whether a classic member may be in the group at all.
fn check(
    context: Context<'_>,
    group: &ConsumerGroup,
    member_id: &str,
    request: &JoinGroupRequest,
) -> Result<(), Refused> {
    if context.settings.groups.consumer_migration_policy == MigrationPolicy::Disabled {
        return Err(Refused::MigrationDisabled(context.group_id.to_owned()));
    }
    check_size(context, group, member_id)?;
    check_protocols(group, member_id, request)
}

/// A member that has its place, and what it said.
struct Seated {
    seat: Seat,
    come: Member,
    owned: Partitions,
    records: Vec<GroupRecord>,
}

fn take_place(
    context: Context<'_>,
    group: &ConsumerGroup,
    member_id: &str,
    client: Client,
    request: &JoinGroupRequest,
) -> Result<Seated, Refused> {
    let newcomer = Newcomer {
        member_id,
        instance_id: request.group_instance_id.as_deref(),
        epoch: None,
        may_join: request.member_id.is_empty() || request.group_instance_id.is_none(),
        owned: None,
    };
    let mut records = Vec::new();
    let seat = take_seat(context, group, &newcomer, &mut records)?;
    // All of its protocols say the same.
    let metadata = request.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default();
    let malformed = |_| Refused::MalformedSubscription(member_id.to_owned());
    let subscription = protocol::subscription(&metadata).map_err(malformed)?;
    let owned = subscription.owned_partitions.iter().map(|of| (of.topic.as_str(), of.partitions.as_slice()));
    let owned = protocol::by_id(owned, context.image);
    let come = Member {
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()).or_else(|| seat.member.rack_id.clone()),
        topics: Arc::new(subscription.topics.into_iter().collect()),
        ..updated(&seat.member, client, request)
    };
    Ok(Seated { seat, come, owned, records })
}

/// Whether the members of the classic protocol have one of the newcomer's protocols in common.
fn check_protocols(group: &ConsumerGroup, member_id: &str, request: &JoinGroupRequest) -> Result<(), Refused> {
    let supports = |name: &str| {
        let mut classic = group.members.values().filter_map(|member| member.classic.as_ref());
        classic.all(|classic| classic.supported_protocols.iter().any(|protocol| protocol.name == name))
    };
    let fits = request.protocol_type == protocol::CONSUMER
        && request.protocols.iter().any(|protocol| supports(&protocol.name));
    if fits { Ok(()) } else { Err(Refused::ProtocolsUnsupported(member_id.to_owned())) }
}

fn updated(member: &Member, client: Client, request: &JoinGroupRequest) -> Member {
    let supported_protocols = request.protocols.iter().map(|protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    let classic = ClassicMemberMetadata {
        session_timeout_ms: request.session_timeout_ms,
        supported_protocols: supported_protocols.collect(),
    };
    let said = request.rebalance_timeout_ms != NOT_SAID;
    Member {
        instance_id: request.group_instance_id.clone().or_else(|| member.instance_id.clone()),
        rebalance_timeout_ms: if said { request.rebalance_timeout_ms } else { member.rebalance_timeout_ms },
        client_id: client.id,
        client_host: client.host,
        regex: Some(String::new()),
        classic: Some(Arc::new(classic)),
        ..member.clone()
    }
}

fn joined(member: &Member, protocol_name: Option<String>) -> GroupReply {
    GroupReply::Join(JoinGroupResponse {
        generation_id: member.epoch,
        protocol_type: Some(protocol::CONSUMER.to_owned()),
        protocol_name,
        member_id: member.id.clone(),
        ..JoinGroupResponse::default()
    })
}

/// The newcomer replaced the last member of the consumer protocol: the group becomes a classic one. If nothing else changes
/// by that, everybody keeps what it has; else there is a rebalance.
fn join_downgraded(
    shard: &mut GroupShard,
    context: Context<'_>,
    from: Ticket,
    seat: &Seat,
    come: &Member,
) -> Option<Decided> {
    let group = shard.consumer(context.group_id)?;
    let replaced = group.members.get(seat.replaced.as_deref()?).filter(|replaced| !replaced.is_classic())?;
    let classic = migration::downgrade(context, &After::with(group, come, Some(&replaced.id)))?;
    let wants_other = come.topics != replaced.topics || replaced.pattern().is_some();
    let has_all = *group.target_of(&replaced.id, None) == protocol::without_epochs(&replaced.assigned);
    let others = group.members.values().filter(|member| member.id != replaced.id);
    let settled = group.target_epoch == group.epoch
        && has_all
        && replaced.revoking.is_empty()
        && others.into_iter().all(|member| member.is_reconciled_to(group.target_epoch));
    let rebalance = wants_other || !settled;
    let mut records = group.tombstones(context.group_id);
    let ids: Vec<String> = group.members.keys().cloned().collect();
    ids.iter().for_each(|id| cancel_all(shard, context.group_id, id));
    records.push(migration::finish_downgrade(shard, context, &classic, rebalance));
    let at_generation = Member { epoch: classic.generation, ..come.clone() };
    Some(Decision::new(records, from, joined(&at_generation, classic.protocol)))
}
