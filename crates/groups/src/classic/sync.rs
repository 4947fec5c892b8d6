//! Syncs: the leader hands out the assignment, everybody fetches it.
//!
//! The assignment is written before anybody hears it. Between the two nothing else is decided, so the group is stable
//! at once.

use std::collections::HashMap;

use bytes::Bytes;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{
    sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment},
    sync_group_response::SyncGroupResponse,
};

use super::{ClassicGroup, State, Timer, Turn};
use crate::{
    request::GroupReply,
    shard::{Decided, GroupShard},
};

pub(crate) fn sync(shard: &mut GroupShard, now: Millis, from: Ticket, request: SyncGroupRequest) -> Decided {
    if request.group_id.is_empty() {
        return Decision::reply(from, refused(ErrorCode::InvalidGroupId));
    }
    let Some(mut turn) = Turn::of(shard, now, &request.group_id) else {
        return Decision::reply(from, refused(ErrorCode::UnknownMemberId));
    };
    turn.sync(from, &request);
    turn.decided
}

/// An answer without an assignment.
pub(crate) fn refused(code: ErrorCode) -> GroupReply {
    GroupReply::Sync(SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() })
}

impl Turn<'_> {
    fn sync(&mut self, from: Ticket, request: &SyncGroupRequest) {
        if let Err(code) = self.group.check_sync(request) {
            return self.reply(from, refused(code));
        }
        self.synced(&request.member_id);
        if self.group.state == State::Stable {
            let reply = self.group.assigned(&request.member_id);
            return self.reply(from, reply);
        }
        if let Some(earlier) = self.group.members.park_sync(&request.member_id, from) {
            // Its client has given up on it, but a ticket wants an answer.
            self.reply(earlier, refused(ErrorCode::RebalanceInProgress));
        }
        if self.group.is_leader(&request.member_id) {
            self.assign(&request.assignments);
        }
    }

    /// One member fewer to wait for.
    fn synced(&mut self, member_id: &str) {
        self.group.pending_sync.remove(member_id);
        if self.group.pending_sync.is_empty() {
            self.cancel(Timer::Sync);
        }
    }

    /// The leader has spoken: write it, then tell everybody who waits. Who is not mentioned gets nothing to do.
    fn assign(&mut self, assignments: &[SyncGroupRequestAssignment]) {
        let by_member: HashMap<&str, &Bytes> =
            assignments.iter().map(|one| (one.member_id.as_str(), &one.assignment)).collect();
        let ids: Vec<_> = self.group.members.ids().cloned().collect();
        for id in &ids {
            let own = by_member.get(id.as_str()).map(|own| Bytes::copy_from_slice(own));
            self.group.members.assign(id, own.unwrap_or_default());
        }
        let value = self.group.to_value();
        self.write(value);
        self.become_state(State::Stable);
        for id in &ids {
            if let Some(ticket) = self.group.members.take_sync(id) {
                let reply = self.group.assigned(id);
                self.reply(ticket, reply);
                self.keep_alive(id);
            }
        }
    }
}

impl ClassicGroup {
    /// Whether there is, or will be, an assignment for who asks.
    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if differs(request.protocol_type.as_deref(), self.known_protocol_type().as_deref())
            || differs(request.protocol_name.as_deref(), self.protocol.as_deref())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn assigned(&self, member_id: &str) -> GroupReply {
        let assignment = self.members.get(member_id).map(|member| member.assignment.clone());
        GroupReply::Sync(SyncGroupResponse {
            protocol_type: self.known_protocol_type(),
            protocol_name: self.protocol.clone(),
            assignment: assignment.unwrap_or_default(),
            ..SyncGroupResponse::default()
        })
    }
}

/// Older versions do not say what they are about, which contradicts nothing.
fn differs(theirs: Option<&str>, ours: Option<&str>) -> bool {
    theirs.is_some() && ours.is_some() && theirs != ours
}
