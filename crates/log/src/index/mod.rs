//! Sparse indexes beside a segment: fixed-size entries, sorted, without a checksum, rebuilt where they are in doubt.
//!
//! The active segment's newest entries are in memory ([`ActiveIndex`]) and go to the file in blocks, so that an append
//! costs no second write; older ones and those of sealed segments are searched in the file. An index only says where to
//! start looking: who follows an entry checks the batch that is found there.

pub(crate) mod offset_index;
pub(crate) mod time_index;
pub(crate) mod txn_index;

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use ottla_disk::DiskFile;

/// Entries kept in memory after they were written, and written at once when there are that many.
/// 512 entries stand for at least 2 MiB of log at the usual interval of 4 KiB, and are one page of file.
const BLOCK: usize = 512;
/// Entries that the end of a search reads in one call.
const SEARCH_BLOCK: usize = 256;
/// Longest entry that [`search`] reads.
const ENTRY_LEN_MAX: usize = 12;

/// One entry of a sorted index file.
pub(crate) trait Entry: Copy {
    /// Bytes in the file.
    const LEN: usize;
    /// Appends the entry's bytes.
    fn encode(self, out: &mut Vec<u8>);
    /// Reads `LEN` bytes.
    fn decode(bytes: &[u8]) -> Self;
    /// What entries are sorted and searched by.
    fn key(self) -> i64;
}

/// The index of the active segment: how much of it is in the file, and its newest entries.
///
/// Invariant: `recent` holds every entry that is not in the file.
#[derive(Debug)]
pub(crate) struct ActiveIndex<E> {
    in_file: usize,
    unwritten: usize,
    recent: VecDeque<E>,
}

/// Where to look up a key in the active index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup<E> {
    /// The last entry that is not above the key; none where all are above.
    Found(Option<E>),
    /// It is among the first so many entries of the file.
    InFile(usize),
}

impl<E: Entry> ActiveIndex<E> {
    /// The index whose file holds `in_file` entries, the last of them `last`.
    pub(crate) fn resume(in_file: usize, last: Option<E>) -> Self {
        Self { in_file, unwritten: 0, recent: last.into_iter().collect() }
    }

