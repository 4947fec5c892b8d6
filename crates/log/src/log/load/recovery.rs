//! Recovery: what a crash left of a log, from the recovery point on.
//!
//! Every batch from the recovery point on is checked, checksum included; the log ends before the first that is broken.
//! What lies below the recovery point was durable and is not read again, and index entries below it are trusted: they
//! were flushed before the recovery point was stored. Everything else beside the log is made anew.
//!
//! A broken batch *above* the recovery point is what a crash leaves: it was promised to nobody by this disk, and it is
//! cut with all that follows. If whole batches follow it, that is told ([`LoadReport::hole`]). A broken batch *below*
//! the recovery point is damage: nothing is cut, the log ends there for readers, and is [`LogState::Damaged`].
//!
//! [`LogState::Damaged`]: crate::LogState::Damaged

use std::io;

use ottla_disk::DiskFile;
use ottla_records::{BatchHeader, HEADER_LEN, verify_crc};
use ottla_types::Offset;

use super::{Damage, LoadReport, Loading};
use crate::{
    EpochStart,
    segment::{Segment, walk::WalkError},
};

/// Bytes read at a time.
const WINDOW: usize = 1 << 20;

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
    if segments[0].base() > point.max(loading.start.log_start) {
        recover_without_start(loading, segments, &mut recovered)?;
        return Ok(recovered);
    }
    // The segment that ends right at the recovery point is looked at too: it may have been closed afterwards, and the
    // last entries of its indexes are then not among those that were flushed before the recovery point was stored.
    let first = segments.partition_point(|segment| segment.base() < point).saturating_sub(1);
    let mut kept = segments.len();
    for (at, segment) in segments.iter().enumerate().skip(first) {
        // Segments begin where the one before ended; a later beginning means that batches were lost in between, unless
        // compaction took them: it keeps below the recovery point.
        if at > first && segment.base() > recovered.log_end.max(point) {
            recovered.report.hole = true;
            kept = at;
            break;
        }
        if !recover_segment(loading, segment, &mut recovered)? {
            kept = at + 1;
            break;
        }
    }
    drop_behind(loading, segments, kept, &mut recovered)?;
    seal_all_but_last(segments)?;
    recovered.report.shorter_than_recovery_point = recovered.log_end < point && recovered.report.damage.is_none();
    Ok(recovered)
}

/// The first segment is gone: the log start is stored before segments are removed, so this one was lost. Where something
/// was durable in it the log is damaged, else nothing of this log was promised and it begins anew.
fn recover_without_start(loading: &Loading, segments: &mut Vec<Segment>, recovered: &mut Recovered) -> io::Result<()> {
    let log_start = loading.start.log_start;
    recovered.report.hole = true;
    if loading.start.recovery_point > log_start {
        let offset = segments[0].base();
        recovered.report.damage = Some(Damage { segment: offset, position: 0, offset });
        drop_behind(loading, segments, 1, recovered)?;
        return segments[0].resume(0, &loading.config, loading.now).map_err(walk_io);
    }
    recovered.log_end = log_start;
    drop_behind(loading, segments, 0, recovered)?;
    segments.push(Segment::create(&loading.env.handles, &loading.dir, log_start, loading.now)?);
    Ok(())
}

