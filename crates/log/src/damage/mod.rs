//! Damage: places in a log whose bytes are not those that were written.
//!
//! - [`check`]: a segment file looked through, batch by batch, with checksums and order;
//! - [`indexes`]: its indexes held against it;
//! - [`Marks`]: what a segment is known to have lost; beside the log in `ottla-damage`
//!   ([`checkpoint::damage`](crate::checkpoint::damage)), so that a restart knows it too.
//!
//! Invariants: no byte of a known damage is served, and what lies before and behind it is; an offset whose record may have been
//! there is refused, never passed over in silence.

pub(crate) mod check;
pub(crate) mod indexes;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use ottla_types::Offset;
use parking_lot::Mutex;

/// A damaged place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Its first byte; where bytes are missing at the end of the file, its length.
    pub position: u64,
    /// First byte behind it.
    pub end: u64,
    /// First offset that may have been there.
    pub first: Offset,
    /// First offset behind it.
    pub next: Offset,
}

/// Who came upon a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A reader.
    Read = 0,
    /// The opening of a log: recovery after a crash, or a look at which files are there.
    Recovery = 1,
    /// Compaction.
    Compaction = 2,
    /// The scrub of closed segments.
    Scrub = 3,
}

impl FoundBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Recovery, Self::Compaction, Self::Scrub];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Recovery => "recovery",
            Self::Compaction => "compaction",
            Self::Scrub => "scrub",
        }
    }
}

/// What was found since the start, in all directories.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    found: [AtomicU64; FoundBy::ALL.len()],
    indexes_rebuilt: AtomicU64,
    files_replaced: AtomicU64,
}

impl Tally {
    pub(crate) fn found(&self, by: FoundBy, places: usize) {
        self.found[by as usize].fetch_add(places as u64, Ordering::Relaxed);
    }

    /// An index was made again from its log.
    pub(crate) fn index_rebuilt(&self) {
        self.indexes_rebuilt.fetch_add(1, Ordering::Relaxed);
    }

    /// A file beside the logs could not be read; something else takes its place.
    pub(crate) fn file_replaced(&self) {
        self.files_replaced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> DamageCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DamageCounts {
            found: FoundBy::ALL.map(|by| (by, read(&self.found[by as usize]))),
            indexes_rebuilt: read(&self.indexes_rebuilt),
            files_replaced: read(&self.files_replaced),
        }
    }
}

/// What was found damaged since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamageCounts {
    /// Damaged places of logs.
    pub found: [(FoundBy, u64); FoundBy::ALL.len()],
    /// Pairs of indexes that were made again from their log.
    pub indexes_rebuilt: u64,
    /// Checkpoints and snapshots that could not be read, in whose place something else was taken.
    pub files_replaced: u64,
}

/// There are damaged places.
const PLACES: u8 = 1;
/// An index led astray.
const INDEX: u8 = 2;

/// What is known of one segment. Whoever reads asks [`Marks::is_suspect`] first: that costs one load.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    flags: AtomicU8,
    /// By position; they do not overlap.
    places: Mutex<Vec<Damage>>,
}

impl Marks {
    /// Whether readers have to look closer.
    pub(crate) fn is_suspect(&self) -> bool {
        self.flags.load(Ordering::Acquire) != 0
    }

    /// Whether there is a damaged place.
    pub(crate) fn any(&self) -> bool {
        self.flags.load(Ordering::Acquire) & PLACES != 0
    }

    /// An index led astray, or does not fit.
    pub(crate) fn doubt_index(&self) {
        self.flags.fetch_or(INDEX, Ordering::AcqRel);
    }

    /// Whether one did since the last time.
    pub(crate) fn take_index_doubt(&self) -> bool {
        self.flags.fetch_and(!INDEX, Ordering::AcqRel) & INDEX != 0
    }

    /// All of them, by position.
    pub(crate) fn places(&self) -> Vec<Damage> {
        if self.any() { self.places.lock().clone() } else { Vec::new() }
    }

    /// Adds a place, which takes in those that it touches; whether there is something new in it.
    pub(crate) fn add(&self, mut damage: Damage) -> bool {
        let mut places = self.places.lock();
        let touches = |known: &Damage| {
            known.position == damage.position || (known.position < damage.end && damage.position < known.end)
        };
        let covered =
            |known: &Damage| known.position <= damage.position && damage.end <= known.end && damage.next <= known.next;
        if places.iter().any(|known| touches(known) && covered(known)) {
            return false;
        }
        let (touched, mut others): (Vec<Damage>, Vec<Damage>) = places.iter().partition(|known| touches(known));
        for known in touched {
            damage.position = damage.position.min(known.position);
            damage.end = damage.end.max(known.end);
            damage.first = damage.first.min(known.first);
            damage.next = damage.next.max(known.next);
        }
        others.insert(others.partition_point(|known| known.position < damage.position), damage);
        *places = others;
        self.flags.fetch_or(PLACES, Ordering::AcqRel);
        true
    }

    /// These are all; whether something changed.
    pub(crate) fn replace(&self, damages: Vec<Damage>) -> bool {
        let mut places = self.places.lock();
        let changed = *places != damages;
        if damages.is_empty() {
            self.flags.fetch_and(!PLACES, Ordering::AcqRel);
        } else {
            self.flags.fetch_or(PLACES, Ordering::AcqRel);
        }
        *places = damages;
        changed
    }
}

#[cfg(test)]
mod tests;
