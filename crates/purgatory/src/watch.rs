//! Operations by the keys they watch.
//!
//! Invariants: an operation is at most once in the list of a key; a list exists only while it holds an operation; so
//! the number of list entries never passes the number of keys that the waiting operations named. A list remembers its
//! key's hash, so that a key is hashed once when it is named and never when it is given up.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::slab::{NIL, Slab, SlabKey};

/// Names an operation for as long as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchKey(SlabKey);

/// Operations, each in the lists of several keys, in the order in which they came.
#[derive(Debug)]
pub struct WatchLists<K, O> {
    operations: Slab<Operation<O>>,
    nodes: Slab<Node>,
    lists: Slab<List<K>>,
    by_key: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Operation<O> {
    payload: O,
    /// Its newest node; the others follow as siblings.
    node: u32,
}

#[derive(Debug)]
struct Node {
    operation: u32,
    list: u32,
    previous: u32,
    next: u32,
    sibling: u32,
}

#[derive(Debug)]
struct List<K> {
    key: K,
    hash: u64,
    head: u32,
    tail: u32,
}

impl<K, O> Default for WatchLists<K, O> {
    fn default() -> Self {
        Self::with_hasher(DefaultHashBuilder::default())
    }
}

impl<K, O> WatchLists<K, O> {
    /// Empty lists, for keys that somebody else hashes with the same `hasher`.
    pub(crate) fn with_hasher(hasher: DefaultHashBuilder) -> Self {
        Self {
            operations: Slab::default(),
            nodes: Slab::default(),
            lists: Slab::default(),
            by_key: HashTable::new(),
            hasher,
        }
    }
}

impl<K: Eq + Hash, O> WatchLists<K, O> {
    /// Adds an operation to the lists of `keys`; a key named twice counts once. O(number of keys).
    pub fn insert(&mut self, keys: impl IntoIterator<Item = K>, operation: O) -> WatchKey {
        let hasher = self.hasher.clone();
        self.insert_hashed(keys.into_iter().map(|key| (hasher.hash_one(&key), key)), operation)
    }

    /// As [`insert`](Self::insert), of keys with their hashes.
    pub(crate) fn insert_hashed(&mut self, keys: impl IntoIterator<Item = (u64, K)>, operation: O) -> WatchKey {
        let watch = self.operations.insert(Operation { payload: operation, node: NIL });
        for (hash, key) in keys {
            self.append(hash, key, watch.index);
        }
        WatchKey(watch)
    }

    /// Takes an operation out of all lists; none where it is gone. O(number of its keys).
    pub fn remove(&mut self, watch: WatchKey) -> Option<O> {
        let operation = self.operations.remove(watch.0)?;
        let mut node = operation.node;
        while node != NIL {
            node = self.unlink(node);
        }
        Some(operation.payload)
    }

    /// Asks those that watch `key`, in the order in which they came, whether they are complete; removes and gives back
    /// those that are. One look-up where nobody watches.
    pub fn check(&mut self, key: &K, mut is_complete: impl FnMut(&mut O) -> bool) -> Vec<O> {
        let mut completed = Vec::new();
        let mut node = self.head(self.hasher.hash_one(key), key);
        while node != NIL {
            let Node { operation, next, .. } = *self.nodes.at(node);
            if is_complete(&mut self.operations.at(operation).payload) {
                let watch = WatchKey(self.operations.key_at(operation));
                completed.extend(self.remove(watch));
            }
            // Another operation's node, as an operation has one per list: it is still there.
            node = next;
        }
        completed
    }

    /// The operations that watch `key`, which has this hash, in the order in which they came.
    pub(crate) fn watching_hashed(&self, hash: u64, key: &K) -> Vec<O>
    where
        O: Clone,
    {
        let mut found = Vec::new();
        let mut node = self.head(hash, key);
        while node != NIL {
            let Node { operation, next, .. } = *self.nodes.peek(node);
            found.push(self.operations.peek(operation).payload.clone());
            node = next;
        }
        found
    }

    /// A waiting operation.
    pub fn get_mut(&mut self, watch: WatchKey) -> Option<&mut O> {
        self.operations.get(watch.0)?;
        Some(&mut self.operations.at(watch.0.index).payload)
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.len() == 0
    }

    /// Number of keys that somebody watches.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Number of list entries: each operation counts once for each of its keys.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.nodes.len()
    }

    fn head(&self, hash: u64, key: &K) -> u32 {
        let found = self.by_key.find(hash, |list| self.lists.peek(*list).key == *key);
        found.map_or(NIL, |list| self.lists.peek(*list).head)
    }

    fn append(&mut self, hash: u64, key: K, operation: u32) {
        let list = self.list_of(hash, key);
        let tail = self.lists.at(list).tail;
        // Only this operation was added since it began to be, so its own entry could only be the last.
        if tail != NIL && self.nodes.at(tail).operation == operation {
            return;
        }
        let sibling = self.operations.at(operation).node;
        let node = self.nodes.insert(Node { operation, list, previous: tail, next: NIL, sibling }).index;
        self.operations.at(operation).node = node;
        let list = self.lists.at(list);
        list.tail = node;
        if tail == NIL {
            list.head = node;
        } else {
            self.nodes.at(tail).next = node;
        }
    }

    fn list_of(&mut self, hash: u64, key: K) -> u32 {
        if let Some(list) = self.by_key.find(hash, |list| self.lists.peek(*list).key == key) {
            return *list;
        }
        let list = self.lists.insert(List { key, hash, head: NIL, tail: NIL }).index;
        self.by_key.insert_unique(hash, list, |list| self.lists.peek(*list).hash);
        list
    }

    /// Takes a node out of its list; the operation's next node.
    fn unlink(&mut self, index: u32) -> u32 {
        let key = self.nodes.key_at(index);
        let Some(Node { list, previous, next, sibling, .. }) = self.nodes.remove(key) else { return NIL };
        let ends = self.lists.at(list);
        if previous == NIL {
            ends.head = next;
        }
        if next == NIL {
            ends.tail = previous;
        }
        if ends.head == NIL {
            self.drop_list(list);
        }
        if previous != NIL {
            self.nodes.at(previous).next = next;
        }
        if next != NIL {
            self.nodes.at(next).previous = previous;
        }
        sibling
    }

    fn drop_list(&mut self, index: u32) {
        let key = self.lists.key_at(index);
        let found = self.lists.remove(key).map(|list| self.by_key.find_entry(list.hash, |other| *other == index));
        if let Some(Ok(entry)) = found {
            entry.remove();
        }
    }
}
