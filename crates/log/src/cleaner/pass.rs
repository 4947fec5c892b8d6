//! What becomes of each batch of a log in one pass.
//!
//! Kept is a record that is the last of its key as far as the map knows, or lies behind what was mapped. A tombstone among
//! them stays until the delete horizon of its batch, which the first pass that keeps it sets. Data of aborted transactions
//! goes at once; a marker goes when its delete horizon, set by the first pass that meets no data of its transaction, is
//! over. A record without a key cannot be compacted and goes.
//!
//! A batch without a record left stays as a header where a live producer's next sequence is checked against it, and where
//! it is the last one of its group: so the copy ends where the group ended, which is how a restart knows the segments that
//! it replaces.

use std::{collections::HashMap, path::Path, sync::Arc};

use ottla_disk::Disk;
use ottla_records::{BatchHeader, BatchRef, Record, RetainError, Retained, Retainer, emptied, records_of};
use ottla_types::{Millis, Offset, ProducerId};

use super::{
    CleanError, CleanStats, CleanedSegment, CleanerSettings, Pace,
    offset_map::OffsetMap,
    output::Output,
    source::Source,
    transactions::{CleanedTransactions, MarkerFate},
};
use crate::{AbortedTransaction, LogConfig, batch::marker_of, producer_state::LastRecord, segment::Segment};

/// What a pass needs to know of the log.
pub(crate) struct PassInput<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a LogConfig,
    pub(crate) settings: &'a CleanerSettings,
    pub(crate) now: Millis,
    /// Aborted transactions of the whole log.
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// Where each live producer's last record is.
    pub(crate) producers: HashMap<ProducerId, LastRecord>,
}

/// One pass.
pub(crate) struct Pass<'a, 'p> {
    input: PassInput<'a>,
    pace: &'p mut Pace<'p>,
    /// Bytes that the caller was not told of yet.
    unspent: u64,
    map: OffsetMap,
    /// Records from here on are not in the map.
    mapped_to: Offset,
    transactions: CleanedTransactions,
    retainer: Retainer,
    pub(crate) stats: CleanStats,
}

impl<'a, 'p> Pass<'a, 'p> {
    /// A pass over a log whose segments from `start` to `to` may be compacted and are dirty from `from` on.
    pub(crate) fn new(input: PassInput<'a>, pace: &'p mut Pace<'p>, start: Offset, from: Offset, to: Offset) -> Self {
        let CleanerSettings { dedupe_bytes, load_factor, digest_key, .. } = input.settings;
        let keys_max = to.0.saturating_sub(from.0).max(0) as u64;
        Self {
            map: OffsetMap::new(*dedupe_bytes, keys_max, *load_factor, digest_key),
            transactions: CleanedTransactions::new(input.aborted.iter().copied(), start),
            mapped_to: from,
            retainer: Retainer::default(),
            stats: CleanStats { from, ..CleanStats::default() },
            pace,
            unspent: 0,
            input,
        }
    }

    /// Builds the map from `dirty` segments, of which the last one ends at `to`; up to where it got.
    ///
    /// # Errors
    /// See [`CleanError`].
    pub(crate) fn index(&mut self, dirty: &[Arc<Segment>], to: Offset) -> Result<Offset, CleanError> {
        let mut transactions = CleanedTransactions::new(self.input.aborted.iter().copied(), self.mapped_to);
        for (at, segment) in dirty.iter().enumerate() {
            let complete = self.index_segment(segment, &mut transactions)?;
            if !complete {
                break;
            }
            // A hole at the end of a segment holds no record.
            self.mapped_to = dirty.get(at + 1).map_or(to, |next| next.base()).max(self.mapped_to);
        }
        self.stats.to = self.mapped_to;
        (self.stats.keys, self.stats.map_percent) = (self.map.len() as u64, self.map.percent());
        Ok(self.mapped_to)
    }

