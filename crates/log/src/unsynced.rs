//! Changes that are to be made durable, and how far they are.
//!
//! Invariant: changes are called durable only once a sync that began after them ended well, whoever looks meanwhile. So a change
//! is noted when it is made, not before, and a sync says what it found when it began.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many changes there were, and how many of them are durable.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    made: AtomicU64,
    durable: AtomicU64,
}

/// The changes that there were at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Changes {
    /// With one change already, where `any`.
    pub(crate) fn new(any: bool) -> Self {
        Self { made: AtomicU64::new(any.into()), durable: AtomicU64::new(0) }
    }

    /// A change was made.
    pub(crate) fn note(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
    }

    /// A change was made, where `any`.
    pub(crate) fn note_if(&self, any: bool) {
        if any {
            self.note();
        }
    }

    /// What a sync that begins now makes durable; none where there is nothing to do.
    pub(crate) fn pending(&self) -> Option<Mark> {
        let made = self.made.load(Ordering::Acquire);
        (self.durable.load(Ordering::Acquire) < made).then_some(Mark(made))
    }

    /// Whether those of some moment are durable already.
    pub(crate) fn is_durable(&self, mark: Mark) -> bool {
        self.durable.load(Ordering::Acquire) >= mark.0
    }

    /// That sync ended well.
    pub(crate) fn settle(&self, synced: Mark) {
        self.durable.fetch_max(synced.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_during_a_sync_waits_for_the_next_one() {
        let changes = Changes::default();
        assert!(changes.pending().is_none());
        changes.note();
        let first = changes.pending().unwrap();
        assert!(changes.pending().is_some(), "nothing is durable before the sync ended");
        changes.note();
        assert!(!changes.is_durable(first));
        changes.settle(first);
        assert!(changes.is_durable(first));
        let second = changes.pending().unwrap();
        changes.settle(second);
        changes.settle(first); // one that began earlier and ended later
        assert!(changes.pending().is_none());
        assert!(Changes::new(true).pending().is_some() && Changes::new(false).pending().is_none());
    }
}
