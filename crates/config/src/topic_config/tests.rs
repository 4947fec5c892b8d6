use super::*;

fn overrides(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn defaults_are_kafkas() {
    let topic = TopicConfig::default();
    assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: false });
    assert_eq!(topic.compression, CompressionType::Producer);
    assert_eq!((topic.segment_bytes, topic.segment_ms, topic.segment_jitter_ms), (1 << 30, 604_800_000, 0));
    assert_eq!((topic.retention_ms, topic.retention_bytes), (Some(604_800_000), None));
    assert_eq!((topic.flush_messages, topic.flush_ms), (i64::MAX, i64::MAX));
    assert_eq!(
        (topic.max_message_bytes, topic.segment_index_bytes, topic.index_interval_bytes),
        (1_048_588, 10_485_760, 4096)
    );
    assert_eq!((topic.message_timestamp_before_max_ms, topic.message_timestamp_after_max_ms), (i64::MAX, 3_600_000));
    assert_eq!((topic.min_compaction_lag_ms, topic.max_compaction_lag_ms), (0, i64::MAX));
    assert_eq!(topic.produce_validation, ProduceValidation::Records);
    assert_eq!(topic.leader_replication_throttled_replicas, ThrottledReplicas::Listed(Vec::new()));
}

#[test]
fn overrides_come_before_the_broker_and_its_other_units() {
    let cluster =
        overrides(&[("log.roll.ms", "5"), ("log.segment.bytes", "2000000"), ("ottla.produce.validation", "header")]);
    let broker = BrokerConfig::default().with_dynamic(&cluster, &Overrides::new());
    let own = overrides(&[
        ("segment.bytes", "3000000"),
        ("cleanup.policy", "compact,delete"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "-7"),
        ("retention.ms", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("follower.replication.throttled.replicas", "*"),
    ]);
    let topic = broker.topic_config(&own);
    assert_eq!((topic.segment_bytes, topic.segment_ms), (3_000_000, 5));
    assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: true });
    assert_eq!(topic.compression, CompressionType::Codec { codec: Compression::Zstd, level: -7 });
    assert_eq!(topic.retention_ms, None);
    assert_eq!(topic.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(topic.follower_replication_throttled_replicas, ThrottledReplicas::All);
    assert_eq!(topic.produce_validation, ProduceValidation::Header);
    assert_eq!(broker.topic_config(&overrides(&[("internal.segment.bytes", "100")])).segment_bytes, 100);
}

/// The finer unit wins, wherever both stand; a topic's own value wins over both.
#[test]
fn ages_have_several_spellings() {
    let limits = |statics: &[(&str, &str)], cluster: &[(&str, &str)], own: &[(&str, &str)]| {
        let flags = overrides(statics).into_iter().collect();
        let loaded = crate::load::load(&crate::load::Inputs { flags, ..Default::default() }).unwrap();
        let topic = loaded.config.with_dynamic(&overrides(cluster), &Overrides::new()).topic_config(&overrides(own));
        (topic.retention_ms, topic.segment_ms, topic.segment_jitter_ms)
    };
    const HOUR: i64 = 3_600_000;
    let week = 168 * HOUR;
    let hours = [("log.retention.hours", "2"), ("log.roll.hours", "3"), ("log.roll.jitter.hours", "1")];
    assert_eq!(limits(&hours, &[], &[]), (Some(2 * HOUR), 3 * HOUR, HOUR));
    let minutes = [&hours[..], &[("log.retention.minutes", "7")]].concat();
    assert_eq!(limits(&minutes, &[], &[]).0, Some(420_000));
    let ms = [&minutes[..], &[("log.retention.ms", "9"), ("log.roll.ms", "8"), ("log.roll.jitter.ms", "5")]].concat();
    assert_eq!(limits(&ms, &[], &[]), (Some(9), 8, 5));
    assert_eq!(limits(&hours, &[("log.retention.ms", "11")], &[]).0, Some(11), "set while it runs");
    assert_eq!(limits(&ms, &[], &[("retention.ms", "12"), ("segment.ms", "13")]), (Some(12), 13, 5));
    for forever in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        assert_eq!(limits(&[(forever, "-1")], &[], &[]), (None, week, 0), "{forever}");
    }
    assert_eq!(limits(&ms, &[], &[("retention.ms", "-1")]).0, None);
}