    /// Whether all of it is in the map.
    fn index_segment(&mut self, segment: &Segment, transactions: &mut CleanedTransactions) -> Result<bool, CleanError> {
        let from = self.mapped_to;
        let mut source = Source::open(segment, from, self.input.settings.io_bytes)?;
        loop {
            let position = source.position();
            let Some(batch) = source.next()? else { return Ok(true) };
            let header = *batch.header();
            self.stats.bytes_read += batch.bytes().len() as u64;
            self.spend(batch.bytes().len() as u64)?;
            if header.attributes.is_control() {
                transactions.control(&header, commits(&batch));
            } else if !transactions.data(&header) {
                let damaged = CleanError::Damaged { segment: segment.base(), position };
                if !index_batch(&batch, from, &mut self.map, &mut self.mapped_to).ok_or(damaged)? {
                    return Ok(false);
                }
            }
            self.mapped_to = self.mapped_to.max(header.next_offset());
        }
    }

    /// Copies `group`; none where the copy would be the same.
    ///
    /// # Errors
    /// See [`CleanError`]; what was written is removed.
    pub(crate) fn copy(&mut self, group: &[Arc<Segment>]) -> Result<Option<CleanedSegment>, CleanError> {
        let (first, io_bytes) = (&group[0], self.input.settings.io_bytes);
        let mut output =
            Output::new(self.input.disk, self.input.dir, first.base(), first.file()?, self.input.config, io_bytes);
        let copied = self.copy_into(group, &mut output).and_then(|()| {
            let untouched = output.is_untouched() && group.len() == 1;
            if untouched { Ok(None) } else { Ok(Some(output.finish()?)) }
        });
        match &copied {
            Ok(copy) => {
                self.stats.bytes_after += output.size();
                self.stats.bytes_written += copy.as_ref().map_or(0, |copy| copy.size);
            }
            Err(_) => output.discard(),
        }
        copied
    }

    fn copy_into(&mut self, group: &[Arc<Segment>], output: &mut Output<'_>) -> Result<(), CleanError> {
        let sizes = group.iter().map(|segment| segment.size()).collect::<Result<Vec<_>, _>>()?;
        let last = sizes.iter().rposition(|size| *size > 0);
        for (at, segment) in group.iter().enumerate() {
            self.stats.bytes_before += sizes[at];
            let mut source = Source::open(segment, segment.base(), self.input.settings.io_bytes)?;
            loop {
                let position = source.position();
                let Some(batch) = source.next()? else { break };
                let len = batch.bytes().len() as u64;
                let before = output.size();
                let is_last = last == Some(at) && position + len == sizes[at];
                let place = Place { in_place: at == 0 && before == position, is_last };
                self.copy_batch(&batch, place, output).map_err(|error| match error {
                    BatchFailure::Clean(error) => error,
                    BatchFailure::Unreadable => CleanError::Damaged { segment: segment.base(), position },
                })?;
                self.stats.bytes_read += len;
                self.spend(len + (output.size() - before))?;
            }
        }
        Ok(())
    }

    fn copy_batch(&mut self, batch: &BatchRef<'_>, place: Place, output: &mut Output<'_>) -> Result<(), BatchFailure> {
        let header = batch.header();
        self.stats.records_before += header.records_count as u64;
        let retained = self.retained(batch, output)?;
        match retained {
            Retained::Whole => {
                self.stats.records_after += header.records_count as u64;
                output.keep(header, batch.bytes(), place.in_place)?;
            }
            Retained::Part(bytes) => {
                let header = BatchHeader::parse(&bytes).map_err(|_| BatchFailure::Unreadable)?;
                self.stats.records_after += header.records_count as u64;
                output.push(&header, &bytes)?;
            }
            Retained::Nothing if place.is_last || self.is_last_of_producer(header) => {
                if header.records_count == 0 {
                    output.keep(header, batch.bytes(), place.in_place)?;
                } else {
                    let bytes = emptied(header);
                    let header = BatchHeader::parse(&bytes).map_err(|_| BatchFailure::Unreadable)?;
                    output.push(&header, &bytes)?;
                }
            }
            Retained::Nothing => output.touch()?,
        }
        Ok(())
    }

