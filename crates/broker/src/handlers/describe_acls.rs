//! `DescribeAcls`: there is no authorizer, so there are no rules to show.

use ottla_types::ErrorCode;
use ottla_wire::messages::describe_acls_response::DescribeAclsResponse;

use crate::{net::Answer, service::ReplyTo};

pub(crate) fn handle(reply: &ReplyTo) -> Answer {
    reply.now(&DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..DescribeAclsResponse::default()
    })
}
