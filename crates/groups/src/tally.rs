//! What a shard did since it was loaded, counted from its decisions, for whoever watches the broker.

use crate::{
    record::GroupRecord,
    shard::{Decided, GroupShard},
};

/// Counts; all begin anew when the shard is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Offsets committed.
    pub offset_commits: u64,
    /// Offsets deleted: asked for, or with their group.
    pub offset_deletions: u64,
    /// Offsets deleted because nobody came back for them, or because their topic is gone.
    pub offset_expirations: u64,
    /// Generations of classic groups that got their assignment.
    pub classic_rebalances: u64,
    /// Epochs of consumer groups.
    pub consumer_rebalances: u64,
}

impl Tally {
    /// What both counted.
    pub fn add(&mut self, other: &Self) {
        self.offset_commits += other.offset_commits;
        self.offset_deletions += other.offset_deletions;
        self.offset_expirations += other.offset_expirations;
        self.classic_rebalances += other.classic_rebalances;
        self.consumer_rebalances += other.consumer_rebalances;
    }
}

impl GroupShard {
    /// What the shard did since it was loaded.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Counts a decision whose records are not replayed yet; `expires` where it is none of a request.
    pub(crate) fn count(&mut self, decided: &Decided, expires: bool) {
        for record in &decided.records {
            match record {
                GroupRecord::Offset(_, Some(_)) => self.tally.offset_commits += 1,
                GroupRecord::Offset(_, None) if expires => self.tally.offset_expirations += 1,
                GroupRecord::Offset(_, None) => self.tally.offset_deletions += 1,
                GroupRecord::Epoch(_, Some(_)) => self.tally.consumer_rebalances += 1,
                GroupRecord::Classic(key, Some(value)) if !value.members.is_empty() => {
                    let stored = self.classic(&key.group).and_then(|group| group.stored.as_ref());
                    let is_new = stored.is_none_or(|stored| stored.generation != value.generation);
                    self.tally.classic_rebalances += u64::from(is_new);
                }
                _ => {}
            }
        }
    }

    /// Protocol and state of each group, in no order.
    pub fn states(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let stored = self.offsets.group_ids().filter(|id| !self.groups.contains_key(*id));
        self.groups.values().map(crate::admin::kind_and_state).chain(stored.map(|_| crate::admin::STORED))
    }
}
