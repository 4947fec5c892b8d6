//! Which of a log's oldest segments have to go, by size and by age: `retention.bytes`, `retention.ms`.
//!
//! Pure. A plan names the offset at which the log begins afterwards; storing that start and removing the files is up to
//! [`LogDirs::remove_old_segments`](crate::LogDirs::remove_old_segments), as for records that were deleted on request.
//!
//! Invariants, as in Apache Kafka: segments go from the front without a gap; a segment goes only when all of it lies below
//! the high watermark; the active segment goes as well, when it holds records and they all are too old or too many, and a
//! new one begins at the log end.

use ottla_types::{Millis, Offset};

use crate::LogConfig;

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base: Offset,
    /// Bytes of its log file.
    pub(crate) size: u64,
    /// Time of its newest record, or of its last change where its records have none; none where nobody knows.
    pub(crate) newest: Option<Millis>,
}

/// What is known of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// All segments, oldest first; the last one is active.
    pub(crate) segments: Vec<SegmentFacts>,
    pub(crate) log_start: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) log_end: Offset,
}

/// Why segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The log is larger than `retention.bytes`.
    Size,
    /// They are older than `retention.ms`.
    Age,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Where the log begins afterwards.
    pub(crate) start: Offset,
    /// Whether the active segment goes too, so that a new one has to begin at `start` first.
    pub(crate) roll: bool,
    /// Why the newest of them goes.
    pub(crate) reason: Reason,
}

/// What has to go at `now`; none where all may stay.
pub(crate) fn plan(facts: &LogFacts, config: &LogConfig, now: Millis) -> Option<Expiry> {
    if !config.cleanup.delete {
        return None;
    }
    // Segments below the log start are as good as gone, and count for nothing.
    let first = facts.segments.iter().skip(1).take_while(|next| next.base <= facts.log_start).count();
    let by_size = first + too_many(facts, first, config);
    let by_age = by_size + too_old(facts, by_size, config, now);
    if by_age == first {
        return None;
    }
    let reason = if by_age > by_size { Reason::Age } else { Reason::Size };
    let roll = by_age == facts.segments.len();
    Some(Expiry { start: end_of(facts, by_age - 1), roll, reason })
}

/// How many segments from number `from` on are in excess of the size.
fn too_many(facts: &LogFacts, from: usize, config: &LogConfig) -> usize {
    let Some(most) = config.retention_bytes else { return 0 };
    let total: u64 = facts.segments.iter().skip(from).map(|segment| segment.size).sum();
    let mut excess = total.saturating_sub(most);
    count(facts, from, |segment| {
        let goes = total >= most && excess >= segment.size;
        excess = excess.saturating_sub(segment.size);
        goes
    })
}

/// How many segments from number `from` on are past their age.
fn too_old(facts: &LogFacts, from: usize, config: &LogConfig, now: Millis) -> usize {
    let Some(most) = config.retention_ms else { return 0 };
    count(facts, from, |segment| segment.newest.is_some_and(|newest| now.since(newest) > most))
}

fn count(facts: &LogFacts, from: usize, mut goes: impl FnMut(&SegmentFacts) -> bool) -> usize {
    let active = facts.segments.len().saturating_sub(1);
    let candidates = facts.segments.iter().enumerate().skip(from);
    candidates
        .take_while(|(at, segment)| {
            let empty_active = *at == active && segment.size == 0;
            !empty_active && end_of(facts, *at) <= facts.high_watermark && goes(segment)
        })
        .count()
}

fn end_of(facts: &LogFacts, at: usize) -> Offset {
    facts.segments.get(at + 1).map_or(facts.log_end, |next| next.base)
}

#[cfg(test)]
mod tests;
