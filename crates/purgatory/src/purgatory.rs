//! Operations that wait for an event or for their deadline, for one owner.
//!
//! Invariant: an operation has exactly one timer and one entry in the watch lists; both go together.

use std::hash::Hash;

use ottla_types::Millis;

use crate::{
    watch::{WatchKey, WatchLists},
    wheel::{TimerKey, TimingWheel},
};

/// Names an operation for as long as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationKey(WatchKey);

/// Delayed operations.
#[derive(Debug)]
pub struct Purgatory<K, O> {
    watches: WatchLists<K, Delayed<O>>,
    timers: TimingWheel<WatchKey>,
}

#[derive(Debug)]
struct Delayed<O> {
    operation: O,
    timer: Option<TimerKey>,
}

impl<K: Eq + Hash, O> Purgatory<K, O> {
    /// An empty purgatory at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Self { watches: WatchLists::default(), timers: TimingWheel::new(now) }
    }

    /// Lets an operation wait until an event on one of `keys` completes it, or until `deadline`. The caller has seen
    /// that it is not complete yet.
    pub fn insert(&mut self, keys: impl IntoIterator<Item = K>, deadline: Millis, operation: O) -> OperationKey {
        let watch = self.watches.insert(keys, Delayed { operation, timer: None });
        let timer = self.timers.insert(deadline, watch);
        if let Some(delayed) = self.watches.get_mut(watch) {
            delayed.timer = Some(timer);
        }
        OperationKey(watch)
    }

    /// Takes an operation back; none where it completed.
    pub fn cancel(&mut self, operation: OperationKey) -> Option<O> {
        let delayed = self.watches.remove(operation.0)?;
        Some(delayed.finish(&mut self.timers))
    }

    /// Something happened to `key`: asks those that watch it whether they are complete; removes and gives back those
    /// that are. One look-up where nobody watches.
    pub fn check(&mut self, key: &K, mut is_complete: impl FnMut(&mut O) -> bool) -> Vec<O> {
        let completed = self.watches.check(key, |delayed| is_complete(&mut delayed.operation));
        completed.into_iter().map(|delayed| delayed.finish(&mut self.timers)).collect()
    }

    /// Removes and gives back the operations whose deadline is not after `now`. A `now` before an earlier one counts as
    /// that.
    pub fn advance(&mut self, now: Millis) -> Vec<O> {
        let expired = self.timers.advance(now);
        expired.into_iter().filter_map(|watch| Some(self.watches.remove(watch)?.operation)).collect()
    }

    /// When to call [`advance`](Self::advance) next, see [`TimingWheel::next_deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.next_deadline()
    }

    /// Number of waiting operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches.len()
    }

    /// Whether no operation waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Number of list entries: each waiting operation counts once for each of its keys.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.watches.watches()
    }

    /// Number of keys that somebody watches.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.watches.keys()
    }
}

impl<O> Delayed<O> {
    fn finish(self, timers: &mut TimingWheel<WatchKey>) -> O {
        self.timer.and_then(|timer| timers.cancel(timer));
        self.operation
    }
}
