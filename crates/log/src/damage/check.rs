//! Looking through a segment file: which of its bytes are batches that can be relied on.
//!
//! A batch is sound when its header can be read, its checksum is right, and its offsets lie behind those before it and within
//! the segment. Base offset and length lie outside the checksum: a wrong length shows in that no batch follows where it
//! ends, a wrong offset in the order. Where it stands between two batches which of them is wrong, neither is relied on.
//!
//! Behind a bad place the next sound batch is looked for. That a batch can be read somewhere is not enough, for a record may
//! hold one: from there sound batches must lead to where the index, or the end of the file, says that one ends.
//!
//! Invariant: no more is held than a window, whatever lengths are claimed.

use std::{io, ops::ControlFlow};

use crc_fast::{CrcAlgorithm, Digest};
use ottla_disk::DiskFile;
use ottla_records::{BatchHeader, HEADER_LEN, MAGIC, verify_crc};
use ottla_types::Offset;

use super::Damage;
use crate::segment::walk::Placed;

/// Bytes read at a time.
const WINDOW: usize = 1 << 20;
/// Where the checksum of a batch begins to count.
const CRC_COVERS_FROM: usize = 21;
/// Where the magic byte of a batch stands.
const MAGIC_AT: usize = 16;

/// Reads whole batches from anywhere in a file.
pub(crate) struct Reader<'a> {
    file: &'a dyn DiskFile,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Reader<'a> {
    /// Of the first `end` bytes of `file`.
    pub(crate) fn new(file: &'a dyn DiskFile, end: u64) -> Self {
        Self { file, end, window: Vec::new(), window_at: 0 }
    }

    /// The header of the batch that lies wholly in the file from `position` on, whatever its checksum says.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn header_at(&mut self, position: u64) -> io::Result<Option<BatchHeader>> {
        let left = self.end.saturating_sub(position);
        let bytes = self.bytes(position, HEADER_LEN)?;
        // Almost all places fail here, without a look at more than a byte.
        if bytes.get(MAGIC_AT).is_none_or(|magic| *magic != MAGIC as u8) {
            return Ok(None);
        }
        Ok(BatchHeader::parse(bytes).ok().filter(|header| header.size_in_bytes() as u64 <= left))
    }

    /// The header of the whole batch at `position`, if there is one with the right checksum.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn whole_at(&mut self, position: u64) -> io::Result<Option<BatchHeader>> {
        let Some(header) = self.header_at(position)? else { return Ok(None) };
        let size = header.size_in_bytes();
        let right = if size <= WINDOW {
            let bytes = self.bytes(position, size)?;
            bytes.len() >= size && verify_crc(&bytes[..size]).is_ok()
        } else {
            self.crc_at(position, size)? == Some(header.crc)
        };
        Ok(right.then_some(header))
    }

    /// The checksum of a batch that is longer than the window.
    fn crc_at(&mut self, position: u64, size: usize) -> io::Result<Option<u32>> {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        let mut at = CRC_COVERS_FROM;
        while at < size {
            let wanted = (size - at).min(WINDOW);
            let bytes = self.bytes(position + at as u64, wanted)?;
            let Some(bytes) = bytes.get(..wanted) else { return Ok(None) };
            digest.update(bytes);
            at += wanted;
        }
        Ok(Some(digest.finalize() as u32))
    }

    /// At least `wanted` bytes from `position` on, at most a window, or what there is before the end.
    fn bytes(&mut self, position: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = self.end.saturating_sub(position);
        let wanted = (wanted as u64).min(left) as usize;
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if wanted > 0 && (!held.contains(&position) || held.end - position < wanted as u64) {
            self.window.resize((WINDOW as u64).min(left) as usize, 0);
            let read = self.file.read_at(&mut self.window, position)?;
            self.window.truncate(read);
            self.window_at = position;
        }
        let from = position.saturating_sub(self.window_at) as usize;
        Ok(self.window.get(from..).unwrap_or_default())
    }
}

/// A place where a batch begins, as an index says; it reaches no further than `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) position: u64,
    pub(crate) last: Offset,
}

/// What the batches of a segment must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// Base offset of the segment.
    pub(crate) segment: Offset,
    /// No batch reaches it: where the next segment begins, or the log ends.
    pub(crate) upper: Offset,
    /// By position.
    pub(crate) anchors: &'a [Anchor],
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Looked {
    /// By position.
    pub(crate) damages: Vec<Damage>,
    /// Offset behind the last sound batch, or damaged place.
    pub(crate) next: Offset,
    /// Whether offsets are missing between sound batches, as compaction leaves them.
    pub(crate) has_gaps: bool,
}

/// The sound batch that was seen last.
struct Before {
    position: u64,
    header: BatchHeader,
    /// No batch there could have begun below this offset.
    least: Offset,
}

