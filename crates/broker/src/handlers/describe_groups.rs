//! `DescribeGroups`: groups with their members, as the classic protocol shows them.

use ottla_groups::GroupRequest;
use ottla_wire::messages::{
    describe_groups_request::DescribeGroupsRequest,
    describe_groups_response::{DescribeGroupsResponse, DescribedGroup},
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, operations, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: DescribeGroupsRequest) -> Answer {
    let version = reply.version;
    let asked: Vec<_> = request
        .groups
        .into_iter()
        .map(|group_id| {
            let asked = node.groups.ask(&group_id, GroupRequest::Describe { version, group_id: group_id.clone() });
            (group_id, asked)
        })
        .collect();
    let operations = if request.include_authorized_operations { operations::GROUP } else { operations::NOT_ASKED };
    reply.later(async move {
        let mut groups = Vec::new();
        for (group_id, asked) in asked {
            let described = reply_of!(Describe, asked.await);
            groups.push(match described {
                Ok(described) if described.error_code == 0 => {
                    DescribedGroup { authorized_operations: operations, ..described }
                }
                Ok(refused) => refused,
                Err(error) => DescribedGroup { error_code: error.code(), group_id, ..DescribedGroup::default() },
            });
        }
        DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
    })
}
