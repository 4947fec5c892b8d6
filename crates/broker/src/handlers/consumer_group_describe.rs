//! `ConsumerGroupDescribe`: groups of the consumer protocol with their members.

use ottla_groups::GroupRequest;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    consumer_group_describe_request::ConsumerGroupDescribeRequest,
    consumer_group_describe_response::{ConsumerGroupDescribeResponse, DescribedGroup},
};

use super::groups::reply_of;
use crate::{net::Answer, node::Node, operations, service::ReplyTo};

pub(crate) fn handle(node: &Node, reply: ReplyTo, request: ConsumerGroupDescribeRequest) -> Answer {
    let asked: Vec<_> = request
        .group_ids
        .into_iter()
        .map(|group_id| {
            let asked = node.groups.ask(&group_id, GroupRequest::ConsumerDescribe { group_id: group_id.clone() });
            (group_id, asked)
        })
        .collect();
    let operations = if request.include_authorized_operations { operations::GROUP } else { operations::NOT_ASKED };
    reply.later(async move {
        let mut groups = Vec::new();
        for (group_id, asked) in asked {
            let described = match group_id.as_str() {
                "" => Err(ErrorCode::InvalidGroupId),
                _ => reply_of!(ConsumerDescribe, asked.await),
            };
            groups.push(match described {
                Ok(described) if described.error_code == 0 => {
                    DescribedGroup { authorized_operations: operations, ..described }
                }
                Ok(refused) => refused,
                Err(error) => DescribedGroup { error_code: error.code(), group_id, ..DescribedGroup::default() },
            });
        }
        ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
    })
}
