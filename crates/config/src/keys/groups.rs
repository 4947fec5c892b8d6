//! Broker keys: offsets and groups of every kind.

use crate::declaration::{Declaration, Rule, int, list, long, short, string};

pub(super) const KEYS: &[Declaration] = &[
    int("offsets.topic.num.partitions", "50")
        .at_least(1)
        .honoured("Partitions of `__consumer_offsets`. Not to be changed once the topic exists."),
    short("offsets.topic.replication.factor", "3").at_least(1).honoured("Replicas of `__consumer_offsets`."),
    int("offsets.topic.segment.bytes", "104857600").at_least(1).honoured("Segment size of `__consumer_offsets`."),
    int("offsets.topic.compression.codec", "0")
        .honoured("Codec number of the batches written to `__consumer_offsets`."),
    int("offsets.retention.minutes", "10080")
        .at_least(1)
        .honoured("How long committed offsets of an empty group are kept."),
    long("offsets.retention.check.interval.ms", "600000")
        .at_least(1)
        .honoured("How often expired offsets are looked for."),
    int("offsets.commit.timeout.ms", "5000").at_least(1).honoured("How long an offset commit waits for its replicas."),
    int("offsets.load.buffer.size", "5242880")
        .at_least(1)
        .accepted("Bytes read at a time when a group partition is loaded."),
    int("offset.metadata.max.bytes", "4096").honoured("Largest metadata text of a committed offset."),
    int("group.min.session.timeout.ms", "6000").honoured("Shortest session timeout a classic member may ask for."),
    int("group.max.session.timeout.ms", "1800000").honoured("Longest session timeout a classic member may ask for."),
    int("group.initial.rebalance.delay.ms", "3000")
        .honoured("How long an empty classic group waits for more members before its first rebalance."),
    int("group.max.size", "2147483647").at_least(1).honoured("Members of one classic group."),
    list("group.coordinator.rebalance.protocols", "classic,consumer,streams")
        .rule(Rule::EachOf(&["consumer", "classic", "share", "streams"]))
        .accepted("Group protocols that are served."),
    int("group.coordinator.threads", "4").at_least(1).accepted("Threads of the group coordinator."),
    int("group.coordinator.background.threads", "2")
        .at_least(1)
        .accepted("Threads for the group coordinator's longer work."),
    int("group.coordinator.append.linger.ms", "-1")
        .at_least(-1)
        .accepted("How long the group coordinator gathers records; -1 adapts."),
    int("group.coordinator.cached.buffer.max.bytes", "1048588")
        .at_least(524_288)
        .cluster_wide()
        .accepted("Largest buffer the group coordinator keeps."),
    int("group.consumer.session.timeout.ms", "45000")
        .at_least(1)
        .honoured("After how long without a heartbeat a consumer group's member is out."),
    int("group.consumer.min.session.timeout.ms", "45000")
        .at_least(1)
        .honoured("Shortest value a group may set for it."),
    int("group.consumer.max.session.timeout.ms", "60000").at_least(1).honoured("Longest value a group may set for it."),
    int("group.consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .honoured("How often a consumer group's member sends a heartbeat."),
    int("group.consumer.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .honoured("Shortest value a group may set for it."),
    int("group.consumer.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .honoured("Longest value a group may set for it."),
    int("group.consumer.assignment.interval.ms", "1000")
        .at_least(0)
        .cluster_wide()
        .honoured("Shortest time between two assignments of a consumer group."),
    int("group.consumer.min.assignment.interval.ms", "0")
        .at_least(0)
        .honoured("Shortest value a group may set for it."),
    int("group.consumer.max.assignment.interval.ms", "15000")
        .at_least(0)
        .honoured("Longest value a group may set for it."),
    int("group.consumer.max.size", "2147483647").at_least(1).honoured("Members of one consumer group."),
    list("group.consumer.assignors", "uniform,range")
        .honoured("Assignors a consumer group may use, the default first."),
    string("group.consumer.migration.policy", "bidirectional")
        .rule(Rule::OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .honoured("Whether a group may change between the classic and the consumer protocol while it has members."),
    int("group.consumer.regex.refresh.interval.ms", "600000")
        .at_least(10_000)
        .unlisted()
        .honoured("How often subscribed patterns are matched against the topics."),
    int("group.share.session.timeout.ms", "45000")
        .at_least(1)
        .accepted("After how long without a heartbeat a share group's member is out."),
    int("group.share.min.session.timeout.ms", "45000").at_least(1).accepted("Shortest value a group may set for it."),
    int("group.share.max.session.timeout.ms", "60000").at_least(1).accepted("Longest value a group may set for it."),
    int("group.share.heartbeat.interval.ms", "5000")
        .at_least(1)
        .accepted("How often a share group's member sends a heartbeat."),
    int("group.share.min.heartbeat.interval.ms", "5000").at_least(1).accepted("Shortest value a group may set for it."),
    int("group.share.max.heartbeat.interval.ms", "15000").at_least(1).accepted("Longest value a group may set for it."),
    int("group.share.assignment.interval.ms", "1000")
        .at_least(0)
        .cluster_wide()
        .accepted("Shortest time between two assignments of a share group."),
    int("group.share.min.assignment.interval.ms", "0").at_least(0).accepted("Shortest value a group may set for it."),
    int("group.share.max.assignment.interval.ms", "15000")
        .at_least(0)
        .accepted("Longest value a group may set for it."),
    int("group.share.max.size", "200").rule(Rule::Between(1, 1000)).accepted("Members of one share group."),
    list("group.share.assignors", "simple").accepted("Assignors a share group may use."),
    int("group.share.delivery.count.limit", "5")
        .rule(Rule::Between(2, 10))
        .accepted("How often a record is delivered before it is given up."),
    int("group.share.min.delivery.count.limit", "2")
        .rule(Rule::Between(2, 5))
        .accepted("Least value a group may set for it."),
    int("group.share.max.delivery.count.limit", "10")
        .rule(Rule::Between(5, 25))
        .accepted("Largest value a group may set for it."),
    int("group.share.record.lock.duration.ms", "30000")
        .rule(Rule::Between(1000, 3_600_000))
        .accepted("How long a member holds a delivered record."),
    int("group.share.min.record.lock.duration.ms", "15000")
        .rule(Rule::Between(1000, 30_000))
        .accepted("Shortest value a group may set for it."),
    int("group.share.max.record.lock.duration.ms", "60000")
        .rule(Rule::Between(30_000, 3_600_000))
        .accepted("Longest value a group may set for it."),
    int("group.share.partition.max.record.locks", "2000")
        .rule(Rule::Between(100, 10_000))
        .accepted("Records of one partition that may be held at a time."),
    int("group.share.min.partition.max.record.locks", "100")
        .rule(Rule::Between(100, 2000))
        .accepted("Least value a group may set for it."),
    int("group.share.max.partition.max.record.locks", "4000")
        .rule(Rule::Between(2000, 10_000))
        .accepted("Largest value a group may set for it."),
    int("group.share.max.share.sessions", "2000").at_least(1).accepted("Share sessions of one broker."),
    int("group.share.initialize.retry.interval.ms", "30000")
        .at_least(1)
        .unlisted()
        .accepted("Pause before share state is initialized again."),
    string("group.share.persister.class.name", "org.apache.kafka.server.share.persister.DefaultStatePersister")
        .unlisted()
        .accepted("Java class that keeps share state."),
    int("share.coordinator.threads", "1").at_least(1).accepted("Threads of the share coordinator."),
    int("share.coordinator.append.linger.ms", "-1")
        .at_least(-1)
        .accepted("How long the share coordinator gathers records; -1 adapts."),
    int("share.coordinator.cached.buffer.max.bytes", "1048588")
        .at_least(524_288)
        .cluster_wide()
        .accepted("Largest buffer the share coordinator keeps."),
    int("share.coordinator.write.timeout.ms", "5000").at_least(1).accepted("How long a write of share state may take."),
    int("share.coordinator.load.buffer.size", "5242880")
        .at_least(1)
        .accepted("Bytes read at a time when share state is loaded."),
    int("share.coordinator.snapshot.update.records.per.snapshot", "500")
        .rule(Rule::Between(0, 500))
        .accepted("Updates of share state between two snapshots."),
    int("share.coordinator.cold.partition.snapshot.interval.ms", "300000")
        .at_least(1)
        .unlisted()
        .accepted("How often quiet share partitions are snapshotted."),
    int("share.coordinator.state.topic.num.partitions", "50")
        .at_least(1)
        .accepted("Partitions of `__share_group_state`."),
    short("share.coordinator.state.topic.replication.factor", "3")
        .at_least(1)
        .accepted("Replicas of `__share_group_state`."),
    short("share.coordinator.state.topic.min.isr", "2")
        .at_least(1)
        .accepted("In-sync replicas that `__share_group_state` needs."),
    int("share.coordinator.state.topic.segment.bytes", "104857600")
        .at_least(1)
        .accepted("Segment size of `__share_group_state`."),
    int("share.coordinator.state.topic.compression.codec", "0")
        .accepted("Codec number of the batches written to `__share_group_state`."),
    int("share.coordinator.state.topic.prune.interval.ms", "300000")
        .at_least(1)
        .unlisted()
        .accepted("How often old share state is removed."),
    int("group.streams.session.timeout.ms", "45000")
        .at_least(1)
        .accepted("After how long without a heartbeat a streams group's member is out."),
    int("group.streams.min.session.timeout.ms", "45000").at_least(1).accepted("Shortest value a group may set for it."),
    int("group.streams.max.session.timeout.ms", "60000").at_least(1).accepted("Longest value a group may set for it."),
    int("group.streams.heartbeat.interval.ms", "5000")
        .at_least(1)
        .accepted("How often a streams group's member sends a heartbeat."),
    int("group.streams.min.heartbeat.interval.ms", "5000")
        .at_least(1)
        .accepted("Shortest value a group may set for it."),
    int("group.streams.max.heartbeat.interval.ms", "15000")
        .at_least(1)
        .accepted("Longest value a group may set for it."),
    int("group.streams.assignment.interval.ms", "1000")
        .at_least(0)
        .cluster_wide()
        .accepted("Shortest time between two assignments of a streams group."),
    int("group.streams.min.assignment.interval.ms", "0").at_least(0).accepted("Shortest value a group may set for it."),
    int("group.streams.max.assignment.interval.ms", "15000")
        .at_least(0)
        .accepted("Longest value a group may set for it."),
    int("group.streams.initial.rebalance.delay.ms", "3000")
        .at_least(0)
        .accepted("How long an empty streams group waits for more members."),
    int("group.streams.max.size", "2147483647").at_least(1).accepted("Members of one streams group."),
    int("group.streams.num.standby.replicas", "0").at_least(0).accepted("Standby copies of a task's state."),
    int("group.streams.max.standby.replicas", "2").at_least(0).accepted("Largest value a group may set for it."),
];
