//! Members of the classic protocol in a consumer group: they sync, heartbeat and leave as ever, and the broker does what
//! their leader would. How they join is told in [`super::classic_join`].
//!
//! When there is something to give up or to receive, a heartbeat tells the member to join again.

use std::sync::Arc;

use bytes::Bytes;
use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{
    consumer_group_member_metadata_value::ClassicMemberMetadata,
    heartbeat_request::HeartbeatRequest,
    heartbeat_response::HeartbeatResponse,
    leave_group_request::{LeaveGroupRequest, MemberIdentity},
    leave_group_response::{LeaveGroupResponse, MemberResponse},
    sync_group_request::SyncGroupRequest,
    sync_group_response::SyncGroupResponse,
};

use super::{
    ConsumerGroup, Context, Refused, Timer,
    expire::{cancel, set, set_if_absent},
    fence,
    member::{Member, MemberState},
    protocol,
    seat::check_owner,
    subscribe,
    target::may_assign,
};
use crate::{
    request::GroupReply,
    shard::{Decided, GroupShard},
};

/// From this version on a request to leave names many members, and each has its own error.
const BATCHED_LEAVE_SINCE: i16 = 3;

/// `SyncGroup`: the assignment that the join led to.
pub(crate) fn classic_sync(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    request: SyncGroupRequest,
) -> Decided {
    let response = match synced(shard, now, image, &request) {
        Ok(assignment) => SyncGroupResponse {
            protocol_type: request.protocol_type,
            protocol_name: request.protocol_name,
            assignment,
            ..SyncGroupResponse::default()
        },
        Err(refused) => SyncGroupResponse { error_code: refused.code().code(), ..SyncGroupResponse::default() },
    };
    Decision::reply(from, GroupReply::Sync(response))
}

fn synced(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    request: &SyncGroupRequest,
) -> Result<Bytes, Refused> {
    let group_id = &request.group_id;
    let group = shard.consumer(group_id).ok_or_else(|| Refused::GroupNotFound(group_id.clone()))?;
    let instance_id = request.group_instance_id.as_deref();
    let (member, metadata) = find(group, group_id, &request.member_id, instance_id, request.generation_id)?;
    let protocol = metadata.supported_protocols.first();
    let differs = |asked: &Option<String>, ours: Option<&str>| asked.is_some() && asked.as_deref() != ours;
    if differs(&request.protocol_type, Some(protocol::CONSUMER))
        || differs(&request.protocol_name, protocol.map(|protocol| protocol.name.as_str()))
    {
        return Err(Refused::ProtocolMismatch(member.id.clone()));
    }
    let (id, rebalance_ms) = (member.id.clone(), i64::from(member.rebalance_timeout_ms.max(0)));
    if group.target_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
        set_if_absent(shard, group_id, Timer::Join(id.clone()), now.plus(rebalance_ms));
        return Err(Refused::RebalanceInProgress { group: group_id.clone(), member: id });
    }
    let subscription = protocol.map(|protocol| protocol.metadata.clone()).unwrap_or_default();
    let partitions = protocol::without_epochs(&member.assigned);
    let session_ms = i64::from(metadata.session_timeout_ms);
    let assignment = protocol::assignment_bytes(&partitions, image, &subscription)
        .map_err(|_| Refused::MalformedSubscription(id.clone()))?;
    cancel(shard, group_id, Timer::Sync(id.clone()));
    set(shard, group_id, Timer::Session(id), now.plus(session_ms));
    Ok(assignment)
}

/// The classic member that a request comes from.
fn find<'a>(
    group: &'a ConsumerGroup,
    group_id: &str,
    member_id: &str,
    instance_id: Option<&str>,
    generation: i32,
) -> Result<(&'a Member, &'a ClassicMemberMetadata), Refused> {
    let member = match instance_id {
        None => group
            .members
            .get(member_id)
            .ok_or_else(|| Refused::UnknownMember { member: member_id.to_owned(), group: group_id.to_owned() })?,
        Some(instance) => {
            let owner = group.instance(instance).ok_or_else(|| Refused::InstanceNotInGroup {
                instance: instance.to_owned(),
                group: group_id.to_owned(),
            })?;
            check_owner(owner, member_id, instance)?;
            owner
        }
    };
    let metadata = member.classic.as_deref().ok_or_else(|| Refused::NotClassicMember(member.id.clone()))?;
    if generation != member.epoch {
        return Err(Refused::IllegalGeneration {
            member: member.id.clone(),
            received: generation,
            known: member.epoch,
        });
    }
    Ok((member, metadata))
}

