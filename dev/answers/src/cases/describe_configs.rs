//! DescribeConfigs: topics and brokers, with synonyms and documentation, chosen keys, unknown resources.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{DescribeConfigsRequest, DescribeConfigsResource};

use super::Case;
use super::requests::{one, ready};
use crate::session::Session;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::DescribeConfigs;
    vec![
        Case::each("topic", api, topic),
        Case::each("chosen_keys", api, chosen_keys),
        Case::each("synonyms", api, synonyms),
        Case::newest("documentation", api, documentation),
        Case::each("unknown", api, unknown),
        Case::newest("types", api, types),
        Case::newest("broker", api, broker),
        Case::newest("broker_names", api, broker_names),
        Case::newest("every_broker", api, every_broker),
        Case::newest("group", api, group),
        Case::newest("in_full", api, in_full),
        Case::newest("one_twice", api, one_twice),
    ]
}

pub(super) fn resource(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
    }
}

pub(super) fn describe(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest { resources, ..Default::default() }
}

fn topic(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234"), ("cleanup.policy", "compact")])?;
    s.ask("all keys", v, &describe(vec![resource(TOPIC, &topic.name, None)])).map(drop)
}

fn chosen_keys(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("segment.ms", "1234000")])?;
    let of = |keys: &[&str]| describe(vec![resource(TOPIC, &topic.name, Some(keys))]);
    s.ask("three", v, &of(&["segment.ms", "min.insync.replicas", "retention.bytes"]))?;
    s.ask("an unknown one", v, &of(&["segment.ms", "no.such.key"]))?;
    s.ask("none", v, &of(&[])).map(drop)
}

fn synonyms(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234"), ("max.message.bytes", "5000")])?;
    let keys = ["retention.ms", "max.message.bytes", "segment.ms", "flush.messages", "retention.bytes"];
    let request = describe(vec![resource(TOPIC, &topic.name, Some(&keys))]);
    s.ask("some keys", v, &DescribeConfigsRequest { include_synonyms: true, ..request })?;
    let request = describe(vec![resource(TOPIC, &topic.name, None)]);
    let all = DescribeConfigsRequest { include_synonyms: true, ..request };
    if v == 4 { s.ask("all keys", v, &all).map(drop) } else { Ok(()) }
}

fn documentation(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let request = describe(vec![resource(TOPIC, &topic.name, Some(&["retention.ms", "cleanup.policy"]))]);
    s.ask("two keys", v, &DescribeConfigsRequest { include_documentation: true, ..request }).map(drop)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let (known, name) = (one(s, "a")?, s.topic("b"));
    let keys: Option<&[&str]> = Some(&["retention.ms"]);
    let resources = vec![resource(TOPIC, &name, keys), resource(TOPIC, &known.name, keys)];
    s.ask("one of two", v, &describe(resources))?;
    let resources = vec![resource(TOPIC, "", keys), resource(TOPIC, "a b", keys)];
    s.ask("no topic's names", v, &describe(resources)).map(drop)
}

fn types(s: &mut Session, v: i16) -> Result<()> {
    for resource_type in [0, 1, 3, 99, -1] {
        s.ask(&format!("type {resource_type}"), v, &describe(vec![resource(resource_type, "x", None)]))?;
    }
    s.ask("no resources", v, &describe(vec![])).map(drop)
}

/// Keys that clients and tools look at.
const BROKER_KEYS: [&str; 26] = [
    "auto.create.topics.enable",
    "background.threads",
    "compression.type",
    "default.replication.factor",
    "delete.topic.enable",
    "group.consumer.max.size",
    "group.initial.rebalance.delay.ms",
    "group.max.size",
    "log.cleaner.threads",
    "log.flush.interval.messages",
    "log.retention.bytes",
    "log.retention.hours",
    "log.retention.ms",
    "log.roll.hours",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "node.id",
    "num.io.threads",
    "num.network.threads",
    "num.partitions",
    "offsets.retention.minutes",
    "producer.id.expiration.ms",
    "ssl.keystore.password",
    "transaction.max.timeout.ms",
    "unclean.leader.election.enable",
];

fn broker(s: &mut Session, v: i16) -> Result<()> {
    s.ask("what tools look at", v, &describe(vec![resource(BROKER, "1", Some(&BROKER_KEYS))]))?;
    let request = describe(vec![resource(BROKER, "1", Some(&BROKER_KEYS))]);
    s.ask("with synonyms", v, &DescribeConfigsRequest { include_synonyms: true, ..request })?;
    let response = s.get(v, &describe(vec![resource(BROKER, "1", None)]))?;
    let mut names: Vec<_> = response.results.iter().flat_map(|r| &r.configs).map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    let names: Vec<String> = names.iter().map(|name| format!("{name}=there")).collect();
    s.note("DescribeConfigs: every key that there is", &names.join(" "));
    Ok(())
}

fn broker_names(s: &mut Session, v: i16) -> Result<()> {
    for name in ["7", "x", "-1", "", "1.0"] {
        let request = describe(vec![resource(BROKER, name, Some(&["num.io.threads"]))]);
        s.ask(&format!("broker {name:?}"), v, &request)?;
    }
    s.ask("the default of all", v, &describe(vec![resource(BROKER, "", None)]))?;
    for name in ["7", ""] {
        s.ask(&format!("loggers of broker {name:?}"), v, &describe(vec![resource(BROKER_LOGGER, name, Some(&[]))]))?;
    }
    Ok(())
}

/// Keys that only tell where and on what machine the broker runs.
const LOCAL: [&str; 14] = [
    "advertised.listeners",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "controller.listener.names",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "process.roles",
    "broker.id",
    "node.id",
    "num.recovery.threads.per.data.dir",
];

fn every_broker(s: &mut Session, v: i16) -> Result<()> {
    let mut response = s.get(v, &describe(vec![resource(BROKER, "1", None)]))?;
    for result in &mut response.results {
        result.configs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    for config in response.results.iter().flat_map(|result| &result.configs) {
        if LOCAL.contains(&config.name.as_str()) || config.config_source != 5 {
            continue;
        }
        let value = config.value.as_deref().map_or("null".to_owned(), |value| format!("{value:?}"));
        let flags =
            format!("type={} read_only={} sensitive={}", config.config_type, config.read_only, config.is_sensitive);
        s.note(&format!("DescribeConfigs: default of {}", config.name), &format!("value={value} {flags}"));
    }
    Ok(())
}

fn group(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("group");
    s.ask("a group", v, &describe(vec![resource(GROUP, &name, None)]))?;
    s.ask("no name", v, &describe(vec![resource(GROUP, "", None)]))?;
    s.ask("client metrics", v, &describe(vec![resource(CLIENT_METRICS, &name, None)]))?;
    s.ask("client metrics without a name", v, &describe(vec![resource(CLIENT_METRICS, "", None)])).map(drop)
}

/// With all that can be said of each kind of resource: every key of a topic and a group, and what tools look at.
fn in_full(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234")])?;
    let group = s.topic("group");
    for (what, of) in [
        ("a topic", resource(TOPIC, &topic.name, None)),
        ("a group", resource(GROUP, &group, None)),
        ("a broker", resource(BROKER, "1", Some(&BROKER_KEYS))),
    ] {
        let request = describe(vec![of]);
        s.ask(what, v, &DescribeConfigsRequest { include_synonyms: true, include_documentation: true, ..request })?;
    }
    Ok(())
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let of = |key: &str| resource(TOPIC, &topic.name, Some(&[key]));
    s.ask("other keys each time", v, &describe(vec![of("retention.ms"), of("segment.ms")])).map(drop)
}
