//! `DeleteTopics`, by name, and by id from version 6 on.
//!
//! Invariant: a topic that one request names in two ways is not deleted.

use std::{collections::BTreeSet, sync::Arc};

use ottla_controller::{DeleteTopicError, DeleteTopics, DeletedTopic, MetadataImage, TopicRef};
use ottla_types::{ErrorCode, Uuid};
use ottla_wire::messages::{
    delete_topics_request::{DeleteTopicState, DeleteTopicsRequest},
    delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse},
};

use crate::{net::Answer, node::Node, service::ReplyTo};

/// Version from which topics come as [`DeleteTopicState`].
const STATES_FROM: i16 = 6;
/// Version from which TOPIC_DELETION_DISABLED is known.
const DISABLED_FROM: i16 = 3;

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: DeleteTopicsRequest) -> Answer {
    let states = states(reply.version, request);
    if !node.settings.topics.delete_enable {
        return reply.now(&disabled(reply.version, states));
    }
    let (topics, refusals) = sort_out(&node.quorum.image(), states);
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let results = match node.quorum.submit(DeleteTopics { topics: topics.clone() }).await {
            Ok(results) => results.into_iter().map(|(topic, result)| outcome(topic, result)).collect(),
            Err(error) => topics
                .into_iter()
                .map(|topic| refused(state(topic), error.code(), error.to_string()))
                .collect::<Vec<_>>(),
        };
        DeleteTopicsResponse { throttle_time_ms: 0, responses: refusals.into_iter().chain(results).collect() }
    })
}

fn states(version: i16, request: DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    if version >= STATES_FROM {
        return request.topics;
    }
    request.topic_names.into_iter().map(|name| state(TopicRef::Name(name))).collect()
}

fn disabled(version: i16, states: Vec<DeleteTopicState>) -> DeleteTopicsResponse {
    let error = if version >= DISABLED_FROM { ErrorCode::TopicDeletionDisabled } else { ErrorCode::InvalidRequest };
    // The code says it all, and Kafka says no more.
    let without_message = |state| DeletableTopicResult { error_message: None, ..refused(state, error, String::new()) };
    let responses = states.into_iter().map(without_message).collect();
    DeleteTopicsResponse { throttle_time_ms: 0, responses }
}

/// What the controller is to be asked, and the answers to what names no topic, or one that is also given by its id.
fn sort_out(image: &MetadataImage, states: Vec<DeleteTopicState>) -> (Vec<TopicRef>, Vec<DeletableTopicResult>) {
    let ids: BTreeSet<Uuid> = states.iter().filter(|state| state.name.is_none()).map(|state| state.topic_id).collect();
    let (mut topics, mut refusals) = (Vec::new(), Vec::new());
    let mut twice = BTreeSet::new();
    for state in states {
        match reference(&state) {
            Err(message) => refusals.push(refused(state, ErrorCode::InvalidRequest, message.to_owned())),
            Ok(TopicRef::Name(name)) => match image.topic(&name).filter(|topic| ids.contains(&topic.id)) {
                Some(topic) if twice.insert(topic.id) => {
                    let state = DeleteTopicState { name: Some(name), topic_id: topic.id };
                    refusals.push(refused(state, ErrorCode::InvalidRequest, NAMED_AND_NUMBERED.to_owned()));
                }
                Some(_) => {}
                None => topics.push(TopicRef::Name(name)),
            },
            Ok(id) => topics.push(id),
        }
    }
    topics.retain(|topic| !matches!(topic, TopicRef::Id(id) if twice.contains(id)));
    (topics, refusals)
}

const NAMED_AND_NUMBERED: &str = "The provided topic name maps to an ID that was already supplied.";

fn reference(state: &DeleteTopicState) -> Result<TopicRef, &'static str> {
    match (&state.name, state.topic_id.is_zero()) {
        (Some(name), true) => Ok(TopicRef::Name(name.clone())),
        (None, false) => Ok(TopicRef::Id(state.topic_id)),
        (Some(_), false) => Err("You may not specify both topic name and topic id."),
        (None, true) => Err("Neither topic name nor id were specified."),
    }
}

fn outcome(topic: TopicRef, result: Result<DeletedTopic, DeleteTopicError>) -> DeletableTopicResult {
    match result {
        Ok(deleted) => DeletableTopicResult {
            name: Some(deleted.name.to_string()),
            topic_id: deleted.id,
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        Err(error) => refused(state(topic), error.code(), error.to_string()),
    }
}

fn state(topic: TopicRef) -> DeleteTopicState {
    match topic {
        TopicRef::Name(name) => DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO },
        TopicRef::Id(topic_id) => DeleteTopicState { name: None, topic_id },
    }
}

fn refused(state: DeleteTopicState, error: ErrorCode, message: String) -> DeletableTopicResult {
    DeletableTopicResult {
        name: state.name,
        topic_id: state.topic_id,
        error_code: error.code(),
        error_message: Some(message),
    }
}
