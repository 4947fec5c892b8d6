//! Recovery: what a crash left of a log, from the recovery point on.
//!
//! Every batch from the recovery point on is checked, checksum included; the log ends before the first that is broken.
//! What lies below the recovery point was durable and is not read again, and index entries below it are trusted: they
//! were flushed before the recovery point was stored. Everything else beside the log is made anew.
//!
//! A broken batch *above* the recovery point is what a crash leaves: it was promised to nobody by this disk, and it is
//! cut with all that follows. If whole batches follow it, that is told ([`LoadReport::hole`]). A broken batch *below*
//! the recovery point is damage: nothing is cut, the place is marked, and the log goes on with what follows. Where nothing
//! follows, it goes on in a new segment: no offset that was durable is given again.

use std::{io, ops::ControlFlow};

use ottla_types::Offset;

use super::{Damage, LoadReport, Loading};
use crate::{
    EpochStart,
    damage::check::{Frame, Reader, look_through},
    segment::{Segment, walk::WalkError},
};

/// What recovery found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) log_end: Offset,
    pub(super) report: LoadReport,
    /// Leader epochs of the batches that were checked.
    pub(super) epochs: Vec<EpochStart>,
    /// Aborted transactions from here on must be indexed again.
    pub(super) reindex_from: Option<Offset>,
}

/// Recovers the log; `segments`, of which there is one at least, lose those behind the end.
///
/// # Errors
/// As the file system says.
pub(super) fn run(loading: &Loading, segments: &mut Vec<Segment>) -> io::Result<Recovered> {
    let point = loading.start.recovery_point;
    let report = LoadReport { recovered: true, ..LoadReport::default() };
    let mut recovered =
        Recovered { log_end: segments[0].base(), report, epochs: Vec::new(), reindex_from: Some(point) };
    let log_start = loading.start.log_start;
    if segments[0].base() > point.max(log_start) && point <= log_start && !loading.start.recovery_point_lost {
        begin_anew(loading, segments, &mut recovered)?;
        return Ok(recovered);
    }
    // The segment that ends right at the recovery point is looked at too: it may have been closed afterwards, and the
    // last entries of its indexes are then not among those that were flushed before the recovery point was stored.
    let first = segments.partition_point(|segment| segment.base() < point).saturating_sub(1);
    let mut kept = segments.len();
    for (at, segment) in segments.iter().enumerate().skip(first) {
        // Segments begin where the one before ended; a later beginning means that batches were lost in between, unless
        // compaction took them: it keeps below the recovery point.
        let lost = at > first && segment.base() > recovered.log_end.max(point);
        if lost && !loading.start.recovery_point_lost {
            recovered.report.hole = true;
            kept = at;
            break;
        }
        let upper = segments.get(at + 1).map(Segment::base);
        if !recover_segment(loading, segment, upper, &mut recovered)? {
            kept = at + 1;
            break;
        }
    }
    drop_behind(loading, segments, kept, &mut recovered)?;
    go_on_behind_damage(loading, segments, &mut recovered)?;
    seal_all_but_last(segments)?;
    recovered.report.shorter_than_recovery_point = recovered.log_end < point;
    Ok(recovered)
}

/// The first segment is gone, and nothing of this log was promised: it begins anew.
fn begin_anew(loading: &Loading, segments: &mut Vec<Segment>, recovered: &mut Recovered) -> io::Result<()> {
    let log_start = loading.start.log_start;
    recovered.report.hole = true;
    recovered.log_end = log_start;
    drop_behind(loading, segments, 0, recovered)?;
    segments.push(Segment::create(&loading.env.handles, &loading.dir, log_start, loading.now)?);
    Ok(())
}

/// Where what was durable at the end is damaged, or gone after a clean stop, a new segment begins behind it.
fn go_on_behind_damage(loading: &Loading, segments: &mut Vec<Segment>, recovered: &mut Recovered) -> io::Result<()> {
    let Some(last) = segments.last() else { return Ok(()) };
    let base = loading.start.recovery_point.max(loading.start.high_watermark);
    let (size, damages) = (last.size()?, last.damage().places());
    let tail = damages.last().filter(|damage| damage.end == size).map(|damage| damage.next);
    let next = match tail {
        Some(next) => next,
        None if loading.start.clean && recovered.log_end < base => {
            let (first, next) = (recovered.log_end, base);
            mark(last, Damage { segment: last.base(), position: size, end: size, first, next }, recovered);
            next
        }
        None => return Ok(()),
    };
    recovered.log_end = next;
    segments.push(Segment::create(&loading.env.handles, &loading.dir, next, loading.now)?);
    Ok(())
}

