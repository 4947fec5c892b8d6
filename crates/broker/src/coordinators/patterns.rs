//! Patterns of subscriptions, worked out where nobody waits for it.
//!
//! Invariants: a shard is never locked while a pattern is held against the topics; patterns take turns, first come, first
//! served, so that a costly one delays other patterns but nothing else.

use std::sync::Arc;

use ottla_groups::{GroupShard, Matching};
use tokio::sync::Semaphore;

use super::{groups::Groups, running::Running};

impl Groups {
    /// Starts what the shard of `group` wants to know of patterns. To be called on the runtime.
    pub(crate) fn work_out_patterns(self: &Arc<Self>, group: &str, turns: &Arc<Semaphore>) {
        if let Ok(shard) = self.shard(group) {
            self.start_matchings(&shard, turns);
        }
    }

    fn start_matchings(self: &Arc<Self>, shard: &Arc<Running<GroupShard>>, turns: &Arc<Semaphore>) {
        while let Some(matching) = shard.change(GroupShard::next_matching).flatten() {
            tokio::spawn(work_out(Arc::clone(self), Arc::clone(shard), matching, Arc::clone(turns)));
        }
    }
}

async fn work_out(groups: Arc<Groups>, shard: Arc<Running<GroupShard>>, matching: Matching, turns: Arc<Semaphore>) {
    let Ok(turn) = turns.acquire().await else { return };
    let (image, given_up) = (groups.image(), matching.clone());
    let (looked_at, begun) = (Arc::clone(&image), groups.now());
    let worked_out = tokio::task::spawn_blocking(move || matching.work_out(begun, &looked_at)).await;
    drop(turn);
    let matched = worked_out.unwrap_or_else(|error| {
        tracing::error!(%error, "a pattern could not be worked out");
        given_up.given_up()
    });
    let now = groups.now();
    shard.tell(now, |shard| shard.matched(now, &image, matched));
    // Decides those who waited.
    shard.pass(now, &image);
    groups.wake(&shard);
    groups.start_matchings(&shard, &turns);
}
