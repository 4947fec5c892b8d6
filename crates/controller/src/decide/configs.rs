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
    /// One configuration is named twice.
    #[error("Error due to duplicate config keys")]
    DuplicateKeys,
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
    /// A configuration without a value.
    #[error("Null value not supported for : {0}")]
    NullValue(String),
    /// Appended to what is no list.
    #[error("Can't {operation} to key {name} because its type is not LIST.")]
    NotAList {
        /// `APPEND` or `SUBTRACT`.
        operation: &'static str,
        /// The configuration.
        name: String,
    },
    /// A configuration that may not be.
    #[error(transparent)]
    Rejected(#[from] ConfigRejected),
}

impl AlterConfigError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate
            | Self::DuplicateKeys
            | Self::NoDefault(_)
            | Self::EmptySubscription
            | Self::NotANodeId(_)
            | Self::NullValue(_) => ErrorCode::InvalidRequest,
            Self::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            Self::IllegalTopic(_) => ErrorCode::InvalidTopicException,
            Self::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
            Self::NotAList { .. } => ErrorCode::InvalidConfig,
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
            ConfigEdit::Replace(configs) => replaced(configs)?,
            ConfigEdit::Edit(edits) => self.edited(change.resource.kind, &current, edits)?,
        };
        self.rules.validate(&change.resource, &current, &proposed)?;
        Ok(difference(&change.resource, &current, &proposed))
    }

    fn edited(
        &self,
        kind: ConfigKind,
        current: &ConfigMap,
        edits: &[(String, ConfigOp)],
    ) -> Result<ConfigMap, AlterConfigError> {
        check_keys(edits.iter().map(|(name, _)| name))?;
        let mut map = current.clone();
        for (name, op) in edits {
            let value = match op {
                ConfigOp::Delete => {
                    map.remove(name);
                    continue;
                }
                ConfigOp::Set(value) => given(name, value)?.to_owned(),
                ConfigOp::Append(value) => {
                    let (mut list, parts) = self.list(kind, &map, name, "APPEND", value)?;
                    list.extend(parts);
                    joined(list)
                }
                ConfigOp::Subtract(value) => {
                    let (mut list, parts) = self.list(kind, &map, name, "SUBTRACT", value)?;
                    list.retain(|part| !parts.contains(part));
                    joined(list)
                }
            };
            map.insert(name.clone(), value);
        }
        Ok(map)
    }

    /// The list in force and the list given.
    fn list(
        &self,
        kind: ConfigKind,
        map: &ConfigMap,
        name: &str,
        operation: &'static str,
        value: &Option<String>,
    ) -> Result<(Vec<String>, Vec<String>), AlterConfigError> {
        let value = given(name, value)?;
        if !self.rules.is_list(kind, name) {
            return Err(AlterConfigError::NotAList { operation, name: name.to_owned() });
        }
        let base = map.get(name).cloned().or_else(|| self.rules.default_value(kind, name)).unwrap_or_default();
        Ok((parts(&base), parts(value)))
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

fn check_keys<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), AlterConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(AlterConfigError::DuplicateKeys);
        }
    }
    Ok(())
}

fn given<'a>(name: &str, value: &'a Option<String>) -> Result<&'a str, AlterConfigError> {
    value.as_deref().ok_or_else(|| AlterConfigError::NullValue(name.to_owned()))
}

fn replaced(configs: &[(String, Option<String>)]) -> Result<ConfigMap, AlterConfigError> {
    check_keys(configs.iter().map(|(name, _)| name))?;
    configs.iter().map(|(name, value)| Ok((name.clone(), given(name, value)?.to_owned()))).collect()
}

fn parts(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A list as text, each part once.
fn joined(list: Vec<String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for part in list {
        if !once.contains(&part) {
            once.push(part);
        }
    }
    once.join(",")
}

fn difference(resource: &ConfigResource, current: &ConfigMap, proposed: &ConfigMap) -> Vec<MetadataRecord> {
    let record = |name: &String, value| Config { resource: resource.clone(), name: name.clone(), value }.into();
    let removed = current.keys().filter(|name| !proposed.contains_key(*name)).map(|name| record(name, None));
    let set = proposed.iter().filter(|(name, value)| current.get(*name) != Some(*value));
    removed.chain(set.map(|(name, value)| record(name, Some(value.clone())))).collect()
}
