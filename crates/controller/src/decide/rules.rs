//! What the controller has to know of configurations, told by whoever declares them.

use std::fmt::Debug;

use ottla_types::ErrorCode;

use crate::{
    image::ConfigMap,
    record::{ConfigKind, ConfigResource},
};

/// A configuration that may not be; code and message are those to answer with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigRejected {
    /// `InvalidConfig`, or `InvalidRequest` where Kafka answers that.
    pub code: ErrorCode,
    /// Names the configuration and the rule it breaks.
    pub message: String,
}

/// The declarations of configurations, as far as changes of them need it. Must be pure: the same question always gets
/// the same answer.
pub trait ConfigRules: Debug + Send + Sync + 'static {
    /// Checks all that would be set on `resource`; `current` is what is set now.
    ///
    /// # Errors
    /// The first configuration that is unknown, malformed, out of range or not to be changed at run time.
    fn validate(
        &self,
        resource: &ConfigResource,
        current: &ConfigMap,
        proposed: &ConfigMap,
    ) -> Result<(), ConfigRejected>;

    /// Whether a configuration holds a list, which can be appended to and subtracted from.
    fn is_list(&self, kind: ConfigKind, name: &str) -> bool;

    /// The value in force where nothing is set on the resource: base for appending and subtracting.
    fn default_value(&self, kind: ConfigKind, name: &str) -> Option<String>;
}

/// Takes every configuration for a legal one, and none for a list: for tests and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn validate(&self, _: &ConfigResource, _: &ConfigMap, _: &ConfigMap) -> Result<(), ConfigRejected> {
        Ok(())
    }

    fn is_list(&self, _: ConfigKind, _: &str) -> bool {
        false
    }

    fn default_value(&self, _: ConfigKind, _: &str) -> Option<String> {
        None
    }
}
