//! AlterConfigs and IncrementalAlterConfigs, of topics, brokers, groups and client metrics subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::{BrokerId, ErrorCode, TopicName, TopicNameError};

use super::{ConfigRejected, Controller, Decision};
use crate::{
    command::{AlterConfigs, ConfigChange, ConfigEdit, ConfigOp, Reply},
    image::{ConfigMap, MetadataImage},
    record::{Config, ConfigKind, ConfigResource, MetadataRecord},
};

/// Why a resource's configurations stay as they are; the messages are those that users of Kafka know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigError {
    /// One request names the resource twice.
    #[error("Each resource must appear at most once.")]
    Duplicate,
    /// No such topic.
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    /// No topic can have that name.
    #[error("Topic name is invalid: {0}")]
    IllegalTopic(TopicNameError),
    /// The empty name, which only brokers give a meaning.
    #[error("Default {0} resources are not allowed.")]
    NoDefault(&'static str),
    /// The empty name of a subscription.
    #[error("Subscription name can't be empty")]
    EmptySubscription,
    /// A broker's name that is no number.
    #[error("Node id must be an integer, but it is: {0}")]
    NotANodeId(String),
    /// No such broker.
    #[error("No broker with id {0} found.")]
    UnknownBroker(BrokerId),
    /// A configuration that may not be.
    #[error(transparent)]
    Rejected(#[from] ConfigRejected),
}

impl AlterConfigError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate | Self::NoDefault(_) | Self::EmptySubscription | Self::NotANodeId(_) => {
                ErrorCode::InvalidRequest
            }
            Self::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            Self::IllegalTopic(_) => ErrorCode::InvalidTopicException,
            Self::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
            Self::Rejected(rejected) => rejected.code,
        }
    }
}

impl Controller {
    pub(super) fn alter_configs(&self, image: &MetadataImage, ask: &AlterConfigs) -> Decision {
        let mut times: BTreeMap<&ConfigResource, u32> = BTreeMap::new();
        ask.changes.iter().for_each(|change| *times.entry(&change.resource).or_default() += 1);
        let (mut records, mut results, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for change in &ask.changes {
            if !seen.insert(&change.resource) {
                continue;
            }
            let result = if times[&change.resource] > 1 {
                Err(AlterConfigError::Duplicate)
            } else {
                self.alter_config(image, change).map(|changes| records.extend(changes))
            };
            results.push((change.resource.clone(), result));
        }
        Decision::new(records, Reply::AlterConfigs(results)).validated(ask.validate_only)
    }

    fn alter_config(
        &self,
        image: &MetadataImage,
        change: &ConfigChange,
    ) -> Result<Vec<MetadataRecord>, AlterConfigError> {
        check_resource(image, &change.resource)?;
        let current = image.config(&change.resource).map(|map| ConfigMap::clone(map)).unwrap_or_default();
        let proposed = match &change.edit {
            ConfigEdit::Replace(configs) => {
                let set = |(name, value): &(String, _)| (name.clone(), ConfigOp::Set(Option::clone(value)));
                let edits: Vec<_> = configs.iter().map(set).collect();
                self.rules.edit(&change.resource, &ConfigMap::new(), &edits)?
            }
            ConfigEdit::Edit(edits) => self.rules.edit(&change.resource, &current, edits)?,
        };
        Ok(difference(&change.resource, &current, &proposed))
    }
}

fn check_resource(image: &MetadataImage, resource: &ConfigResource) -> Result<(), AlterConfigError> {
    let name = resource.name.as_str();
    match (resource.kind, name) {
        (ConfigKind::Broker, "") => Ok(()),
        (ConfigKind::Topic, "") => Err(AlterConfigError::NoDefault("topic")),
        (ConfigKind::Group, "") => Err(AlterConfigError::NoDefault("group")),
        (ConfigKind::ClientMetrics, "") => Err(AlterConfigError::EmptySubscription),
        (ConfigKind::Group | ConfigKind::ClientMetrics, _) => Ok(()),
        (ConfigKind::Broker, _) => {
            let id = name.parse::<i32>().map_err(|_| AlterConfigError::NotANodeId(name.to_owned()))?;
            image.broker(id.into()).map(drop).ok_or(AlterConfigError::UnknownBroker(id.into()))
        }
        (ConfigKind::Topic, _) => {
            TopicName::new(name).map_err(AlterConfigError::IllegalTopic)?;
            image.topic(name).map(drop).ok_or_else(|| AlterConfigError::UnknownTopic(name.to_owned()))
        }
    }
}

fn difference(resource: &ConfigResource, current: &ConfigMap, proposed: &ConfigMap) -> Vec<MetadataRecord> {
    let record = |name: &String, value| Config { resource: resource.clone(), name: name.clone(), value }.into();
    let removed = current.keys().filter(|name| !proposed.contains_key(*name)).map(|name| record(name, None));
    let set = proposed.iter().filter(|(name, value)| current.get(*name) != Some(*value));
    removed.chain(set.map(|(name, value)| record(name, Some(value.clone())))).collect()
}
