//! `IncrementalAlterConfigs`: what is given changes, the rest stays.

use std::sync::Arc;

use ottla_controller::{ConfigEdit, ConfigOp};
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
    incremental_alter_configs_response::{AlterConfigsResourceResponse, IncrementalAlterConfigsResponse},
};

use super::{
    config_changes::{self, Asked, Refusal},
    describe_configs::BROKER_LOGGER,
};
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: IncrementalAlterConfigsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let loggers: Vec<_> = request.resources.iter().map(|resource| logger(&node, resource)).collect();
        let asked: Vec<Asked> = request.resources.into_iter().map(asked).collect();
        let answers = config_changes::apply(&node, &asked, request.validate_only).await;
        let answers = loggers.into_iter().zip(answers).map(|(logger, answer)| logger.unwrap_or(answer));
        let responses = asked.into_iter().zip(answers).map(|(asked, refusal)| respond(asked, refusal));
        IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }
    })
}

fn asked(resource: AlterConfigsResource) -> Asked {
    let edits: Result<Vec<_>, Refusal> = resource.configs.into_iter().map(edit).collect();
    Asked { resource_type: resource.resource_type, name: resource.resource_name, edit: edits.map(ConfigEdit::Edit) }
}

fn edit(config: AlterableConfig) -> Result<(String, ConfigOp), Refusal> {
    let op = match config.config_operation {
        0 => ConfigOp::Set(config.value),
        1 => ConfigOp::Delete,
        2 => ConfigOp::Append(config.value),
        3 => ConfigOp::Subtract(config.value),
        other => {
            let message = format!("Unknown operation {other} on {}", config.name);
            return Err((ErrorCode::InvalidRequest, message));
        }
    };
    Ok((config.name, op))
}

/// The answer where a broker's loggers are to be changed: it has none that could be.
fn logger(node: &Node, resource: &AlterConfigsResource) -> Option<Option<Refusal>> {
    if resource.resource_type != BROKER_LOGGER {
        return None;
    }
    let own = config_changes::own_id(node, &resource.resource_name, "Unexpected node id. Expected ", ", but received ");
    let missing =
        |config: &AlterableConfig| (ErrorCode::InvalidConfig, format!("Logger {} does not exist!", config.name));
    Some(own.err().or_else(|| resource.configs.first().map(missing)))
}

fn respond(asked: Asked, refusal: Option<Refusal>) -> AlterConfigsResourceResponse {
    let (error, error_message) = refusal.map_or((ErrorCode::None, None), |(error, message)| (error, Some(message)));
    AlterConfigsResourceResponse {
        error_code: error.code(),
        error_message,
        resource_type: asked.resource_type,
        resource_name: asked.name,
    }
}
