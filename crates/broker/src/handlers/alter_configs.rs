//! `AlterConfigs`: what is given replaces all that was set.

use std::sync::Arc;

use ottla_controller::ConfigEdit;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    alter_configs_request::{AlterConfigsRequest, AlterConfigsResource},
    alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse},
};

use super::config_changes::{self, Asked, Refusal};
use crate::{net::Answer, node::Node, service::ReplyTo};

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: AlterConfigsRequest) -> Answer {
    let node = Arc::clone(node);
    reply.exclusive(async move {
        let asked: Vec<Asked> = request.resources.into_iter().map(asked).collect();
        let answers = config_changes::apply(&node, &asked, request.validate_only).await;
        let responses = asked.into_iter().zip(answers).map(|(asked, refusal)| respond(asked, refusal));
        AlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }
    })
}

fn asked(resource: AlterConfigsResource) -> Asked {
    let configs = resource.configs.into_iter().map(|config| (config.name, config.value)).collect();
    Asked {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        edit: Ok(ConfigEdit::Replace(configs)),
    }
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
