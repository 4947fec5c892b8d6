//! `FindCoordinator`: this broker coordinates neither groups nor transactions yet, and says so.
//!
//! A group's coordinator is COORDINATOR_NOT_AVAILABLE: librdkafka looks for one even when its partitions are assigned by
//! hand, and goes on consuming while it looks. Other keys are answered with INVALID_REQUEST, which clients report at
//! once with the message; they would otherwise ask until they time out.

use ottla_types::ErrorCode;
use ottla_wire::messages::{
    find_coordinator_request::FindCoordinatorRequest,
    find_coordinator_response::{Coordinator, FindCoordinatorResponse},
};

use crate::{net::Answer, service::ReplyTo};

/// Version from which several keys are asked for at once.
const MANY_FROM: i16 = 4;

// What a key is.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) fn handle(reply: &ReplyTo, request: FindCoordinatorRequest) -> Answer {
    let (error_code, message) = (code(request.key_type).code(), refusal(request.key_type));
    if reply.version < MANY_FROM {
        return reply.now(&FindCoordinatorResponse {
            error_code,
            error_message: Some(message),
            node_id: -1,
            port: -1,
            ..FindCoordinatorResponse::default()
        });
    }
    let refused = |key| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(message.clone()),
        ..Coordinator::default()
    };
    let coordinators = request.coordinator_keys.into_iter().map(refused).collect();
    reply.now(&FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() })
}

fn code(key_type: i8) -> ErrorCode {
    if key_type == GROUP { ErrorCode::CoordinatorNotAvailable } else { ErrorCode::InvalidRequest }
}

fn refusal(key_type: i8) -> String {
    let what = match key_type {
        GROUP => "Consumer groups are",
        TRANSACTION => "Transactions are",
        SHARE => "Share groups are",
        other => return format!("There is no coordinator of key type {other}."),
    };
    format!("{what} not served by this broker.")
}
