//! Joins: a member enters, comes back, or says something new of itself. Most of them wait for the rebalance.

use std::mem;

use bytes::Bytes;
use ottla_config::GroupSettings;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::{
    join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol},
    join_group_response::JoinGroupResponse,
};

use super::{ClassicGroup, Member, Parked, State, Timer, Turn};
use crate::{
    request::{Client, GroupReply},
    shard::{Decided, Group, GroupShard},
};

/// From this version on a new member joins twice: the first time it gets its id. A client that never hears the answer
/// leaves a promise behind then, not a member that everybody waits for.
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// From this version on the protocol of a refused join is null, not empty.
const NULLABLE_PROTOCOL_SINCE: i16 = 7;
/// From this version on a leader can be told that it need not assign.
const SKIP_ASSIGNMENT_SINCE: i16 = 9;
/// How long a new member may be parked. It has no id to send heartbeats with, so it is asked to try again from time to
/// time, lest those whose clients are gone pile up.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

pub(crate) fn join(
    shard: &mut GroupShard,
    now: Millis,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    mut request: JoinGroupRequest,
) -> Decided {
    if let Err(code) = check(&shard.settings.groups, &request) {
        return Decision::reply(from, refused(version, request.member_id, code));
    }
    if version == 0 {
        request.rebalance_timeout_ms = request.session_timeout_ms; // which had only one of them
    }
    let group_id = mem::take(&mut request.group_id);
    let is_first = shard.classic(&group_id).is_none();
    if is_first {
        if !request.member_id.is_empty() {
            return Decision::reply(from, refused(version, request.member_id, ErrorCode::UnknownMemberId));
        }
        shard.groups.insert(group_id.clone(), Group::Classic(ClassicGroup::new(now)));
    }
    let Some(mut turn) = Turn::of(shard, now, &group_id) else { unreachable!("the group is there") };
    turn.join(Parked { ticket: from, version }, client, fresh, request);
    if is_first && turn.group.decided.is_none() {
        // The log knows of every group, even before its first generation.
        let value = turn.group.to_first_value();
        turn.write(value);
    }
    turn.decided
}

/// An answer that sends somebody away.
pub(super) fn refused(version: i16, member_id: String, code: ErrorCode) -> GroupReply {
    replied(version, JoinGroupResponse { member_id, error_code: code.code(), ..JoinGroupResponse::default() })
}

/// A response as its version wants it.
pub(super) fn replied(version: i16, mut response: JoinGroupResponse) -> GroupReply {
    let name = response.protocol_name.take().filter(|name| !name.is_empty());
    response.protocol_name = if version < NULLABLE_PROTOCOL_SINCE { Some(name.unwrap_or_default()) } else { name };
    GroupReply::Join(response)
}

fn check(settings: &GroupSettings, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    let sessions = settings.min_session_timeout_ms..=settings.max_session_timeout_ms;
    if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if !sessions.contains(&request.session_timeout_ms) {
        Err(ErrorCode::InvalidSessionTimeout)
    } else {
        Ok(())
    }
}

