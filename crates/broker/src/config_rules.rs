//! What the controller has to know of configuration keys, from their declarations.

use ottla_config::{
    BrokerConfig, BrokerTarget, ConfigError, Op, OpKind, Scope, validate_broker_change, validate_client_metrics_change,
    validate_group_change, validate_topic_change,
};
use ottla_controller::{ConfigKind, ConfigMap, ConfigOp, ConfigRejected, ConfigResource, ConfigRules};

/// The declared keys, and the values of this broker's file, environment and flags under them.
#[derive(Debug)]
pub(crate) struct DeclaredConfigs {
    pub(crate) statics: BrokerConfig,
}

impl ConfigRules for DeclaredConfigs {
    fn edit(
        &self,
        resource: &ConfigResource,
        current: &ConfigMap,
        edits: &[(String, ConfigOp)],
    ) -> Result<ConfigMap, ConfigRejected> {
        let ops: Vec<_> = edits.iter().map(op).collect();
        let edited = match resource.kind {
            ConfigKind::Topic => validate_topic_change(&self.statics, current, &ops),
            ConfigKind::Broker if resource.name.is_empty() => {
                validate_broker_change(BrokerTarget::Cluster, current, &ops)
            }
            ConfigKind::Broker => validate_broker_change(BrokerTarget::One, current, &ops),
            ConfigKind::Group => validate_group_change(&self.statics, &resource.name, current, &ops),
            ConfigKind::ClientMetrics => validate_client_metrics_change(&resource.name, current, &ops),
        };
        edited.map_err(|error| rejected(resource.kind, &error))
    }
}

fn op((key, op): &(String, ConfigOp)) -> Op {
    let (kind, value) = match op {
        ConfigOp::Set(value) => (OpKind::Set, value.clone()),
        ConfigOp::Delete => (OpKind::Delete, None),
        ConfigOp::Append(value) => (OpKind::Append, value.clone()),
        ConfigOp::Subtract(value) => (OpKind::Subtract, value.clone()),
    };
    Op { key: key.clone(), kind, value }
}

fn rejected(kind: ConfigKind, error: &ConfigError) -> ConfigRejected {
    ConfigRejected { code: error.error_code(scope(kind)), message: error.to_string() }
}

/// Where the keys of a resource are declared.
pub(crate) fn scope(kind: ConfigKind) -> Scope {
    match kind {
        ConfigKind::Topic => Scope::Topic,
        ConfigKind::Broker => Scope::Broker,
        ConfigKind::Group => Scope::Group,
        ConfigKind::ClientMetrics => Scope::ClientMetrics,
    }
}
