//! Which log is compacted next, and what is known of compactions.
//!
//! Invariants: one pass at a time per log; a log with a damaged batch is not tried again while it has it; a pass runs over what a stored
//! recovery point covers, for below it a restart takes holes for what compaction left, and above it for losses.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use ottla_types::{Millis, TopicPartition};
use parking_lot::Mutex;

use super::LogDirs;
use crate::{
    CleanError, CleanStats, CleanerSettings, Log,
    cleaner::{Pace, plan::Cleanable},
};

/// What cleaners share.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_progress: HashSet<TopicPartition>,
    /// Those with a damaged batch, and whether its place is marked.
    uncleanable: HashMap<TopicPartition, bool>,
    seen: HashMap<TopicPartition, Cleanable>,
}

/// What is known of compactions: the gauges of Kafka's cleaner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleaningView {
    /// Largest share of dirty bytes among the logs that were looked at last, 0 to 100.
    pub max_dirty_percent: f64,
    /// By how much the most overdue record is past `max.compaction.lag.ms`.
    pub max_compaction_delay_ms: i64,
    /// Logs that cannot be compacted because a batch is damaged.
    pub uncleanable_partitions: usize,
    /// Dirty bytes of those.
    pub uncleanable_bytes: u64,
}

/// What became of a log that was due.
#[derive(Debug)]
pub struct CleanReport {
    /// Which log.
    pub partition: TopicPartition,
    /// What the pass did, or why it ended early.
    pub result: Result<CleanStats, CleanError>,
}

impl LogDirs {
    /// Compacts, on this thread, the dirtiest of `logs` that is due; none where none is. `logs` are all those that are to be
    /// compacted, with their settings.
    pub fn clean_dirtiest(
        &self,
        logs: &[Arc<Log>],
        settings: &CleanerSettings,
        now: Millis,
        pace: &mut Pace<'_>,
    ) -> Option<CleanReport> {
        let log = self.take_dirtiest(logs, now)?;
        let result = self.clean(&log, settings, now, pace);
        let partition = log.partition().clone();
        let mut state = self.cleaning.state.lock();
        state.in_progress.remove(&partition);
        if matches!(result, Err(CleanError::Damaged { .. })) {
            state.uncleanable.insert(partition.clone(), log.damaged_places() > 0);
        }
        drop(state);
        Some(CleanReport { partition, result })
    }

    /// What is known of compactions.
    #[must_use]
    pub fn cleaning(&self) -> CleaningView {
        let state = self.cleaning.state.lock();
        let uncleanable = || state.uncleanable.keys().filter(|partition| self.contains(partition));
        let dirty_bytes = |partition| state.seen.get(partition).map_or(0, |seen: &Cleanable| seen.dirty_bytes);
        CleaningView {
            max_dirty_percent: 100.0 * state.seen.values().map(Cleanable::dirty_ratio).fold(0.0, f64::max),
            max_compaction_delay_ms: state.seen.values().map(|seen| seen.overdue_ms).max().unwrap_or(0),
            uncleanable_partitions: uncleanable().count(),
            uncleanable_bytes: uncleanable().map(dirty_bytes).sum(),
        }
    }

    /// The log with the largest dirty share among those that are due, marked as in progress.
    fn take_dirtiest(&self, logs: &[Arc<Log>], now: Millis) -> Option<Arc<Log>> {
        let mut looked = Vec::new();
        for log in logs {
            match log.cleanable(now) {
                Ok(found) => looked.push((log, found)),
                Err(error) => {
                    tracing::warn!(partition = %log.partition(), %error, "a log cannot be looked at for compaction")
                }
            }
        }
        let mut state = self.cleaning.state.lock();
        state.seen = looked.iter().map(|(log, found)| (log.partition().clone(), *found)).collect();
        for log in logs.iter().filter(|log| log.damaged_places() == 0) {
            if state.uncleanable.get(log.partition()) == Some(&true) {
                state.uncleanable.remove(log.partition()); // the place is gone, or good again
            }
        }
        let free = |log: &Log| {
            let partition = log.partition();
            !state.in_progress.contains(partition) && !state.uncleanable.contains_key(partition)
        };
        let due = looked.iter().filter(|(log, found)| {
            found.is_due(log.config().min_cleanable_dirty_ratio) && log.is_online() && free(log)
        });
        let (dirtiest, _) = due.max_by(|(_, a), (_, b)| a.dirty_ratio().total_cmp(&b.dirty_ratio()))?;
        state.in_progress.insert(dirtiest.partition().clone());
        Some(Arc::clone(dirtiest))
    }

    fn clean(
        &self,
        log: &Arc<Log>,
        settings: &CleanerSettings,
        now: Millis,
        pace: &mut Pace<'_>,
    ) -> Result<CleanStats, CleanError> {
        self.make_recoverable(log, now)?;
        let stats = log.clean(settings, now, pace)?;
        if let Some(slot) = self.slot(log.partition()) {
            self.store_clean_offsets(slot.dir_index())?;
        }
        Ok(stats)
    }

    /// Stores a recovery point that is not below what may be compacted.
    fn make_recoverable(&self, log: &Log, now: Millis) -> io::Result<()> {
        let to = log.cleanable(now)?.to;
        if log.flushed() < to {
            log.flush_sealed().map_err(io::Error::other)?;
        }
        if log.recovery_point() < to { self.checkpoint() } else { Ok(()) }
    }

    /// A partition that was deleted: nothing is known of it any more, not even on disk, for one of the same name may come.
    pub(super) fn forget_cleaning(&self, partition: &TopicPartition) {
        let mut state = self.cleaning.state.lock();
        state.uncleanable.remove(partition);
        state.seen.remove(partition);
    }
}
