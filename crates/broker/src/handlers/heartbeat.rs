//! `Heartbeat`: a classic member is still there.

use ottla_groups::GroupRequest;
use ottla_types::ErrorCode;
use ottla_wire::messages::{heartbeat_request::HeartbeatRequest, heartbeat_response::HeartbeatResponse};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: HeartbeatRequest) -> Answer {
    let group = request.group_id.clone();
    let beaten = node.groups.ask(&group, GroupRequest::Heartbeat { version: reply.version, request });
    reply.later(async move {
        reply_of!(Heartbeat, beaten.await).unwrap_or_else(|error| HeartbeatResponse {
            // As in Kafka a member stays calm while its group is loaded.
            error_code: if error == ErrorCode::CoordinatorLoadInProgress { 0 } else { error.code() },
            ..HeartbeatResponse::default()
        })
    })
}
