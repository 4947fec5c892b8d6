//! What the controller has to know of configurations, told by whoever declares them.

use std::fmt::Debug;

use ottla_types::ErrorCode;

use crate::{command::ConfigOp, image::ConfigMap, record::ConfigResource};

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
    /// What is set on `resource` after `edits` of `current`. For a full replacement, and for a new topic, `current` is
    /// empty and every edit sets.
    ///
    /// # Errors
    /// The first edit that names a key twice, has no value, appends to what is no list, or leads to a configuration
    /// that is unknown, malformed, out of range or not to be changed at run time.
    fn edit(
        &self,
        resource: &ConfigResource,
        current: &ConfigMap,
        edits: &[(String, ConfigOp)],
    ) -> Result<ConfigMap, ConfigRejected>;
}

/// Takes every configuration for a legal one, and each for a list without a default: for tests and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn edit(
        &self,
        _: &ConfigResource,
        current: &ConfigMap,
        edits: &[(String, ConfigOp)],
    ) -> Result<ConfigMap, ConfigRejected> {
        let mut map = current.clone();
        for (name, op) in edits {
            let base = || map.get(name).cloned().unwrap_or_default();
            let value = match op {
                ConfigOp::Delete => {
                    map.remove(name);
                    continue;
                }
                ConfigOp::Set(value) => given(name, value)?.to_owned(),
                ConfigOp::Append(value) => joined(parts(&base()).chain(parts(given(name, value)?))),
                ConfigOp::Subtract(value) => {
                    let less: Vec<_> = parts(given(name, value)?).collect();
                    joined(parts(&base()).filter(|part| !less.contains(part)))
                }
            };
            map.insert(name.clone(), value);
        }
        Ok(map)
    }
}

fn given<'a>(name: &str, value: &'a Option<String>) -> Result<&'a str, ConfigRejected> {
    value.as_deref().ok_or_else(|| ConfigRejected {
        code: ErrorCode::InvalidRequest,
        message: format!("Null value not supported for : {name}"),
    })
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn joined<'a>(list: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    list.for_each(|part| {
        if !once.contains(&part) {
            once.push(part);
        }
    });
    once.join(",")
}