/// Removes the segments behind the end.
fn drop_behind(
    loading: &Loading,
    segments: &mut Vec<Segment>,
    kept: usize,
    recovered: &mut Recovered,
) -> io::Result<()> {
    for segment in segments.drain(kept..) {
        recovered.report.removed_segments += 1;
        recovered.report.cut_bytes += segment.size()?;
        segment.remove()?;
    }
    if recovered.report.removed_segments > 0 {
        loading.disk().sync_dir(&loading.dir)?;
    }
    Ok(())
}

/// Those that were checked, except the last, become sealed segments with their indexes on disk.
fn seal_all_but_last(segments: &[Segment]) -> io::Result<()> {
    let sealed = segments.split_last().map_or(segments, |(_, sealed)| sealed);
    for segment in sealed.iter().filter(|segment| segment.with_active(|_| ()).is_some()) {
        segment.finish_indexes()?;
        segment.seal();
    }
    Ok(())
}

fn walk_io(error: WalkError) -> io::Error {
    match error {
        WalkError::Io(error) => error,
        bad @ WalkError::Bad { .. } => io::Error::new(io::ErrorKind::InvalidData, bad.to_string()),
    }
}

/// Checks one segment from the recovery point on, behind which the next one begins at `upper`, cuts it where it is broken,
/// marks what is damaged, and makes it active; whether it was not cut.
fn recover_segment(
    loading: &Loading,
    segment: &Segment,
    upper: Option<Offset>,
    recovered: &mut Recovered,
) -> io::Result<bool> {
    let point = loading.start.recovery_point;
    let file = segment.file()?;
    let len = file.len()?;
    let anchors = segment.anchors()?;
    segment.trim_indexes(len, point.max(segment.base()))?;
    let start = segment.checked_start(len)?;
    let longest = segment.base().plus(i64::from(i32::MAX) + 1);
    let frame =
        Frame { segment: segment.base(), upper: upper.map_or(longest, |upper| upper.min(longest)), anchors: &anchors };
    let mut epochs: Vec<EpochStart> = Vec::new();
    let mut reader = Reader::new(&*file, len);
    // The index entry that names the beginning was compared with the header there.
    let header = if start > 0 { reader.header_at(start)? } else { None };
    let least = header.map_or(segment.base(), |header| header.base_offset.max(segment.base()));
    let looked = look_through(&mut reader, &frame, (start, least), len, &mut |placed| {
        let (epoch, start) = (placed.header.partition_leader_epoch, placed.header.base_offset);
        if epochs.last().is_none_or(|last| last.epoch < epoch) {
            epochs.push(EpochStart { epoch, start });
        }
        ControlFlow::Continue(())
    })?;
    let Some(looked) = looked else { return Ok(false) };
    let mut end = len;
    recovered.log_end = looked.next;
    for damage in looked.damages {
        let is_tail = damage.end == len && upper.is_none();
        let was_durable = damage.first < point || (loading.start.recovery_point_lost && damage.end < len);
        if !was_durable {
            (end, recovered.log_end) = (damage.position, damage.first);
            recovered.report.hole |= damage.end < len;
            break;
        }
        let next = if is_tail { point.max(loading.start.high_watermark) } else { damage.next };
        if is_tail {
            recovered.log_end = next;
        }
        mark(segment, Damage { next, ..damage }, recovered);
    }
    let known = recovered.epochs.last().map(|last| last.epoch);
    let log_end = recovered.log_end;
    let news =
        epochs.into_iter().filter(|entry| entry.start < log_end && known.is_none_or(|known| known < entry.epoch));
    recovered.epochs.extend(news);
    recovered.report.checked_bytes += end - start;
    if end < len {
        recovered.report.cut_bytes += len - end;
        file.set_len(end)?;
    }
    let rebuilt = segment.resume(end, &loading.config, loading.now).map_err(walk_io)?;
    loading.tell_rebuilt(rebuilt && start > 0);
    Ok(end == len)
}

fn mark(segment: &Segment, damage: Damage, recovered: &mut Recovered) {
    if segment.damage().add(damage) {
        recovered.report.damages.push(damage);
    }
}
