//! Configuration: every broker, topic, group and client-metrics key as data, and everything that follows from it.
//!
//! Names, types, defaults, ranges and synonyms are those of Apache Kafka 4.3. [`load`] makes a [`BrokerConfig`] of file,
//! environment and flags; [`BrokerConfig::server_settings`] and [`BrokerConfig::topic_config`] give it to the rest of the
//! broker as plain structs; the `describe_` methods answer `DescribeConfigs`; the `validate_` functions decide changes.
//!
//! Invariants: no file, clock or environment is read here, the caller hands over bytes and pairs; nothing panics on
//! any text; a password is never printed.

mod broker_config;
mod change;
mod declaration;
mod describe;
mod error;
mod file;
mod keys;
mod listeners;
mod load;
mod properties;
mod reference;
mod rules;
mod server_settings;
mod source;
mod toml_file;
mod topic_config;
mod value;

pub use broker_config::{BrokerConfig, Overrides};
pub use change::{
    BrokerTarget, Op, OpKind, validate_broker_change, validate_client_metrics_change, validate_group_change,
    validate_topic_change, without_effect,
};
pub use declaration::{Declaration, Fallback, Kind, Rule, Scope, Status, Update};
pub use error::{ConfigError, Reason};
pub use file::{ConfigFile, FILE_BYTES_MAX, Format, SyntaxReason};
pub use keys::{check, declarations, find, known, nearest, sections};
pub use listeners::{HostPort, Listener, ListenerError, Listeners};
pub use load::{ENVIRONMENT_PREFIX, Inputs, LoadError, Loaded, Warning, environment_name, load};
pub use reference::render_reference;
pub use server_settings::{
    CleanerConfig, GroupSettings, LogSettings, MigrationPolicy, NetworkSettings, OffsetsSettings, ScrubConfig,
    ServerSettings, SettingsError, TopicDefaults, TransactionSettings,
};
pub use source::{Entry, Origin, Source, Synonym};
pub use topic_config::{CleanupPolicy, CompressionType, ProduceValidation, ThrottledReplicas, TopicConfig};
pub use value::{Value, parse};
