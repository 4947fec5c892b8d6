//! `OffsetDelete`: a group forgets offsets of topics that it does not read.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{offset_delete_request::OffsetDeleteRequest, offset_delete_response::OffsetDeleteResponse};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: OffsetDeleteRequest) -> Answer {
    let group = request.group_id.clone();
    let deleted = node.groups.ask(&group, GroupRequest::DeleteOffsets { request });
    reply.later(async move {
        reply_of!(DeleteOffsets, deleted.await).unwrap_or_else(|error| OffsetDeleteResponse {
            error_code: error.code(),
            ..OffsetDeleteResponse::default()
        })
    })
}
