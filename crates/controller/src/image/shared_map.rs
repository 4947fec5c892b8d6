//! A sorted map whose copies share what they have in common.
//!
//! Entries lie in sorted chunks of at most [`CHUNK_LEN_MAX`]. Copying the map copies one pointer; a change then copies
//! the list of chunks (pointers) and the one chunk it touches, so a change among 50,000 entries copies some hundreds of
//! pointers. Further changes to the same copy copy no more than the chunks they newly touch.
//!
//! Invariants: keys ascend over all chunks; no chunk is empty or longer than [`CHUNK_LEN_MAX`].

use std::{borrow::Borrow, cmp::Ordering, ops::Bound, sync::Arc};

/// Square root of the largest number of entries we plan for: list and chunk then cost the same to copy.
const CHUNK_LEN_MAX: usize = 256;

type Chunk<K, V> = Vec<(K, V)>;

/// See the file's head.
#[derive(Debug, Clone)]
pub struct SharedMap<K, V> {
    chunks: Arc<Vec<Arc<Chunk<K, V>>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

impl<K: Ord + Clone + PartialEq, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `key`.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = &self.chunks[self.chunk_of(key)?];
        let at = search(chunk, key).ok()?;
        Some(&chunk[at].1)
    }

    /// Entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// Values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Entries from `start` on, in the order of their keys.
    pub fn range_from<'a, Q: Ord + ?Sized>(&'a self, start: Bound<&Q>) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let (chunk, at) = self.position(start);
        let chunks = self.chunks.get(chunk..).unwrap_or(&[]);
        chunks.iter().flat_map(|chunk| chunk.iter()).skip(at).map(|(key, value)| (key, value))
    }

    /// Puts `value` at `key`; gives the value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::default());
        }
        let index = last_not_after(chunks, &key).unwrap_or(0);
        let chunk = Arc::make_mut(&mut chunks[index]);
        match search(chunk, &key) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK_LEN_MAX {
                    let upper = split(chunk, at);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes `key` out; gives its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let at = search(&self.chunks[index], key).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.len -= 1;
        Some(value)
    }

    /// The value of `key`, to be changed in this copy only.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let at = search(&self.chunks[index], key).ok()?;
        Some(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[index])[at].1)
    }

    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        last_not_after(&self.chunks, key)
    }

    fn position<Q: Ord + ?Sized>(&self, start: Bound<&Q>) -> (usize, usize)
    where
        K: Borrow<Q>,
    {
        let (key, after) = match start {
            Bound::Unbounded => return (0, 0),
            Bound::Included(key) => (key, 0),
            Bound::Excluded(key) => (key, 1),
        };
        let Some(index) = self.chunk_of(key) else { return (0, 0) };
        match search(&self.chunks[index], key) {
            Ok(at) => (index, at + after),
            Err(at) => (index, at),
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// Index of the last chunk whose first key is not after `key`.
fn last_not_after<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunks: &[Arc<Chunk<K, V>>], key: &Q) -> Option<usize> {
    chunks
        .partition_point(|chunk| chunk.first().is_none_or(|(first, _)| first.borrow().cmp(key) != Ordering::Greater))
        .checked_sub(1)
}

fn search<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize> {
    chunk.binary_search_by(|(probe, _)| probe.borrow().cmp(key))
}

/// Cuts a chunk that grew too long; where it grew at its end (ascending inserts) the lower part stays nearly full.
fn split<K, V>(chunk: &mut Chunk<K, V>, grown_at: usize) -> Chunk<K, V> {
    let cut = if grown_at + 1 == chunk.len() { grown_at } else { chunk.len() / 2 };
    chunk.split_off(cut)
}
