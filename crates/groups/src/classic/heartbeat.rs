//! Heartbeats, and commits, which count as such.

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{heartbeat_request::HeartbeatRequest, heartbeat_response::HeartbeatResponse};

use super::{ClassicGroup, State, Turn};
use crate::{
    request::GroupReply,
    shard::{Decided, GroupShard},
};

/// A member says that it is alive, and hears whether it is to join again.
pub(crate) fn heartbeat(shard: &mut GroupShard, now: Millis, from: Ticket, request: HeartbeatRequest) -> Decided {
    let code = heard(shard, now, &request).err().unwrap_or(ErrorCode::None);
    let reply = HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() };
    Decision::reply(from, GroupReply::Heartbeat(reply))
}

/// A member's commit went through.
pub(crate) fn committed(shard: &mut GroupShard, now: Millis, group_id: &str, member_id: &str) {
    if let Some(mut turn) = Turn::of(shard, now, group_id)
        && matches!(turn.group.state, State::Stable | State::PreparingRebalance { .. })
    {
        turn.keep_alive(member_id);
    }
}

fn heard(shard: &mut GroupShard, now: Millis, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let mut turn = Turn::of(shard, now, &request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
    turn.group.check_heartbeat(request)?;
    turn.keep_alive(&request.member_id);
    match turn.group.state {
        State::PreparingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
        State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
    }
}

impl ClassicGroup {
    fn check_heartbeat(&self, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }
}
