//! The scrub: closed segments are read whether anybody asks for them or not, so that damage is known before the copy that
//! could replace it is gone.
//!
//! Invariants: a log that was not opened is opened only where something is wrong with it; no file stays open; whatever is
//! found is looked at once more in the log before anything is marked, for a segment may be replaced meanwhile.

use std::{collections::BTreeSet, io, sync::Arc};

use ottla_types::{Millis, Offset, TopicPartition};

use super::{LogDirs, slot::Slot};
use crate::{
    DamageCounts, LoadError, Log, LogState,
    checkpoint::{damage, read_whole},
    cleaner::Pace,
    log::{Verdict, aborted_of, judge},
    producer_state::{ProducerStates, SnapshotError, read_snapshot},
    segment::{
        Segment,
        name::{FileKind, file_name, parse_file_name},
        walk::WalkError,
    },
};

/// What a look at a partition came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes of segments that were looked at.
    pub bytes: u64,
    /// Whether all of them were.
    pub complete: bool,
}

impl LogDirs {
    /// Looks through the closed segments of a partition: checksums, order, indexes, producer snapshots. What is damaged is
    /// refused from now on, indexes that are wrong are made again. Of one that `is_compacted` offsets may be missing; a log that is
    /// not open does not know that of itself.
    ///
    /// # Errors
    /// The disk failed.
    pub fn scrub(
        &self,
        partition: &TopicPartition,
        is_compacted: bool,
        now: Millis,
        pace: &mut Pace<'_>,
    ) -> Result<Scrubbed, LoadError> {
        let mut scrubbed = Scrubbed::default();
        let Some(slot) = self.slot(partition).filter(|slot| self.may_be_scrubbed(slot)) else { return Ok(scrubbed) };
        let failed = |source| LoadError::Io { partition: partition.clone(), source };
        let Some(names) = if_there(self.disk().list(slot.dir())).map_err(failed)? else { return Ok(scrubbed) };
        if names.iter().any(|entry| entry.name == damage::NAME) {
            self.load(&slot, now)?; // so that it is known what is damaged, whoever uses it
        }
        let files: Vec<_> = names.iter().filter_map(|entry| parse_file_name(&entry.name)).collect();
        let of = |wanted: FileKind| files.iter().filter(move |(_, kind)| *kind == wanted).map(|(base, _)| *base);
        let bases: Vec<_> = of(FileKind::Log).collect::<BTreeSet<_>>().into_iter().collect();
        let mut with_markers = BTreeSet::new();
        for two in bases.windows(2) {
            match if_there(self.scrub_segment(&slot, two[0], two[1], is_compacted, now, pace)).map_err(failed)? {
                Some(Some(verdict)) => {
                    scrubbed.bytes += verdict.bytes;
                    if verdict.has_markers {
                        with_markers.insert(two[0]);
                    }
                }
                Some(None) => return Ok(scrubbed),
                None => {} // gone meanwhile
            }
        }
        let active = bases.last().copied().unwrap_or_default();
        let with_aborted: BTreeSet<_> = of(FileKind::TxnIndex).collect();
        for base in with_markers.union(&with_aborted).filter(|base| **base < active) {
            if_there(self.scrub_aborted(&slot, *base, with_aborted.contains(base), is_compacted, now))
                .map_err(failed)?;
        }
        for at in of(FileKind::Snapshot).filter(|at| *at < active) {
            self.scrub_snapshot(&slot, at).map_err(failed)?;
        }
        Ok(Scrubbed { complete: true, ..scrubbed })
    }

    fn may_be_scrubbed(&self, slot: &Slot) -> bool {
        let is_whole = slot.loaded().is_none_or(|log| log.state() == LogState::Online);
        is_whole && self.dirs[slot.dir_index()].is_online()
    }

