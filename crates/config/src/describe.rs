//! What `DescribeConfigs` answers: the value in effect, its layer, and every layer that has a word on it.
//!
//! A broker key's chain holds its own name and the names that stand in for it, layer by layer; entries before the first
//! one with the asked name are left out, as Kafka does (so `retention.ms` shows no layers when only
//! `log.retention.hours` is set).

use crate::broker_config::{BrokerConfig, Overrides};
use crate::declaration::{Declaration, Scope, Update};
use crate::keys;
use crate::source::{Entry, Source, Synonym};
use crate::value::{self, Value};

impl BrokerConfig {
    /// This broker: every listed key, and every other that somebody set.
    #[must_use]
    pub fn describe_broker(&self) -> Vec<Entry> {
        let listed =
            keys::declarations(Scope::Broker).filter(|key| key.listed).map(|key| self.broker_entry(key, key.name));
        let mut entries: Vec<_> = listed.collect();
        for (_, layer) in self.layers() {
            for name in layer.keys() {
                if entries.iter().all(|entry| entry.name != *name) {
                    entries.extend(keys::find(Scope::Broker, name).map(|key| self.broker_entry(key, name)));
                }
            }
        }
        entries
    }

    /// The default of all brokers: only what is set at run time.
    #[must_use]
    pub fn describe_cluster(&self) -> Vec<Entry> {
        let known =
            self.cluster().iter().filter_map(|(name, value)| Some((keys::find(Scope::Broker, name)?, name, value)));
        known
            .map(|(key, name, value)| {
                let synonym = synonym(key, name, value, Source::DynamicDefaultBroker);
                entry(key, name, Some(value), vec![synonym])
            })
            .collect()
    }

    /// A topic with these overrides: every listed key, and every other that is overridden.
    #[must_use]
    pub fn describe_topic(&self, overrides: &Overrides) -> Vec<Entry> {
        self.describe(Scope::Topic, Source::DynamicTopic, overrides)
    }

    /// A group with these overrides.
    #[must_use]
    pub fn describe_group(&self, overrides: &Overrides) -> Vec<Entry> {
        self.describe(Scope::Group, Source::Group, overrides)
    }

    /// A client-metrics subscription with these overrides.
    #[must_use]
    pub fn describe_client_metrics(&self, overrides: &Overrides) -> Vec<Entry> {
        self.describe(Scope::ClientMetrics, Source::ClientMetrics, overrides)
    }

    /// The value in effect of a topic or group key under these overrides; `None` for null and for an unknown key.
    #[must_use]
    pub fn resource_value(&self, scope: Scope, overrides: &Overrides, name: &str) -> Option<Value> {
        let key = keys::find(scope, name)?;
        overridden(key, overrides).or_else(|| self.effective(key.broker_key?)).or_else(|| value::default_of(key))
    }

    fn describe(&self, scope: Scope, source: Source, overrides: &Overrides) -> Vec<Entry> {
        keys::declarations(scope)
            .filter(|key| key.listed || overrides.contains_key(key.name))
            .map(|key| self.resource_entry(scope, source, overrides, key))
            .collect()
    }

    fn resource_entry(&self, scope: Scope, source: Source, overrides: &Overrides, key: &'static Declaration) -> Entry {
        let mut chain = Vec::new();
        if let Some(value) = overridden(key, overrides) {
            chain.push(synonym(key, key.name, &value, source));
        }
        match key.broker_key.and_then(|name| keys::find(Scope::Broker, name)) {
            Some(broker) => chain.extend(self.chain(broker, broker.name)),
            None if scope == Scope::Group => {
                chain.extend(value::default_of(key).map(|value| synonym(key, key.name, &value, Source::Default)));
            }
            None => {}
        }
        entry(key, key.name, self.resource_value(scope, overrides, key.name).as_ref(), chain)
    }

    fn broker_entry(&self, key: &'static Declaration, name: &str) -> Entry {
        let mut entry = entry(key, name, self.value(name), self.chain(key, name));
        entry.read_only = key.update == Update::ReadOnly;
        entry
    }

    /// Layer by layer: `name`, the key behind its listener prefix, and what stands in for it.
    fn chain(&self, key: &'static Declaration, name: &str) -> Vec<Synonym> {
        let names = family(key, name);
        let mut chain = Vec::new();
        for (source, layer) in self.layers() {
            let set = names.iter().filter_map(|(key, name)| Some(synonym(key, name, layer.get(*name)?, source)));
            chain.extend(set);
        }
        for (key, name) in &names {
            if key.name == *name {
                chain.extend(value::default_of(key).map(|value| synonym(key, name, &value, Source::Default)));
            }
        }
        let first = chain.iter().position(|synonym| &*synonym.name == name).unwrap_or(chain.len());
        chain.split_off(first)
    }
}

// All keys that may give the value: those that stand in for `key`, and those that `key` itself stands in for.
fn family<'a>(key: &'static Declaration, name: &'a str) -> Vec<(&'static Declaration, &'a str)> {
    let mut names = vec![(key, name)];
    if name != key.name {
        names.push((key, key.name));
    }
    let others = key.fallbacks.iter().filter_map(|other| keys::find(Scope::Broker, other.key));
    names.extend(others.map(|other| (other, other.name)));
    names
}

fn overridden(key: &Declaration, overrides: &Overrides) -> Option<Value> {
    value::parse(key, overrides.get(key.name)?).ok()
}

fn synonym(key: &Declaration, name: &str, value: &Value, source: Source) -> Synonym {
    Synonym { name: name.into(), value: shown(key, value), source }
}

fn shown(key: &Declaration, value: &Value) -> Option<Box<str>> {
    (!key.sensitive()).then(|| value.to_string().into())
}

fn entry(key: &'static Declaration, name: &str, value: Option<&Value>, synonyms: Vec<Synonym>) -> Entry {
    Entry {
        name: name.into(),
        value: value.and_then(|value| shown(key, value)),
        kind: key.kind,
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        read_only: false,
        sensitive: key.sensitive(),
        synonyms,
        doc: key.doc,
    }
}

#[cfg(test)]
mod tests;
