//! The group coordinator: groups and their offsets, in `__consumer_offsets`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ottla_disk::Clock;
use ottla_groups::{GroupShard, Settings};
use ottla_types::BrokerId;

use super::shards::{Home, Shards};
use crate::{metrics::GroupCounts, replicas::Replicas};

/// The topic.
pub(crate) const TOPIC: &str = "__consumer_offsets";

/// See the file's head.
pub(crate) type Groups = Shards<GroupShard>;

impl Groups {
    /// Without groups. To be called on the runtime that loads them.
    pub(crate) fn of(broker: BrokerId, replicas: Arc<Replicas>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let compression = settings.offsets.topic_compression;
        let empty = Box::new(move || GroupShard::new(Arc::clone(&settings)));
        Self::new(Home { topic: TOPIC, compression, empty }, broker, replicas, clock)
    }

    /// Calls `each` with group, topic, partition and committed offset of all that is in service.
    pub(crate) fn committed(&self, mut each: impl FnMut(&str, &str, i32, i64)) {
        for shard in self.all() {
            shard.look(|shard| {
                shard.committed().for_each(|(group, topic, partition, at)| each(group, topic, partition, at.offset.0));
            });
        }
    }

    /// What is in service and what it did.
    pub(crate) fn counts(&self) -> GroupCounts {
        let mut counts = GroupCounts::default();
        for shard in self.all() {
            shard.look(|shard| {
                shard.states().for_each(|state| *counts.groups.entry(state).or_default() += 1);
                counts.offsets += i64::try_from(shard.committed().count()).unwrap_or(i64::MAX);
                counts.tally.add(&shard.tally());
            });
        }
        counts
    }

    /// Forgets the offsets of topics that are gone.
    pub(super) fn topics_deleted(&self, names: &[&str]) {
        let now = self.now();
        for shard in self.all() {
            shard.tell(now, |shard| shard.topics_deleted(now, names));
        }
    }
}
