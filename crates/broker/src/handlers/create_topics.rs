//! `CreateTopics`: what is asked for goes to the controller as it is; the answer comes when the partitions are there.

use std::sync::Arc;

use ottla_config::{BrokerConfig, Entry};
use ottla_controller::{CreateTopicError, CreateTopics, CreatedTopic, NewTopic, ReplicationLimit};
use ottla_quorum::SubmitError;
use ottla_types::{BrokerId, ErrorCode, PartitionIndex};
use ottla_wire::messages::{
    create_topics_request::{CreatableTopic, CreateTopicsRequest},
    create_topics_response::{CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse},
};

use crate::{net::Answer, node::Node, random, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: CreateTopicsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let asked = CreateTopics {
            topics: request.topics.iter().map(new_topic).collect(),
            validate_only: request.validate_only,
            placement_start: random::number(),
        };
        let topics = match node.quorum.submit(asked).await {
            Ok(results) => {
                let config = node.replicas.config();
                results.into_iter().map(|(name, result)| described(&config, name, result)).collect()
            }
            Err(error) => request.topics.into_iter().map(|topic| unheard(topic.name, error)).collect(),
        };
        CreateTopicsResponse { throttle_time_ms: 0, topics }
    })
}

fn new_topic(asked: &CreatableTopic) -> NewTopic {
    let assignments = asked.assignments.iter().map(|assignment| {
        let replicas = assignment.broker_ids.iter().copied().map(BrokerId).collect();
        (PartitionIndex(assignment.partition_index), replicas)
    });
    NewTopic {
        name: asked.name.clone(),
        id: random::uuid(),
        partitions: asked.num_partitions,
        replication_factor: asked.replication_factor,
        assignments: assignments.collect(),
        configs: asked.configs.iter().map(|config| (config.name.clone(), config.value.clone())).collect(),
        limit: ReplicationLimit::Exact,
    }
}

fn described(
    config: &BrokerConfig,
    name: String,
    result: Result<CreatedTopic, CreateTopicError>,
) -> CreatableTopicResult {
    match result {
        Ok(created) => CreatableTopicResult {
            configs: Some(topic_configs(config, &created)),
            name,
            topic_id: created.id,
            error_code: ErrorCode::None.code(),
            error_message: None,
            num_partitions: created.partitions,
            replication_factor: created.replication_factor,
            ..CreatableTopicResult::default()
        },
        Err(error) => refused(name, error.code(), error.to_string()),
    }
}

fn topic_configs(config: &BrokerConfig, created: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
    let mut configs: Vec<_> = config.describe_topic(&created.configs).into_iter().map(topic_config).collect();
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    configs
}

fn topic_config(entry: Entry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.sensitive,
    }
}

fn unheard(name: String, error: SubmitError) -> CreatableTopicResult {
    refused(name, error.code(), error.to_string())
}

fn refused(name: String, error: ErrorCode, message: String) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: error.code(),
        error_message: Some(message),
        ..CreatableTopicResult::default()
    }
}