    /// Number of entries, in the file and not.
    pub(crate) fn len(&self) -> usize {
        self.in_file + self.unwritten
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<E> {
        self.recent.back().copied()
    }

    /// Adds an entry; whether a block is full and should be written.
    pub(crate) fn push(&mut self, entry: E) -> bool {
        self.recent.push_back(entry);
        self.unwritten += 1;
        self.unwritten >= BLOCK
    }

    /// The last entry whose key is not above `key`.
    pub(crate) fn lookup(&self, key: i64) -> Lookup<E> {
        let after = self.recent.partition_point(|entry| entry.key() <= key);
        match after.checked_sub(1) {
            Some(at) => Lookup::Found(self.recent.get(at).copied()),
            None if self.recent.len() == self.len() => Lookup::Found(None),
            None => Lookup::InFile(self.len() - self.recent.len()),
        }
    }

    /// The entries that are not in the file yet, as bytes, and their position in the file.
    pub(crate) fn unwritten(&self) -> Option<(Vec<u8>, u64)> {
        if self.unwritten == 0 {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.unwritten * E::LEN);
        self.recent.range(self.recent.len() - self.unwritten..).for_each(|entry| entry.encode(&mut bytes));
        Some((bytes, (self.in_file * E::LEN) as u64))
    }

    /// All entries are in the file now; keeps a block of them in memory.
    pub(crate) fn note_written(&mut self) {
        self.in_file += self.unwritten;
        self.unwritten = 0;
        let surplus = self.recent.len().saturating_sub(BLOCK);
        self.recent.drain(..surplus);
    }
}

/// Where the last search of an index ended: a reader that goes on finds what it asks for next close behind. It only says where
/// to look first.
#[derive(Debug, Default)]
pub(crate) struct Hint(AtomicUsize);

/// The last of the first `entries` entries of `file` whose key is not above `key`; none where all are above.
///
/// # Errors
/// As the file system says; `UnexpectedEof` where the file holds fewer entries.
pub(crate) fn search<E: Entry>(file: &dyn DiskFile, entries: usize, key: i64, hint: &Hint) -> io::Result<Option<E>> {
    let found = around::<E>(file, entries, hint, |entry| entry.key() <= key)?;
    hint.0.store(found.at.saturating_sub(1), Relaxed);
    Ok(found.before)
}

/// The first of the first `entries` entries of `file` whose `key_of` is not below `key`; none where all are below. Entries rise
/// by `key_of`.
///
/// # Errors
/// As [`search`].
pub(crate) fn first_from<E: Entry>(
    file: &dyn DiskFile,
    entries: usize,
    key: i64,
    hint: &Hint,
    key_of: impl Fn(E) -> i64,
) -> io::Result<Option<E>> {
    Ok(around::<E>(file, entries, hint, |entry| key_of(entry) < key)?.after)
}

/// A place between two entries.
struct Gap<E> {
    /// How many entries lie before it.
    at: usize,
    before: Option<E>,
    after: Option<E>,
}

/// The gap behind the last entry that `is_before` says yes to. Looks at a block from the hint on, then halves until a block is left
/// and reads that at once.
fn around<E: Entry>(
    file: &dyn DiskFile,
    entries: usize,
    hint: &Hint,
    is_before: impl Fn(E) -> bool,
) -> io::Result<Gap<E>> {
    let (mut low, mut high) = (0, entries);
    let (mut before, mut after) = (None, None);
    let near = hint.0.load(Relaxed);
    if 0 < near && near < entries {
        let end = entries.min(near + SEARCH_BLOCK);
        let found = scan(file, near, end, &is_before)?;
        match (found.before, found.after) {
            (None, first) => (high, after) = (near, first),
            (last, None) if end < entries => (low, before) = (end, last),
            _ => return Ok(found),
        }
    }
    while high - low > SEARCH_BLOCK {
        let middle = low + (high - low) / 2;
        let entry = read_entry(file, middle)?;
        if is_before(entry) {
            (low, before) = (middle + 1, Some(entry));
        } else {
            (high, after) = (middle, Some(entry));
        }
    }
    let found = scan(file, low, high, is_before)?;
    Ok(Gap { at: found.at, before: found.before.or(before), after: found.after.or(after) })
}

/// The same among the entries from number `low` up to `high`, at most a block: one read.
fn scan<E: Entry>(file: &dyn DiskFile, low: usize, high: usize, is_before: impl Fn(E) -> bool) -> io::Result<Gap<E>> {
    let mut bytes = [0; SEARCH_BLOCK * ENTRY_LEN_MAX];
    let bytes = &mut bytes[..(high - low) * E::LEN];
    if !bytes.is_empty() {
        file.read_exact_at(bytes, (low * E::LEN) as u64)?;
    }
    let mut gap = Gap { at: low, before: None, after: None };
    for entry in bytes.chunks_exact(E::LEN).map(E::decode) {
        if !is_before(entry) {
            gap.after = Some(entry);
            break;
        }
        gap.before = Some(entry);
        gap.at += 1;
    }
    Ok(gap)
}

/// Entry number `at` of `file`.
///
/// # Errors
/// As the file system says; `UnexpectedEof` where the file holds fewer entries.
pub(crate) fn read_entry<E: Entry>(file: &dyn DiskFile, at: usize) -> io::Result<E> {
    let mut bytes = [0; ENTRY_LEN_MAX];
    let bytes = &mut bytes[..E::LEN];
    file.read_exact_at(bytes, (at * E::LEN) as u64)?;
    Ok(E::decode(bytes))
}

/// Number of whole entries that `file` holds.
///
/// # Errors
/// As the file system says.
pub(crate) fn count<E: Entry>(file: &dyn DiskFile) -> io::Result<usize> {
    Ok((file.len()? / E::LEN as u64) as usize)
}

#[cfg(test)]
mod tests;
