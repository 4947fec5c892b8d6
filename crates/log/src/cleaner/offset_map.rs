//! From keys to the offsets of their last records, in 24 bytes a key: a digest of 16 and the offset.
//!
//! Open addressing; an entry that is farther from its home pushes one that is nearer out of its place ("Robin Hood"), so
//! that looking for a key that is not there ends early even in a map that is nine tenths full.
//!
//! Invariant: memory is what was asked for, whatever is put in. Two keys of one digest would be taken for one: with a digest
//! of 128 bits under a secret key that does not happen in a billion keys with any chance worth speaking of.

use ottla_types::Offset;
use siphasher::sip128::SipHasher13;

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();
const _: () = assert!(ENTRY_BYTES == 24, "an entry is a digest of 16 bytes and an offset");

/// Offset of an entry that is not taken.
const FREE: i64 = -1;

#[derive(Clone, Copy)]
struct Entry {
    digest: (u64, u64),
    offset: i64,
}

/// The map of one pass.
pub(super) struct OffsetMap {
    entries: Box<[Entry]>,
    used: usize,
    used_max: usize,
    hasher: SipHasher13,
}

impl OffsetMap {
    /// A map of at most `bytes_max` bytes for at most `keys_max` keys, which gets as full as `load_factor` says.
    pub(super) fn new(bytes_max: usize, keys_max: u64, load_factor: f64, digest_key: &[u8; 16]) -> Self {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let wanted = (keys_max as f64 / load_factor) as usize; // saturates
        let entries = wanted.saturating_add(2).min(bytes_max / ENTRY_BYTES).max(2);
        let free = Entry { digest: (0, 0), offset: FREE };
        Self {
            entries: vec![free; entries].into_boxed_slice(),
            used: 0,
            // One stays free, so that every search ends.
            used_max: ((entries as f64 * load_factor) as usize).clamp(1, entries - 1),
            hasher: SipHasher13::new_with_key(digest_key),
        }
    }

    /// Notes that `offset` is the last one of `key`; false where the key is not there and there is no room for it.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let digest = self.hasher.hash(key).as_u64();
        if let Some(at) = self.find(digest) {
            self.entries[at].offset = offset.0;
            return true;
        }
        if self.used == self.used_max {
            return false;
        }
        self.insert(Entry { digest, offset: offset.0 });
        self.used += 1;
        true
    }

    /// The offset last noted for `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        self.find(self.hasher.hash(key).as_u64()).map(|at| Offset(self.entries[at].offset))
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// How full it is, 0 to 100.
    pub(super) fn percent(&self) -> u8 {
        (self.used * 100 / self.entries.len()) as u8
    }

    fn find(&self, digest: (u64, u64)) -> Option<usize> {
        let mut at = self.home(digest);
        let mut away = 0;
        loop {
            let entry = &self.entries[at];
            if entry.offset == FREE || self.distance(at, entry.digest) < away {
                return None; // it would have pushed this one out
            }
            if entry.digest == digest {
                return Some(at);
            }
            at = self.after(at);
            away += 1;
        }
    }

    fn insert(&mut self, mut new: Entry) {
        let mut at = self.home(new.digest);
        let mut away = 0;
        while self.entries[at].offset != FREE {
            let there = self.distance(at, self.entries[at].digest);
            if there < away {
                std::mem::swap(&mut self.entries[at], &mut new);
                away = there;
            }
            at = self.after(at);
            away += 1;
        }
        self.entries[at] = new;
    }

    /// Spreads the digest over the entries without a division.
    fn home(&self, digest: (u64, u64)) -> usize {
        ((u128::from(digest.0) * self.entries.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    /// How far an entry at `at` is from its home.
    fn distance(&self, at: usize, digest: (u64, u64)) -> usize {
        let home = self.home(digest);
        if at >= home { at - home } else { at + self.entries.len() - home }
    }
}

#[cfg(test)]
mod tests;
