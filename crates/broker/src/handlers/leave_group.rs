//! `LeaveGroup`: members go.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{leave_group_request::LeaveGroupRequest, leave_group_response::LeaveGroupResponse};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: LeaveGroupRequest) -> Answer {
    let group = request.group_id.clone();
    let left = node.groups.ask(&group, GroupRequest::Leave { version: reply.version, request });
    reply.later(async move {
        reply_of!(Leave, left.await)
            .unwrap_or_else(|error| LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() })
    })
}