/// Looks at every batch from `from`, where one begins that has no offset below `least`, until one begins at `until` or behind
/// it. `each` is told of those that are sound, and may end the look; then there is none.
///
/// # Errors
/// As the file system says.
pub(crate) fn look_through(
    reader: &mut Reader<'_>,
    frame: &Frame<'_>,
    (from, least): (u64, Offset),
    until: u64,
    each: &mut dyn FnMut(&Placed) -> ControlFlow<()>,
) -> io::Result<Option<Looked>> {
    let mut looked = Looked { damages: Vec::new(), next: least, has_gaps: false };
    let (mut position, mut before): (u64, Option<Before>) = (from, None);
    while position < until.min(reader.end) {
        let whole = reader.whole_at(position)?.filter(|header| header.last_offset() < frame.upper);
        if let Some(header) = whole.filter(|header| header.base_offset >= looked.next) {
            looked.has_gaps |= before.is_some() && header.base_offset > looked.next;
            if each(&Placed { position, header }).is_break() {
                return Ok(None);
            }
            before = Some(Before { position, header, least: looked.next });
            position += header.size_in_bytes() as u64;
            looked.next = header.next_offset();
            continue;
        }
        let (mut begin, mut first) = (position, looked.next);
        if let (Some(header), Some(before)) = (whole, before.take()) {
            let fits_from = before.least.plus(before.header.next_offset().0 - before.header.base_offset.0);
            if header.base_offset >= fits_from {
                (begin, first) = (before.position, before.least); // it is the one before that is out of order
            }
            if header.base_offset == fits_from {
                push(&mut looked, frame, begin, position, first, header.base_offset);
                continue;
            }
        }
        let sound = next_sound(reader, frame, position, first)?;
        let (end, next) = sound.map_or((reader.end, frame.upper), |found| (found.position, found.header.base_offset));
        push(&mut looked, frame, begin, end, first, next);
        position = end;
    }
    Ok(Some(looked))
}

fn push(looked: &mut Looked, frame: &Frame<'_>, position: u64, end: u64, first: Offset, next: Offset) {
    looked.damages.push(Damage { segment: frame.segment, position, end, first, next });
    looked.next = next;
}

/// Where the last batch before `position` begins that the index names and that is sound, and its first offset; the beginning
/// where there is none.
///
/// # Errors
/// As the file system says.
pub(crate) fn sound_before(reader: &mut Reader<'_>, frame: &Frame<'_>, position: u64) -> io::Result<(u64, Offset)> {
    for anchor in frame.anchors.iter().rev().filter(|anchor| anchor.position < position) {
        let found = sound_at(reader, frame, anchor.position, frame.segment)?;
        if let Some(found) = found.filter(|found| found.header.last_offset() <= anchor.last) {
            return Ok((found.position, found.header.base_offset));
        }
    }
    Ok((0, frame.segment))
}

/// The sound batch nearest behind `bad`, with no offset below `least`; none where the rest of the file has none.
///
/// # Errors
/// As the file system says.
pub(crate) fn next_sound(
    reader: &mut Reader<'_>,
    frame: &Frame<'_>,
    bad: u64,
    least: Offset,
) -> io::Result<Option<Placed>> {
    // Mostly the header is sound, and says where the next one is.
    if let Some(header) = reader.header_at(bad)? {
        let behind = bad + header.size_in_bytes() as u64;
        if let Some(found) = sound_at(reader, frame, behind, least)? {
            return Ok(Some(found));
        }
    }
    let goal = goal_behind(reader, frame, bad, least)?;
    let end = goal.map_or(reader.end, |found| found.position);
    for position in bad + 1..end.saturating_sub(HEADER_LEN as u64 - 1) {
        if reader.header_at(position)?.is_some_and(|header| fits(frame, &header, least))
            && leads_to(reader, frame, position, least, end)?
            && let Some(found) = sound_at(reader, frame, position, least)?
        {
            return Ok(Some(found));
        }
    }
    Ok(goal)
}

/// The first sound batch behind `bad` that the index names.
fn goal_behind(reader: &mut Reader<'_>, frame: &Frame<'_>, bad: u64, least: Offset) -> io::Result<Option<Placed>> {
    for anchor in frame.anchors.iter().filter(|anchor| anchor.position > bad) {
        let found = sound_at(reader, frame, anchor.position, least)?;
        if let Some(found) = found.filter(|found| found.header.last_offset() <= anchor.last) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn fits(frame: &Frame<'_>, header: &BatchHeader, least: Offset) -> bool {
    header.base_offset >= least && header.last_offset() < frame.upper
}

fn sound_at(reader: &mut Reader<'_>, frame: &Frame<'_>, position: u64, least: Offset) -> io::Result<Option<Placed>> {
    let whole = reader.whole_at(position)?.filter(|header| fits(frame, header, least));
    Ok(whole.map(|header| Placed { position, header }))
}

/// Whether sound batches from `position` on end exactly at `end`.
fn leads_to(
    reader: &mut Reader<'_>,
    frame: &Frame<'_>,
    mut position: u64,
    mut least: Offset,
    end: u64,
) -> io::Result<bool> {
    while position < end {
        let Some(found) = sound_at(reader, frame, position, least)? else { return Ok(false) };
        (position, least) = (found.end(), found.header.next_offset());
    }
    Ok(position == end)
}
