//! Where the batch of an offset or a time is: from memory, else by an index and a walk over headers.
//!
//! Invariant: what the index says is checked where it points to; an index that is wrong costs time and no record.

use std::io;

use ottla_disk::DiskFile;
use ottla_records::HEADER_LEN;
use ottla_types::{Millis, Offset};

use super::{
    Place, Segment,
    walk::{Flaw, HeaderWalk, Placed, SHORT, WalkError},
};
use crate::{
    Damage,
    index::{self, Hint, Lookup, offset_index::OffsetEntry, time_index::TimeEntry},
};

/// Where a walk for an offset begins, as the index says.
#[derive(Clone, Copy, Debug)]
struct Floor {
    position: u64,
    /// The batch there reaches no further; none where nothing is said.
    last: Option<Offset>,
}

impl Floor {
    const START: Self = Self { position: 0, last: None };
}

impl Segment {
    /// The first batch that ends at `target` or behind it.
    ///
    /// # Errors
    /// As the file system says, or where no batch stands at the place that should hold one.
    pub(crate) fn locate(&self, target: Offset) -> Result<Place, WalkError> {
        if let Some(place) = self.with_active(|active| active.place(target)).flatten() {
            return Ok(place);
        }
        let found = self.find_batch(target)?;
        found.map_or_else(|| Ok(Place::End(self.size()?)), |found| Ok(Place::of(&found)))
    }

    /// Where to stop reading at `target`: at the batch that holds it, or at the damage that may have.
    ///
    /// # Errors
    /// As [`Segment::locate`].
    pub(crate) fn position_of(&self, target: Offset) -> Result<u64, WalkError> {
        match self.locate(target) {
            Ok(place) => Ok(place.position()),
            Err(error) => error.known().map(|damage| damage.position).ok_or(error),
        }
    }

    /// The places of two offsets as of one moment, where memory tells both.
    pub(crate) fn locate_both(&self, from: Offset, to: Offset) -> Option<(Place, Place)> {
        self.with_active(|active| Some((active.place(from)?, active.place(to)?))).flatten()
    }

    /// The first batch that ends at `target` or behind it, with its header.
    ///
    /// # Errors
    /// As [`Segment::locate`].
    pub(crate) fn find_batch(&self, target: Offset) -> Result<Option<Placed>, WalkError> {
        let file = self.log.get()?;
        let size = self.size()?;
        let mut floor = self.floor(target)?;
        if floor.position > 0 && floor.position >= size {
            self.damage.doubt_index(); // it names more than there is
            floor = Floor::START;
        }
        let damages = self.damage.places();
        match first_ending_at(&*file, floor, size, target, &damages) {
            // What the index says is checked here: it is not trusted where no batch stands at its place, or another one.
            Err(error @ WalkError::Bad { .. }) if floor.position > 0 && error.known().is_none() => {
                let found = first_ending_at(&*file, Floor::START, size, target, &damages)?;
                self.damage.doubt_index();
                Ok(found)
            }
            found => found,
        }
    }

    /// Where to start walking for `target`: the place of a batch that does not lie behind it.
    fn floor(&self, target: Offset) -> io::Result<Floor> {
        let lookup = self.with_active(|active| active.lookup(target));
        let floor_of = |entry: Option<OffsetEntry>| {
            entry.map_or(Floor::START, |entry| Floor {
                position: u64::from(entry.position),
                last: Some(self.base.plus(i64::from(entry.relative))),
            })
        };
        let entries = match lookup {
            Some(Lookup::Found(entry)) => return Ok(floor_of(entry)),
            Some(Lookup::InFile(entries)) => Some(entries),
            None => None,
        };
        let relative = target.0.saturating_sub(self.base.0);
        let Some(file) = self.offset_index.get_if_exists()? else { return Ok(Floor::START) };
        let entries = entries.map_or_else(|| index::count::<OffsetEntry>(&*file), Ok)?;
        Ok(floor_of(index::search::<OffsetEntry>(&*file, entries, relative, &self.last_found)?))
    }

