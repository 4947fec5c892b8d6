//! The registry: every declared key, found by scope and name.
//!
//! Invariants (see the tests): names are unique within a scope; every default keeps its rule; every fallback and broker
//! key named is declared.

mod client_metrics;
mod group;
mod groups;
mod log;
mod network;
mod node;
mod replication;
mod security;
mod topic;
mod transactions;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::declaration::{Declaration, Scope, Status};
use crate::error::ConfigError;
use crate::value::{self, Value, clipped};

const BROKER: &[(&str, &[Declaration])] = &[
    ("Node", node::KEYS),
    ("Network", network::KEYS),
    ("Log", log::KEYS),
    ("Replication and tiered storage", replication::KEYS),
    ("Groups", groups::KEYS),
    ("Transactions", transactions::KEYS),
    ("Security", security::KEYS),
];

type Index = HashMap<&'static str, &'static Declaration>;

static BROKER_INDEX: LazyLock<Index> = LazyLock::new(|| index(Scope::Broker));
static TOPIC_INDEX: LazyLock<Index> = LazyLock::new(|| index(Scope::Topic));
static GROUP_INDEX: LazyLock<Index> = LazyLock::new(|| index(Scope::Group));
static CLIENT_METRICS_INDEX: LazyLock<Index> = LazyLock::new(|| index(Scope::ClientMetrics));

/// Every key of `scope`, sections one after the other.
pub fn declarations(scope: Scope) -> impl Iterator<Item = &'static Declaration> {
    sections(scope).flat_map(|(_, keys)| keys)
}

/// The keys of `scope` with the titles they are documented under.
pub fn sections(scope: Scope) -> impl Iterator<Item = (&'static str, &'static [Declaration])> {
    let sections: &[_] = match scope {
        Scope::Broker => BROKER,
        Scope::Topic => &[("Topics", topic::KEYS)],
        Scope::Group => &[("Groups", group::KEYS)],
        Scope::ClientMetrics => &[("Client metrics", client_metrics::KEYS)],
    };
    sections.iter().copied()
}

/// The declaration of `name`. A broker key may carry a prefix `listener.name.<listener>.`; the declaration is that of
/// the key behind it.
#[must_use]
pub fn find(scope: Scope, name: &str) -> Option<&'static Declaration> {
    let exact = index_of(scope).get(name).copied();
    exact.or_else(|| (scope == Scope::Broker).then(|| behind_listener(name)).flatten())
}

/// The same, with an unknown name as an error.
///
/// # Errors
/// [`ConfigError::UnknownKey`] with the nearest declared name.
pub fn known(scope: Scope, name: &str) -> Result<&'static Declaration, ConfigError> {
    find(scope, name).ok_or_else(|| ConfigError::UnknownKey {
        scope,
        key: clipped(name),
        nearest: nearest(scope, name),
    })
}

/// Reads `text` as a value of the key `name`, and refuses what would promise something that is not done here.
///
/// # Errors
/// [`ConfigError::UnknownKey`], [`ConfigError::InvalidValue`] or [`ConfigError::NotServed`].
pub fn check(scope: Scope, name: &str, text: &str) -> Result<(&'static Declaration, Value), ConfigError> {
    let key = known(scope, name)?;
    let value = value::parse(key, text)?;
    if key.status == Status::Refused && !is_default(key, &value) {
        return Err(ConfigError::NotServed { key: key.name, value: clipped(text), doc: key.doc });
    }
    Ok((key, value))
}

// A Java class left empty is a class left out.
fn is_default(key: &Declaration, value: &Value) -> bool {
    match value::default_of(key) {
        Some(default) => default == *value,
        None => value.text().is_empty() && value.list().is_empty(),
    }
}

/// The declared name most like `name`, when it is like enough to be meant.
#[must_use]
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    const LIKE_ENOUGH: f64 = 0.8;
    const CHARACTERS_MAX: usize = 200; // the comparison is quadratic, and no key is longer
    if name.chars().nth(CHARACTERS_MAX).is_some() {
        return None;
    }
    declarations(scope)
        .filter(|key| key.listed)
        .map(|key| (strsim::normalized_damerau_levenshtein(key.name, name), key.name))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

fn behind_listener(name: &str) -> Option<&'static Declaration> {
    let (_, key) = split_listener(name)?;
    BROKER_INDEX.get(key).copied()
}

/// Listener, as written, and key of `listener.name.<listener>.<key>`.
pub(crate) fn split_listener(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("listener.name.")?.split_once('.').filter(|(listener, _)| !listener.is_empty())
}

fn index_of(scope: Scope) -> &'static Index {
    match scope {
        Scope::Broker => &BROKER_INDEX,
        Scope::Topic => &TOPIC_INDEX,
        Scope::Group => &GROUP_INDEX,
        Scope::ClientMetrics => &CLIENT_METRICS_INDEX,
    }
}

fn index(scope: Scope) -> Index {
    declarations(scope).map(|declaration| (declaration.name, declaration)).collect()
}

#[cfg(test)]
mod tests;
