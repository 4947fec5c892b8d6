//! What `AlterConfigs` and `IncrementalAlterConfigs` have in common: which resources this broker changes, and the answer
//! to each.
//!
//! Invariant: every resource of a request is answered, in the order of the request.

use std::collections::BTreeMap;

use ottla_controller::{AlterConfigs, ConfigChange, ConfigEdit, ConfigKind, ConfigResource};
use ottla_types::ErrorCode;

use crate::node::Node;

/// A resource as a request names it.
pub(super) struct Asked {
    pub(super) resource_type: i8,
    pub(super) name: String,
    /// What to do; none where it is refused without asking the controller.
    pub(super) edit: Result<ConfigEdit, Refusal>,
}

/// Code and message.
pub(super) type Refusal = (ErrorCode, String);

/// Changes the resources, or with `validate_only` says what would happen; one answer per resource asked for.
pub(super) async fn apply(node: &Node, asked: &[Asked], validate_only: bool) -> Vec<Option<Refusal>> {
    let sorted: Vec<Result<ConfigChange, Refusal>> = asked.iter().map(|asked| change(node, asked)).collect();
    let changes: Vec<_> = sorted.iter().filter_map(|change| change.as_ref().ok()).cloned().collect();
    let outcome = match node.quorum.submit(AlterConfigs { changes, validate_only }).await {
        Ok(results) => Ok(results.into_iter().collect::<BTreeMap<_, _>>()),
        Err(error) => Err((error.code(), error.to_string())),
    };
    let answers = sorted.into_iter().map(|change| match (change, &outcome) {
        (Err(refusal), _) => Some(refusal),
        (Ok(_), Err(refusal)) => Some(refusal.clone()),
        (Ok(change), Ok(results)) => {
            let error = results.get(&change.resource)?.as_ref().err()?;
            Some((error.code(), error.to_string()))
        }
    });
    answers.collect()
}

fn change(node: &Node, asked: &Asked) -> Result<ConfigChange, Refusal> {
    let kind = ConfigKind::from_code(asked.resource_type)
        .ok_or_else(|| (ErrorCode::InvalidRequest, format!("Unknown resource type {}", asked.resource_type)))?;
    if kind == ConfigKind::Broker && !asked.name.is_empty() {
        own_id(node, &asked.name, "Unexpected broker id, expected ", ", but received ")?;
    }
    let edit = asked.edit.clone()?;
    Ok(ConfigChange { resource: ConfigResource { kind, name: asked.name.clone() }, edit })
}

/// A broker changes its own configuration only.
pub(super) fn own_id(node: &Node, name: &str, unexpected: &str, but: &str) -> Result<(), Refusal> {
    let own = node.broker_id;
    let message = match name.parse::<i32>() {
        Ok(id) if id == own.0 => return Ok(()),
        Ok(other) => format!("{unexpected}{own}{but}{other}"),
        Err(_) => format!("Node id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, message))
}
