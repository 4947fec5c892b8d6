//! Broker keys: replication and tiered storage.

use crate::declaration::{Declaration, Kind, Rule, boolean, double, int, long, string, unset};

pub(super) const KEYS: &[Declaration] = &[
    long("replica.lag.time.max.ms", "30000")
        .accepted("After how long behind the leader's end a follower is out of sync."),
    int("replica.fetch.max.bytes", "1048576").at_least(0).accepted("Bytes per partition that a follower asks for."),
    int("replica.fetch.response.max.bytes", "10485760")
        .at_least(0)
        .accepted("Bytes that a follower asks for at a time."),
    int("replica.fetch.min.bytes", "1").accepted("Bytes that a follower waits for."),
    int("replica.fetch.wait.max.ms", "500").accepted("How long a follower waits for them."),
    int("replica.fetch.backoff.ms", "1000").at_least(0).accepted("Pause of a follower after an error."),
    int("replica.socket.timeout.ms", "30000").accepted("Socket timeout of a follower."),
    int("replica.socket.receive.buffer.bytes", "65536").accepted("Receive buffer of a follower's socket."),
    long("replica.high.watermark.checkpoint.interval.ms", "5000")
        .accepted("How often high watermarks are written down."),
    unset("replica.selector.class", Kind::String).refused("Java class that picks the replica a consumer reads from."),
    int("num.replica.fetchers", "1")
        .at_least(1)
        .cluster_wide()
        .accepted("Connections per source broker that followers fetch over."),
    unset("num.replica.alter.log.dirs.threads", Kind::Int)
        .accepted("Threads that move replicas between log directories."),
    long("leader.replication.throttled.rate", "9223372036854775807")
        .at_least(0)
        .cluster_wide()
        .unlisted()
        .accepted("Bytes per second that a leader sends to throttled followers."),
    long("follower.replication.throttled.rate", "9223372036854775807")
        .at_least(0)
        .cluster_wide()
        .unlisted()
        .accepted("Bytes per second that a follower fetches for throttled replicas."),
    long("replica.alter.log.dirs.io.max.bytes.per.second", "9223372036854775807")
        .at_least(0)
        .cluster_wide()
        .unlisted()
        .honoured("Bytes per second that moves between log directories take."),
    boolean("follower.fetch.last.tiered.offset.enable", "false")
        .cluster_wide()
        .accepted("Whether a new follower starts at the last tiered offset."),
    boolean("remote.log.storage.system.enable", "false").refused("Whether tiered storage is there. It is not served."),
    unset("remote.log.storage.manager.class.name", Kind::String)
        .rule(Rule::NonEmpty)
        .accepted("Java class of the remote storage."),
    unset("remote.log.storage.manager.class.path", Kind::String).accepted("Class path of the remote storage."),
    string("remote.log.storage.manager.impl.prefix", "rsm.config.")
        .rule(Rule::NonEmpty)
        .accepted("Prefix of the remote storage's own keys."),
    string(
        "remote.log.metadata.manager.class.name",
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
    )
    .rule(Rule::NonEmpty)
    .accepted("Java class of the remote log metadata."),
    unset("remote.log.metadata.manager.class.path", Kind::String).accepted("Class path of the remote log metadata."),
    string("remote.log.metadata.manager.impl.prefix", "rlmm.config.")
        .rule(Rule::NonEmpty)
        .accepted("Prefix of the remote log metadata's own keys."),
    unset("remote.log.metadata.manager.listener.name", Kind::String)
        .rule(Rule::NonEmpty)
        .accepted("Listener that the remote log metadata uses."),
    int("remote.log.metadata.custom.metadata.max.bytes", "128")
        .at_least(0)
        .accepted("Largest custom metadata of a tiered segment."),
    long("remote.log.index.file.cache.total.size.bytes", "1073741824")
        .at_least(1)
        .cluster_wide()
        .accepted("Size of the cache of tiered indexes."),
    long("remote.log.index.file.cache.ttl.ms", "900000")
        .at_least(-1)
        .unlisted()
        .accepted("How long a tiered index is cached."),
    int("remote.log.manager.thread.pool.size", "2").at_least(1).accepted("Threads for tiering work."),
    int("remote.log.manager.copier.thread.pool.size", "10")
        .at_least(1)
        .cluster_wide()
        .accepted("Threads that copy segments out."),
    int("remote.log.manager.expiration.thread.pool.size", "10")
        .at_least(1)
        .cluster_wide()
        .accepted("Threads that remove tiered segments."),
    int("remote.log.manager.follower.thread.pool.size", "2")
        .at_least(1)
        .cluster_wide()
        .accepted("Threads for tiering work of followers."),
    long("remote.log.manager.task.interval.ms", "30000").at_least(1).accepted("How often tiering work runs."),
    long("remote.log.manager.task.retry.backoff.ms", "500")
        .at_least(1)
        .unlisted()
        .accepted("First pause after failed tiering work."),
    long("remote.log.manager.task.retry.backoff.max.ms", "30000")
        .at_least(1)
        .unlisted()
        .accepted("Longest pause after failed tiering work."),
    double("remote.log.manager.task.retry.jitter", "0.2")
        .rule(Rule::Within(0.0, 0.5))
        .unlisted()
        .accepted("Randomness of those pauses."),
    long("remote.log.manager.copy.max.bytes.per.second", "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .accepted("Bytes per second copied out."),
    int("remote.log.manager.copy.quota.window.num", "11").at_least(1).accepted("Samples kept for that quota."),
    int("remote.log.manager.copy.quota.window.size.seconds", "1").at_least(1).accepted("Length of one such sample."),
    long("remote.log.manager.fetch.max.bytes.per.second", "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .accepted("Bytes per second read back."),
    int("remote.log.manager.fetch.quota.window.num", "11").at_least(1).accepted("Samples kept for that quota."),
    int("remote.log.manager.fetch.quota.window.size.seconds", "1").at_least(1).accepted("Length of one such sample."),
    int("remote.log.reader.threads", "10").at_least(1).cluster_wide().accepted("Threads that read tiered segments."),
    int("remote.log.reader.max.pending.tasks", "100").at_least(1).accepted("Reads of tiered segments that may wait."),
    int("remote.fetch.max.wait.ms", "500")
        .at_least(1)
        .cluster_wide()
        .accepted("How long a fetch waits for tiered data."),
    long("remote.list.offsets.request.timeout.ms", "30000")
        .at_least(1)
        .cluster_wide()
        .accepted("How long an offset search in tiered data may take."),
    long("log.local.retention.ms", "-2")
        .at_least(-2)
        .cluster_wide()
        .accepted("How long tiered segments stay on local disk; -2 follows `log.retention.ms`."),
    long("log.local.retention.bytes", "-2")
        .at_least(-2)
        .cluster_wide()
        .accepted("Size of tiered segments that stays on local disk; -2 follows `log.retention.bytes`."),
];
