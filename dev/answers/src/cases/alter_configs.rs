//! IncrementalAlterConfigs and AlterConfigs: of topics and brokers, every operation, 40 and 42.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs_request,
    incremental_alter_configs_request,
};

use super::Case;
use super::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC, describe, resource};
use super::requests::{one, ready};
use crate::session::Session;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::AlterConfigs;
    vec![
        Case::each("replace", api, replace),
        Case::each("wrong", api, replace_wrong),
        Case::each("validate_only", api, replace_validated),
        Case::newest("unknown", api, replace_unknown),
        Case::newest("one_twice", api, replace_twice),
    ]
}

pub(super) fn incremental() -> Vec<Case> {
    let api = ApiKey::IncrementalAlterConfigs;
    vec![
        Case::each("set_and_delete", api, set_and_delete),
        Case::each("lists", api, lists),
        Case::each("wrong", api, wrong),
        Case::newest("wrong_operations", api, wrong_operations),
        Case::newest("wrong_values", api, wrong_values),
        Case::each("validate_only", api, validate_only),
        Case::each("unknown", api, unknown),
        Case::newest("one_twice", api, one_twice),
        Case::newest("good_and_bad", api, good_and_bad),
        Case::newest("broker", api, broker),
        Case::newest("all_brokers", api, all_brokers),
        Case::newest("brokers_keys_in_topics", api, brokers_keys_in_topics),
        Case::newest("wrong_broker", api, wrong_broker),
        Case::newest("other_types", api, other_types),
    ]
}

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn change(kind: i8, name: &str, changes: &[Change<'_>]) -> incremental_alter_configs_request::AlterConfigsResource {
    let config = |(name, operation, value): &Change<'_>| incremental_alter_configs_request::AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *operation,
        value: value.map(str::to_owned),
    };
    incremental_alter_configs_request::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: changes.iter().map(config).collect(),
    }
}

fn alter(resources: Vec<incremental_alter_configs_request::AlterConfigsResource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest { resources, validate_only: false }
}

fn alter_topic(name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    alter(vec![change(TOPIC, name, changes)])
}

/// Waits until the value is there, then shows some keys.
fn show(s: &mut Session, kind: i8, name: &str, keys: &[&str], now: (&str, Option<&str>)) -> Result<()> {
    s.settle(&format!("{} is {:?}", now.0, now.1), |s| {
        let response = s.get(4, &describe(vec![resource(kind, name, Some(&[now.0]))]))?;
        let mut configs = response.results.iter().flat_map(|result| &result.configs);
        Ok(configs.next().and_then(|config| config.value.as_deref()) == now.1)
    })?;
    s.ask("after it", 4, &describe(vec![resource(kind, name, Some(keys))])).map(drop)
}

fn set_and_delete(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234"), ("segment.ms", "1000000")])?;
    let changes = [("retention.ms", SET, Some("777")), ("segment.ms", DELETE, None), ("flush.ms", SET, Some("9"))];
    s.ask("two set, one deleted", v, &alter_topic(&topic.name, &changes))?;
    show(s, TOPIC, &topic.name, &["retention.ms", "segment.ms", "flush.ms"], ("retention.ms", Some("777")))?;
    s.ask("delete what is not set", v, &alter_topic(&topic.name, &[("segment.bytes", DELETE, None)]))?;
    s.ask("delete with a value", v, &alter_topic(&topic.name, &[("flush.ms", DELETE, Some("9"))]))?;
    s.ask("nothing", v, &alter_topic(&topic.name, &[])).map(drop)
}

