//! `SyncGroup`: hand out the assignment, or fetch one's own.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{sync_group_request::SyncGroupRequest, sync_group_response::SyncGroupResponse};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: SyncGroupRequest) -> Answer {
    let group = request.group_id.clone();
    let synced = node.groups.ask(&group, GroupRequest::Sync { version: reply.version, request });
    reply.later(async move {
        reply_of!(Sync, synced.await)
            .unwrap_or_else(|error| SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() })
    })
}
