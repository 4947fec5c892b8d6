//! What of a log may be compacted, whether it is worth it, and which segments make one.
//!
//! Pure. Rules and words are Apache Kafka's: clean is what a pass has been over, dirty what follows up to the first segment
//! that may not be compacted yet. That is the active one, one that is not wholly below the last stable offset, or one with
//! a record younger than `min.compaction.lag.ms`.
//!
//! Invariant: whole segments are dirty or not; the clean part begins with the log.

use std::ops::Range;

use ottla_types::{Millis, Offset};

use crate::LogConfig;

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base: Offset,
    /// Bytes of its log file.
    pub(crate) size: u64,
    /// Time of its newest record, asked for where there is a lag to keep; none where nobody knows.
    pub(crate) newest: Option<Millis>,
    /// Time of its first batch, asked for where there is a lag not to pass.
    pub(crate) first: Option<Millis>,
}

/// What is known of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// All segments, oldest first; the last one is active.
    pub(crate) segments: Vec<SegmentFacts>,
    pub(crate) log_start: Offset,
    pub(crate) last_stable: Offset,
    pub(crate) log_end: Offset,
    /// Up to where a pass has been, if one has.
    pub(crate) clean_to: Option<Offset>,
}

/// What of a log may be compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanable {
    /// First dirty offset.
    pub from: Offset,
    /// Base of the first segment that may not be compacted.
    pub to: Offset,
    /// Bytes of the segments before the dirty ones.
    pub clean_bytes: u64,
    /// Bytes of the dirty segments.
    pub dirty_bytes: u64,
    /// By how much the oldest dirty record is past `max.compaction.lag.ms`; 0 where none is.
    pub overdue_ms: i64,
}

impl Cleanable {
    /// Share of the dirty bytes.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 { 0.0 } else { self.dirty_bytes as f64 / all as f64 }
    }

    /// Whether a pass is due by `min.cleanable.dirty.ratio`, or because a record has waited for too long.
    #[must_use]
    pub fn is_due(&self, min_dirty_ratio: f64) -> bool {
        self.dirty_bytes > 0 && (self.overdue_ms > 0 || self.dirty_ratio() > min_dirty_ratio)
    }
}

/// What of the log may be compacted at `now`.
pub(crate) fn cleanable(facts: &LogFacts, config: &LogConfig, now: Millis) -> Cleanable {
    let from = first_dirty(facts);
    let first_at = floor(facts, from);
    let last_at = first_uncleanable(facts, first_at, config, now);
    let to = facts.segments.get(last_at).map_or(facts.log_end, |segment| segment.base);
    let bytes = |range: Range<usize>| facts.segments.get(range).unwrap_or_default().iter().map(|s| s.size).sum();
    Cleanable {
        from,
        to: to.max(from),
        clean_bytes: bytes(0..first_at.min(last_at)),
        dirty_bytes: bytes(first_at..last_at.max(first_at)),
        overdue_ms: overdue_ms(facts, first_at, config, now),
    }
}

/// Where the last pass ended. A note that does not fit the log, which was cut at one of its ends since, is of no use.
fn first_dirty(facts: &LogFacts) -> Offset {
    match facts.clean_to {
        Some(clean_to) if (facts.log_start..=facts.log_end).contains(&clean_to) => clean_to,
        _ => facts.log_start,
    }
}

/// The segment that holds `offset`.
fn floor(facts: &LogFacts, offset: Offset) -> usize {
    facts.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
}

fn first_uncleanable(facts: &LogFacts, first: usize, config: &LogConfig, now: Millis) -> usize {
    let active = facts.segments.len().saturating_sub(1);
    let unstable = floor(facts, facts.last_stable);
    let young =
        |segment: &SegmentFacts| segment.newest.is_some_and(|newest| now.since(newest) < config.min_compaction_lag_ms);
    let lagging = match config.min_compaction_lag_ms {
        ..=0 => None,
        _ => facts.segments.iter().skip(first).position(young).map(|at| first + at),
    };
    active.min(unstable).min(lagging.unwrap_or(active))
}

fn overdue_ms(facts: &LogFacts, first: usize, config: &LogConfig, now: Millis) -> i64 {
    let active = facts.segments.len().saturating_sub(1);
    let dirty = facts.segments.get(first..active).unwrap_or_default();
    let oldest = dirty.iter().filter_map(|segment| segment.first).filter(|first| first.0 > 0).min();
    oldest.map_or(0, |oldest| now.since(oldest).saturating_sub(config.max_compaction_lag_ms.max(0)).max(0))
}

/// A segment that is to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceFacts {
    pub(crate) base: Offset,
    /// First offset behind it.
    pub(crate) end: Offset,
    pub(crate) size: u64,
    pub(crate) index_bytes: u64,
    pub(crate) time_index_bytes: u64,
}

/// Cuts consecutive segments into runs of which each fits one segment, as they are now.
pub(crate) fn groups(sources: &[SourceFacts], config: &LogConfig) -> Vec<Range<usize>> {
    let size_max = u64::from(config.segment_bytes).min(i32::MAX as u64);
    let index_max = u64::from(config.segment_index_bytes);
    let fits = |group: &[SourceFacts]| {
        let sum = |of: fn(&SourceFacts) -> u64| group.iter().map(of).sum::<u64>();
        let span = group.last().map_or(0, |last| last.end.0 - 1) - group.first().map_or(0, |first| first.base.0);
        sum(|s| s.size) <= size_max
            && sum(|s| s.index_bytes) <= index_max
            && sum(|s| s.time_index_bytes) <= index_max
            && span <= i64::from(i32::MAX)
    };
    let mut groups: Vec<Range<usize>> = Vec::new();
    for at in 0..sources.len() {
        match groups.last_mut() {
            Some(group) if fits(&sources[group.start..=at]) => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
