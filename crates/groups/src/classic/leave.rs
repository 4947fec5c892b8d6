//! Members leave, or are put out by an administrator who knows their instance ids.

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{
    leave_group_request::{LeaveGroupRequest, MemberIdentity},
    leave_group_response::{LeaveGroupResponse, MemberResponse},
};

use super::Turn;
use crate::{
    request::GroupReply,
    shard::{Decided, GroupShard},
};

/// From this version on a request names many members, and each has its own error.
const BATCHED_SINCE: i16 = 3;

pub(crate) fn leave(
    shard: &mut GroupShard,
    now: Millis,
    from: Ticket,
    version: i16,
    request: LeaveGroupRequest,
) -> Decided {
    if request.group_id.is_empty() {
        let code = ErrorCode::InvalidGroupId.code();
        let reply = LeaveGroupResponse { error_code: code, ..LeaveGroupResponse::default() };
        return Decision::reply(from, GroupReply::Leave(reply));
    }
    let LeaveGroupRequest { group_id, member_id, mut members } = request;
    if version < BATCHED_SINCE {
        members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
    }
    let Some(mut turn) = Turn::of(shard, now, &group_id) else {
        let unknown = members.into_iter().map(|member| answered(member, ErrorCode::UnknownMemberId)).collect();
        return Decision::reply(from, replied(version, unknown));
    };
    let before = turn.group.members.len();
    let left = members.into_iter().map(|member| turn.leave(member)).collect();
    if turn.group.members.len() < before {
        turn.rebalance();
    } else {
        turn.maybe_complete_join(); // a promised id less to wait for
    }
    turn.reply(from, replied(version, left));
    turn.decided
}

fn replied(version: i16, members: Vec<MemberResponse>) -> GroupReply {
    GroupReply::Leave(if version < BATCHED_SINCE {
        let error_code = members.first().map_or(0, |only| only.error_code);
        LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
    } else {
        LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
    })
}

fn answered(member: MemberIdentity, code: ErrorCode) -> MemberResponse {
    MemberResponse { member_id: member.member_id, group_instance_id: member.group_instance_id, error_code: code.code() }
}

impl Turn<'_> {
    fn leave(&mut self, member: MemberIdentity) -> MemberResponse {
        let code = match self.leaving(&member) {
            Ok(id) => {
                self.remove(&id);
                ErrorCode::None
            }
            Err(code) => code,
        };
        answered(member, code)
    }

    /// Who it is that leaves: an instance without a member id is any member of that name.
    fn leaving(&self, member: &MemberIdentity) -> Result<String, ErrorCode> {
        let instance_id = member.group_instance_id.as_deref();
        if member.member_id.is_empty() {
            let id = instance_id.and_then(|instance_id| self.group.members.static_id(instance_id));
            return id.map(str::to_owned).ok_or(ErrorCode::UnknownMemberId);
        }
        if !self.group.pending_join.contains(&member.member_id) {
            self.group.check_member(&member.member_id, instance_id)?;
        }
        Ok(member.member_id.clone())
    }
}
