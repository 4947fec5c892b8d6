//! From file, environment and flags to a [`BrokerConfig`]: the later wins, key by key.
//!
//! Invariants: nothing is dropped in silence: an unknown key in a file or the environment is a [`Warning`], by flag an
//! error; a key that is accepted without effect is listed; a bad value is an error that names its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker_config::BrokerConfig;
use crate::declaration::{Declaration, Scope, Status};
use crate::error::ConfigError;
use crate::file::{ConfigFile, SyntaxReason};
use crate::keys;
use crate::source::Origin;
use crate::value::{Value, clipped};

/// Start of the environment variables that are read: `OTTLA_LOG_RETENTION_MS` sets `log.retention.ms`.
pub const ENVIRONMENT_PREFIX: &str = "OTTLA_";

/// Everything that a broker's static configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file, when there is one.
    pub file: Option<ConfigFile>,
    /// Environment variables; those without [`ENVIRONMENT_PREFIX`] are passed over.
    pub environment: Vec<(String, String)>,
    /// `key=value` of the command line.
    pub flags: Vec<(String, String)>,
}

/// A configuration, and what its author should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: BrokerConfig,
    /// Keys that nobody knows, one each.
    pub warnings: Vec<Warning>,
    /// Keys that were set and have no effect here, with their places.
    pub accepted: Vec<(Box<str>, Origin)>,
}

/// A setting that has no effect because its key is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: unknown key {key}{}", .nearest.map(|name| format!(", did you mean {name}?")).unwrap_or_default())]
pub struct Warning {
    /// As written, clipped.
    pub key: Box<str>,
    /// Its place.
    pub origin: Origin,
    /// The declared name most like it, if any is.
    pub nearest: Option<&'static str>,
}

/// Why a configuration cannot be loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// The file is not in its format.
    #[error("{origin}: {reason}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What is wrong.
        reason: SyntaxReason,
    },
    /// A value is refused, or a flag names an unknown key.
    #[error("{origin}: {error}")]
    Setting {
        /// Where it was set.
        origin: Origin,
        /// Why it is refused.
        #[source]
        error: ConfigError,
    },
}

/// Reads and checks all inputs.
///
/// # Errors
/// [`LoadError`] for the first thing that is wrong.
pub fn load(inputs: &Inputs) -> Result<Loaded, LoadError> {
    let mut loading = Loading::default();
    if let Some(file) = &inputs.file {
        loading.read_file(file)?;
    }
    loading.read_environment(&inputs.environment)?;
    for (name, text) in &inputs.flags {
        loading.set(name, text, Origin::Flag)?;
    }
    Ok(loading.finish())
}

#[derive(Default)]
struct Loading {
    settings: BTreeMap<Box<str>, (&'static Declaration, Value, Origin)>,
    warnings: Vec<Warning>,
}

impl Loading {
    fn read_file(&mut self, file: &ConfigFile) -> Result<(), LoadError> {
        let origin = |line| Origin::File { name: Arc::clone(&file.name), line };
        let settings = file.settings().map_err(|e| LoadError::Syntax { origin: origin(e.line), reason: e.reason })?;
        for setting in settings {
            if keys::find(Scope::Broker, &setting.key).is_some() {
                self.set(&setting.key, &setting.value, origin(setting.line))?;
            } else {
                self.warn(&setting.key, origin(setting.line));
            }
        }
        Ok(())
    }

    fn read_environment(&mut self, variables: &[(String, String)]) -> Result<(), LoadError> {
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let origin = Origin::Environment(clipped(variable));
            match keys::declarations(Scope::Broker).find(|key| environment_name(key.name) == name) {
                Some(key) => self.set(key.name, text, origin)?,
                None => self.warn(&name.to_ascii_lowercase().replace('_', "."), origin),
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), LoadError> {
        match keys::check(Scope::Broker, name, text) {
            Ok((key, value)) => {
                self.settings.insert(name.into(), (key, value, origin));
                Ok(())
            }
            Err(error) => Err(LoadError::Setting { origin, error }),
        }
    }

    fn warn(&mut self, name: &str, origin: Origin) {
        let warning = Warning { key: clipped(name), origin, nearest: keys::nearest(Scope::Broker, name) };
        if self.warnings.iter().all(|other| other.key != warning.key) {
            self.warnings.push(warning);
        }
    }

    fn finish(mut self) -> Loaded {
        self.copy_id("broker.id", "node.id");
        self.copy_id("node.id", "broker.id");
        let accepted = self.settings.iter().filter(|(_, (key, ..))| key.status == Status::Accepted);
        let accepted = accepted.map(|(name, (.., origin))| (name.clone(), origin.clone())).collect();
        let statics = self.settings.into_iter().map(|(name, (_, value, _))| (name, value)).collect();
        Loaded { config: BrokerConfig::from_statics(statics), warnings: self.warnings, accepted }
    }

    // The two are one number under an old and a new name.
    fn copy_id(&mut self, from: &str, to: &str) {
        let Some((_, value, origin)) = self.settings.get(from).cloned() else { return };
        if let Some(key) = keys::find(Scope::Broker, to).filter(|_| value.integer() >= 0) {
            self.settings.entry(to.into()).or_insert((key, value, origin));
        }
    }
}

/// The variable that sets `key`, without the prefix.
#[must_use]
pub fn environment_name(key: &str) -> String {
    key.to_ascii_uppercase().replace(['.', '-'], "_")
}

#[cfg(test)]
mod tests;
