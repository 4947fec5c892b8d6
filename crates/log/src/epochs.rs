//! Which leader epoch began at which offset: what followers and clients ask to find where two logs part.
//!
//! Pure. Invariants: epochs and start offsets both rise strictly from entry to entry. The last entry may begin at the
//! end of the log, when a leader has not appended yet.

use ottla_types::{LeaderEpoch, Offset};

/// First offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// First offset that its leader assigned.
    pub start: Offset,
}

/// Where a leader epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// Largest epoch of the log that is not above the one asked for; the one asked for when all known are above it.
    pub epoch: LeaderEpoch,
    /// First offset behind it.
    pub end: Offset,
}

/// The leader epochs of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochStart>,
}

impl LeaderEpochs {
    /// The entries of a checkpoint; those that break the order are left out.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = EpochStart>) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start);
        }
        epochs
    }

    /// All entries, oldest first.
    pub(crate) fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start`; whether that is news. An epoch without a record of its own gives way.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch.0 < 0 || start.0 < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        while self.entries.last().is_some_and(|last| last.start >= start) {
            self.entries.pop();
        }
        self.entries.push(EpochStart { epoch, start });
        true
    }

    /// The epoch that the record at `offset` was written in.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start <= offset);
        after.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Where `epoch` ends; none for an epoch above all known ones, or unknown (−1).
    pub(crate) fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let latest = self.latest()?;
        if epoch.0 < 0 || epoch > latest {
            return None;
        }
        if epoch == latest {
            return Some(EpochEnd { epoch, end: log_end });
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries[above].start;
        let floor = above.checked_sub(1).map_or(epoch, |at| self.entries[at].epoch);
        Some(EpochEnd { epoch: floor, end })
    }

    /// Drops what begins at `end` or behind it; whether there was anything.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Drops what ends below `start`; the epoch that holds `start` then begins there. Whether anything changed.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) -> bool {
        let Some(floor) = self.entries.partition_point(|entry| entry.start <= start).checked_sub(1) else {
            return false;
        };
        if floor == 0 && self.entries[0].start == start {
            return false;
        }
        self.entries.drain(..floor);
        self.entries[0].start = start;
        true
    }
}

#[cfg(test)]
mod tests;
