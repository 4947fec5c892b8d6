//! A hierarchical timing wheel: deadlines by the millisecond, however far.
//!
//! Level 0 has a slot for each of the next milliseconds up to the end of the current block of 64; level 1 a slot for
//! each of the blocks up to the end of the current 64 blocks; and so on. Eleven levels of six bits cover all 64 bits of
//! a time, so there is no overflow list. An entry moves down a level when its slot begins, at most ten times.
//!
//! Invariants: an entry's level is that of the highest bit in which its deadline differs from `now`; hence all entries
//! of a level are due before all entries of the next, and a level's slots are due in their order.

use ottla_types::Millis;

use crate::slab::{NIL, Slab, SlabKey};

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = u64::BITS.div_ceil(SLOT_BITS) as usize;
/// Where entries go whose deadline had passed when they came.
const DUE: Place = Place { level: LEVELS as u8, slot: 0 };

/// Names a timer for as long as it has neither expired nor been cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey(SlabKey);

/// Timers, each with a value that comes back when it expires or is cancelled.
#[derive(Debug)]
pub struct TimingWheel<T> {
    now: u64,
    entries: Slab<Entry<T>>,
    /// The levels, and one more of which only slot 0 is used, see [`DUE`].
    levels: Box<[Level]>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    deadline: u64,
    place: Place,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    level: u8,
    slot: u8,
}

#[derive(Clone, Debug)]
struct Level {
    /// Bit `n`: slot `n` holds something.
    occupied: u64,
    heads: [u32; SLOTS],
}

impl<T> TimingWheel<T> {
    /// An empty wheel at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        let level = Level { occupied: 0, heads: [NIL; SLOTS] };
        Self { now: tick(now), entries: Slab::default(), levels: vec![level; LEVELS + 1].into() }
    }

    /// Adds a timer. One whose deadline has passed expires with the next [`advance`](Self::advance), whatever its `now`.
    pub fn insert(&mut self, deadline: Millis, value: T) -> TimerKey {
        let entry = Entry { value, deadline: tick(deadline), place: DUE, previous: NIL, next: NIL };
        let key = self.entries.insert(entry);
        self.link(key.index);
        TimerKey(key)
    }

    /// Takes a timer back; none where it expired or was cancelled.
    pub fn cancel(&mut self, timer: TimerKey) -> Option<T> {
        self.entries.get(timer.0)?;
        self.unlink(timer.0.index);
        Some(self.entries.remove(timer.0)?.value)
    }

    /// Moves on to `now` and gives back what expired: all whose deadline is not after `now`, in no promised order. A `now`
    /// before an earlier one counts as that.
    pub fn advance(&mut self, now: Millis) -> Vec<T> {
        let now = self.now.max(tick(now));
        let mut expired = Vec::new();
        while let Some((begins, place)) = self.first_slot()
            && begins <= now
        {
            self.now = begins;
            self.empty_slot(place, now, &mut expired);
        }
        self.now = now;
        expired
    }

    /// When to call [`advance`](Self::advance) next: not after the earliest deadline, and before it only to let entries
    /// move down a level. None while there is no timer.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.first_slot().map(|(begins, _)| millis(begins))
    }

    /// Number of timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no timer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The slot that begins first, and when.
    fn first_slot(&self) -> Option<(u64, Place)> {
        if self.levels[LEVELS].occupied != 0 {
            return Some((self.now, DUE));
        }
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        let slot = self.levels[level].occupied.trailing_zeros();
        let shift = SLOT_BITS * level as u32;
        let above = u64::MAX.checked_shl(shift + SLOT_BITS).unwrap_or(0);
        let begins = (self.now & above) | (u64::from(slot) << shift);
        Some((begins, Place { level: level as u8, slot: slot as u8 }))
    }

    /// Takes all out of a slot that has begun: expired, or down to a lower level.
    fn empty_slot(&mut self, place: Place, now: u64, expired: &mut Vec<T>) {
        let level = &mut self.levels[place.level as usize];
        level.occupied &= !(1 << place.slot);
        let mut at = std::mem::replace(&mut level.heads[place.slot as usize], NIL);
        while at != NIL {
            let entry = self.entries.at(at);
            let (deadline, next) = (entry.deadline, entry.next);
            if deadline <= now {
                let key = self.entries.key_at(at);
                expired.extend(self.entries.remove(key).map(|entry| entry.value));
            } else {
                self.link(at);
            }
            at = next;
        }
    }

    fn link(&mut self, index: u32) {
        let now = self.now;
        let entry = self.entries.at(index);
        let place = place(now, entry.deadline);
        let level = &mut self.levels[place.level as usize];
        level.occupied |= 1 << place.slot;
        let head = std::mem::replace(&mut level.heads[place.slot as usize], index);
        (entry.place, entry.previous, entry.next) = (place, NIL, head);
        if head != NIL {
            self.entries.at(head).previous = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let entry = self.entries.at(index);
        let (place, previous, next) = (entry.place, entry.previous, entry.next);
        if next != NIL {
            self.entries.at(next).previous = previous;
        }
        if previous != NIL {
            self.entries.at(previous).next = next;
            return;
        }
        let level = &mut self.levels[place.level as usize];
        level.heads[place.slot as usize] = next;
        if next == NIL {
            level.occupied &= !(1 << place.slot);
        }
    }
}

fn place(now: u64, deadline: u64) -> Place {
    if deadline <= now {
        return DUE;
    }
    let level = (u64::BITS - 1 - (now ^ deadline).leading_zeros()) / SLOT_BITS;
    let slot = (deadline >> (SLOT_BITS * level)) & (SLOTS as u64 - 1);
    Place { level: level as u8, slot: slot as u8 }
}

/// Times in their order from 0: the sign bit turned.
fn tick(time: Millis) -> u64 {
    time.0.cast_unsigned() ^ (1 << 63)
}

fn millis(tick: u64) -> Millis {
    Millis((tick ^ (1 << 63)).cast_signed())
}
