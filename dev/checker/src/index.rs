//! What the checkers ask of a history: who sent a value, who read it, and what lies where.
//!
//! Invariant: a value is visible when somebody read it or when its operation is known to have happened; a transaction whose
//! outcome is unknown happened when one of its values was read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::history::{History, Key, Offset, Operation, OperationId, OperationKind, Outcome, Process, Step, Value};

/// One send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Send<'a> {
    pub(crate) operation: OperationId,
    pub(crate) key: &'a Key,
    pub(crate) value: &'a Value,
    pub(crate) offset: Option<Offset>,
    pub(crate) source: Option<&'a (Key, Offset)>,
}

/// A history with its tables.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    pub(crate) history: &'a History,
    /// All sends, in the order of their operations.
    pub(crate) sends: Vec<Send<'a>>,
    /// Who sent a value to a key.
    pub(crate) sender: HashMap<(&'a Key, &'a Value), OperationId>,
    /// What was read, by place, with the first who did.
    pub(crate) reads: BTreeMap<&'a Key, BTreeMap<Offset, BTreeMap<&'a Value, OperationId>>>,
    /// Where each value was read.
    pub(crate) places: BTreeMap<(&'a Key, &'a Value), BTreeSet<Offset>>,
    /// Keys that were read to their end, with when the first reader had done that.
    pub(crate) drained: BTreeMap<&'a Key, u64>,
    /// Transactions that happened, and sends alone.
    happened: BTreeSet<OperationId>,
    /// Where visible values lie.
    visible: BTreeMap<&'a Key, BTreeSet<Offset>>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(history: &'a History) -> Index<'a> {
        let mut index = Index {
            history,
            sends: Vec::new(),
            sender: HashMap::new(),
            reads: BTreeMap::new(),
            places: BTreeMap::new(),
            drained: BTreeMap::new(),
            happened: BTreeSet::new(),
            visible: BTreeMap::new(),
        };
        for (id, operation) in history.numbered() {
            for step in &operation.steps {
                index.step(id, step);
            }
        }
        index.decide();
        index
    }

    fn step(&mut self, operation: OperationId, step: &'a Step) {
        match step {
            Step::Send { key, value, offset, source } => {
                self.sender.insert((key, value), operation);
                self.sends.push(Send { operation, key, value, offset: *offset, source: source.as_ref() });
            }
            Step::Poll { key, records } => {
                for (offset, value) in records {
                    let at = self.reads.entry(key).or_default().entry(*offset).or_default();
                    at.entry(value).or_insert(operation);
                    self.places.entry((key, value)).or_default().insert(*offset);
                    self.visible.entry(key).or_default().insert(*offset);
                }
            }
            Step::Drained(keys) => {
                let when = self.history.operation(operation).begin;
                keys.iter().for_each(|key| {
                    self.drained.entry(key).or_insert(when);
                });
            }
            Step::Offsets { .. } | Step::Seek(_) | Step::Rebalance(_) | Step::Anew => {}
        }
    }

    fn decide(&mut self) {
        for send in &self.sends {
            let outcome = self.history.operation(send.operation).outcome;
            let read = self.places.contains_key(&(send.key, send.value));
            if outcome == Outcome::Ok || (outcome == Outcome::Unknown && read) {
                self.happened.insert(send.operation);
            }
        }
        for send in &self.sends {
            if let (Some(offset), true) = (send.offset, self.happened.contains(&send.operation)) {
                self.visible.entry(send.key).or_default().insert(offset);
            }
        }
    }

    /// True of a send's operation that is known to have happened.
    pub(crate) fn happened(&self, operation: OperationId) -> bool {
        self.happened.contains(&operation)
    }

    /// True when somebody read it.
    pub(crate) fn is_read(&self, send: &Send<'_>) -> bool {
        self.places.contains_key(&(send.key, send.value))
    }

    /// The last place of a key that somebody read.
    pub(crate) fn highest_read(&self, key: &Key) -> Option<Offset> {
        self.reads.get(key)?.keys().next_back().copied()
    }

    /// A visible value between two places, both left out.
    pub(crate) fn visible_between(&self, key: &Key, after: Offset, before: Offset) -> Option<Offset> {
        let (from, to) = (Offset(after.0.saturating_add(1)), before);
        if from >= to {
            return None;
        }
        self.visible.get(key)?.range(from..to).next().copied()
    }

    /// Each process' operations in order.
    pub(crate) fn by_process(&self) -> BTreeMap<Process, Vec<(OperationId, &'a Operation)>> {
        let mut processes: BTreeMap<Process, Vec<_>> = BTreeMap::new();
        for (id, operation) in self.history.numbered() {
            processes.entry(operation.process).or_default().push((id, operation));
        }
        processes
    }

    /// Every transaction and what it sent, the sends alone left out.
    pub(crate) fn transactions(&self) -> BTreeMap<OperationId, Vec<&Send<'a>>> {
        let mut transactions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for send in &self.sends {
            if self.history.operation(send.operation).kind == OperationKind::Transaction {
                transactions.entry(send.operation).or_default().push(send);
            }
        }
        transactions
    }
}