fn lists(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let key = "cleanup.policy";
    for (label, operation, value, after) in [
        ("append to the default", APPEND, "compact", "delete,compact"),
        ("append what is there", APPEND, "compact", "delete,compact"),
        ("subtract", SUBTRACT, "delete", "compact"),
        ("subtract what is not there", SUBTRACT, "delete", "compact"),
    ] {
        s.ask(label, v, &alter_topic(&topic.name, &[(key, operation, Some(value))]))?;
        show(s, TOPIC, &topic.name, &[key], (key, Some(after)))?;
    }
    s.ask("subtract the last", v, &alter_topic(&topic.name, &[(key, SUBTRACT, Some("compact"))]))?;
    let append = [("retention.ms", APPEND, Some("1"))];
    s.ask("append to a number", v, &alter_topic(&topic.name, &append))?;
    let subtract = [("retention.ms", SUBTRACT, Some("1"))];
    s.ask("subtract from a number", v, &alter_topic(&topic.name, &subtract)).map(drop)
}

fn wrong(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, change) in [
        ("unknown key", ("no.such.key", SET, Some("1"))),
        ("delete an unknown key", ("no.such.key", DELETE, None)),
        ("no number", ("retention.ms", SET, Some("x"))),
        ("out of range", ("min.insync.replicas", SET, Some("0"))),
        ("null", ("retention.ms", SET, None)),
        ("append null", ("cleanup.policy", APPEND, None)),
        ("a broker's key", ("num.io.threads", SET, Some("3"))),
        ("no key", ("", SET, Some("3"))),
    ] {
        s.ask(label, v, &alter_topic(&topic.name, &[change]))?;
    }
    let twice = [("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))];
    s.ask("a key twice", v, &alter_topic(&topic.name, &twice)).map(drop)
}

fn wrong_operations(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for operation in [4, -1, 127] {
        let changes = [("retention.ms", operation, Some("1"))];
        s.ask(&format!("operation {operation}"), v, &alter_topic(&topic.name, &changes))?;
    }
    Ok(())
}

fn wrong_values(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (key, value) in [
        ("cleanup.policy", "compact,delete"),
        ("cleanup.policy", "none"),
        ("cleanup.policy", "delete,delete"),
        ("compression.type", "ZSTD"),
        ("retention.ms", " 5 "),
        ("retention.ms", "-1"),
        ("retention.ms", "5L"),
        ("max.message.bytes", "2147483648"),
        ("min.cleanable.dirty.ratio", "1"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("unclean.leader.election.enable", "TRUE"),
        ("message.timestamp.type", "logappendtime"),
        ("min.insync.replicas", "3"),
        ("segment.bytes", "1048576"),
        ("segment.bytes", "1000"),
        ("preallocate", ""),
        ("remote.log.copy.disable", "true"),
        ("remote.log.delete.on.disable", "true"),
        ("local.retention.ms", "10"),
        ("internal.segment.bytes", "100"),
    ] {
        s.ask(&format!("{key}={value:?}"), v, &alter_topic(&topic.name, &[(key, SET, Some(value))]))?;
    }
    Ok(())
}

fn validate_only(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let of = |changes: &[Change<'_>]| IncrementalAlterConfigsRequest {
        validate_only: true,
        ..alter_topic(&topic.name, changes)
    };
    s.ask("good", v, &of(&[("flush.ms", SET, Some("5"))]))?;
    s.ask("bad", v, &of(&[("flush.ms", SET, Some("x"))]))?;
    let now = ("flush.ms", Some("9223372036854775807"));
    show(s, TOPIC, &topic.name, &["flush.ms"], now)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("b");
    s.ask("no such topic", v, &alter_topic(&name, &[("flush.ms", SET, Some("5"))]))?;
    s.ask("no such topic, bad value", v, &alter_topic(&name, &[("flush.ms", SET, Some("x"))]))?;
    s.ask("no topic's name", v, &alter_topic("a b", &[("flush.ms", SET, Some("5"))]))?;
    s.ask("no name", v, &alter_topic("", &[("flush.ms", SET, Some("5"))])).map(drop)
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    let of = |name: &str, value| change(TOPIC, name, &[("flush.ms", SET, Some(value))]);
    s.ask("one of two", v, &alter(vec![of(&a.name, "1"), of(&b.name, "2"), of(&a.name, "3")])).map(drop)
}

fn good_and_bad(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    let of = |name: &str, value| change(TOPIC, name, &[("flush.ms", SET, Some(value))]);
    s.ask("two topics", v, &alter(vec![of(&a.name, "1"), of(&b.name, "x")]))?;
    show(s, TOPIC, &a.name, &["flush.ms"], ("flush.ms", Some("1")))?;
    let changes = [("flush.ms", SET, Some("2")), ("segment.ms", SET, Some("x"))];
    s.ask("two keys", v, &alter_topic(&a.name, &changes))?;
    show(s, TOPIC, &a.name, &["flush.ms"], ("flush.ms", Some("1")))
}

fn broker(s: &mut Session, v: i16) -> Result<()> {
    let of = |changes: &[Change<'_>]| alter(vec![change(BROKER, "1", changes)]);
    let key = "log.cleaner.threads";
    s.ask("a dynamic key", v, &of(&[(key, SET, Some("2"))]))?;
    show(s, BROKER, "1", &[key], (key, Some("2")))?;
    let synonyms = ottla_wire::messages::DescribeConfigsRequest {
        include_synonyms: true,
        ..describe(vec![resource(BROKER, "1", Some(&[key]))])
    };
    s.ask("its synonyms", 4, &synonyms)?;
    s.ask("a bad value", v, &of(&[(key, SET, Some("x"))]))?;
    s.ask("back", v, &of(&[(key, DELETE, None)]))?;
    show(s, BROKER, "1", &[key], (key, Some("1")))
}

fn all_brokers(s: &mut Session, v: i16) -> Result<()> {
    let of = |changes: &[Change<'_>]| alter(vec![change(BROKER, "", changes)]);
    let key = "background.threads";
    s.ask("a dynamic key", v, &of(&[(key, SET, Some("11"))]))?;
    show(s, BROKER, "1", &[key], (key, Some("11")))?;
    s.ask("the default's own view", 4, &describe(vec![resource(BROKER, "", None)]))?;
    s.ask("back", v, &of(&[(key, DELETE, None)]))?;
    show(s, BROKER, "1", &[key], (key, Some("10")))
}

/// What is not set for a topic comes from the broker, and from all brokers' defaults after that.
fn brokers_keys_in_topics(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let of = |broker: &str, operation, value| {
        alter(vec![change(BROKER, broker, &[("log.flush.interval.messages", operation, value)])])
    };
    let described = DescribeConfigsRequest {
        include_synonyms: true,
        ..describe(vec![resource(TOPIC, &topic.name, Some(&["flush.messages"]))])
    };
    let key = "flush.messages";
    for (label, broker, operation, value, now) in [
        ("for all brokers", "", SET, Some("1000000"), "1000000"),
        ("for this one", "1", SET, Some("2000000"), "2000000"),
        ("no more for this one", "1", DELETE, None, "1000000"),
        ("no more for all", "", DELETE, None, "9223372036854775807"),
    ] {
        s.ask(label, v, &of(broker, operation, value))?;
        show(s, TOPIC, &topic.name, &[key], (key, Some(now)))?;
        s.ask(&format!("{label}: the topic's"), 4, &described)?;
    }
    Ok(())
}

fn wrong_broker(s: &mut Session, v: i16) -> Result<()> {
    for (label, name, change_of) in [
        ("a key that needs a restart", "1", ("node.id", SET, Some("2"))),
        ("a key that only a start reads", "1", ("log.dirs", SET, Some("/x"))),
        ("an unknown key", "1", ("no.such.key", SET, Some("2"))),
        ("a topic's key", "1", ("retention.ms", SET, Some("2"))),
        ("one broker's key for all", "", ("listeners", SET, Some("PLAINTEXT://:9092"))),
        ("another broker", "7", ("log.cleaner.threads", SET, Some("2"))),
        ("no number", "x", ("log.cleaner.threads", SET, Some("2"))),
        ("too large a change", "1", ("num.io.threads", SET, Some("1000"))),
        ("zero threads", "1", ("num.io.threads", SET, Some("0"))),
    ] {
        let request = alter(vec![change(BROKER, name, &[change_of])]);
        s.ask(label, v, &IncrementalAlterConfigsRequest { validate_only: true, ..request })?;
    }
    Ok(())
}

fn other_types(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("x");
    for (label, kind, name) in [
        ("type 0", 0, "x"),
        ("type 1", 1, "x"),
        ("type 99", 99, "x"),
        ("an unknown logger", BROKER_LOGGER, "1"),
        ("client metrics", CLIENT_METRICS, &name),
        ("a group", GROUP, &name),
        ("a group without a name", GROUP, ""),
    ] {
        let request = alter(vec![change(kind, name, &[("no.such.key", SET, Some("1"))])]);
        s.ask(label, v, &request)?;
    }
    s.ask("no resources", v, &alter(vec![])).map(drop)
}

fn all_of(kind: i8, name: &str, configs: &[(&str, Option<&str>)]) -> alter_configs_request::AlterConfigsResource {
    let config = |(name, value): &(&str, Option<&str>)| alter_configs_request::AlterableConfig {
        name: (*name).to_owned(),
        value: value.map(str::to_owned),
    };
    alter_configs_request::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.iter().map(config).collect(),
    }
}

fn put(resources: Vec<alter_configs_request::AlterConfigsResource>) -> AlterConfigsRequest {
    AlterConfigsRequest { resources, validate_only: false }
}

fn replace(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234"), ("segment.ms", "1000000")])?;
    s.ask("one key", v, &put(vec![all_of(TOPIC, &topic.name, &[("retention.ms", Some("777"))])]))?;
    show(s, TOPIC, &topic.name, &["retention.ms", "segment.ms"], ("retention.ms", Some("777")))?;
    s.ask("no keys", v, &put(vec![all_of(TOPIC, &topic.name, &[])]))?;
    show(s, TOPIC, &topic.name, &["retention.ms", "segment.ms"], ("retention.ms", Some("-1")))
}

fn replace_wrong(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, config) in [
        ("unknown key", ("no.such.key", Some("1"))),
        ("no number", ("retention.ms", Some("x"))),
        ("null", ("retention.ms", None)),
    ] {
        s.ask(label, v, &put(vec![all_of(TOPIC, &topic.name, &[config])]))?;
    }
    let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
    s.ask("a key twice", v, &put(vec![all_of(TOPIC, &topic.name, &twice)])).map(drop)
}

fn replace_validated(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("retention.ms", "1234")])?;
    let of = |value| AlterConfigsRequest {
        validate_only: true,
        ..put(vec![all_of(TOPIC, &topic.name, &[("retention.ms", Some(value))])])
    };
    s.ask("good", v, &of("5"))?;
    s.ask("bad", v, &of("x"))?;
    show(s, TOPIC, &topic.name, &["retention.ms"], ("retention.ms", Some("1234")))
}

fn replace_unknown(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("b");
    for (label, kind, name) in [
        ("no such topic", TOPIC, name.as_str()),
        ("no topic's name", TOPIC, "a b"),
        ("another broker", BROKER, "7"),
        ("loggers", BROKER_LOGGER, "1"),
        ("type 0", 0, "x"),
        ("type 99", 99, "x"),
    ] {
        s.ask(label, v, &put(vec![all_of(kind, name, &[("flush.ms", Some("5"))])]))?;
    }
    s.ask("no resources", v, &put(vec![])).map(drop)
}

fn replace_twice(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    let of = |name: &str, value| all_of(TOPIC, name, &[("flush.ms", Some(value))]);
    s.ask("one of two", v, &put(vec![of(&a.name, "1"), of(&b.name, "2"), of(&a.name, "3")])).map(drop)
}
