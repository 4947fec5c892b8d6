//! `ConsumerGroupHeartbeat`: with one request a member enters, stays, says what it owns, hears what it gets, and leaves.
//!
//! A decision is planned against the group as it stands; only then timers and other soft state follow. Nothing of the group
//! itself changes before the records are replayed.

use std::{borrow::Cow, sync::Arc};

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::{
    consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions},
    consumer_group_heartbeat_response::{self, Assignment, ConsumerGroupHeartbeatResponse},
};

use super::{
    ConsumerGroup, Context, Refused, Timer,
    advance::{advance, settle},
    expire::{cancel, set},
    fence, matching,
    member::{Held, JOIN_EPOCH, LEAVE_EPOCH, Member, NOT_SAID, Partitions, STATIC_LEAVE_EPOCH},
    migration,
    seat::{Newcomer, check_owner, check_size, is_late, take_seat, unknown},
};
use crate::{
    record::GroupRecord,
    request::{Client, GroupReply},
    settings::Settings,
    shard::{Decided, Group, GroupShard},
};

/// From this version on a client makes its member id itself.
const CLIENT_MADE_ID: i16 = 1;

#[allow(clippy::too_many_arguments)] // what a request is and where it comes from
pub(crate) fn heartbeat(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    request: ConsumerGroupHeartbeatRequest,
) -> Decided {
    if let Err(refused) = check(&shard.settings, version, &request) {
        return reply(from, refusal(&refused));
    }
    let mut decided = matching::unpark(shard, &request.group_id, &request.member_id);
    let is_leaving = matches!(request.member_epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH);
    if !is_leaving && matching::is_unknown(shard, &request) {
        let (settings, group_id) = (Arc::clone(&shard.settings), request.group_id.clone());
        let context = Context { now, image, settings: &settings, group_id: &group_id };
        matching::park(shard, context, from, version, client, fresh, request);
        return decided;
    }
    let own = match is_leaving {
        true => leave(shard, now, image, from, &request),
        false => stay(shard, now, image, from, client, fresh, request),
    };
    decided.extend(own.unwrap_or_else(|refused| reply(from, refusal(&refused))));
    decided
}

/// A heartbeat that is not decided at all.
pub(super) fn turned_away(to: Ticket, code: ErrorCode) -> Decided {
    reply(to, ConsumerGroupHeartbeatResponse { error_code: code.code(), ..ConsumerGroupHeartbeatResponse::default() })
}

fn reply(to: Ticket, response: ConsumerGroupHeartbeatResponse) -> Decided {
    Decision::reply(to, GroupReply::ConsumerHeartbeat(response))
}

fn refusal(refused: &Refused) -> ConsumerGroupHeartbeatResponse {
    let code = refused.code();
    ConsumerGroupHeartbeatResponse {
        error_code: code.code(),
        // What went wrong inside is nobody's business outside.
        error_message: (code != ErrorCode::UnknownServerError).then(|| refused.message()),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// Whether the request can be meant by anybody; in Kafka's order.
fn check(settings: &Settings, version: i16, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    let has_id = version >= CLIENT_MADE_ID || request.member_epoch > 0 || request.member_epoch == LEAVE_EPOCH;
    if has_id && is_blank(&request.member_id) {
        return Err(Refused::NoMemberId);
    }
    if is_blank(&request.group_id) {
        return Err(Refused::NoGroupId);
    }
    if request.instance_id.as_deref().is_some_and(is_blank) {
        return Err(Refused::EmptyInstanceId);
    }
    if request.rack_id.as_deref().is_some_and(is_blank) {
        return Err(Refused::EmptyRackId);
    }
    match request.member_epoch {
        JOIN_EPOCH => check_join(request)?,
        STATIC_LEAVE_EPOCH if request.instance_id.is_none() => return Err(Refused::NoInstanceId),
        epoch if epoch < STATIC_LEAVE_EPOCH => return Err(Refused::InvalidEpoch),
        _ => {}
    }
    let offered = &settings.groups.consumer_assignors;
    match &request.server_assignor {
        Some(name) if !offered.iter().any(|offered| **offered == *name.as_str()) => {
            Err(Refused::UnsupportedAssignor { name: name.clone(), supported: offered.join(", ") })
        }
        _ => Ok(()),
    }
}

fn check_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    if request.rebalance_timeout_ms == NOT_SAID {
        Err(Refused::NoRebalanceTimeout)
    } else if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        Err(Refused::JoinsWithPartitions)
    } else if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        Err(Refused::NoSubscription)
    } else {
        Ok(())
    }
}

