//! Work that comes round: idle connections, `flush.ms`, checkpoints, forgotten producers.
//!
//! One task for all of it; what touches the disk runs on the blocking pool.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::{net::Connections, node::Node};

/// How often there is a look at what is due.
const TICK: Duration = Duration::from_secs(1);

/// Never returns.
pub(crate) async fn run(node: Arc<Node>, connections: Arc<Connections>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = node.clock.now();
        connections.end_idle(now);
        let dirs = Arc::clone(&node.dirs);
        let done = tokio::task::spawn_blocking(move || dirs.tick(now)).await;
        if let Err(error) = done {
            tracing::error!(%error, "upkeep of the logs failed");
        }
    }
}
