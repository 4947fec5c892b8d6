//! Changes at run time: which new overrides a request leads to, or why it is refused.
//!
//! Invariant: what comes back holds only declared keys with values that keep their rules, in the text Kafka would show,
//! unless it was in the current overrides before.

use std::collections::HashSet;
use std::fmt;

use crate::broker_config::{BrokerConfig, Overrides};
use crate::declaration::{Declaration, Kind, Scope, Status, Update};
use crate::error::{ConfigError, Reason};
use crate::keys;
use crate::value::{Value, clipped, elements};

/// One change of one key, as `IncrementalAlterConfigs` asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The key.
    pub key: String,
    /// What to do.
    pub kind: OpKind,
    /// The value; not looked at by [`OpKind::Delete`].
    pub value: Option<String>,
}

/// What a change does; the number is the one `IncrementalAlterConfigs` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum OpKind {
    /// Sets the value.
    Set = 0,
    /// Removes the override.
    Delete = 1,
    /// Adds elements to a list.
    Append = 2,
    /// Takes elements out of a list.
    Subtract = 3,
}

impl OpKind {
    /// The operation of a number on the wire; `None` for a number nobody defined.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Set,
            1 => Self::Delete,
            2 => Self::Append,
            3 => Self::Subtract,
            _ => return None,
        })
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        })
    }
}

/// New overrides of a topic. Also for a new topic, with no current overrides and a [`OpKind::Set`] for each of its configs.
///
/// # Errors
/// [`ConfigError`] for the first operation, or the combination, that is refused; nothing is changed then.
pub fn validate_topic_change(config: &BrokerConfig, current: &Overrides, ops: &[Op]) -> Result<Overrides, ConfigError> {
    let new = apply(Scope::Topic, current, ops)?;
    let number = |name| config.resource_value(Scope::Topic, &new, name).map_or(0, |value| value.integer());
    let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if min > max {
        return Err(ConfigError::CompactionLags { min, max });
    }
    Ok(new)
}

/// Which brokers a broker configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerTarget {
    /// One of them.
    One,
    /// All of them.
    Cluster,
}

/// Sockets are opened once. A value that is stored and has no effect would mislead, so that it is refused.
const AT_START: [&str; 2] = ["listeners", "listener.security.protocol.map"];

/// New dynamic values of one broker or of all.
///
/// # Errors
/// [`ConfigError`], also for keys that need a restart, or that only one broker at a time can take.
pub fn validate_broker_change(target: BrokerTarget, current: &Overrides, ops: &[Op]) -> Result<Overrides, ConfigError> {
    refuse_where(ops, ConfigError::ReadOnly, |key, _| key.update == Update::ReadOnly)?;
    refuse_where(ops, ConfigError::PerListener, |key, name| security(key) && name == key.name)?;
    if target == BrokerTarget::Cluster {
        refuse_where(ops, ConfigError::PerBroker, |key, _| key.update == Update::PerBroker)?;
    }
    let sets = |op: &&Op| op.kind != OpKind::Delete;
    let sets: Vec<Op> = ops.iter().filter(sets).cloned().collect();
    refuse_where(&sets, ConfigError::AtStart, |key, _| AT_START.contains(&key.name))?;
    apply(Scope::Broker, current, ops)
}

/// New overrides of a group.
///
/// # Errors
/// [`ConfigError`], also for values outside of what the broker's `group.*` bounds allow.
pub fn validate_group_change(
    config: &BrokerConfig,
    group: &str,
    current: &Overrides,
    ops: &[Op],
) -> Result<Overrides, ConfigError> {
    if group.is_empty() {
        return Err(ConfigError::NoDefault(Scope::Group));
    }
    let new = apply(Scope::Group, current, ops)?;
    for key in keys::declarations(Scope::Group).filter(|key| new.contains_key(key.name)) {
        let value = config.resource_value(Scope::Group, &new, key.name).map_or(0, |value| value.integer());
        within_bounds(config, key, value)?;
    }
    for kind in ["consumer", "share", "streams"] {
        session_over_heartbeat(config, &new, kind)?;
    }
    Ok(new)
}

/// New values of a client-metrics subscription.
///
/// # Errors
/// [`ConfigError`].
pub fn validate_client_metrics_change(name: &str, current: &Overrides, ops: &[Op]) -> Result<Overrides, ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::NoDefault(Scope::ClientMetrics));
    }
    let new = apply(Scope::ClientMetrics, current, ops)?;
    let patterns = new.get("match").map(|text| elements(text)).unwrap_or_default();
    match patterns.iter().find(|pattern| !selects_clients(pattern)) {
        None => Ok(new),
        Some(bad) => {
            Err(ConfigError::InvalidValue { key: "match".into(), value: clipped(bad), reason: Reason::NotMatch })
        }
    }
}