/// Java's idea of an empty string.
fn is_blank(text: &str) -> bool {
    text.trim_matches(|c| c <= ' ').is_empty()
}

/// A member joins or goes on.
fn stay(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    client: Client,
    fresh: Uuid,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<Decided, Refused> {
    let settings = Arc::clone(&shard.settings);
    let context = Context { now, image, settings: &settings, group_id: &request.group_id };
    let mut home = find(shard, context, request.member_epoch == JOIN_EPOCH)?;
    check_size(context, &home.group, &request.member_id)?;
    let member_id = if request.member_id.is_empty() { fresh.to_string() } else { request.member_id.clone() };
    let owned = request.topic_partitions.as_deref().map(partitions_of);
    let newcomer = Newcomer {
        member_id: &member_id,
        instance_id: request.instance_id.as_deref(),
        epoch: Some(request.member_epoch),
        may_join: request.member_epoch == JOIN_EPOCH,
        owned: owned.as_ref(),
    };
    let seat = take_seat(context, &home.group, &newcomer, &mut home.records)?;
    if is_late(&home.group, &seat.member, request.member_epoch) {
        return Ok(reply(from, answer(context, &seat.member)));
    }
    let come = updated(&seat.member, client, &request);
    let found = come.pattern().and_then(|pattern| shard.matcher.found(context.group_id, pattern));
    let advanced = advance(context, &home.group, &seat, &come, owned.as_ref(), found, &mut home.records)?;

    let mut response = answer(context, &advanced.member);
    if advanced.assigned_changed || says_all(&request) {
        response.assignment = Some(assignment_of(&advanced.member.assigned));
    }
    let mut decided = Decision::new(home.records, from, GroupReply::ConsumerHeartbeat(response));
    decided.replies.extend(migration::finish_upgrade(shard, context, &home.upgraded));
    settle(shard, context, &seat, &advanced, Some(request.member_epoch));
    let session_ms = i64::from(settings.session_timeout_ms(image, context.group_id));
    set(shard, context.group_id, Timer::Session(advanced.member.id), now.plus(session_ms));
    matching::look_again(shard, context);
    Ok(decided)
}

/// Who says all there is to say has lost sight of things and hears all.
fn says_all(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let subscribes = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let full = request.rebalance_timeout_ms != NOT_SAID && subscribes && request.topic_partitions.is_some();
    full || request.member_epoch == JOIN_EPOCH
}

fn answer(context: Context<'_>, member: &Member) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        member_id: Some(member.id.clone()),
        member_epoch: member.epoch,
        heartbeat_interval_ms: context.settings.heartbeat_interval_ms(context.image, context.group_id),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// The group that a member comes to, and what must be written to make it one.
struct Home<'a> {
    group: Cow<'a, ConsumerGroup>,
    records: Vec<GroupRecord>,
    /// Members of the classic group that it was, with their session timeouts.
    upgraded: Vec<(String, i64)>,
}

/// Finds the group. Who joins may make one, be it of a classic group.
fn find<'a>(shard: &'a GroupShard, context: Context<'_>, joins: bool) -> Result<Home<'a>, Refused> {
    let made = |records| Home { group: Cow::Owned(ConsumerGroup::default()), records, upgraded: Vec::new() };
    let group_id = context.group_id;
    match shard.groups.get(group_id) {
        Some(Group::Consumer(group)) => {
            Ok(Home { group: Cow::Borrowed(group), records: Vec::new(), upgraded: Vec::new() })
        }
        Some(Group::Classic(_)) if !joins => Err(Refused::NotConsumerGroup(group_id.to_owned())),
        Some(Group::Classic(classic)) if classic.is_empty() => Ok(made(classic.tombstones(group_id))),
        Some(Group::Classic(classic)) => {
            let upgrade = migration::upgrade(context, classic)?;
            Ok(Home { group: Cow::Owned(upgrade.group), records: upgrade.records, upgraded: upgrade.sessions })
        }
        None if joins => Ok(made(Vec::new())),
        None => Err(Refused::ConsumerGroupNotFound(group_id.to_owned())),
    }
}

fn updated(member: &Member, client: Client, request: &ConsumerGroupHeartbeatRequest) -> Member {
    let mut updated = Member { client_id: client.id, client_host: client.host, classic: None, ..member.clone() };
    if let Some(instance_id) = &request.instance_id {
        updated.instance_id = Some(instance_id.clone());
    }
    if let Some(rack_id) = &request.rack_id {
        updated.rack_id = Some(rack_id.clone());
    }
    if request.rebalance_timeout_ms != NOT_SAID {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(assignor) = &request.server_assignor {
        updated.assignor = Some(assignor.clone());
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.topics = Arc::new(names.iter().cloned().collect());
    }
    if let Some(regex) = &request.subscribed_topic_regex {
        updated.regex = Some(regex.clone());
    }
    updated
}

fn partitions_of(owned: &[TopicPartitions]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in owned {
        partitions.entry(topic.topic_id).or_default().extend(topic.partitions.iter().copied());
    }
    partitions
}

fn assignment_of(held: &Held) -> Assignment {
    let topic_partitions =
        held.iter().map(|(topic_id, partitions)| consumer_group_heartbeat_response::TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
        });
    Assignment { topic_partitions: topic_partitions.collect() }
}

/// A member leaves, a static one perhaps for a while only.
fn leave(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<Decided, Refused> {
    let group_id = &request.group_id;
    let group = match shard.groups.get(group_id) {
        Some(Group::Consumer(group)) => group,
        Some(Group::Classic(_)) => return Err(Refused::NotConsumerGroup(group_id.clone())),
        None => return Err(Refused::GroupNotFound(group_id.clone())),
    };
    let settings = Arc::clone(&shard.settings);
    let context = Context { now, image, settings: &settings, group_id };
    let member = match &request.instance_id {
        None => group.members.get(&request.member_id).ok_or_else(|| unknown(context, &request.member_id))?,
        Some(instance) => {
            let owner = group.instance(instance).ok_or_else(|| Refused::UnknownInstance(instance.clone()))?;
            check_owner(owner, &request.member_id, instance)?;
            owner
        }
    };
    let response = ConsumerGroupHeartbeatResponse {
        member_id: Some(member.id.clone()),
        member_epoch: request.member_epoch,
        ..ConsumerGroupHeartbeatResponse::default()
    };
    if request.member_epoch == STATIC_LEAVE_EPOCH {
        let (record, id) = (away(member).current_record(group_id), member.id.clone());
        cancel(shard, group_id, Timer::Revocation(id));
        return Ok(Decision::new(vec![record], from, GroupReply::ConsumerHeartbeat(response)));
    }
    let ids = vec![member.id.clone()];
    let mut decided = fence::fence(shard, context, &ids);
    decided.extend(reply(from, response));
    Ok(decided)
}

/// A static member that will be back: it works on nothing, and its place is kept until its session ends.
fn away(member: &Member) -> Member {
    let mut assigned = (*member.assigned).clone();
    assigned.values_mut().flat_map(|partitions| partitions.values_mut()).for_each(|since| *since = 0);
    Member { epoch: STATIC_LEAVE_EPOCH, assigned: Arc::new(assigned), revoking: Arc::default(), ..member.clone() }
}