    /// What is to say of a segment behind which the next one begins at `upper`; none where the caller ends the look.
    fn scrub_segment(
        &self,
        slot: &Slot,
        base: Offset,
        upper: Offset,
        is_compacted: bool,
        now: Millis,
        pace: &mut Pace<'_>,
    ) -> io::Result<Option<Verdict>> {
        // Not the log's own: one that is not open is not opened for it, and files that nobody else uses are closed again.
        let segment = Segment::new(&self.handles, slot.dir(), base, false);
        let may_have_gaps = is_compacted || may_have_gaps(slot);
        let interval_bytes = match slot.loaded() {
            Some(log) => log.config().index_interval_bytes,
            None => self.configs.log_config(&slot.partition().topic).index_interval_bytes,
        };
        let verdict = judge(&segment, upper, may_have_gaps, interval_bytes, pace);
        segment.close();
        let Some(verdict) = verdict? else { return Ok(None) };
        let is_marked = |log: &Arc<Log>| log.damages().iter().any(|damage| damage.segment == base);
        if !verdict.is_good() || slot.loaded().is_some_and(is_marked) {
            self.load(slot, now).map_err(io::Error::other)?.settle_damage(base, may_have_gaps, pace)?;
        }
        Ok(Some(verdict))
    }

    /// The index of aborted transactions has no checksum, but what it has to say follows from the batches and from what was
    /// open at the beginning of the segment. Where compaction has been, the batches do not tell any more.
    fn scrub_aborted(
        &self,
        slot: &Slot,
        base: Offset,
        is_there: bool,
        is_compacted: bool,
        now: Millis,
    ) -> io::Result<()> {
        let may_have_gaps = is_compacted || may_have_gaps(slot);
        let states = if base == Offset::ZERO { Some(ProducerStates::default()) } else { self.states_at(slot, base)? };
        let Some(states) = states.filter(|_| !may_have_gaps) else { return Ok(()) };
        let segment = Segment::new(&self.handles, slot.dir(), base, is_there);
        let mut named = Vec::new();
        let walked = segment.walk_aborted(|entry| {
            named.push(entry);
            true
        });
        let found = aborted_of(&segment, states);
        let whole = segment.holds_aborted(named.len());
        segment.close();
        walked?;
        let whole = whole?;
        match found {
            Ok(found) if found == named && whole => Ok(()),
            Ok(found) => self.load(slot, now).map_err(io::Error::other)?.replace_aborted(base, &found),
            Err(WalkError::Io(error)) => Err(error),
            Err(WalkError::Bad { .. }) => Ok(()), // a damaged segment tells nothing
        }
    }

    /// What is known of producers at the beginning of a segment.
    fn states_at(&self, slot: &Slot, base: Offset) -> io::Result<Option<ProducerStates>> {
        let bytes = read_whole(self.disk(), &slot.dir().join(file_name(base, FileKind::Snapshot)))?;
        Ok(bytes.and_then(|bytes| read_snapshot(&bytes).ok()))
    }

    /// A snapshot of producers that cannot be read helps nobody: the start passes it over, and reads more of the log.
    fn scrub_snapshot(&self, slot: &Slot, at: Offset) -> io::Result<()> {
        let path = slot.dir().join(file_name(at, FileKind::Snapshot));
        let Some(bytes) = read_whole(self.disk(), &path)? else { return Ok(()) };
        match read_snapshot(&bytes) {
            Ok(_) | Err(SnapshotError::Version(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a damaged producer snapshot is removed");
                self.tally.file_replaced();
                if_there(self.disk().remove_file(&path)).map(drop)
            }
        }
    }

    /// What was found damaged since the start.
    #[must_use]
    pub fn damage_counts(&self) -> DamageCounts {
        self.tally.counts()
    }

    /// The partitions of which something is known to be damaged, each with the number of places. Those that were not used
    /// since the start are not among them before the scrub comes to them.
    #[must_use]
    pub fn damaged(&self) -> Vec<(TopicPartition, usize)> {
        let places = self.loaded_logs().into_iter().map(|log| (log.partition().clone(), log.damaged_places()));
        places.filter(|(_, places)| *places > 0).collect()
    }
}

/// Whether compaction may have taken offsets, as far as is known of a log that may not be open.
fn may_have_gaps(slot: &Slot) -> bool {
    slot.loaded().map_or(slot.start().clean_to.is_some(), |log| log.may_have_gaps())
}

/// None where there is no such file.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
