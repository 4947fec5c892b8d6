//! Work that comes round: idle connections, `flush.ms`, checkpoints, files whose delay before removal is over.
//!
//! One task for all of it, and one for [`retention`], which may take long; what touches the disk runs on the blocking pool.

pub(crate) mod cleaners;
pub(crate) mod directories;
pub(crate) mod moves;
mod pause;
pub(crate) mod retention;
pub(crate) mod scrub;
mod throttle;

use std::{sync::Arc, time::Duration};

use ottla_disk::is_full;
use ottla_log::LogDirs;
use ottla_types::Millis;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    coordinators::{Groups, Transactions},
    net::Connections,
    node::Node,
};

/// How often there is a look at what is due.
const TICK: Duration = Duration::from_secs(1);

/// Never returns.
pub(crate) async fn run(node: Arc<Node>, connections: Arc<Connections>) {
    let mut ticks = interval(TICK);
    let checkpoint_ms = i64::from(node.settings.logs.flush_offset_checkpoint_interval_ms);
    let mut checkpointed = node.clock.now();
    let expiry_ms = i64::from(node.settings.transactions.producer_id_expiration_check_interval_ms);
    let expiration_ms = i64::from(node.settings.transactions.producer_id_expiration_ms);
    let mut expired = checkpointed;
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = node.clock.now();
        connections.end_idle(now);
        let looking = Arc::clone(&node);
        let checkpoint = now.since(checkpointed) >= checkpoint_ms;
        if checkpoint {
            checkpointed = now;
        }
        let expire = now.since(expired) >= expiry_ms;
        if expire {
            expired = now;
        }
        let look = move || {
            let Node { dirs, groups, transactions, .. } = &*looking;
            look_after_space(dirs, groups, transactions);
            look_after_logs(dirs, now, checkpoint);
            if expire {
                dirs.expire_producers(now, expiration_ms);
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            tracing::error!(%error, "upkeep of the logs failed");
        }
    }
}

/// Coordinators wait while nothing can be written, and are told when there is room again.
pub(crate) fn look_after_space(dirs: &LogDirs, groups: &Groups, transactions: &Transactions) {
    if dirs.look_after_space() {
        groups.room_again();
        transactions.room_again();
    }
}

fn look_after_logs(dirs: &LogDirs, now: Millis, checkpoint: bool) {
    dirs.flush_due(now);
    let removed = dirs.remove_due(now).map(drop);
    let stored = if checkpoint { store(dirs, now) } else { Ok(()) };
    // That a directory is full is told when it is found.
    for error in [removed, stored].into_iter().filter_map(Result::err).filter(|error| !is_full(error)) {
        tracing::warn!(%error, "upkeep of the data directories");
    }
}

/// Checkpoints; segments below a log start that has been stored then go.
fn store(dirs: &LogDirs, now: Millis) -> std::io::Result<()> {
    dirs.remove_old_segments(now)?;
    dirs.checkpoint_high_watermarks()
}
