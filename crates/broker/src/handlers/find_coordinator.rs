//! `FindCoordinator`: which broker coordinates a group or a transactional id.
//!
//! Share groups are not served yet; those keys are answered with INVALID_REQUEST, which clients report at once with the
//! message; they would otherwise ask until they time out.

use std::sync::Arc;

use ottla_types::{ErrorCode, PartitionIndex, TopicName};
use ottla_wire::messages::{
    find_coordinator_request::FindCoordinatorRequest,
    find_coordinator_response::{Coordinator, FindCoordinatorResponse},
};

use crate::{
    coordinators::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC},
    net::{Answer, Peer},
    node::Node,
    service::ReplyTo,
};

/// Version from which several keys are asked for at once.
const MANY_FROM: i16 = 4;

// What a key is.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) fn handle(node: &Arc<Node>, peer: &Peer, reply: ReplyTo, request: FindCoordinatorRequest) -> Answer {
    let many = reply.version >= MANY_FROM;
    let keys = if many { request.coordinator_keys } else { vec![request.key] };
    let kind = request.key_type;
    let topic = match kind {
        GROUP => OFFSETS_TOPIC,
        TRANSACTION => TRANSACTIONS_TOPIC,
        _ => return reply.now(&response(many, keys.into_iter().map(|key| refused(kind, key)).collect())),
    };
    let listener = Arc::clone(&peer.listener);
    let node = Arc::clone(node);
    reply.later(async move {
        if partition(&node, topic, "").is_none()
            && let Ok(topic) = TopicName::new(topic)
        {
            node.auto_create(vec![topic]).await;
        }
        response(many, keys.into_iter().map(|key| found(&node, &listener, topic, key)).collect())
    })
}

fn partition(node: &Node, topic: &str, key: &str) -> Option<PartitionIndex> {
    if topic == OFFSETS_TOPIC { node.groups.partition(key) } else { node.transactions.partition(key) }
}

fn found(node: &Node, listener: &str, topic: &str, key: String) -> Coordinator {
    let image = node.quorum.image();
    let leader = partition(node, topic, &key)
        .and_then(|partition| image.partition(topic, partition)?.leader)
        .and_then(|leader| image.broker(leader));
    let endpoint = leader.and_then(|broker| {
        let endpoint = broker.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
        Some((broker.broker, endpoint))
    });
    match endpoint {
        Some((broker, endpoint)) => Coordinator {
            key,
            node_id: broker.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            error_code: ErrorCode::None.code(),
            ..Coordinator::default()
        },
        None => nowhere(key, ErrorCode::CoordinatorNotAvailable, None),
    }
}

fn nowhere(key: String, error: ErrorCode, error_message: Option<String>) -> Coordinator {
    Coordinator { key, node_id: -1, port: -1, error_code: error.code(), error_message, ..Coordinator::default() }
}

fn refused(kind: i8, key: String) -> Coordinator {
    let what = match kind {
        SHARE => "Share groups are not served by this broker.".to_owned(),
        other => format!("There is no coordinator of key type {other}."),
    };
    nowhere(key, ErrorCode::InvalidRequest, Some(what))
}

fn response(many: bool, mut coordinators: Vec<Coordinator>) -> FindCoordinatorResponse {
    if many {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let Some(only) = coordinators.pop() else { return FindCoordinatorResponse::default() };
    // In these versions Kafka has a message for no error, too.
    let none = ErrorCode::None.name().to_owned();
    let error_message = if only.error_code == 0 { Some(none) } else { only.error_message };
    FindCoordinatorResponse {
        error_code: only.error_code,
        error_message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..FindCoordinatorResponse::default()
    }
}
