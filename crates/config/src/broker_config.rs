//! The layers of a broker's configuration and the value in effect of each key.
//!
//! Order: set on this broker, set on all brokers, file and environment and flags, default. Invariants: every text in a
//! layer has been parsed with its declaration; `values` holds what the layers give, so reading costs one look-up.

use std::collections::{BTreeMap, HashMap};

use crate::declaration::{Declaration, Scope};
use crate::keys;
use crate::source::Source;
use crate::value::{self, Value};

/// Keys and texts set at run time on one resource, as the metadata keeps them.
pub type Overrides = BTreeMap<String, String>;

/// A broker's configuration: immutable, changed by making another.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    statics: Layer,
    cluster: Layer,
    broker: Layer,
    values: HashMap<&'static str, Value>,
}

pub(crate) type Layer = BTreeMap<Box<str>, Value>;

impl Default for BrokerConfig {
    /// What a broker without any configuration runs with.
    fn default() -> Self {
        Self::of(Layer::new(), Layer::new(), Layer::new())
    }
}

impl BrokerConfig {
    pub(crate) fn from_statics(statics: Layer) -> Self {
        Self::of(statics, Layer::new(), Layer::new())
    }

    fn of(statics: Layer, cluster: Layer, broker: Layer) -> Self {
        let mut config = Self { statics, cluster, broker, values: HashMap::new() };
        let set = |key: &'static Declaration| Some((key.name, config.in_effect(key)?));
        config.values = keys::declarations(Scope::Broker).filter_map(set).collect();
        config
    }

    /// The same file, environment and flags under new values from the metadata: `cluster` set on all brokers, `broker`
    /// on this one. What does not parse (a newer broker may have set it) is passed over.
    #[must_use]
    pub fn with_dynamic(&self, cluster: &Overrides, broker: &Overrides) -> Self {
        Self::of(self.statics.clone(), layer(cluster), layer(broker))
    }

    /// The value in effect of a broker key, its fallbacks not asked; `None` for null and for an unknown key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).or_else(|| self.layers().find_map(|(_, layer)| layer.get(key)))
    }

    /// The value in effect of a broker key or of what stands in for it, in the key's own unit. Below zero is no number of hours
    /// but no limit, whatever the unit.
    #[must_use]
    pub fn effective(&self, key: &str) -> Option<Value> {
        if let Some(value) = self.value(key) {
            return Some(value.clone());
        }
        let fallbacks = keys::find(Scope::Broker, key)?.fallbacks;
        fallbacks.iter().find_map(|other| {
            let number = self.value(other.key)?.integer();
            Some(Value::Integer(if number < 0 { number } else { number.saturating_mul(other.factor) }))
        })
    }

    /// Whether somebody has set the key, be it to its default.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.layers().any(|(_, layer)| layer.contains_key(key))
    }

    /// Layers, the strongest first.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (Source, &Layer)> {
        [
            (Source::DynamicBroker, &self.broker),
            (Source::DynamicDefaultBroker, &self.cluster),
            (Source::StaticBroker, &self.statics),
        ]
        .into_iter()
    }

    pub(crate) fn cluster(&self) -> &Layer {
        &self.cluster
    }

    fn in_effect(&self, key: &'static Declaration) -> Option<Value> {
        let set = self.layers().find_map(|(_, layer)| layer.get(key.name));
        set.cloned().or_else(|| value::default_of(key))
    }
}

fn layer(overrides: &Overrides) -> Layer {
    overrides
        .iter()
        .filter_map(|(name, text)| {
            let value = value::parse(keys::find(Scope::Broker, name)?, text).ok()?;
            Some((name.as_str().into(), value))
        })
        .collect()
}
