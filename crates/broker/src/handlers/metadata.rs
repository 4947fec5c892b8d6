//! `Metadata`: brokers, topics, leaders. Creates asked-for topics where `auto.create.topics.enable` allows it.
//!
//! Unlike Kafka, which answers UNKNOWN_TOPIC_OR_PARTITION and has the client ask again, a topic created on the way is in
//! the same answer.

use std::{collections::HashSet, sync::Arc};

use ottla_controller::{MetadataImage, TopicImage};
use ottla_types::{ErrorCode, TopicName, Uuid};
use ottla_wire::messages::{
    metadata_request::{MetadataRequest, MetadataRequestTopic},
    metadata_response::{MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
};

use crate::{
    net::{Answer, Peer},
    node::Node,
    operations,
    service::ReplyTo,
};

/// Version from which topics may be asked for by id.
const BY_ID_FROM: i16 = 12;

pub(crate) fn handle(node: &Arc<Node>, peer: &Peer, reply: ReplyTo, request: MetadataRequest) -> Answer {
    let listener = Arc::clone(&peer.listener);
    let missing = missing_topics(node, &reply, &request);
    if missing.is_empty() {
        return reply.now(&respond(node, &listener, reply.version, &request));
    }
    let (node, version) = (Arc::clone(node), reply.version);
    reply.exclusive(async move {
        node.auto_create(missing).await;
        respond(&node, &listener, version, &request)
    })
}

/// Legal names that are asked for, not there, and may be created.
fn missing_topics(node: &Node, reply: &ReplyTo, request: &MetadataRequest) -> Vec<TopicName> {
    let allowed = request.allow_auto_topic_creation || reply.version < 4;
    if !allowed || !node.settings.topics.auto_create_enable {
        return Vec::new();
    }
    let image = node.quorum.image();
    let asked = request.topics.iter().flatten().filter_map(|topic| topic.name.as_deref());
    asked.filter(|name| image.topic(name).is_none()).filter_map(|name| TopicName::new(name).ok()).collect()
}

fn respond(node: &Node, listener: &str, version: i16, request: &MetadataRequest) -> MetadataResponse {
    let image = node.quorum.image();
    let all = request.topics.is_none() || (version == 0 && request.topics.as_ref().is_some_and(Vec::is_empty));
    let operations =
        if request.include_topic_authorized_operations { operations::TOPIC } else { operations::NOT_ASKED };
    let topics = if all {
        image.topics().map(|topic| known_topic(node, topic, operations)).collect()
    } else {
        let mut seen = HashSet::new();
        let once = request.topics.iter().flatten().filter(|topic| seen.insert((&topic.name, topic.topic_id)));
        once.map(|topic| asked_topic(node, &image, version, topic, operations)).collect()
    };
    MetadataResponse {
        brokers: brokers(&image, listener),
        cluster_id: Some(image.cluster_id().to_string()),
        controller_id: node.broker_id.0,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            operations::CLUSTER
        } else {
            operations::NOT_ASKED
        },
        ..MetadataResponse::default()
    }
}

fn brokers(image: &MetadataImage, listener: &str) -> Vec<MetadataResponseBroker> {
    let reached = image.brokers().values().filter(|broker| image.is_active(broker.broker)).filter_map(|broker| {
        let endpoint = broker.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
        Some(MetadataResponseBroker {
            node_id: broker.broker.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
        })
    });
    reached.collect()
}

fn asked_topic(
    node: &Node,
    image: &MetadataImage,
    version: i16,
    asked: &MetadataRequestTopic,
    operations: i32,
) -> MetadataResponseTopic {
    let refused = |error: ErrorCode| MetadataResponseTopic {
        error_code: error.code(),
        // Before ids there was no topic without a name.
        name: asked.name.clone().or_else(|| (version < BY_ID_FROM).then(String::new)),
        topic_id: asked.topic_id,
        topic_authorized_operations: if error == ErrorCode::UnknownTopicId {
            operations::NOT_ASKED
        } else {
            operations
        },
        is_internal: asked.name.as_deref().is_some_and(operations::is_internal_topic),
        ..MetadataResponseTopic::default()
    };
    let by_id = asked.name.is_none() || !asked.topic_id.is_zero();
    if by_id && version < BY_ID_FROM {
        return refused(ErrorCode::InvalidRequest);
    }
    if by_id {
        return match image.topic_by_id(asked.topic_id) {
            Some(topic) => known_topic(node, topic, operations),
            None => refused(ErrorCode::UnknownTopicId),
        };
    }
    let name = asked.name.as_deref().unwrap_or_default();
    match image.topic(name) {
        Some(topic) => known_topic(node, topic, operations),
        None if TopicName::new(name).is_err() => refused(ErrorCode::InvalidTopicException),
        None => MetadataResponseTopic { topic_id: Uuid::ZERO, ..refused(ErrorCode::UnknownTopicOrPartition) },
    }
}

fn known_topic(node: &Node, topic: &TopicImage, operations: i32) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.as_str().to_owned()),
        topic_id: topic.id,
        is_internal: operations::is_internal_topic(topic.name.as_str()),
        partitions: partitions(node, topic),
        topic_authorized_operations: operations,
    }
}

fn partitions(node: &Node, topic: &TopicImage) -> Vec<MetadataResponsePartition> {
    let image = node.quorum.image();
    let described = topic.partitions.iter().map(|(index, state)| {
        let offline = state.replicas.iter().filter(|replica| !image.is_replica_online(state, **replica));
        MetadataResponsePartition {
            error_code: if state.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable }.code(),
            partition_index: index.0,
            leader_id: state.leader.map_or(-1, |leader| leader.0),
            leader_epoch: state.leader_epoch.0,
            replica_nodes: state.replicas.iter().map(|replica| replica.0).collect(),
            isr_nodes: state.isr.iter().map(|replica| replica.0).collect(),
            offline_replicas: offline.map(|replica| replica.0).collect(),
        }
    });
    described.collect()
}
