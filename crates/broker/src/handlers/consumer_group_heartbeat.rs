//! `ConsumerGroupHeartbeat`: enter, stay in and leave a group whose assignment the broker works out.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{
    consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest,
    consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse,
};

use super::groups::{client, reply_of};
use crate::{
    net::{Answer, Peer},
    node::Node,
    random,
    service::ReplyTo,
};

pub(crate) fn handle(node: &Node, peer: &Peer, reply: ReplyTo, request: ConsumerGroupHeartbeatRequest) -> Answer {
    let group = request.group_id.clone();
    let client = client(peer, &reply);
    let asked = GroupRequest::ConsumerHeartbeat { version: reply.version, client, fresh: random::uuid(), request };
    let beaten = node.groups.ask(&group, asked);
    node.groups.work_out_patterns(&group, &node.pattern_turns);
    reply.later(async move {
        reply_of!(ConsumerHeartbeat, beaten.await).unwrap_or_else(|error| ConsumerGroupHeartbeatResponse {
            error_code: error.code(),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    })
}
