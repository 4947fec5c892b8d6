//! DescribeConfigs with all that it can say: values, where they come from, what stands behind them, types, explanations.

use ottla_testkit::BrokerProcess;
use ottla_wire::messages::{
    DescribeConfigsRequest, DescribeConfigsResource,
    describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
};
use tempfile::TempDir;

use crate::asking::{Asking, BROKER, start};

const TOPIC: i8 = 2;
const GROUP: i8 = 32;
const RESOURCES: [(i8, &str); 3] = [(BROKER, "3"), (TOPIC, "a"), (GROUP, "g")];

/// Types of values.
const INT: i8 = 3;
const LONG: i8 = 5;
/// Layers that values come from.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 2;
const OF_ALL_BROKERS: i8 = 3;
const STATIC: i8 = 4;
const DEFAULT: i8 = 5;
const OF_GROUP: i8 = 8;

/// Resource, key, value in effect, its type, and each layer's word on it, the one in effect first.
type Expected<'a> = (i8, &'a str, &'a str, i8, &'a [(&'a str, &'a str, i8)]);
const EXPECTED: [Expected<'_>; 9] = [
    (BROKER, "num.partitions", "1", INT, &[("num.partitions", "1", DEFAULT)]),
    (
        BROKER,
        "log.retention.hours",
        "24",
        INT,
        &[("log.retention.hours", "24", STATIC), ("log.retention.hours", "168", DEFAULT)],
    ),
    (
        BROKER,
        "log.retention.bytes",
        "6",
        LONG,
        &[
            ("log.retention.bytes", "6", OF_BROKER),
            ("log.retention.bytes", "5", OF_ALL_BROKERS),
            ("log.retention.bytes", "-1", DEFAULT),
        ],
    ),
    (
        BROKER,
        "log.index.interval.bytes",
        "5000",
        INT,
        &[("log.index.interval.bytes", "5000", OF_ALL_BROKERS), ("log.index.interval.bytes", "4096", DEFAULT)],
    ),
    (TOPIC, "segment.bytes", "1073741824", INT, &[("log.segment.bytes", "1073741824", DEFAULT)]),
    (
        TOPIC,
        "retention.bytes",
        "6",
        LONG,
        &[
            ("log.retention.bytes", "6", OF_BROKER),
            ("log.retention.bytes", "5", OF_ALL_BROKERS),
            ("log.retention.bytes", "-1", DEFAULT),
        ],
    ),
    (
        TOPIC,
        "index.interval.bytes",
        "6000",
        INT,
        &[
            ("index.interval.bytes", "6000", OF_TOPIC),
            ("log.index.interval.bytes", "5000", OF_ALL_BROKERS),
            ("log.index.interval.bytes", "4096", DEFAULT),
        ],
    ),
    (
        GROUP,
        "consumer.session.timeout.ms",
        "50000",
        INT,
        &[("consumer.session.timeout.ms", "50000", OF_GROUP), ("group.consumer.session.timeout.ms", "45000", DEFAULT)],
    ),
    (
        GROUP,
        "consumer.heartbeat.interval.ms",
        "6000",
        INT,
        &[
            ("group.consumer.heartbeat.interval.ms", "6000", STATIC),
            ("group.consumer.heartbeat.interval.ms", "5000", DEFAULT),
        ],
    ),
];

/// A broker, a topic and a group with configurations from each layer that there is.
fn set_up(dir: &TempDir) -> (BrokerProcess, Asking) {
    let broker = start(dir, &["node.id=3", "log.retention.hours=24", "group.consumer.heartbeat.interval.ms=6000"]);
    let mut client = Asking::of(&broker);
    client.create("a", &[("index.interval.bytes", "6000")]);
    for (resource_type, name, key, value) in [
        (BROKER, "", "log.retention.bytes", "5"),
        (BROKER, "3", "log.retention.bytes", "6"),
        (BROKER, "", "log.index.interval.bytes", "5000"),
        (GROUP, "g", "consumer.session.timeout.ms", "50000"),
    ] {
        client.set(resource_type, name, key, value);
    }
    (broker, client)
}

fn described(client: &mut Asking, in_full: bool) -> Vec<DescribeConfigsResult> {
    let resources = RESOURCES.map(|(resource_type, name)| DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: None,
    });
    let request = DescribeConfigsRequest {
        resources: resources.into(),
        include_synonyms: in_full,
        include_documentation: in_full,
    };
    let results = client.ask(4, &request).results;
    assert!(results.iter().all(|result| result.error_code == 0), "{results:?}");
    results
}

fn found<'a>(results: &'a [DescribeConfigsResult], resource_type: i8, key: &str) -> &'a DescribeConfigsResourceResult {
    let resource = results.iter().find(|result| result.resource_type == resource_type).unwrap();
    resource.configs.iter().find(|config| config.name == key).unwrap()
}

#[test]
fn every_layer_has_its_word_and_the_first_one_is_in_effect() {
    let dir = TempDir::new().unwrap();
    let (_broker, mut client) = set_up(&dir);
    let results = described(&mut client, true);
    for (resource_type, key, value, config_type, layers) in EXPECTED {
        let config = found(&results, resource_type, key);
        assert_eq!((config.value.as_deref(), config.config_type), (Some(value), config_type), "{key}");
        let said: Vec<_> = config
            .synonyms
            .iter()
            .map(|layer| (layer.name.as_str(), layer.value.as_deref().unwrap_or_default(), layer.source))
            .collect();
        assert_eq!(said, layers, "{key}");
        assert_eq!(config.config_source, layers[0].2, "{key}");
    }
    assert!(found(&results, BROKER, "num.partitions").read_only);
    assert!(!found(&results, BROKER, "log.retention.bytes").read_only);
}

#[test]
fn every_key_is_explained_and_has_a_type_and_no_secret_is_told() {
    let dir = TempDir::new().unwrap();
    let (_broker, mut client) = set_up(&dir);
    for result in described(&mut client, true) {
        assert!(result.configs.len() > 5, "{result:?}");
        for config in result.configs {
            assert!(config.documentation.is_some_and(|words| !words.is_empty()), "{} is not explained", config.name);
            assert!((1..=9).contains(&config.config_type), "{} has type {}", config.name, config.config_type);
            assert!(!config.is_sensitive || config.value.is_none(), "{} is told", config.name);
            let in_effect = config.synonyms.first().filter(|_| !config.is_sensitive);
            assert!(in_effect.is_none_or(|layer| layer.value == config.value), "{}", config.name);
        }
    }
}

#[test]
fn no_more_is_said_than_was_asked_for() {
    let dir = TempDir::new().unwrap();
    let (_broker, mut client) = set_up(&dir);
    for config in described(&mut client, false).into_iter().flat_map(|result| result.configs) {
        assert!(config.synonyms.is_empty() && config.documentation.is_none(), "{config:?}");
    }
}
