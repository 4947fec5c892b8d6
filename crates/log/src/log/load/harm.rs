//! What the opening of a log knows of damage before anything is read: what was found earlier, and which files are missing.

use std::{collections::BTreeSet, io, ops::ControlFlow, sync::Arc};

use ottla_types::Offset;

use super::{LoadReport, Loading};
use crate::{
    Damage,
    checkpoint::{CheckpointError, damage},
    damage::check::{Frame, Reader, look_through},
    segment::Segment,
};

/// Marks what was found earlier; whether some of it is of segments that are gone, or cannot be understood.
///
/// # Errors
/// As the file system says.
pub(super) fn recall(loading: &Loading, segments: &[Segment]) -> io::Result<bool> {
    let damages = match damage::read(loading.disk(), &loading.dir) {
        Ok(damages) => damages,
        Err(CheckpointError::Io { source, .. }) => return Err(source),
        Err(error) => {
            loading.env.tally.file_replaced();
            tracing::warn!(%error, "what was damaged has to be found again");
            return Ok(true);
        }
    };
    let mut outdated = false;
    for damage in damages {
        let segment = segments.iter().find(|segment| segment.base() == damage.segment);
        match segment {
            Some(segment) if damage.end <= segment.file()?.len()? => drop(segment.damage().add(damage)),
            _ => outdated = true,
        }
    }
    Ok(outdated)
}

/// Marks the places of segments of which only indexes are left, in the middle of what was durable. An index at the front or
/// at the end may be what a crash left of a segment that had been removed.
///
/// # Errors
/// As the file system says.
pub(super) fn mark_missing(
    loading: &Loading,
    segments: &[Segment],
    without_log: &BTreeSet<Offset>,
) -> io::Result<Vec<Damage>> {
    let mut found = Vec::new();
    for lost in without_log.iter().filter(|lost| was_durable(loading, **lost)) {
        let at = segments.partition_point(|segment| segment.base() < *lost);
        let (Some(before), Some(next)) = (at.checked_sub(1).map(|at| &segments[at]), segments.get(at)) else {
            continue;
        };
        let size = before.file()?.len()?;
        let damage = Damage { segment: before.base(), position: size, end: size, first: *lost, next: next.base() };
        if before.damage().add(damage) {
            found.push(damage);
        }
    }
    Ok(found)
}

/// Where the log should begin, if segments are missing before the first one.
pub(super) fn lost_start(loading: &Loading, segments: &[Segment], without_log: &BTreeSet<Offset>) -> Option<Offset> {
    let (first, log_start) = (segments.first()?.base(), loading.start.log_start);
    let has_trace = without_log.iter().any(|lost| *lost < first && was_durable(loading, *lost));
    // Kafka stores no log start where it is that of the first segment.
    let was_stored = log_start > Offset::ZERO && first > log_start;
    (first > log_start && (has_trace || was_stored)).then_some(log_start)
}

fn was_durable(loading: &Loading, base: Offset) -> bool {
    base >= loading.start.log_start && (loading.start.clean || base < loading.start.recovery_point)
}

/// Looks through the segments from the one that holds `from` on, one of which cannot be walked over, and marks what is
/// damaged.
///
/// # Errors
/// As the file system says.
pub(super) fn look(
    loading: &Loading,
    segments: &[Arc<Segment>],
    from: Offset,
    log_end: Offset,
    report: &mut LoadReport,
) -> io::Result<()> {
    let first = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
    tracing::warn!(dir = %loading.dir.display(), "batches are looked through for damage");
    for (at, segment) in segments.iter().enumerate().skip(first) {
        let upper = segments.get(at + 1).map_or(log_end, |next| next.base());
        let (file, size, anchors) = (segment.file()?, segment.size()?, segment.anchors()?);
        let frame = Frame { segment: segment.base(), upper, anchors: &anchors };
        let mut reader = Reader::new(&*file, size);
        let looked = look_through(&mut reader, &frame, (0, segment.base()), size, &mut |_| ControlFlow::Continue(()))?;
        for damage in looked.into_iter().flat_map(|looked| looked.damages) {
            if segment.damage().add(damage) {
                report.damages.push(damage);
            }
        }
    }
    Ok(())
}
