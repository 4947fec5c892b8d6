//! Group keys.

use crate::declaration::{Declaration, Rule, boolean, int, string};

pub(super) const KEYS: &[Declaration] = &[
    int("consumer.session.timeout.ms", "45000")
        .at_least(1)
        .defaults_to("group.consumer.session.timeout.ms")
        .honoured("After how long without a heartbeat a member is out."),
    int("consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .defaults_to("group.consumer.heartbeat.interval.ms")
        .honoured("How often a member sends a heartbeat."),
    int("consumer.assignment.interval.ms", "1000")
        .at_least(0)
        .defaults_to("group.consumer.assignment.interval.ms")
        .honoured("Shortest time between two assignments."),
    int("share.session.timeout.ms", "45000")
        .at_least(1)
        .defaults_to("group.share.session.timeout.ms")
        .accepted("After how long without a heartbeat a share member is out."),
    int("share.heartbeat.interval.ms", "5000")
        .at_least(1)
        .defaults_to("group.share.heartbeat.interval.ms")
        .accepted("How often a share member sends a heartbeat."),
    int("share.assignment.interval.ms", "1000")
        .at_least(0)
        .defaults_to("group.share.assignment.interval.ms")
        .accepted("Shortest time between two assignments of a share group."),
    int("share.record.lock.duration.ms", "30000")
        .at_least(1000)
        .defaults_to("group.share.record.lock.duration.ms")
        .accepted("How long a member holds a delivered record."),
    int("share.delivery.count.limit", "5")
        .at_least(2)
        .defaults_to("group.share.delivery.count.limit")
        .accepted("How often a record is delivered before it is given up."),
    int("share.partition.max.record.locks", "2000")
        .at_least(100)
        .defaults_to("group.share.partition.max.record.locks")
        .accepted("Records of one partition that may be held at a time."),
    string("share.auto.offset.reset", "latest")
        .rule(Rule::AutoOffsetReset)
        .accepted("Where a share group starts: `earliest`, `latest` or `by_duration:` and an ISO-8601 duration."),
    string("share.isolation.level", "read_uncommitted")
        .rule(Rule::OneOf(&["read_committed", "read_uncommitted"]))
        .accepted("Whether a share group sees records of open and aborted transactions."),
    boolean("share.renew.acknowledge.enable", "true")
        .accepted("Whether a member may hold a record longer by renewing."),
    int("streams.session.timeout.ms", "45000")
        .at_least(1)
        .defaults_to("group.streams.session.timeout.ms")
        .accepted("After how long without a heartbeat a streams member is out."),
    int("streams.heartbeat.interval.ms", "5000")
        .at_least(1)
        .defaults_to("group.streams.heartbeat.interval.ms")
        .accepted("How often a streams member sends a heartbeat."),
    int("streams.assignment.interval.ms", "1000")
        .at_least(0)
        .defaults_to("group.streams.assignment.interval.ms")
        .accepted("Shortest time between two assignments of a streams group."),
    int("streams.num.standby.replicas", "0")
        .at_least(0)
        .defaults_to("group.streams.num.standby.replicas")
        .accepted("Standby copies of a task's state."),
    int("streams.initial.rebalance.delay.ms", "3000")
        .at_least(0)
        .defaults_to("group.streams.initial.rebalance.delay.ms")
        .accepted("How long an empty streams group waits for more members."),
];
