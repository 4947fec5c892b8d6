use proptest::prelude::*;

use super::*;

fn overrides(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn op(kind: OpKind, key: &str, value: &str) -> Op {
    Op { key: key.to_owned(), kind, value: Some(value.to_owned()) }
}

fn set(key: &str, value: &str) -> Op {
    op(OpKind::Set, key, value)
}

fn topic(current: &[(&str, &str)], ops: &[Op]) -> Result<Overrides, String> {
    validate_topic_change(&BrokerConfig::default(), &overrides(current), ops).map_err(|e| e.to_string())
}

#[test]
fn topic_values_are_checked_as_kafka_does() {
    for (key, value, expected) in [
        ("segment.bytes", "x", Err("Not a number of type INT")),
        ("segment.bytes", "10", Err("Value must be at least 1048576")),
        ("segment.bytes", "99999999999", Err("Not a number of type INT")),
        ("segment.bytes", " 2000000 ", Ok("2000000")),
        ("segment.bytes", "0x100000", Err("Not a number of type INT")),
        ("segment.bytes", "+2000000", Ok("2000000")),
        ("segment.bytes", "", Err("Not a number of type INT")),
        ("retention.ms", "-2", Err("Value must be at least -1")),
        ("retention.ms", "99999999999999999999", Err("Not a number of type LONG")),
        ("cleanup.policy", "foo", Err("String must be one of: compact, delete")),
        ("cleanup.policy", "", Ok("")),
        ("cleanup.policy", "compact, delete", Ok("compact,delete")),
        ("preallocate", "yes", Err("Expected value to be either true or false")),
        ("preallocate", " TRUE ", Ok("true")),
        ("min.cleanable.dirty.ratio", "2", Err("Value must be no more than 1")),
        ("min.cleanable.dirty.ratio", "x", Err("Not a number of type DOUBLE")),
        ("min.cleanable.dirty.ratio", "NaN", Err("Not a number of type DOUBLE")),
        ("min.cleanable.dirty.ratio", "0.5d", Ok("0.5")),
        ("min.cleanable.dirty.ratio", "5e-1", Ok("0.5")),
        ("min.cleanable.dirty.ratio", "0.0001", Ok("1.0E-4")),
        ("compression.type", "none", Err("String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer")),
        ("compression.type", "GZIP", Err("String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer")),
        ("compression.gzip.level", "0", Err("Value must be between 1 and 9 or equal to -1")),
        ("compression.gzip.level", "-1", Ok("-1")),
        ("leader.replication.throttled.replicas", "x", Err("Must be '*' or a list of partitionId:brokerId")),
        ("leader.replication.throttled.replicas", "*", Ok("*")),
        ("leader.replication.throttled.replicas", "1:2,3:4", Ok("1:2,3:4")),
        ("message.timestamp.type", "x", Err("String must be one of: CreateTime, LogAppendTime")),
        ("flush.ms", "1.5", Err("Not a number of type LONG")),
        ("ottla.produce.validation", "header", Ok("header")),
        ("ottla.produce.validation", "none", Err("String must be one of: records, header")),
    ] {
        let result = topic(&[], &[set(key, value)]);
        match expected {
            Ok(text) => assert_eq!(result.unwrap()[key], text, "{key}={value}"),
            Err(reason) => {
                let error = result.unwrap_err();
                assert!(
                    error.starts_with("Invalid value ")
                        && error.ends_with(&format!(" for configuration {key}: {reason}")),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn whole_requests_are_refused_with_their_reason() {
    let null = Op { key: "segment.ms".into(), kind: OpKind::Set, value: None };
    for (ops, expected) in [
        (vec![set("nope.key", "1")], "Unknown topic config name: nope.key"),
        (vec![set("segment.byte", "1")], "Unknown topic config name: segment.byte (nearest: segment.bytes)"),
        (vec![set("segment.ms", "1"), set("segment.ms", "2")], "Error due to duplicate config keys: segment.ms"),
        (vec![null], "Null value not supported for : segment.ms"),
        (vec![op(OpKind::Append, "segment.ms", "1")], "Can't APPEND to key segment.ms because its type is not LIST."),
        (
            vec![op(OpKind::Append, "cleanup.policy", "x")],
            "Invalid value delete,x for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            vec![set("min.compaction.lag.ms", "100"), set("max.compaction.lag.ms", "50")],
            "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)",
        ),
        (
            vec![set("remote.storage.enable", "true")],
            "remote.storage.enable=true is not served: Tiered storage is not there, so no topic can use it.",
        ),
    ] {
        assert_eq!(topic(&[("segment.ms", "7")], &ops).unwrap_err(), expected);
    }
}

#[test]
fn lists_are_edited_from_the_override_or_the_default() {
    use OpKind::{Append, Subtract};
    for (current, kind, value, expected) in [
        (Some("delete"), Append, "compact", "delete,compact"),
        (Some("delete,compact"), Append, "compact", "delete,compact"),
        (Some("delete,compact"), Subtract, "delete", "compact"),
        (Some("compact"), Subtract, "compact", ""),
        (Some(""), Append, "compact", "compact"),
        (None, Append, "delete", "delete"),
        (None, Append, "compact", "delete,compact"),
        (None, Subtract, "compact", "delete"),
    ] {
        let current: Vec<_> = current.map(|text| ("cleanup.policy", text)).into_iter().collect();
        let new = topic(&current, &[op(kind, "cleanup.policy", value)]).unwrap();
        assert_eq!(new["cleanup.policy"], expected, "{current:?} {kind} {value}");
    }
}

#[test]
fn deleting_is_never_an_error_and_leaves_the_rest() {
    let delete = |key: &str| Op { key: key.into(), kind: OpKind::Delete, value: None };
    let new = topic(&[("segment.ms", "7"), ("flush.ms", "8")], &[delete("segment.ms"), delete("nope")]).unwrap();
    assert_eq!(new, overrides(&[("flush.ms", "8")]));
}

#[test]
fn broker_keys_change_as_far_as_they_are_dynamic() {
    let broker = |target, key, value| validate_broker_change(target, &Overrides::new(), &[set(key, value)]);
    for (target, key, value, expected) in [
        (
            BrokerTarget::One,
            "log.retention.hours",
            "1",
            Some("Cannot update these configs dynamically: [log.retention.hours]"),
        ),
        (BrokerTarget::Cluster, "node.id", "5", Some("Cannot update these configs dynamically: [node.id]")),
        (
            BrokerTarget::One,
            "log.segment.bytes",
            "x",
            Some("Invalid value x for configuration log.segment.bytes: Not a number of type INT"),
        ),
        (
            BrokerTarget::One,
            "log.retention.ms",
            "0",
            Some("Invalid value 0 for configuration log.retention.ms: Must be unlimited (-1) or at least 1"),
        ),
        (BrokerTarget::One, "log.retention.ms", "-5", None),
        (
            BrokerTarget::One,
            "max.connections.per.ip.overrides",
            "foo",
            Some("Invalid value foo for configuration max.connections.per.ip.overrides: Must be a list of host:count"),
        ),
        (BrokerTarget::One, "max.connections.per.ip.overrides", "127.0.0.1:5,[::1]:6", None),
        (BrokerTarget::One, "follower.replication.throttled.rate", "5", None),
        (
            BrokerTarget::Cluster,
            "listeners",
            "A://:1",
            Some("Cannot update these configs at default cluster level, broker id must be specified: [listeners]"),
        ),
        (
            BrokerTarget::One,
            "listeners",
            "A://:1",
            Some("Cannot update these configs while the broker runs, set them where it is started: [listeners]"),
        ),
        (
            BrokerTarget::One,
            "ssl.key.password",
            "x",
            Some(
                "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.key.password]",
            ),
        ),
        (BrokerTarget::One, "listener.name.a.ssl.key.password", "x", None),
        (BrokerTarget::One, "nope", "1", Some("Unknown broker config name: nope")),
    ] {
        let error = broker(target, key, value).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), expected, "{key}={value}");
    }
}

#[test]
fn group_values_stay_within_the_brokers_bounds() {
    let config = BrokerConfig::default();
    let group = |key, value| validate_group_change(&config, "g", &Overrides::new(), &[set(key, value)]);
    for (key, value, expected) in [
        ("consumer.session.timeout.ms", "45000", None),
        (
            "consumer.session.timeout.ms",
            "1",
            Some("consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"),
        ),
        (
            "consumer.session.timeout.ms",
            "70000",
            Some("consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"),
        ),
        (
            "share.delivery.count.limit",
            "100",
            Some("share.delivery.count.limit must be less than or equal to group.share.max.delivery.count.limit"),
        ),
        (
            "streams.num.standby.replicas",
            "10",
            Some("streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"),
        ),
        ("share.auto.offset.reset", "by_duration:PT1H", None),
        ("share.auto.offset.reset", "by_duration:P2DT3H4M5.5S", None),
        (
            "share.auto.offset.reset",
            "by_duration:-PT1H",
            Some(
                "Invalid value by_duration:-PT1H for configuration share.auto.offset.reset: Must be earliest, latest or by_duration:PnDTnHnMn.nS",
            ),
        ),
        (
            "share.auto.offset.reset",
            "by_duration:P",
            Some(
                "Invalid value by_duration:P for configuration share.auto.offset.reset: Must be earliest, latest or by_duration:PnDTnHnMn.nS",
            ),
        ),
        ("nope", "1", Some("Unknown group config name: nope")),
    ] {
        assert_eq!(group(key, value).err().map(|e| e.to_string()).as_deref(), expected, "{key}={value}");
    }
    let wide =
        config.with_dynamic(&overrides(&[("group.consumer.max.session.timeout.ms", "90000")]), &Overrides::new());
    assert!(
        validate_group_change(&wide, "g", &Overrides::new(), &[set("consumer.session.timeout.ms", "70000")]).is_ok()
    );
    assert!(validate_group_change(&config, "", &Overrides::new(), &[]).is_err());
}

#[test]
fn client_metrics_subscriptions_are_checked() {
    let metrics = |key, value| validate_client_metrics_change("m", &Overrides::new(), &[set(key, value)]);
    for (key, value, good) in [
        ("interval.ms", "100", true),
        ("interval.ms", "1", false),
        ("metrics", "*", true),
        ("match", "client_id=x.*", true),
        ("match", "client_id", false),
        ("match", "foo=bar", false),
        ("nope", "1", false),
    ] {
        assert_eq!(metrics(key, value).is_ok(), good, "{key}={value}");
    }
}

#[test]
fn each_refusal_has_the_code_kafka_answers() {
    use ottla_types::ErrorCode::{InvalidConfig, InvalidRequest};
    let error = |ops: &[Op]| validate_topic_change(&BrokerConfig::default(), &Overrides::new(), ops).unwrap_err();
    assert_eq!(error(&[set("segment.bytes", "x")]).error_code(Scope::Topic), InvalidConfig);
    assert_eq!(error(&[set("nope", "x")]).error_code(Scope::Topic), InvalidConfig);
    assert_eq!(error(&[set("flush.ms", "1"), set("flush.ms", "1")]).error_code(Scope::Topic), InvalidRequest);
    let error = |key| validate_broker_change(BrokerTarget::One, &Overrides::new(), &[set(key, "x")]).unwrap_err();
    assert_eq!(error("node.id").error_code(Scope::Broker), InvalidRequest);
    assert_eq!(error("log.segment.bytes").error_code(Scope::Broker), InvalidRequest);
}

#[test]
fn keys_without_effect_are_named() {
    let overrides = overrides(&[("local.retention.ms", "5"), ("segment.ms", "5")]);
    assert_eq!(without_effect(Scope::Topic, &overrides).collect::<Vec<_>>(), ["local.retention.ms"]);
}

proptest! {
    #[test]
    fn what_is_accepted_is_accepted_again(at in 0usize..40, kind in 0i8..4, text in "\\PC{0,20}|[0-9]{1,12}|[a-z,:*]{0,20}") {
        let keys: Vec<_> = keys::declarations(Scope::Topic).collect();
        let op = Op { key: keys[at % keys.len()].name.to_owned(), kind: OpKind::from_code(kind).unwrap(), value: Some(text) };
        let config = BrokerConfig::default();
        if let Ok(new) = validate_topic_change(&config, &Overrides::new(), &[op]) {
            let again: Vec<_> = new.iter().map(|(k, v)| set(k, v)).collect();
            prop_assert_eq!(validate_topic_change(&config, &Overrides::new(), &again), Ok(new.clone()));
            let _ = config.topic_config(&new);
        }
    }

    #[test]
    fn no_group_or_metrics_value_panics(key in "[a-z.]{0,30}", text in "\\PC{0,30}|by_duration:[PTHMSD0-9.]{0,12}") {
        let config = BrokerConfig::default();
        let _ = validate_group_change(&config, "g", &Overrides::new(), &[set("share.auto.offset.reset", &text)]);
        let _ = validate_group_change(&config, "g", &Overrides::new(), &[set(&key, &text)]);
        let _ = validate_client_metrics_change("m", &Overrides::new(), &[set("match", &text)]);
    }
}
