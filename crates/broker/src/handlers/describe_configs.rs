//! `DescribeConfigs`: values in effect, where they come from and what they do.
//!
//! The broker's loggers cannot be turned at run time: a broker has none to describe.

mod allowance;

use ottla_config::{Entry, Synonym};
use ottla_controller::{ConfigKind, ConfigMap, ConfigResource};
use ottla_types::{ErrorCode, TopicName};
use ottla_wire::messages::{
    describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource},
    describe_configs_response::{
        DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use self::allowance::Allowance;
use crate::{net::Answer, node::Node, service::ReplyTo};

/// Number of the type of resource that a broker's loggers are.
pub(super) const BROKER_LOGGER: i8 = 8;

/// A resource that is not described: the code, and what else is to be said.
type Refusal = (ErrorCode, String);

pub(crate) fn handle(node: &Node, reply: &ReplyTo, request: &DescribeConfigsRequest) -> Answer {
    let mut allowance = Allowance::new();
    let results = request.resources.iter().map(|resource| match describe(node, resource, request, &mut allowance) {
        Ok(configs) => DescribeConfigsResult { configs, ..named(resource) },
        Err((error, message)) => {
            DescribeConfigsResult { error_code: error.code(), error_message: Some(message), ..named(resource) }
        }
    });
    reply.now(&DescribeConfigsResponse { throttle_time_ms: 0, results: results.collect() })
}

fn describe<'a>(
    node: &Node,
    resource: &'a DescribeConfigsResource,
    request: &DescribeConfigsRequest,
    allowance: &mut Allowance<'a>,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = resource.resource_name.as_str();
    let full = || (ErrorCode::InvalidRequest, "One answer cannot hold so many configurations.".to_owned());
    let price = allowance.price(resource.resource_type, name, is_there(node, resource)).ok_or_else(full)?;
    let entries = entries(node, resource)?;
    allowance.pay(price, entries.len());
    Ok(entries.into_iter().filter(|entry| wanted(resource, entry)).map(|entry| put(request, entry)).collect())
}

/// Topics and brokers are, or are refused; of groups and subscriptions this broker knows those with a configuration.
fn is_there(node: &Node, resource: &DescribeConfigsResource) -> bool {
    match ConfigKind::from_code(resource.resource_type) {
        Some(kind @ (ConfigKind::Group | ConfigKind::ClientMetrics)) => {
            let resource = ConfigResource { kind, name: resource.resource_name.clone() };
            node.quorum.image().config(&resource).is_some()
        }
        Some(ConfigKind::Topic | ConfigKind::Broker) | None => true,
    }
}

fn entries(node: &Node, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Refusal> {
    let name = resource.resource_name.as_str();
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
    match (ConfigKind::from_code(resource.resource_type), name) {
        (Some(ConfigKind::Topic), _) => topic(node, name),
        (Some(ConfigKind::Broker), "") => Ok(node.replicas.config().describe_cluster()),
        (Some(ConfigKind::Broker), _) => {
            own_id(node, name, " or empty string,")?;
            Ok(node.replicas.config().describe_broker())
        }
        (Some(ConfigKind::Group), "") => invalid("Group name must not be empty".to_owned()),
        (Some(kind @ ConfigKind::Group), _) => Ok(node.replicas.config().describe_group(&overrides(node, kind, name))),
        (Some(ConfigKind::ClientMetrics), "") => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        (Some(kind @ ConfigKind::ClientMetrics), _) => {
            Ok(node.replicas.config().describe_client_metrics(&overrides(node, kind, name)))
        }
        (None, "") if resource.resource_type == BROKER_LOGGER => invalid("Broker id must not be empty".to_owned()),
        (None, _) if resource.resource_type == BROKER_LOGGER => own_id(node, name, "").map(|()| Vec::new()),
        (None, _) => invalid(format!("Resources of type {} have no configuration.", resource.resource_type)),
    }
}

fn topic(node: &Node, name: &str) -> Result<Vec<Entry>, Refusal> {
    TopicName::new(name)
        .map_err(|error| (ErrorCode::InvalidTopicException, format!("Topic name is invalid: {error}")))?;
    if node.quorum.image().topic(name).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
    }
    Ok(node.replicas.config().describe_topic(&overrides(node, ConfigKind::Topic, name)))
}

/// Other brokers have to be asked themselves.
fn own_id(node: &Node, name: &str, or_what: &str) -> Result<(), Refusal> {
    let own = node.broker_id;
    match name.parse::<i32>() {
        Ok(id) if id == own.0 => Ok(()),
        Ok(other) => Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {own}{or_what} but received {other}"),
        )),
        Err(_) => Err((ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}"))),
    }
}

fn overrides(node: &Node, kind: ConfigKind, name: &str) -> ConfigMap {
    let resource = ConfigResource { kind, name: name.to_owned() };
    node.quorum.image().config(&resource).map(|set| (**set).clone()).unwrap_or_default()
}

/// No list of keys, or an empty one, asks for all.
fn wanted(resource: &DescribeConfigsResource, entry: &Entry) -> bool {
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    keys.is_empty() || keys.iter().any(|key| *key == *entry.name)
}

fn named(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    }
}

fn put(request: &DescribeConfigsRequest, entry: Entry) -> DescribeConfigsResourceResult {
    let synonyms = if request.include_synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms.into_iter().map(put_synonym).collect(),
        config_type: entry.kind.code(),
        documentation: request.include_documentation.then(|| entry.doc.to_owned()),
    }
}

fn put_synonym(synonym: Synonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Into::into),
        source: synonym.source.code(),
    }
}
