//! What is done about damage: it is looked into where somebody met it, marked, remembered, and told once.
//!
//! Invariants: a mark takes away no byte outside of what cannot be relied on; every mark is in the file beside the log before
//! anybody is told, unless the disk takes no file.

use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

use ottla_types::Offset;

use super::{Log, LogState, ReadError};
use crate::{
    AbortedTransaction, Damage, FoundBy,
    checkpoint::damage::write,
    cleaner::Pace,
    damage::check::{Frame, Looked, Reader, look_through, sound_before},
    segment::{Segment, walk::WalkError},
};

/// The caller of a look is not told of every small batch.
const SPEND_BYTES: u64 = 256 * 1024;

/// What a look at a closed segment found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// By position.
    pub(crate) damages: Vec<Damage>,
    /// Whether its indexes do not fit it.
    pub(crate) index_is_wrong: bool,
    /// Whether there are markers of transactions.
    pub(crate) has_markers: bool,
    /// Bytes of the log file.
    pub(crate) bytes: u64,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.damages.is_empty() && !self.index_is_wrong
    }
}

/// Looks through a closed segment, of which nothing reaches `upper`; none where the caller ends it. Offsets may be missing
/// at its end only where compaction may have taken them.
///
/// # Errors
/// As the file system says.
pub(crate) fn judge(
    segment: &Segment,
    upper: Offset,
    may_have_gaps: bool,
    interval_bytes: u32,
    pace: &mut Pace<'_>,
) -> io::Result<Option<Verdict>> {
    let (file, bytes, anchors) = (segment.file()?, segment.size()?, segment.anchors()?);
    let frame = Frame { segment: segment.base(), upper, anchors: &anchors };
    let mut indexes = segment.index_check(interval_bytes)?;
    let (mut unspent, mut has_markers) = (0, false);
    let looked = look_through(&mut Reader::new(&*file, bytes), &frame, (0, segment.base()), bytes, &mut |placed| {
        indexes.take(placed);
        has_markers |= placed.header.attributes.is_control();
        unspent += placed.header.size_in_bytes() as u64;
        if unspent < SPEND_BYTES { ControlFlow::Continue(()) } else { pace(std::mem::take(&mut unspent)) }
    })?;
    let Some(mut looked) = looked else { return Ok(None) };
    if let Some(end) = missing_end(&looked, &frame, bytes, may_have_gaps) {
        looked.damages.push(end);
    }
    if unspent > 0 && pace(unspent).is_break() {
        return Ok(None);
    }
    Ok(Some(Verdict { damages: looked.damages, index_is_wrong: !indexes.is_right(), has_markers, bytes }))
}

/// What is missing at the end of a segment, unless compaction may have taken it.
fn missing_end(looked: &Looked, frame: &Frame<'_>, size: u64, may_have_gaps: bool) -> Option<Damage> {
    let (first, next) = (looked.next, frame.upper);
    let lacks = first < next && !may_have_gaps && !looked.has_gaps;
    lacks.then_some(Damage { segment: frame.segment, position: size, end: size, first, next })
}

impl Log {
    /// How many damaged places are known.
    #[must_use]
    pub fn damaged_places(&self) -> usize {
        self.damaged_places.load(Ordering::Acquire)
    }

    /// The damaged places that are known, oldest first.
    #[must_use]
    pub fn damages(&self) -> Vec<Damage> {
        self.segments.load().iter().flat_map(|segment| segment.damage().places()).collect()
    }

    /// Looks, and again whenever something that could not be read is known better then.
    pub(super) fn past_damage<T>(
        &self,
        segments: &[Arc<Segment>],
        look: impl Fn() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        loop {
            let looked = look();
            let Err(ReadError::Damaged { segment, position, next: None }) = &looked else { return looked };
            let met = segments.iter().find(|met| met.base() == *segment);
            let Some(met) = met else { return looked };
            if !self.examine(met, *position, FoundBy::Read)? {
                return looked;
            }
        }
    }