/// Removes the segments behind the end, unless the log is damaged: then they only leave the list.
fn drop_behind(
    loading: &Loading,
    segments: &mut Vec<Segment>,
    kept: usize,
    recovered: &mut Recovered,
) -> io::Result<()> {
    for segment in segments.drain(kept..) {
        if recovered.report.damage.is_some() {
            continue;
        }
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

/// Checks one segment from the recovery point on, cuts it where it is broken and makes it active; whether it was whole.
fn recover_segment(loading: &Loading, segment: &Segment, recovered: &mut Recovered) -> io::Result<bool> {
    let point = loading.start.recovery_point;
    let file = segment.file()?;
    let len = file.len()?;
    segment.trim_indexes(len, point.max(segment.base()))?;
    let start = segment.checked_start(len)?;
    let mut check = Check { file: &*file, position: start, next: segment.base(), window: Vec::new(), window_at: 0 };
    let broken = loop {
        match check.step(len)? {
            Step::End => break false,
            Step::Broken => break true,
            Step::Batch(header) => {
                let fits = header.last_offset().0 - segment.base().0 <= i64::from(i32::MAX);
                if !fits {
                    break true;
                }
                let news = recovered.epochs.last().is_none_or(|last| last.epoch < header.partition_leader_epoch);
                if news {
                    let start = header.base_offset;
                    recovered.epochs.push(EpochStart { epoch: header.partition_leader_epoch, start });
                }
                check.accept(&header);
            }
        }
    };
    recovered.report.checked_bytes += check.position - start;
    let end = check.position;
    recovered.log_end = check.next;
    if broken {
        recovered.report.hole |= check.finds_batch_behind(len)?;
        if check.next < point {
            let (segment, offset) = (segment.base(), check.next);
            recovered.report.damage = Some(Damage { segment, position: end, offset });
        } else {
            recovered.report.cut_bytes += len - end;
            file.set_len(end)?;
        }
    }
    segment.resume(end, &loading.config, loading.now).map_err(walk_io)?;
    Ok(!broken)
}

/// A walk over whole batches that checks every byte of them.
struct Check<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    /// No batch may begin below this offset.
    next: Offset,
    window: Vec<u8>,
    window_at: u64,
}

enum Step {
    Batch(BatchHeader),
    End,
    Broken,
}

impl Check<'_> {
    fn step(&mut self, len: u64) -> io::Result<Step> {
        if self.position >= len {
            return Ok(Step::End);
        }
        match self.batch_at(self.position, len)? {
            Some(header) if header.base_offset >= self.next => Ok(Step::Batch(header)),
            _ => Ok(Step::Broken),
        }
    }

    fn accept(&mut self, header: &BatchHeader) {
        self.position += header.size_in_bytes() as u64;
        self.next = header.next_offset();
    }

    /// The header of the whole batch at `position`, if there is one.
    fn batch_at(&mut self, position: u64, len: u64) -> io::Result<Option<BatchHeader>> {
        let Ok(header) = BatchHeader::parse(self.bytes(position, HEADER_LEN, len)?) else { return Ok(None) };
        let size = header.size_in_bytes();
        if size as u64 > len - position {
            return Ok(None);
        }
        let bytes = self.bytes(position, size, len)?;
        Ok((bytes.len() >= size && verify_crc(&bytes[..size]).is_ok()).then_some(header))
    }

    /// At least `wanted` bytes at `position`, or what there is before `len`.
    fn bytes(&mut self, position: u64, wanted: usize, len: u64) -> io::Result<&[u8]> {
        let wanted = (wanted as u64).min(len.saturating_sub(position)) as usize;
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !held.contains(&position) || held.end - position < wanted as u64 {
            let fill = wanted.max(WINDOW).min((len - position) as usize);
            self.window.resize(fill, 0);
            let read = self.file.read_at(&mut self.window, position)?;
            self.window.truncate(read);
            self.window_at = position;
        }
        Ok(&self.window[(position - self.window_at) as usize..])
    }

    /// Whether a whole batch with a later offset lies anywhere behind the broken place.
    fn finds_batch_behind(&mut self, len: u64) -> io::Result<bool> {
        let (from, next) = (self.position, self.next);
        for position in from + 1..len.saturating_sub(HEADER_LEN as u64 - 1) {
            let bytes = self.bytes(position, HEADER_LEN, len)?;
            // Almost all places fail here, without a look at more than a few bytes.
            let Ok(header) = BatchHeader::parse(bytes) else { continue };
            let near = header.base_offset >= next && header.base_offset.0 - next.0 <= i64::from(i32::MAX);
            if near && self.batch_at(position, len)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
