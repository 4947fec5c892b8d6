//! Compaction of one log.

use std::{io, sync::Arc, sync::atomic::Ordering};

use ottla_types::{Millis, Offset};

use super::{Log, LogState};
use crate::{
    AbortedTransaction, FoundBy, LogConfig,
    cleaner::{
        CleanError, CleanStats, CleanerSettings, Pace, Pass, PassInput,
        plan::{self, Cleanable, LogFacts, SegmentFacts, SourceFacts},
    },
    segment::{Segment, name::CLEANED_SUFFIX, walk::WalkError},
};

/// No pass has been over the log.
pub(super) const NEVER_CLEANED: i64 = -1;

impl Log {
    /// Up to where a pass has been, if one has.
    #[must_use]
    pub fn clean_to(&self) -> Option<Offset> {
        let offset = self.clean_to.load(Ordering::Acquire);
        (offset != NEVER_CLEANED).then_some(Offset(offset))
    }

    /// What of the log may be compacted at `now`, as its settings say; nothing of one that is not whole.
    ///
    /// # Errors
    /// The disk failed, or the log was closed meanwhile.
    pub fn cleanable(&self, now: Millis) -> io::Result<Cleanable> {
        let config = self.config.load_full();
        // Offsets before segments: the list holds every segment that lies below them.
        let (last_stable, log_start, log_end) = (self.last_stable(), self.log_start(), self.log_end());
        let segments =
            self.over_segments(|segments| segments.iter().map(|segment| facts_of(segment, &config)).collect())?;
        let facts = LogFacts { segments, log_start, last_stable, log_end, clean_to: self.clean_to() };
        Ok(plan::cleanable(&facts, &config, now))
    }

    /// Compacts the log as far as the map of one pass reaches. Everything below the first segment that may not be
    /// compacted must be durable, and the recovery point that says so stored.
    ///
    /// # Errors
    /// See [`CleanError`]; the log is whole in any case.
    pub fn clean(
        &self,
        settings: &CleanerSettings,
        now: Millis,
        pace: &mut Pace<'_>,
    ) -> Result<CleanStats, CleanError> {
        if self.state() != LogState::Online {
            return Err(CleanError::Changed);
        }
        let todo = self.cleanable(now)?;
        let segments = self.segments.load_full();
        let sources: Vec<_> = segments.iter().take_while(|segment| segment.base() < todo.to).cloned().collect();
        let Some(first) = sources.first() else {
            return Ok(CleanStats { from: todo.from, to: todo.from, ..CleanStats::default() });
        };
        if let Some(damage) = sources.iter().flat_map(|segment| segment.damage().places()).next() {
            return Err(CleanError::Damaged { segment: damage.segment, position: damage.position });
        }
        self.remove_unfinished()?;
        let gone = |error| if self.holds(&sources) { error } else { CleanError::Changed };
        let config = self.config.load_full();
        let input = PassInput {
            disk: self.disk(),
            dir: &self.dir,
            config: &config,
            settings,
            now,
            aborted: all_aborted(&segments).map_err(|error| gone(error.into()))?,
            producers: self.writer.lock().producers.last_records(),
        };
        let mut pass = Pass::new(input, pace, first.base(), todo.from, todo.to);
        let gone = |error| self.looked_into(&segments, gone(error));
        let dirty = sources.partition_point(|segment| segment.base() <= todo.from).saturating_sub(1);
        let to = pass.index(&sources[dirty..], todo.to).map_err(gone)?;
        let sources = &sources[..sources.partition_point(|segment| segment.base() < to)];
        for group in plan::groups(&source_facts(sources, todo.to)?, &config) {
            let group = &sources[group];
            let gone = |error| match error {
                CleanError::Io(_) if !self.holds(group) => CleanError::Changed,
                error => self.looked_into(&segments, error),
            };
            if let Some(copy) = pass.copy(group).map_err(gone)? {
                self.replace_segments(group, copy, now)?;
            }
        }
        self.clean_to.store(to.0, Ordering::Release);
        Ok(pass.stats)
    }
}

impl Log {
    /// Marks the damage that ended a pass.
    fn looked_into(&self, segments: &[Arc<Segment>], error: CleanError) -> CleanError {
        if let CleanError::Damaged { segment, position } = &error
            && let Some(segment) = segments.iter().find(|known| known.base() == *segment)
            && let Err(error) = self.examine(segment, *position, FoundBy::Compaction)
        {
            tracing::debug!(partition = %self.partition, %error, "a damaged place was not looked into");
        }
        error
    }

    /// Removes what an earlier pass left that did not end well. A restart takes such a file for the word that no copy has
    /// taken the place of its group yet, so none may be there when one does.
    fn remove_unfinished(&self) -> io::Result<()> {
        for entry in self.disk().list(&self.dir)?.into_iter().filter(|entry| entry.name.ends_with(CLEANED_SUFFIX)) {
            self.disk().remove_file(&self.dir.join(&entry.name))?;
        }
        Ok(())
    }
}

/// Times are asked for only where a setting looks at them.
fn facts_of(segment: &Arc<Segment>, config: &LogConfig) -> io::Result<SegmentFacts> {
    let newest = if config.min_compaction_lag_ms > 0 {
        known(segment.largest_timestamp())?.map(|largest| largest.timestamp)
    } else {
        None
    };
    let waits = config.max_compaction_lag_ms < i64::MAX;
    let first = if waits { known(segment.first_timestamp())? } else { None };
    Ok(SegmentFacts { base: segment.base(), size: segment.size()?, newest, first })
}

/// Damage is found when the batches are read.
fn known<T>(found: Result<Option<T>, WalkError>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(found),
        Err(WalkError::Io(error)) => Err(error),
        Err(WalkError::Bad { .. }) => Ok(None),
    }
}

fn all_aborted(segments: &[Arc<Segment>]) -> io::Result<Vec<AbortedTransaction>> {
    let mut aborted = Vec::new();
    for segment in segments {
        segment.walk_aborted(|entry| {
            aborted.push(entry);
            true
        })?;
    }
    Ok(aborted)
}

fn source_facts(sources: &[Arc<Segment>], to: Offset) -> io::Result<Vec<SourceFacts>> {
    let facts = |(at, segment): (usize, &Arc<Segment>)| {
        let (index_bytes, time_index_bytes) = segment.index_bytes()?;
        let end = sources.get(at + 1).map_or(to, |next| next.base());
        Ok(SourceFacts { base: segment.base(), end, size: segment.size()?, index_bytes, time_index_bytes })
    };
    sources.iter().enumerate().map(facts).collect()
}
