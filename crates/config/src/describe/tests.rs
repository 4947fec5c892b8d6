use super::*;
use crate::load::{Inputs, load};

fn overrides(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn broker(statics: &[(&str, &str)], cluster: &[(&str, &str)], own: &[(&str, &str)]) -> BrokerConfig {
    let flags = overrides(statics).into_iter().collect();
    let loaded = load(&Inputs { flags, ..Inputs::default() }).unwrap();
    loaded.config.with_dynamic(&overrides(cluster), &overrides(own))
}

/// `name=value source [synonym=value@source …]`, null as `null`.
fn check(entries: &[Entry], expected: &str) {
    let name = expected.split('=').next().unwrap();
    let entry = entries.iter().find(|entry| &*entry.name == name).unwrap();
    let text = |value: &Option<Box<str>>| value.as_deref().unwrap_or("null").to_owned();
    let synonyms: Vec<_> =
        entry.synonyms.iter().map(|s| format!("{}={}@{:?}", s.name, text(&s.value), s.source)).collect();
    let found = format!("{name}={} {:?} [{}]", text(&entry.value), entry.source, synonyms.join(", "));
    assert_eq!(found, expected);
}

// What Kafka 4.3.1 answered with the same settings.
#[test]
fn topics_show_the_layers_kafka_shows() {
    let config = broker(&[("log.retention.hours", "10"), ("log.segment.bytes", "2000000")], &[], &[]);
    let topic = config.describe_topic(&overrides(&[("segment.ms", "100000")]));
    check(&topic, "segment.ms=100000 DynamicTopic [segment.ms=100000@DynamicTopic]");
    check(&topic, "retention.ms=36000000 Default []");
    check(&topic, "flush.ms=9223372036854775807 Default []");
    check(
        &topic,
        "segment.bytes=2000000 StaticBroker [log.segment.bytes=2000000@StaticBroker, log.segment.bytes=1073741824@Default]",
    );
    check(&topic, "cleanup.policy=delete Default [log.cleanup.policy=delete@Default]");
    check(&topic, "leader.replication.throttled.replicas= Default []");
    assert!(topic.iter().all(|entry| !entry.read_only && &*entry.name != "internal.segment.bytes"));
    let forever = broker(&[("log.retention.hours", "-1")], &[], &[]);
    check(&forever.describe_topic(&Overrides::new()), "retention.ms=-1 Default []");
}

#[test]
fn what_is_set_at_run_time_comes_first() {
    let statics = [("log.retention.hours", "10"), ("log.segment.bytes", "2000000")];
    let config = broker(
        &statics,
        &[("log.retention.ms", "2000"), ("log.segment.bytes", "3000000")],
        &[("log.retention.ms", "1000")],
    );
    let chain = "[log.retention.ms=1000@DynamicBroker, log.retention.ms=2000@DynamicDefaultBroker, \
        log.retention.hours=10@StaticBroker, log.retention.hours=168@Default]";
    check(&config.describe_broker(), &format!("log.retention.ms=1000 DynamicBroker {chain}"));
    check(&config.describe_topic(&Overrides::new()), &format!("retention.ms=1000 DynamicBroker {chain}"));
    check(
        &config.describe_broker(),
        "log.segment.bytes=3000000 DynamicDefaultBroker [log.segment.bytes=3000000@DynamicDefaultBroker, log.segment.bytes=2000000@StaticBroker, log.segment.bytes=1073741824@Default]",
    );
    check(
        &config.describe_broker(),
        "log.retention.hours=10 StaticBroker [log.retention.hours=10@StaticBroker, log.retention.hours=168@Default]",
    );
    check(
        &config.describe_cluster(),
        "log.retention.ms=2000 DynamicDefaultBroker [log.retention.ms=2000@DynamicDefaultBroker]",
    );
    assert_eq!(config.describe_cluster().len(), 2);
}

#[test]
fn null_is_null_and_read_only_is_told() {
    let entries = broker(&[], &[], &[]).describe_broker();
    check(&entries, "log.retention.ms=null Default []");
    check(&entries, "log.roll.hours=168 Default [log.roll.hours=168@Default]");
    check(&entries, "ssl.key.password=null Default []");
    let read_only = |name: &str| entries.iter().find(|entry| &*entry.name == name).unwrap().read_only;
    assert!(read_only("log.retention.hours") && read_only("node.id") && !read_only("log.retention.ms"));
    assert!(entries.iter().all(|entry| &*entry.name != "unstable.api.versions.enable"));
}

#[test]
fn passwords_are_withheld_in_every_layer() {
    let secret = "listener.name.a.ssl.key.password";
    let config = broker(&[("ssl.key.password", "one"), (secret, "two")], &[], &[(secret, "three")]);
    let entries = config.describe_broker();
    check(&entries, "ssl.key.password=null StaticBroker [ssl.key.password=null@StaticBroker]");
    check(
        &entries,
        "listener.name.a.ssl.key.password=null DynamicBroker [listener.name.a.ssl.key.password=null@DynamicBroker, listener.name.a.ssl.key.password=null@StaticBroker, ssl.key.password=null@StaticBroker]",
    );
    assert!(entries.iter().filter(|entry| entry.name.ends_with("password")).all(|entry| entry.sensitive));
}

#[test]
fn groups_and_subscriptions_are_described() {
    let config = broker(&[], &[], &[]);
    let group = config.describe_group(&overrides(&[("consumer.session.timeout.ms", "46000")]));
    check(
        &group,
        "consumer.session.timeout.ms=46000 Group [consumer.session.timeout.ms=46000@Group, group.consumer.session.timeout.ms=45000@Default]",
    );
    check(&group, "share.auto.offset.reset=latest Default [share.auto.offset.reset=latest@Default]");
    let metrics = config.describe_client_metrics(&overrides(&[("interval.ms", "100")]));
    check(&metrics, "interval.ms=100 ClientMetrics [interval.ms=100@ClientMetrics]");
    check(&metrics, "match= Default []");
}

#[test]
fn what_does_not_parse_in_the_metadata_is_passed_over() {
    let config = broker(&[], &[("log.segment.bytes", "x"), ("of.a.newer.version", "1")], &[]);
    check(
        &config.describe_topic(&overrides(&[("segment.bytes", "y")])),
        "segment.bytes=1073741824 Default [log.segment.bytes=1073741824@Default]",
    );
    assert!(config.describe_cluster().is_empty());
}
