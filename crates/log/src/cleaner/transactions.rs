//! Transactions as a pass over a log meets them, from the front to the end.
//!
//! Pure. Every batch is told in order; the answers say which data was aborted, and which markers end nothing that is still
//! in the log. A marker whose transaction had data on the way stays for this pass at least, whether or not the pass drops
//! that data: only a pass that meets no data any more may let it go, and then after its delete horizon.
//!
//! Invariant: an aborted transaction is in the index of the copy exactly when the pass met data of it, at the place of its
//! marker.

use std::collections::{HashMap, HashSet};

use ottla_records::BatchHeader;
use ottla_types::{Offset, ProducerId};

use crate::AbortedTransaction;

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct CleanedTransactions {
    /// Aborted transactions that have not begun yet, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Those that are under way, and whether data of them was met.
    aborted: HashMap<ProducerId, (AbortedTransaction, bool)>,
    /// Producers of committed data whose marker is still to come.
    committed: HashSet<ProducerId>,
}

/// What becomes of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkerFate {
    /// It ends a transaction of which data was met; where that was aborted, this belongs into the index.
    Needed(Option<AbortedTransaction>),
    /// Nothing of its transaction is left.
    Spent,
}

impl CleanedTransactions {
    /// A pass from `from` on over a log with these aborted transactions, in any order.
    pub(super) fn new(aborted: impl IntoIterator<Item = AbortedTransaction>, from: Offset) -> Self {
        let mut ahead: Vec<_> = aborted.into_iter().filter(|entry| entry.last_offset >= from).collect();
        ahead.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.first_offset));
        Self { ahead, ..Self::default() }
    }

    /// A batch of data; whether it belongs to an aborted transaction.
    pub(super) fn data(&mut self, batch: &BatchHeader) -> bool {
        self.begin_up_to(batch.last_offset());
        if !batch.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id) {
            Some((_, met)) => {
                *met = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id);
                false
            }
        }
    }

    /// A control batch: `commit` says whether it commits or aborts, none for other control records. One without a record
    /// was emptied before.
    pub(super) fn control(&mut self, batch: &BatchHeader, commit: Option<bool>) -> MarkerFate {
        self.begin_up_to(batch.last_offset());
        match commit {
            _ if batch.records_count == 0 => MarkerFate::Spent,
            None => MarkerFate::Needed(None),
            Some(true) if self.committed.remove(&batch.producer_id) => MarkerFate::Needed(None),
            Some(true) => MarkerFate::Spent,
            Some(false) => match self.aborted.remove(&batch.producer_id) {
                Some((entry, true)) => MarkerFate::Needed(Some(entry)),
                _ => MarkerFate::Spent,
            },
        }
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(entry) = self.ahead.pop_if(|entry| entry.first_offset <= offset) {
            self.aborted.entry(entry.producer_id).or_insert((entry, false));
        }
    }
}

#[cfg(test)]
mod tests;
