//! The controller: commands against an image, into records and a reply.
//!
//! Invariants: `decide` has no state and no side effect; refused parts of a command leave no record; the records of a
//! decision always fit the image that it was decided against.

mod brokers;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod directories;
mod elections;
mod features;
mod producer_ids;
mod rules;

use std::sync::Arc;

pub use brokers::BrokerError;
pub use configs::AlterConfigError;
pub use create_partitions::CreatePartitionsError;
pub use create_topics::{AssignmentError, CreateTopicError, check_replicas};
pub use delete_topics::DeleteTopicError;
pub use elections::ElectLeaderError;
pub use features::FeatureError;
use ottla_types::Millis;
pub use producer_ids::{PRODUCER_ID_BLOCK_LEN, ProducerIdsError};
pub use rules::{AnyConfig, ConfigRejected, ConfigRules};

use crate::{
    command::{Command, Reply},
    image::MetadataImage,
    record::MetadataRecord,
};

/// Most partitions that one request may create, Kafka's bound.
pub const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// What the controller takes where a client leaves it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self { default_partitions: 1, default_replication_factor: 1 }
    }
}

/// What was decided: records to commit, and the reply to give once they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Changes; none where nothing changes.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub reply: Reply,
}

impl Decision {
    fn new(records: Vec<MetadataRecord>, reply: Reply) -> Self {
        Self { records, reply }
    }

    /// Drops the records: a dry run.
    fn validated(mut self, validate_only: bool) -> Self {
        if validate_only {
            self.records.clear();
        }
        self
    }
}

/// Decides changes of the metadata.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: ControllerSettings,
    rules: Arc<dyn ConfigRules>,
}

impl Controller {
    /// A controller that asks `rules` about configurations.
    #[must_use]
    pub fn new(settings: ControllerSettings, rules: Arc<dyn ConfigRules>) -> Self {
        Self { settings, rules }
    }

    /// Decides `command` against `image` at `now`.
    #[must_use]
    pub fn decide(&self, image: &MetadataImage, _now: Millis, command: &Command) -> Decision {
        match command {
            Command::Bootstrap(ask) => features::bootstrap(image, ask),
            Command::CreateTopics(ask) => self.create_topics(image, ask),
            Command::DeleteTopics(ask) => delete_topics::delete_topics(image, ask),
            Command::CreatePartitions(ask) => create_partitions::create_partitions(image, ask),
            Command::AlterConfigs(ask) => self.alter_configs(image, ask),
            Command::RegisterBroker(ask) => brokers::register(image, ask),
            Command::UnregisterBroker(ask) => brokers::unregister(image, ask),
            Command::FenceBrokers(ask) => brokers::fence(image, ask),
            Command::AllocateProducerIds(ask) => producer_ids::allocate(image, ask),
            Command::ElectLeaders(ask) => elections::elect(image, ask),
            Command::UpdateFeatures(ask) => features::update(image, ask),
            Command::AssignReplicas(ask) => directories::assign(image, ask),
            Command::SetDirectories(ask) => directories::set(image, ask),
        }
    }
}