    fn retained(&mut self, batch: &BatchRef<'_>, output: &mut Output<'_>) -> Result<Retained, BatchFailure> {
        let header = batch.header();
        let now = self.input.now;
        let horizon = now.plus(self.input.config.delete_retention_ms);
        if header.attributes.is_control() {
            return Ok(match self.transactions.control(header, commits(batch)) {
                MarkerFate::Needed(aborted) => {
                    aborted.into_iter().for_each(|entry| output.push_aborted(entry));
                    Retained::Whole
                }
                MarkerFate::Spent if header.records_count == 0 => Retained::Nothing,
                MarkerFate::Spent => match header.delete_horizon() {
                    Some(horizon) if horizon <= now => Retained::Nothing,
                    _ => self.retainer.with_horizon(batch, horizon)?,
                },
            });
        }
        if self.transactions.data(header) {
            return Ok(Retained::Nothing);
        }
        let (map, mapped_to) = (&self.map, self.mapped_to);
        let tombstones_stay = header.delete_horizon().is_none_or(|horizon| now < horizon);
        let keep = |record: &Record<'_>| {
            if record.offset >= mapped_to {
                return true;
            }
            let Some(key) = record.key else { return false };
            let is_last = map.get(key).is_none_or(|last| record.offset >= last);
            is_last && (record.value.is_some() || tombstones_stay)
        };
        Ok(self.retainer.retain(batch, horizon, keep)?)
    }

    /// Tells the caller, not of every small batch.
    fn spend(&mut self, bytes: u64) -> Result<(), CleanError> {
        self.unspent += bytes;
        if self.unspent < self.input.settings.io_bytes as u64 {
            return Ok(());
        }
        if (self.pace)(std::mem::take(&mut self.unspent)).is_break() { Err(CleanError::Stopped) } else { Ok(()) }
    }

    /// Whether what a live producer's next batch is checked against would go with this one.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        if !header.has_producer_id() {
            return false;
        }
        self.input.producers.get(&header.producer_id).is_some_and(|last| match last.offset {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        })
    }
}

/// Where a batch stands in its group.
#[derive(Clone, Copy)]
struct Place {
    /// The copy so far is the beginning of the group's first segment, and this batch follows there.
    in_place: bool,
    /// Nothing follows it.
    is_last: bool,
}

enum BatchFailure {
    Clean(CleanError),
    /// The batch cannot be read, although its checksum is right.
    Unreadable,
}

impl From<RetainError> for BatchFailure {
    fn from(error: RetainError) -> Self {
        tracing::warn!(%error, "a batch cannot be compacted");
        Self::Unreadable
    }
}

impl From<std::io::Error> for BatchFailure {
    fn from(error: std::io::Error) -> Self {
        Self::Clean(error.into())
    }
}

/// Puts the keys of a batch into the map and moves `mapped_to` behind each; false where the map is full, none where the
/// batch cannot be read.
fn index_batch(batch: &BatchRef<'_>, from: Offset, map: &mut OffsetMap, mapped_to: &mut Offset) -> Option<bool> {
    let mut records = records_of(batch).ok()?;
    while let Some(record) = records.next_record().ok()? {
        if record.offset < from {
            continue;
        }
        if record.key.is_some_and(|key| !map.put(key, record.offset)) {
            return Some(false);
        }
        *mapped_to = record.offset.plus(1);
    }
    Some(true)
}

/// Whether a control batch commits or aborts; none for one of another kind.
fn commits(batch: &BatchRef<'_>) -> Option<bool> {
    marker_of(batch.header(), batch.body()).map(|marker| marker.commit)
}
