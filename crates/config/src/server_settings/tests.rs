use std::cell::RefCell;
use std::collections::HashSet;

use super::*;
use crate::declaration::{Declaration, Scope, Status};
use crate::keys;
use crate::load::{Inputs, load};
use crate::topic_config::TopicConfig;

fn read(settings: &[(&str, &str)]) -> Result<ServerSettings, SettingsError> {
    let flags = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(&Inputs { flags, ..Inputs::default() }).unwrap().config.server_settings("host")
}

#[test]
fn a_broker_starts_without_any_configuration() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.node_id, BrokerId(1));
    assert_eq!(settings.log_dirs, [PathBuf::from("./ottla-data")]);
    assert_eq!(settings.metadata_log_dir, settings.log_dirs[0]);
    assert_eq!((settings.rack, settings.request_timeout_ms), (None, 30_000));
    assert_eq!(settings.topics.num_partitions, 1);
    assert!(settings.topics.auto_create_enable && settings.topics.delete_enable);
    assert_eq!(settings.network.queued_max_request_bytes, None);
    assert_eq!(settings.network.connections_max_idle_ms, Some(600_000));
    assert_eq!(settings.offsets.retention_ms, 604_800_000);
    assert_eq!(settings.groups.consumer_migration_policy, MigrationPolicy::Bidirectional);
}

#[test]
fn settings_are_typed() {
    let settings = read(&[
        ("log.dirs", "/a, /b"),
        ("log.dir", "/c"),
        ("metadata.log.dir", "/m"),
        ("broker.rack", "r1"),
        ("max.connections.per.ip.overrides", "localhost:3,[::1]:4"),
        ("queued.max.request.bytes", "1000"),
        ("socket.send.buffer.bytes", "-1"),
        ("group.consumer.migration.policy", "Upgrade"),
        ("offsets.topic.compression.codec", "4"),
    ])
    .unwrap();
    assert_eq!(settings.log_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!((settings.metadata_log_dir, settings.rack.as_deref()), (PathBuf::from("/m"), Some("r1")));
    assert_eq!(settings.network.max_connections_per_ip_overrides, [("localhost".into(), 3), ("::1".into(), 4)]);
    assert_eq!(
        (settings.network.queued_max_request_bytes, settings.network.socket_send_buffer_bytes),
        (Some(1000), None)
    );
    assert_eq!(settings.groups.consumer_migration_policy, MigrationPolicy::Upgrade);
    assert_eq!(settings.offsets.topic_compression, Compression::Zstd);
}

#[test]
fn what_cannot_start_is_refused() {
    for (settings, expected) in [
        (("process.roles", "controller"), "process.roles: a process without the role broker is not served"),
        (("log.dirs", "/a,/a"), "log.dirs: /a is there twice"),
        (("log.dir", ""), "log.dirs: at least one directory is needed"),
        (("offsets.topic.compression.codec", "5"), "offsets.topic.compression.codec: there is no codec 5"),
        (
            ("group.min.session.timeout.ms", "1800001"),
            "group.min.session.timeout.ms must not be greater than group.max.session.timeout.ms",
        ),
        (
            ("group.consumer.session.timeout.ms", "1"),
            "group.consumer.min.session.timeout.ms must not be greater than group.consumer.session.timeout.ms",
        ),
        (("listeners", "SSL://:1"), "listener SSL: SSL is not served yet, only PLAINTEXT is"),
    ] {
        assert_eq!(read(&[settings]).unwrap_err().to_string(), expected);
    }
}

// A key is called honoured exactly when something reads it.
#[test]
fn every_honoured_key_is_read() {
    let config = BrokerConfig::default();
    let read: RefCell<HashSet<String>> = RefCell::default();
    let note = |name: &str| read.borrow_mut().insert(name.to_owned());
    let listeners = Listeners::read(&config, "host").unwrap();
    let look_up = |name: &str| {
        note(name);
        config.effective(name)
    };
    ServerSettings::read(listeners, &Lookup(&look_up)).unwrap();
    CleanerConfig::read(&Lookup(&look_up));
    ScrubConfig::read(&Lookup(&look_up));
    alter_log_dirs_bytes_per_second(&Lookup(&look_up));
    let topic: RefCell<HashSet<String>> = RefCell::default();
    TopicConfig::read(&|name| {
        topic.borrow_mut().insert(name.to_owned());
        config.resource_value(Scope::Topic, &crate::Overrides::new(), name)
    });
    let honoured = |key: &&Declaration| key.status == Status::Honoured;
    for key in keys::declarations(Scope::Topic) {
        assert_eq!(honoured(&key), topic.borrow().contains(key.name), "{}", key.name);
        if let Some(name) = key.broker_key.filter(|_| honoured(&key)) {
            note(name);
        }
    }
    for key in keys::declarations(Scope::Group).filter(honoured) {
        let rest = key.name.strip_prefix("consumer.").unwrap();
        for bound in ["min", "max"] {
            note(&format!("group.consumer.{bound}.{rest}"));
        }
    }
    for key in [
        "broker.id",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "security.inter.broker.protocol",
        "controller.listener.names",
    ] {
        note(key);
    }
    for key in keys::declarations(Scope::Broker) {
        let stands_in =
            keys::declarations(Scope::Broker).any(|other| other.fallbacks.iter().any(|f| f.key == key.name));
        assert_eq!(honoured(&key), stands_in || read.borrow().contains(key.name), "{}", key.name);
    }
}
