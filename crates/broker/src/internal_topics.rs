//! What the broker's own topics are created with.
//!
//! Invariant: they ask for no more replicas, and for no more of them in sync, than there are live brokers: without these
//! topics nothing works, so a single broker must be able to have and to write them.

use ottla_config::BrokerConfig;
use ottla_controller::{NewTopic, ReplicationLimit};
use ottla_types::Uuid;

/// Keys and texts for a new topic.
type Configs = Vec<(String, Option<String>)>;

/// An internal topic as `config` wants it in a cluster of `live` brokers; none where `name` is not one.
pub(crate) fn internal_topic(config: &BrokerConfig, live: usize, name: &str, id: Uuid) -> Option<NewTopic> {
    let (prefix, configs) = match name {
        "__consumer_offsets" => ("offsets.topic", offsets(config)),
        "__transaction_state" => ("transaction.state.log", transactions(config, live)),
        "__share_group_state" => ("share.coordinator.state.topic", shares(config, live)),
        _ => return None,
    };
    Some(NewTopic {
        name: name.to_owned(),
        id,
        partitions: i32::try_from(number(config, prefix, "num.partitions")).unwrap_or(-1),
        replication_factor: i16::try_from(number(config, prefix, "replication.factor")).unwrap_or(-1),
        assignments: Vec::new(),
        configs,
        limit: ReplicationLimit::LiveBrokers,
    })
}

fn offsets(config: &BrokerConfig) -> Configs {
    vec![
        set("cleanup.policy", "compact"),
        set("compression.type", "producer"),
        set("segment.bytes", number(config, "offsets.topic", "segment.bytes")),
    ]
}

fn transactions(config: &BrokerConfig, live: usize) -> Configs {
    vec![
        set("cleanup.policy", "compact"),
        set("compression.type", "uncompressed"),
        set("min.insync.replicas", in_sync(config, live, "transaction.state.log")),
        set("segment.bytes", number(config, "transaction.state.log", "segment.bytes")),
        set("unclean.leader.election.enable", false),
    ]
}

fn shares(config: &BrokerConfig, live: usize) -> Configs {
    vec![
        set("cleanup.policy", "delete"),
        set("compression.type", "producer"),
        set("min.insync.replicas", in_sync(config, live, "share.coordinator.state.topic")),
        set("retention.ms", -1),
        set("segment.bytes", number(config, "share.coordinator.state.topic", "segment.bytes")),
    ]
}

fn in_sync(config: &BrokerConfig, live: usize, prefix: &str) -> i64 {
    number(config, prefix, "min.isr").min(i64::try_from(live).unwrap_or(i64::MAX)).max(1)
}

fn number(config: &BrokerConfig, prefix: &str, key: &str) -> i64 {
    config.effective(&format!("{prefix}.{key}")).map_or(-1, |value| value.integer())
}

fn set(key: &str, value: impl ToString) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::INTERNAL_TOPICS;

    fn created(live: usize, name: &str) -> NewTopic {
        internal_topic(&BrokerConfig::default(), live, name, Uuid([1; 16])).unwrap()
    }

    #[test]
    fn defaults_are_kafka_s() {
        for name in INTERNAL_TOPICS {
            let topic = created(3, name);
            assert_eq!((topic.partitions, topic.replication_factor), (50, 3), "{name}");
            assert!(topic.configs.contains(&set("segment.bytes", 104_857_600)), "{name}: {:?}", topic.configs);
        }
        assert!(created(3, "__consumer_offsets").configs.contains(&set("cleanup.policy", "compact")));
        assert!(created(3, "__transaction_state").configs.contains(&set("min.insync.replicas", 2)));
        assert!(created(3, "__share_group_state").configs.contains(&set("retention.ms", -1)));
    }

    #[test]
    fn a_single_broker_can_write_them() {
        for name in ["__transaction_state", "__share_group_state"] {
            let topic = created(1, name);
            assert_eq!(topic.limit, ReplicationLimit::LiveBrokers);
            assert!(topic.configs.contains(&set("min.insync.replicas", 1)), "{name}: {:?}", topic.configs);
        }
    }

    #[test]
    fn other_topics_have_no_settings_of_their_own() {
        assert!(internal_topic(&BrokerConfig::default(), 1, "orders", Uuid([1; 16])).is_none());
        assert!(internal_topic(&BrokerConfig::default(), 1, "__ottla", Uuid([1; 16])).is_none());
    }
}
