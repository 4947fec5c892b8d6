//! `ListConfigResources`: what can be asked for with `DescribeConfigs`.

use ottla_controller::{ConfigKind, MetadataImage};
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    list_config_resources_request::ListConfigResourcesRequest,
    list_config_resources_response::{ConfigResource, ListConfigResourcesResponse},
};

use super::describe_configs::BROKER_LOGGER;
use crate::{net::Answer, node::Node, service::ReplyTo};

/// Types of resources that are listed, in the order of the answer.
const LISTED: [i8; 5] = [2, 4, BROKER_LOGGER, 16, 32];

pub(crate) fn handle(node: &Node, reply: &ReplyTo, request: &ListConfigResourcesRequest) -> Answer {
    let asked = match (reply.version, request.resource_types.as_slice()) {
        // The first version knows client-metrics subscriptions only.
        (0, _) => vec![ConfigKind::ClientMetrics.code()],
        (_, []) => LISTED.to_vec(),
        (_, some) => some.to_vec(),
    };
    reply.now(&if asked.iter().all(|resource_type| LISTED.contains(resource_type)) {
        let image = node.quorum.image();
        let wanted = LISTED.into_iter().filter(|resource_type| asked.contains(resource_type));
        let config_resources = wanted.flat_map(|resource_type| resources(&image, resource_type)).collect();
        ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
    } else {
        let error_code = ErrorCode::UnsupportedVersion.code();
        ListConfigResourcesResponse { error_code, ..ListConfigResourcesResponse::default() }
    })
}

fn resources(image: &MetadataImage, resource_type: i8) -> Vec<ConfigResource> {
    let names: Vec<String> = match ConfigKind::from_code(resource_type) {
        Some(ConfigKind::Topic) => image.topics().map(|topic| topic.name.to_string()).collect(),
        Some(kind @ (ConfigKind::ClientMetrics | ConfigKind::Group)) => {
            let set = image.configs().filter(|(resource, _)| resource.kind == kind);
            set.map(|(resource, _)| resource.name.clone()).collect()
        }
        // Every broker has loggers.
        Some(ConfigKind::Broker) | None => image.brokers().keys().map(ToString::to_string).collect(),
    };
    names.into_iter().map(|resource_name| ConfigResource { resource_name, resource_type }).collect()
}
