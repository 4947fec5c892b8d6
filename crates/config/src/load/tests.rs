use proptest::prelude::*;

use super::*;
use crate::file::Format;

fn properties(text: &str) -> Option<ConfigFile> {
    Some(ConfigFile { name: "server.properties".into(), format: Format::Properties, bytes: text.into() })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn value(loaded: &Loaded, key: &str) -> String {
    loaded.config.value(key).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn the_later_layer_wins_key_by_key() {
    let loaded = load(&Inputs {
        file: properties("num.partitions=2\nlog.retention.ms=2\nlog.roll.ms=2\nnum.partitions=3"),
        environment: pairs(&[("OTTLA_LOG_RETENTION_MS", "4"), ("OTTLA_LOG_ROLL_MS", "4"), ("PATH", "x")]),
        flags: pairs(&[("log.roll.ms", "5"), ("log.roll.ms", "6")]),
    })
    .unwrap();
    assert_eq!(value(&loaded, "num.partitions"), "3", "the last of two lines");
    assert_eq!(value(&loaded, "log.retention.ms"), "4", "the environment over the file");
    assert_eq!(value(&loaded, "log.roll.ms"), "6", "flags over everything");
    assert_eq!(value(&loaded, "num.io.threads"), "8", "the default");
    assert!(loaded.warnings.is_empty() && loaded.accepted.is_empty());
}

#[test]
fn unknown_keys_in_file_and_environment_warn_once_each() {
    let loaded = load(&Inputs {
        file: properties("num.partition=2\nzookeeper.connect=x\nnum.partition=3"),
        environment: pairs(&[("OTTLA_LOG_RETENTION_M", "1")]),
        flags: Vec::new(),
    })
    .unwrap();
    let texts: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "server.properties:1: unknown key num.partition, did you mean num.partitions?",
            "server.properties:2: unknown key zookeeper.connect",
            "environment variable OTTLA_LOG_RETENTION_M: unknown key log.retention.m, did you mean log.retention.ms?",
        ]
    );
}

#[test]
fn errors_name_key_value_and_place() {
    let file = |text| Inputs { file: properties(text), ..Inputs::default() };
    let environment = |k, v| Inputs { environment: pairs(&[(k, v)]), ..Inputs::default() };
    let flag = |k, v| Inputs { flags: pairs(&[(k, v)]), ..Inputs::default() };
    for (inputs, expected) in [
        (
            file("\nlog.segment.bytes=x"),
            "server.properties:2: Invalid value x for configuration log.segment.bytes: Not a number of type INT",
        ),
        (file("a=\\u1"), "server.properties:1: \\u needs four hexadecimal digits that make a character"),
        (
            environment("OTTLA_NUM_PARTITIONS", "0"),
            "environment variable OTTLA_NUM_PARTITIONS: Invalid value 0 for configuration num.partitions: Value must be at least 1",
        ),
        (
            flag("num.partition", "1"),
            "command line: Unknown broker config name: num.partition (nearest: num.partitions)",
        ),
        (
            flag("auto.create.topics.enable", "on"),
            "command line: Invalid value on for configuration auto.create.topics.enable: Expected value to be either true or false",
        ),
        (
            flag("authorizer.class.name", "a.b.C"),
            "command line: authorizer.class.name=a.b.C is not served: Java class that decides who may do what. Ottla asks nobody yet, so it takes none.",
        ),
    ] {
        assert_eq!(load(&inputs).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_password_is_not_shown() {
    let inputs = Inputs { file: properties("ssl.key.password=secret"), ..Inputs::default() };
    let loaded = load(&inputs).unwrap();
    let entries = loaded.config.describe_broker();
    assert!(entries.iter().all(|entry| entry.value.as_deref() != Some("secret")));
    assert_eq!(loaded.accepted.len(), 1);
}

#[test]
fn a_usual_single_node_file_is_taken() {
    let text = "process.roles=broker,controller\nnode.id=7\ncontroller.quorum.voters=7@localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
        num.network.threads=3\nnum.io.threads=8\nlog.dirs=/tmp/a,/tmp/b\noffsets.topic.replication.factor=1\n";
    let loaded = load(&Inputs { file: properties(text), ..Inputs::default() }).unwrap();
    let accepted: Vec<_> = loaded.accepted.iter().map(|(name, _)| &**name).collect();
    assert_eq!(accepted, ["controller.quorum.voters", "num.io.threads", "num.network.threads"]);
    assert!(loaded.warnings.is_empty());
    let settings = loaded.config.server_settings("host").unwrap();
    assert_eq!(settings.node_id.0, 7);
    assert_eq!(settings.listeners.opened.len(), 1);
    assert_eq!(&*settings.listeners.controller[0], "CONTROLLER");
    assert_eq!(value(&loaded, "broker.id"), "7");
}

#[test]
fn the_old_name_of_the_id_still_works() {
    let flags = pairs(&[("broker.id", "4")]);
    let loaded = load(&Inputs { flags, ..Inputs::default() }).unwrap();
    assert_eq!(loaded.config.server_settings("h").unwrap().node_id.0, 4);
    let flags = pairs(&[("broker.id", "-1")]);
    let loaded = load(&Inputs { flags, ..Inputs::default() }).unwrap();
    assert_eq!(loaded.config.server_settings("h").unwrap().node_id.0, 1);
}

proptest! {
    #[test]
    fn no_setting_panics(at in 0usize..400, text in "\\PC{0,30}|-?[0-9]{1,25}|[a-z:/,\\[\\]0-9.*]{0,30}") {
        let keys: Vec<_> = keys::declarations(Scope::Broker).collect();
        let key = keys[at % keys.len()];
        let flags = vec![(key.name.to_owned(), text.clone())];
        if let Ok(loaded) = load(&Inputs { flags, ..Inputs::default() }) {
            let _ = loaded.config.server_settings("host");
            let _ = loaded.config.topic_config(&crate::Overrides::new());
            let _ = loaded.config.describe_broker();
            let value = loaded.config.value(key.name).unwrap();
            prop_assert_eq!(&crate::value::parse(key, &value.to_string()).unwrap(), value);
        }
    }

    #[test]
    fn no_file_panics(text in "((num|log|listeners|a)[.a-z]{0,20}[=: ][\\PC]{0,20}\n){0,8}") {
        let _ = load(&Inputs { file: properties(&text), ..Inputs::default() });
    }
}