    /// An offset that no batch before `position` reaches, as near as the index tells; none where it does not.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn upper_bound_offset(&self, position: u64) -> io::Result<Option<Offset>> {
        let Some(file) = self.offset_index.get_if_exists()? else { return Ok(None) };
        let entries = index::count::<OffsetEntry>(&*file)?;
        let by_position = |entry: OffsetEntry| i64::from(entry.position);
        let entry = index::first_from::<OffsetEntry>(&*file, entries, position as i64, &self.last_found, by_position)?;
        let Some(entry) = entry else { return Ok(None) };
        let bound = self.base.plus(i64::from(entry.relative));
        // One that is too low would hide aborted transactions.
        let found = HeaderWalk::new(&*self.log.get()?, u64::from(entry.position), self.size()?, HEADER_LEN).next();
        let holds = found.and_then(Result::ok).is_some_and(|found| found.header.last_offset() <= bound);
        Ok(holds.then_some(bound))
    }

    /// Batches from the one that may hold the first record not older than `timestamp`.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn start_for_timestamp(&self, timestamp: Millis, from: Offset) -> io::Result<u64> {
        let lookup = self.with_active(|active| active.times.lookup(timestamp.0));
        let entry = match lookup {
            Some(Lookup::Found(entry)) => entry,
            found => match self.time_index.get_if_exists()? {
                Some(file) => {
                    let entries = match found {
                        Some(Lookup::InFile(entries)) => entries,
                        _ => index::count::<TimeEntry>(&*file)?,
                    };
                    let entry = index::search::<TimeEntry>(&*file, entries, timestamp.0, &Hint::default())?;
                    self.checked_time_entry(entry)?
                }
                None => None,
            },
        };
        let after = entry.map_or(self.base, |entry| self.base.plus(i64::from(entry.relative)));
        Ok(self.floor(after.max(from))?.position)
    }

    /// The entry, if it is true: one that is not would lead past records.
    pub(super) fn checked_time_entry(&self, entry: Option<TimeEntry>) -> io::Result<Option<TimeEntry>> {
        let Some(entry) = entry else { return Ok(None) };
        let named = self.base.plus(i64::from(entry.relative));
        let is_true = match self.find_batch(named) {
            Ok(found) => found.is_some_and(|found| {
                found.header.base_offset <= named && found.header.max_timestamp.0 == entry.timestamp
            }),
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { .. }) => false,
        };
        if !is_true {
            self.damage.doubt_index();
        }
        Ok(is_true.then_some(entry))
    }
}

/// The first batch that ends at `target` or behind it, unless it may have been in one of `damages`.
fn first_ending_at(
    file: &dyn DiskFile,
    floor: Floor,
    size: u64,
    target: Offset,
    damages: &[Damage],
) -> Result<Option<Placed>, WalkError> {
    // A walk cannot begin in the middle of a damaged place.
    let within = damages.iter().find(|damage| damage.position < floor.position && floor.position < damage.end);
    let start = within.map_or(floor.position, |damage| damage.position);
    let ahead = damages.partition_point(|damage| damage.position < start);
    let mut damages = damages[ahead..].iter();
    let mut walk = HeaderWalk::new(file, start, size, SHORT).without(damages.as_slice().to_vec());
    let mut reaches = floor.last.filter(|_| start == floor.position);
    loop {
        let placed = walk.next().transpose()?;
        let passed = |damage: &&Damage| placed.is_none_or(|placed| damage.position < placed.position);
        while let Some(damage) = damages.as_slice().first().filter(passed) {
            if target < damage.next {
                return Err(WalkError::Bad { position: damage.position, flaw: Flaw::Known(*damage) });
            }
            damages.next();
            reaches = None;
        }
        let Some(placed) = placed else { return Ok(None) };
        let last = placed.header.last_offset();
        if reaches.take().is_some_and(|reaches| last > reaches) {
            return Err(WalkError::Bad { position: placed.position, flaw: Flaw::Place(last) });
        }
        if last >= target {
            return Ok(Some(placed));
        }
    }
}