/// The id of a new member: its instance's or its client's, and a random UUID in its usual form.
fn member_id(owner: &str, fresh: Uuid) -> String {
    let mut random = fresh.0;
    random[6] = (random[6] & 0x0f) | 0x40; // version 4: random
    random[8] = (random[8] & 0x3f) | 0x80; // variant: RFC 9562
    let id = u128::from_be_bytes(random);
    let part = |from: u32, bits: u32| (id >> from) & ((1 << bits) - 1);
    let [a, b, c, d, e] = [part(96, 32), part(80, 16), part(64, 16), part(48, 16), part(0, 48)];
    format!("{owner}-{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// Protocols without the frame they came in.
fn owned(protocols: Vec<JoinGroupRequestProtocol>) -> Vec<JoinGroupRequestProtocol> {
    let copied = |protocol: JoinGroupRequestProtocol| JoinGroupRequestProtocol {
        metadata: Bytes::copy_from_slice(&protocol.metadata),
        ..protocol
    };
    protocols.into_iter().map(copied).collect()
}

impl Turn<'_> {
    fn join(&mut self, parked: Parked, client: Client, fresh: Uuid, request: JoinGroupRequest) {
        if !self.has_room_for(&request.member_id) {
            self.remove(&request.member_id);
            self.refuse(parked, String::new(), ErrorCode::GroupMaxSizeReached);
            self.maybe_complete_join();
        } else if !self.group.supports(&request.protocol_type, &request.protocols) {
            self.refuse(parked, request.member_id, ErrorCode::InconsistentGroupProtocol);
        } else if request.member_id.is_empty() {
            self.join_new(parked, client, fresh, request);
        } else {
            self.join_known(parked, client, request);
        }
    }

    fn refuse(&mut self, parked: Parked, member_id: String, code: ErrorCode) {
        self.reply(parked.ticket, refused(parked.version, member_id, code));
    }

    /// Whether the group's size allows for a member. While joins are gathered, those who came first are the group: the
    /// limit may have been lowered below the number of members.
    fn has_room_for(&self, member_id: &str) -> bool {
        let max = usize::try_from(self.settings.max_size).unwrap_or(0);
        let members = &self.group.members;
        match self.group.state {
            State::Empty => true,
            State::PreparingRebalance { .. } => {
                members.get(member_id).is_some_and(|member| member.joining.is_some()) || members.joining() < max
            }
            State::CompletingRebalance | State::Stable => members.contains(member_id) || members.len() < max,
        }
    }

    fn join_new(&mut self, parked: Parked, client: Client, fresh: Uuid, request: JoinGroupRequest) {
        let Some(instance_id) = &request.group_instance_id else {
            let id = member_id(&client.id, fresh);
            return if parked.version < MEMBER_ID_REQUIRED_SINCE {
                self.admit(parked, id, client, request)
            } else {
                self.promise(parked, id, request.session_timeout_ms)
            };
        };
        let id = member_id(instance_id, fresh);
        match self.group.hand_over(instance_id, &id) {
            Some((older_id, older)) => self.take_over(parked, id, request, older_id, older),
            None => self.admit(parked, id, client, request),
        }
    }

    /// Gives an id out; its owner is to come back with it.
    fn promise(&mut self, parked: Parked, id: String, session_timeout_ms: i32) {
        self.group.pending_join.insert(id.clone());
        self.set(Timer::Session(id.clone()), session_timeout_ms.into());
        self.refuse(parked, id, ErrorCode::MemberIdRequired);
    }

    fn admit(&mut self, parked: Parked, id: String, client: Client, request: JoinGroupRequest) {
        if let State::PreparingRebalance { initial: Some(initial) } = &mut self.group.state {
            initial.joined = true;
        }
        let member = Member {
            instance_id: request.group_instance_id,
            client_id: client.id,
            client_host: client.host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: owned(request.protocols),
            assignment: Bytes::new(),
            is_new: true,
            joining: Some(parked),
            syncing: None,
        };
        self.set(Timer::Session(id.clone()), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.group.add(id, request.protocol_type, member);
        self.rebalance();
    }

    fn join_known(&mut self, parked: Parked, client: Client, request: JoinGroupRequest) {
        let id = request.member_id.clone();
        if self.group.pending_join.contains(&id) {
            return match request.group_instance_id {
                None => self.admit(parked, id, client, request),
                // No promise is made to static members. Kafka has no word for this either.
                Some(_) => self.refuse(parked, String::new(), ErrorCode::UnknownServerError),
            };
        }
        if let Err(code) = self.group.check_member(&id, request.group_instance_id.as_deref()) {
            return self.refuse(parked, id, code);
        }
        if self.calls_for_rebalance(&request) {
            self.rejoin(parked, request);
        } else {
            // It may have missed the answer to its last join.
            let response = self.group.current(&id);
            self.reply(parked.ticket, replied(parked.version, response));
        }
    }

    /// What a member says anew changes things, and so does a leader that comes back: it has seen something of which its
    /// metadata does not tell, such as a topic that grew.
    fn calls_for_rebalance(&self, request: &JoinGroupRequest) -> bool {
        let group = &self.group;
        let changes = || group.members.get(&request.member_id).is_none_or(|m| m.protocols != request.protocols);
        match group.state {
            State::Empty | State::PreparingRebalance { .. } => true,
            State::CompletingRebalance => changes(),
            State::Stable => group.is_leader(&request.member_id) || changes(),
        }
    }

    fn rejoin(&mut self, parked: Parked, request: JoinGroupRequest) {
        let id = request.member_id.clone();
        let earlier = self.group.members.edit(&id, |member| {
            refresh(member, request);
            member.joining.replace(parked)
        });
        if let Some(earlier) = earlier.flatten() {
            // Its client has given up on it, but a ticket wants an answer.
            self.refuse(earlier, id, ErrorCode::RebalanceInProgress);
        }
        self.rebalance();
    }

    /// A new process speaks for an instance: the older one is fenced, and the new one is what it was, its work
    /// included.
    fn take_over(&mut self, parked: Parked, id: String, request: JoinGroupRequest, older_id: String, older: Member) {
        let mut member = Member { joining: None, syncing: None, is_new: false, ..older.clone() };
        refresh(&mut member, request);
        self.group.members.insert(id.clone(), member);
        self.cancel(Timer::Session(older_id.clone()));
        self.keep_alive(&id);
        self.dismiss(older, &older_id, ErrorCode::FencedInstanceId);
        if self.group.state == State::Stable && self.group.members.select_protocol() == self.group.protocol {
            let value = self.group.to_value();
            self.write(value);
            let response = self.group.taken_over(&id, &older_id, parked.version);
            return self.reply(parked.ticket, replied(parked.version, response));
        }
        self.group.members.edit(&id, |member| member.joining = Some(parked));
        // While the generation completes, its leader may already assign to the older id: begin again.
        self.rebalance();
    }
}

/// What a member says of itself when it joins again.
fn refresh(member: &mut Member, request: JoinGroupRequest) {
    member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    member.session_timeout_ms = request.session_timeout_ms;
    member.protocols = owned(request.protocols);
}

impl ClassicGroup {
    /// Takes out the member that speaks for an instance, where there is one; what it was in the group, `newer_id` is
    /// now.
    fn hand_over(&mut self, instance_id: &str, newer_id: &str) -> Option<(String, Member)> {
        let older_id = self.members.static_id(instance_id)?.to_owned();
        let older = self.members.remove(&older_id)?;
        if self.is_leader(&older_id) {
            self.leader = Some(newer_id.to_owned());
        }
        if self.pending_sync.remove(&older_id) {
            self.pending_sync.insert(newer_id.to_owned());
        }
        Some((older_id, older))
    }

    /// The generation as a member hears of it; its leader hears of everybody.
    pub(super) fn current(&self, member_id: &str) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let is_leader = self.is_leader(member_id);
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.known_protocol_type(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            members: if is_leader { self.members.for_leader(protocol) } else { Vec::new() },
            ..JoinGroupResponse::default()
        }
    }

    /// The same for a static member that took over in a stable group. There is nothing to assign: a leader is told so,
    /// or where it would not understand that, it is told that the one before it leads.
    fn taken_over(&self, member_id: &str, older_id: &str, version: i16) -> JoinGroupResponse {
        let current = self.current(member_id);
        if !self.is_leader(member_id) {
            current
        } else if version >= SKIP_ASSIGNMENT_SINCE {
            JoinGroupResponse { skip_assignment: true, ..current }
        } else {
            JoinGroupResponse { members: Vec::new(), leader: older_id.to_owned(), ..current }
        }
    }
}