    /// For one who saw by a checksum that the batch that holds `offset`, or the first one behind it, is not what was written:
    /// looks closely at it, and marks what is damaged. Whether anything is known now that was not.
    ///
    /// # Errors
    /// As the file system says.
    pub fn doubt(&self, offset: Offset) -> io::Result<bool> {
        let segments = self.segments.load_full();
        let first = segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1);
        for segment in &segments[first..] {
            let position = match segment.find_batch(offset) {
                Ok(None) => continue,
                Ok(Some(found)) => found.position,
                Err(WalkError::Bad { position, .. }) => position,
                Err(WalkError::Io(error)) => return Err(error),
            };
            return self.examine(segment, position, FoundBy::Read);
        }
        Ok(false)
    }

    /// Finds out what is damaged around a place that somebody could not read; whether anything is known now that was not.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn examine(&self, segment: &Arc<Segment>, position: u64, by: FoundBy) -> io::Result<bool> {
        let size = segment.size()?; // before the log end: what is appended meanwhile does not lie behind it
        let Some((upper, is_last)) = self.upper_of(segment) else { return Ok(false) };
        let (file, anchors) = (segment.file()?, segment.anchors()?);
        let frame = Frame { segment: segment.base(), upper, anchors: &anchors };
        let mut reader = Reader::new(&*file, size);
        let at_end = position >= size && !is_last;
        let from = if at_end { (0, segment.base()) } else { sound_before(&mut reader, &frame, position)? };
        let until = anchors.iter().map(|anchor| anchor.position).find(|anchor| *anchor > position).unwrap_or(size);
        let looked = look_through(&mut reader, &frame, from, until, &mut |_| ControlFlow::Continue(()))?;
        let Some(mut looked) = looked else { return Ok(false) };
        let mut news = false;
        if at_end {
            match missing_end(&looked, &frame, size, self.may_have_gaps()) {
                Some(missing) => looked.damages.push(missing),
                None => news = segment.note_early_end(),
            }
        }
        Ok(self.mark(segment, &looked.damages, by) || news)
    }

    /// What nothing in `segment` reaches, and whether it is the last one; none where it is not of the log any more.
    fn upper_of(&self, segment: &Arc<Segment>) -> Option<(Offset, bool)> {
        let log_end = self.log_end(); // before the segments: the list holds all that lies below it
        let segments = self.segments.load();
        let at = segments.iter().position(|known| Arc::ptr_eq(known, segment))?;
        let next = segments.get(at + 1).map(|next| next.base());
        Some((next.unwrap_or(log_end), next.is_none()))
    }

    /// Whether compaction may have taken offsets from the log.
    pub(crate) fn may_have_gaps(&self) -> bool {
        self.clean_to().is_some() || self.config.load().cleanup.compact
    }

    /// Notes damaged places of a segment; whether one was not known.
    pub(super) fn mark(&self, segment: &Segment, damages: &[Damage], by: FoundBy) -> bool {
        let new: Vec<_> = damages.iter().filter(|damage| segment.damage().add(**damage)).collect();
        if new.is_empty() {
            return false;
        }
        self.remember_damage();
        self.env.tally.found(by, new.len());
        for damage in new {
            tracing::error!(
                partition = %self.partition,
                segment = damage.segment.0,
                position = damage.position,
                bytes = damage.end - damage.position,
                first_offset = damage.first.0,
                next_offset = damage.next.0,
                by = by.name(),
                "records are damaged: offsets from the first to below the next are refused"
            );
        }
        true
    }

    /// Brings the file beside the log up to what is marked.
    pub(super) fn remember_damage(&self) {
        let _one_at_a_time = self.remembering.lock();
        let damages = self.damages();
        let before = self.damaged_places.swap(damages.len(), Ordering::AcqRel);
        if before == 0 && damages.is_empty() {
            return;
        }
        if let Err(error) = write(self.disk(), &self.dir, &damages) {
            tracing::warn!(partition = %self.partition, %error, "what is damaged is not remembered; a restart has to find it again");
        }
    }

    /// Makes the indexes of a closed segment again where one led astray; not while somebody flushes or cuts.
    pub(super) fn mend_index(&self, segment: &Arc<Segment>) {
        if !segment.damage().take_index_doubt() {
            return;
        }
        let Some(nothing_changes) = self.flushing.try_lock() else { return };
        if !self.holds(std::slice::from_ref(segment)) {
            return;
        }
        let replaced = segment.replace_indexes(self.disk(), &self.config.load());
        drop(nothing_changes);
        match replaced {
            Ok(()) => {
                self.env.tally.index_rebuilt();
                tracing::warn!(partition = %self.partition, segment = segment.base().0, "indexes did not fit the log and were made again");
            }
            // Readers walk over the segment, and find what is damaged.
            Err(error) => {
                tracing::warn!(partition = %self.partition, segment = segment.base().0, %error, "indexes were not made again");
            }
        }
    }

    /// Puts these in the place of the aborted transactions that the index of the closed segment at `base` names.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn replace_aborted(&self, base: Offset, aborted: &[AbortedTransaction]) -> io::Result<()> {
        let segments = self.segments.load_full();
        let Some(segment) = segments.iter().find(|segment| segment.base() == base) else { return Ok(()) };
        let _nothing_changes = self.flushing.lock();
        if !self.holds(std::slice::from_ref(segment)) {
            return Ok(());
        }
        segment.replace_aborted(self.disk(), aborted)?;
        self.env.tally.index_rebuilt();
        tracing::warn!(partition = %self.partition, segment = base.0, "the index of aborted transactions did not fit the log and was made again");
        Ok(())
    }

    /// Looks closely at the closed segment at `base`, whose files somebody found wanting: marks what is damaged, and nothing
    /// else, and makes its indexes again where they do not fit. What was found; none where there is no such segment, or the
    /// caller ends it.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn settle_damage(
        &self,
        base: Offset,
        may_have_gaps: bool,
        pace: &mut Pace<'_>,
    ) -> io::Result<Option<Verdict>> {
        let segments = self.segments.load_full();
        let Some(segment) = segments.iter().find(|segment| segment.base() == base) else { return Ok(None) };
        let Some((upper, false)) = self.upper_of(segment) else { return Ok(None) };
        if self.state() != LogState::Online {
            return Ok(None);
        }
        let Some(verdict) = judge(segment, upper, may_have_gaps, self.config.load().index_interval_bytes, pace)? else {
            return Ok(None);
        };
        let known = segment.damage().places();
        let gone = known.iter().any(|known| !verdict.damages.contains(known));
        if gone {
            segment.damage().replace(verdict.damages.iter().filter(|found| known.contains(found)).copied().collect());
            self.remember_damage();
            tracing::info!(partition = %self.partition, segment = base.0, "what was damaged is good again");
        }
        self.mark(segment, &verdict.damages, FoundBy::Scrub);
        if verdict.index_is_wrong {
            segment.damage().doubt_index();
            self.mend_index(segment);
        }
        Ok(Some(verdict))
    }
}
