//! `DescribeUserScramCredentials`: no user has any.

use std::collections::BTreeMap;

use ottla_types::ErrorCode;
use ottla_wire::messages::{
    describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest,
    describe_user_scram_credentials_response::{
        DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
    },
};

use crate::{net::Answer, service::ReplyTo};

pub(crate) fn handle(reply: &ReplyTo, request: DescribeUserScramCredentialsRequest) -> Answer {
    let mut times = BTreeMap::new();
    for user in request.users.unwrap_or_default() {
        *times.entry(user.name).or_insert(0) += 1;
    }
    let results = times.into_iter().map(|(user, times)| answer(user, times)).collect();
    reply.now(&DescribeUserScramCredentialsResponse { results, ..Default::default() })
}

fn answer(user: String, times: u32) -> DescribeUserScramCredentialsResult {
    let (error, message) = if times > 1 {
        let message = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
        (ErrorCode::DuplicateResource, message)
    } else {
        let message = format!("Attempt to describe a user credential that does not exist: {user}");
        (ErrorCode::ResourceNotFound, message)
    };
    DescribeUserScramCredentialsResult {
        user,
        error_code: error.code(),
        error_message: Some(message),
        credential_infos: Vec::new(),
    }
}
