//! Retention: what is older than `retention.ms`, or more than `retention.bytes`, goes.
//!
//! Comes round every `log.retention.check.interval.ms`, the first time `log.initial.task.delay.ms` after the start. A
//! topic's settings are read when its turn comes, so that a change of them holds from the next round on.
//!
//! Invariant: a log is never judged by another topic's settings, nor by the defaults: it is opened through its partition,
//! which has given it its own.

use std::{sync::Arc, time::Duration};

use ottla_config::TopicConfig;
use ottla_log::Log;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{node::Node, replicas::Replicas};

/// Never returns.
pub(crate) async fn run(node: Arc<Node>) {
    let logs = &node.settings.logs;
    let first = Instant::now() + millis(logs.initial_task_delay_ms);
    let mut rounds = interval_at(first, millis(logs.retention_check_interval_ms).max(Duration::from_millis(1)));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let node = Arc::clone(&node);
        // Logs that were not used since the start are opened for it.
        if let Err(error) = tokio::task::spawn_blocking(move || round(&node)).await {
            tracing::error!(%error, "retention failed");
        }
    }
}

fn round(node: &Node) {
    let logs = logs_with_limits(&node.replicas);
    if let Err(error) = node.dirs.expire(&logs, node.clock.now()) {
        tracing::warn!(%error, "retention");
    }
}

/// The logs that may lose records by themselves.
fn logs_with_limits(replicas: &Replicas) -> Vec<Arc<Log>> {
    let topics = replicas.topics().into_iter().filter(|topic| has_limits(&topic.config()));
    let partitions = topics.flat_map(|topic| topic.partitions());
    partitions
        .filter_map(|partition| match partition.log() {
            Ok(log) => Some(log),
            Err(error) => {
                tracing::debug!(partition = %partition.id, %error, "no retention for a log that cannot be opened");
                None
            }
        })
        .collect()
}

fn has_limits(config: &TopicConfig) -> bool {
    config.cleanup_policy.delete && (config.retention_ms.is_some() || config.retention_bytes.is_some())
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