fn apply(scope: Scope, current: &Overrides, ops: &[Op]) -> Result<Overrides, ConfigError> {
    let mut names = HashSet::new();
    if let Some(twice) = ops.iter().find(|op| !names.insert(&op.key)) {
        return Err(ConfigError::DuplicateKey(clipped(&twice.key)));
    }
    let mut new = current.clone();
    for op in ops {
        match (op.kind, &op.value) {
            // As in Kafka, deleting what was never there, even an unknown key, is no error.
            (OpKind::Delete, _) => drop(new.remove(&op.key)),
            (_, None) => return Err(ConfigError::NullValue(clipped(&op.key))),
            (kind, Some(text)) => {
                let text = changed(scope, kind, &op.key, text, current)?;
                new.insert(op.key.clone(), text);
            }
        }
    }
    Ok(new)
}

fn changed(scope: Scope, kind: OpKind, name: &str, text: &str, current: &Overrides) -> Result<String, ConfigError> {
    let key = keys::known(scope, name)?;
    if kind != OpKind::Set && key.kind != Kind::List {
        return Err(ConfigError::NotList { key: name.into(), op: kind });
    }
    let text = match kind {
        OpKind::Append | OpKind::Subtract => edited(key, kind, text, current.get(name)),
        OpKind::Set | OpKind::Delete => text.to_owned(),
    };
    Ok(keys::check(scope, name, &text)?.1.to_string())
}

// A list without an override is edited from the key's default, as in Kafka.
fn edited(key: &Declaration, kind: OpKind, text: &str, current: Option<&String>) -> String {
    let current = current.map(String::as_str).or(key.default).unwrap_or_default();
    let mut list = elements(current.trim());
    let given = elements(text.trim());
    if kind == OpKind::Subtract {
        list.retain(|element| !given.contains(element));
    } else {
        for element in given {
            if !list.contains(&element) {
                list.push(element);
            }
        }
    }
    Value::List(list).to_string()
}

fn refuse_where(
    ops: &[Op],
    error: fn(Box<str>) -> ConfigError,
    refused: impl Fn(&Declaration, &str) -> bool,
) -> Result<(), ConfigError> {
    let hit = |op: &&Op| keys::find(Scope::Broker, &op.key).is_some_and(|key| refused(key, &op.key));
    let names: Vec<&str> = ops.iter().filter(hit).map(|op| op.key.as_str()).collect();
    if names.is_empty() { Ok(()) } else { Err(error(names.join(", ").into())) }
}

fn security(key: &Declaration) -> bool {
    key.update == Update::PerBroker && (key.name.starts_with("ssl.") || key.name.starts_with("sasl."))
}

// `consumer.session.timeout.ms` lies between `group.consumer.min.…` and `group.consumer.max.…`, where those exist.
fn within_bounds(config: &BrokerConfig, key: &'static Declaration, value: i64) -> Result<(), ConfigError> {
    let Some((kind, rest)) = key.name.split_once('.') else { return Ok(()) };
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let bound = |word| keys::find(Scope::Broker, &format!("group.{kind}.{word}.{rest}"));
    let limit = |bound: &Declaration| config.value(bound.name).map_or(value, |value| value.integer());
    match (bound("min"), bound("max")) {
        (Some(least), _) if value < limit(least) => Err(ConfigError::BelowBroker { key: key.name, bound: least.name }),
        (_, Some(most)) if value > limit(most) => Err(ConfigError::AboveBroker { key: key.name, bound: most.name }),
        _ => Ok(()),
    }
}

fn session_over_heartbeat(config: &BrokerConfig, new: &Overrides, kind: &str) -> Result<(), ConfigError> {
    let find = |what: &str| keys::find(Scope::Group, &format!("{kind}.{what}"));
    let (Some(session), Some(heartbeat)) = (find("session.timeout.ms"), find("heartbeat.interval.ms")) else {
        return Ok(());
    };
    let number = |key: &Declaration| config.resource_value(Scope::Group, new, key.name).map_or(0, |v| v.integer());
    if number(session) > number(heartbeat) {
        return Ok(());
    }
    Err(ConfigError::SessionUnderHeartbeat { session: session.name, heartbeat: heartbeat.name })
}

// The expression itself is compiled where it is used.
fn selects_clients(pattern: &str) -> bool {
    const WORDS: [&str; 6] = [
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    ];
    pattern.split_once('=').is_some_and(|(word, expression)| WORDS.contains(&word.trim()) && !expression.is_empty())
}

/// Keys of `overrides` that are accepted without effect.
pub fn without_effect(scope: Scope, overrides: &Overrides) -> impl Iterator<Item = &str> {
    let idle = move |name: &&str| keys::find(scope, name).is_some_and(|key| key.status == Status::Accepted);
    overrides.keys().map(String::as_str).filter(idle)
}

#[cfg(test)]
mod tests;