/// `Heartbeat`: the member is there, and hears whether it should join again.
pub(crate) fn classic_heartbeat(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    request: HeartbeatRequest,
) -> Decided {
    let error_code = beat(shard, now, image, &request).map_or_else(|refused| refused.code(), |()| ErrorCode::None);
    let response = HeartbeatResponse { error_code: error_code.code(), ..HeartbeatResponse::default() };
    Decision::reply(from, GroupReply::Heartbeat(response))
}

fn beat(shard: &mut GroupShard, now: Millis, image: &MetadataImage, request: &HeartbeatRequest) -> Result<(), Refused> {
    let group_id = &request.group_id;
    let group = shard.consumer(group_id).ok_or_else(|| Refused::GroupNotFound(group_id.clone()))?;
    let instance_id = request.group_instance_id.as_deref();
    let (member, metadata) = find(group, group_id, &request.member_id, instance_id, request.generation_id)?;
    let context = Context { now, image, settings: &shard.settings, group_id };
    let must_join = match member.state {
        MemberState::UnrevokedPartitions => true,
        MemberState::UnreleasedPartitions if !group.waits_for_others(member) => true,
        _ if member.epoch < group.target_epoch => true,
        // Kafka leaves the rest to members of the consumer protocol, and where there are none, undone.
        _ => may_assign(context, group, group.epoch) || subscribe::topics_changed(context, group),
    };
    let (id, session_ms) = (member.id.clone(), i64::from(metadata.session_timeout_ms));
    let rebalance_ms = i64::from(member.rebalance_timeout_ms.max(0));
    set(shard, group_id, Timer::Session(id.clone()), now.plus(session_ms));
    if !must_join {
        return Ok(());
    }
    set_if_absent(shard, group_id, Timer::Join(id.clone()), now.plus(rebalance_ms));
    Err(Refused::RebalanceInProgress { group: group_id.clone(), member: id })
}

impl ConsumerGroup {
    /// Whether others still hold something of the member's target.
    fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.target_of(&member.id, member.instance_id.as_deref());
        target.iter().any(|(topic, partitions)| {
            let has = |partition: &i32| member.assigned.get(topic).is_some_and(|has| has.contains_key(partition));
            partitions.iter().any(|partition| !has(partition) && self.index.holder(*topic, *partition).is_some())
        })
    }
}

/// `LeaveGroup`: members leave, or are put out by an administrator who knows their instance ids.
pub(crate) fn classic_leave(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    request: LeaveGroupRequest,
) -> Decided {
    let LeaveGroupRequest { group_id, member_id, mut members, .. } = request;
    if version < BATCHED_LEAVE_SINCE {
        members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
    }
    let settings = Arc::clone(&shard.settings);
    let context = Context { now, image, settings: &settings, group_id: &group_id };
    let mut leaving = Vec::new();
    let answers = members.into_iter().map(|member| {
        let error_code = match shard.consumer(&group_id).map(|group| leaver(group, &group_id, &member)) {
            Some(Ok(id)) => {
                leaving.push(id);
                ErrorCode::None
            }
            Some(Err(refused)) => refused.code(),
            None => ErrorCode::UnknownMemberId,
        };
        MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: error_code.code(),
        }
    });
    let members: Vec<_> = answers.collect();
    let mut decided = fence::fence(shard, context, &leaving);
    let response = if version < BATCHED_LEAVE_SINCE {
        let error_code = members.first().map_or(0, |only| only.error_code);
        LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
    } else {
        LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
    };
    decided.extend(Decision::reply(from, GroupReply::Leave(response)));
    decided
}

/// Who it is that leaves: an instance without a member id is any member of that name.
fn leaver(group: &ConsumerGroup, group_id: &str, member: &MemberIdentity) -> Result<String, Refused> {
    let Some(instance) = member.group_instance_id.as_deref() else {
        let (member, group_id) = (&member.member_id, group_id.to_owned());
        let known = group.members.get(member).map(|member| member.id.clone());
        return known.ok_or_else(|| Refused::UnknownMember { member: member.clone(), group: group_id });
    };
    let owner = group.instance(instance).ok_or_else(|| Refused::UnknownInstance(instance.to_owned()))?;
    if !member.member_id.is_empty() {
        check_owner(owner, &member.member_id, instance)?;
    }
    Ok(owner.id.clone())
}

/// A classic member's commit keeps its session as a heartbeat does.
pub(crate) fn committed(shard: &mut GroupShard, now: Millis, group_id: &str, member_id: &str) {
    let classic = shard.consumer(group_id).and_then(|group| group.members.get(member_id)?.classic.clone());
    if let Some(classic) = classic {
        set(shard, group_id, Timer::Session(member_id.to_owned()), now.plus(classic.session_timeout_ms.into()));
    }
}
