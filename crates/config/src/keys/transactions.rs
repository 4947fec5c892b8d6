//! Broker keys: transactions and producer ids.

use crate::declaration::{Declaration, boolean, int, short};

pub(super) const KEYS: &[Declaration] = &[
    int("transaction.state.log.num.partitions", "50")
        .at_least(1)
        .honoured("Partitions of `__transaction_state`. Not to be changed once the topic exists."),
    short("transaction.state.log.replication.factor", "3").at_least(1).honoured("Replicas of `__transaction_state`."),
    int("transaction.state.log.min.isr", "2")
        .at_least(1)
        .honoured("In-sync replicas that `__transaction_state` needs."),
    int("transaction.state.log.segment.bytes", "104857600")
        .at_least(1)
        .honoured("Segment size of `__transaction_state`."),
    int("transaction.state.log.load.buffer.size", "5242880")
        .at_least(1)
        .accepted("Bytes read at a time when a transaction partition is loaded."),
    int("transaction.max.timeout.ms", "900000").at_least(1).honoured("Longest timeout a producer may ask for."),
    int("transactional.id.expiration.ms", "604800000")
        .at_least(1)
        .honoured("After how long unused a transactional id is forgotten."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000")
        .at_least(1)
        .honoured("How often overdue transactions are looked for."),
    int("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000")
        .at_least(1)
        .honoured("How often forgotten transactional ids are looked for."),
    boolean("transaction.partition.verification.enable", "true")
        .cluster_wide()
        .honoured("Whether a transactional write is checked against its coordinator first."),
    boolean("transaction.two.phase.commit.enable", "false")
        .refused("Whether transactions may stay open without a timeout. It is not served."),
    int("producer.id.expiration.ms", "86400000")
        .at_least(1)
        .cluster_wide()
        .honoured("After how long unused a producer's state is forgotten."),
    int("producer.id.expiration.check.interval.ms", "600000")
        .at_least(1)
        .unlisted()
        .honoured("How often such state is looked for."),
    int("add.partitions.to.txn.retry.backoff.ms", "20")
        .at_least(1)
        .honoured("Pause before a write tries again to enter a transaction, while the one before it ends."),
    int("add.partitions.to.txn.retry.backoff.max.ms", "100").at_least(0).honoured("Longest time such repeats go on."),
];
