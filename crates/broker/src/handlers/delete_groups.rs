//! `DeleteGroups`: groups without members go, with their offsets. One that is named twice is deleted, and answered, once.

use std::collections::HashSet;

use ottla_groups::GroupRequest;
use ottla_wire::messages::{
    delete_groups_request::DeleteGroupsRequest,
    delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse},
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: DeleteGroupsRequest) -> Answer {
    let mut seen = HashSet::new();
    let asked: Vec<_> = request
        .groups_names
        .into_iter()
        .filter(|group_id| seen.insert(group_id.clone()))
        .map(|group_id| {
            let asked = node.groups.ask(&group_id, GroupRequest::Delete { group_id: group_id.clone() });
            (group_id, asked)
        })
        .collect();
    reply.later(async move {
        let mut results = Vec::new();
        for (group_id, asked) in asked {
            let code = reply_of!(Delete, asked.await).unwrap_or_else(|error| error);
            results.push(DeletableGroupResult { group_id, error_code: code.code() });
        }
        DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
    })
}
