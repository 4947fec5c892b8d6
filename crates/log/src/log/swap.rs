//! Putting a compacted copy in the place of the segments that it was made of.
//!
//! 1. The copy is durable under names that end in `.cleaned`. A crash until here leaves the log as it was: the next opening
//!    removes them.
//! 2. The names change to `.swap`, and the directory is made durable. With the last of these renames it is decided.
//! 3. Readers see the copy, whose files are open, so that its names do not matter to them.
//! 4. The old files go, and the directory is made durable.
//! 5. The copy gets its final names: the log file first and durably, then the others. So a `.log.swap` says that no final
//!    name has been given yet, and whatever stands under one belongs to the old segments; a log file without `.swap` says
//!    that none of the old files is left.
//!
//! A crash from step 2 on leaves what the next opening finishes (`load::tidy`). Invariant: whoever looks at the log, now or
//! after a crash at any moment, sees either all of the old segments or the copy.

use std::{io, sync::Arc};

use ottla_types::Millis;

use super::{Log, LogState};
use crate::{
    cleaner::{CleanError, CleanedSegment},
    segment::{
        Segment,
        name::{FileKind, cleaned_name, file_name, swap_name},
    },
};

impl Log {
    /// Replaces `old`, consecutive segments of which none is active, by `copy`.
    ///
    /// # Errors
    /// They are not in the log any more, and the copy is removed; or the disk failed half-way, and the log is offline.
    pub(super) fn replace_segments(
        &self,
        old: &[Arc<Segment>],
        copy: CleanedSegment,
        now: Millis,
    ) -> Result<(), CleanError> {
        let _no_flush_and_no_cut = self.flushing.lock();
        if !self.holds(old) {
            for (kind, _) in &copy.files {
                let _ = self.disk().remove_file(&self.dir.join(cleaned_name(copy.base, *kind)));
            }
            return Err(CleanError::Changed);
        }
        self.swap(old, copy, now).map_err(|error| {
            tracing::error!(partition = %self.partition, %error, "segments were not replaced, the log is offline");
            self.go_offline();
            CleanError::Io(error)
        })
    }

    /// Whether the log can be written to and these are sealed segments of it, one after the other.
    pub(super) fn holds(&self, wanted: &[Arc<Segment>]) -> bool {
        let segments = self.segments.load();
        let Some(first) = wanted.first() else { return false };
        let Some(at) = segments.iter().position(|segment| Arc::ptr_eq(segment, first)) else { return false };
        let sealed = &segments[..segments.len() - 1];
        let same = |(a, b): (&Arc<Segment>, &Arc<Segment>)| Arc::ptr_eq(a, b);
        self.state() == LogState::Online
            && sealed.get(at..at + wanted.len()).is_some_and(|found| found.iter().zip(wanted).all(same))
    }

    fn swap(&self, old: &[Arc<Segment>], copy: CleanedSegment, now: Millis) -> io::Result<()> {
        let base = copy.base;
        let kinds: Vec<_> = copy.files.iter().map(|(kind, _)| *kind).collect();
        for kind in &kinds {
            self.rename(&cleaned_name(base, *kind), &swap_name(base, *kind))?;
        }
        self.disk().sync_dir(&self.dir)?;
        let new = Arc::new(Segment::of_copy(&self.env.handles, &self.dir, copy));
        self.list_instead(old, &new);
        self.retire_segments(old, now)?;
        let bases: Vec<_> = old[1..].iter().map(|segment| segment.base()).collect();
        self.remove_snapshots(|offset| bases.contains(&offset))?;
        self.disk().sync_dir(&self.dir)?;
        self.rename(&swap_name(base, FileKind::Log), &file_name(base, FileKind::Log))?;
        self.disk().sync_dir(&self.dir)?;
        for kind in kinds.into_iter().filter(|kind| *kind != FileKind::Log) {
            self.rename(&swap_name(base, kind), &file_name(base, kind))?;
        }
        self.disk().sync_dir(&self.dir)?;
        new.settle();
        Ok(())
    }

    /// The list with `new` in the place of `old`, which it holds; only a roll may change it meanwhile.
    fn list_instead(&self, old: &[Arc<Segment>], new: &Arc<Segment>) {
        let _no_roll = self.writer.lock();
        let segments = self.segments.load();
        let outside = |segment: &&Arc<Segment>| !old.iter().any(|gone| Arc::ptr_eq(gone, segment));
        let at = segments.iter().take_while(|segment| segment.base() < new.base()).count();
        let mut list: Vec<_> = segments.iter().filter(outside).cloned().collect();
        list.insert(at, Arc::clone(new));
        self.segments.store(Arc::new(list));
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk().rename(&self.dir.join(from), &self.dir.join(to))
    }
}
