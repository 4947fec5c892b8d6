//! Deadlines by value: each key has at most one.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use ottla_types::Millis;

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Timers<K: Ord + Hash> {
    by_time: BTreeSet<(Millis, K)>,
    by_key: HashMap<K, Millis>,
}

impl<K: Ord + Hash> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Ord + Hash + Clone> Timers<K> {
    /// Sets the deadline of `key`, in place of an earlier one.
    pub fn set(&mut self, key: K, at: Millis) {
        if let Some(before) = self.by_key.insert(key.clone(), at) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    /// Takes the deadline of `key` away; whether there was one.
    pub fn cancel(&mut self, key: &K) -> bool {
        let Some(at) = self.by_key.remove(key) else { return false };
        self.by_time.remove(&(at, key.clone()))
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Millis> {
        self.by_key.get(key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key whose deadline is not later than `now`.
    pub fn pop(&mut self, now: Millis) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_deadline() {
        let mut timers = Timers::default();
        timers.set("a", Millis(5));
        timers.set("b", Millis(3));
        timers.set("a", Millis(1));
        assert_eq!(timers.next(), Some(Millis(1)));
        assert_eq!(timers.pop(Millis(2)), Some("a"));
        assert_eq!(timers.pop(Millis(2)), None, "b is later");
        assert!(timers.cancel(&"b"));
        assert!(!timers.cancel(&"b"));
        assert_eq!(timers.next(), None);
    }
}
