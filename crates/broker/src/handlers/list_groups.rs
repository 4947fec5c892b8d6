//! `ListGroups`: the groups of every shard that is here.

use ottla_groups::{GroupReply, GroupRequest};
use ottla_wire::messages::{list_groups_request::ListGroupsRequest, list_groups_response::ListGroupsResponse};

use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: ListGroupsRequest) -> Answer {
    let asked = GroupRequest::List { states: request.states_filter, types: request.types_filter };
    let listed = node.groups.ask_all(&asked);
    reply.later(async move {
        match listed.await {
            Ok(replies) => {
                let groups = replies.into_iter().flat_map(|reply| match reply {
                    GroupReply::List(groups) => groups,
                    _ => Vec::new(),
                });
                ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
            }
            Err(error) => ListGroupsResponse { error_code: error.code(), ..ListGroupsResponse::default() },
        }
    })
}
