//! `JoinGroup`: enter a classic group and wait for its next generation.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{join_group_request::JoinGroupRequest, join_group_response::JoinGroupResponse};

use super::groups::{client, reply_of};
use crate::{
    net::{Answer, Peer},
    node::Node,
    random,
    service::ReplyTo,
};

pub(crate) fn handle(node: &Node, peer: &Peer, reply: ReplyTo, request: JoinGroupRequest) -> Answer {
    let (group, member_id) = (request.group_id.clone(), request.member_id.clone());
    let client = client(peer, &reply);
    let asked = GroupRequest::Join { version: reply.version, client, fresh: random::uuid(), request };
    let joined = node.groups.ask(&group, asked);
    reply.later(async move {
        reply_of!(Join, joined.await).unwrap_or_else(|error| JoinGroupResponse {
            error_code: error.code(),
            generation_id: -1,
            member_id,
            ..JoinGroupResponse::default()
        })
    })
}
