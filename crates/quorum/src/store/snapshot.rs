//! Snapshots: a whole image as records, so that the log before it can go.
//!
//! A file of frames: a head (version, last entry, membership, number of record frames), then batches of records. Written
//! under a temporary name and renamed when durable, so a file with a snapshot's name is whole, or damaged.

use std::{
    io,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_controller::{MetadataImage, MetadataRecord, decode_batch, encode_batch};
use ottla_disk::{Disk, OpenMode};

use super::{
    OpenError,
    codec::{FormatError, Input, put_log_id, put_stored_membership, take_log_id, take_stored_membership},
    frame::{Frame, put_frame, read_frame},
    segments::not_durable,
};
use crate::raft::{LogId, StoredMembership};

const PREFIX: &str = "snapshot-";
const VERSION: u8 = 1;
/// Records in one frame: some 100 KiB, so that neither writing nor reading holds the snapshot in memory twice.
const BATCH_LEN: usize = 1000;

/// An image, and the entry it ends with.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Last entry that the image holds.
    pub(crate) last: LogId,
    /// Membership as of that entry.
    pub(crate) membership: StoredMembership,
    /// The image; its version is the entry's index.
    pub(crate) image: Arc<MetadataImage>,
}

impl Snapshot {
    /// Writes the snapshot and then removes older ones; gives its length in bytes.
    ///
    /// # Errors
    /// As the disk says; the older ones are untouched then.
    pub(crate) fn save(&self, disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<u64> {
        let name = format!("{PREFIX}{:020}", self.last.index);
        let temporary = dir.join(format!("{name}.tmp"));
        let len = self.write(disk, &temporary).inspect_err(|_| {
            let _ = disk.remove_file(&temporary); // on a full disk it would take room
        })?;
        disk.rename(&temporary, &dir.join(&name))?;
        disk.sync_dir(dir).map_err(not_durable)?;
        remove_others(disk, dir, &name)?;
        Ok(len)
    }

    fn write(&self, disk: &Arc<dyn Disk>, temporary: &Path) -> io::Result<u64> {
        let file = disk.open(temporary, OpenMode::Create)?;
        file.set_len(0)?;
        let mut at = 0;
        let mut write = |body: &[u8]| {
            let mut bytes = Vec::new();
            put_frame(&mut bytes, at, body);
            file.write_all_at(&mut [IoSlice::new(&bytes)], at)?;
            at += bytes.len() as u64;
            io::Result::Ok(())
        };
        let records: Vec<MetadataRecord> = self.image.records().collect();
        let batches = records.chunks(BATCH_LEN);
        write(&self.head(batches.len() as u64))?;
        let mut body = Vec::new();
        for batch in batches {
            body.clear();
            encode_batch(batch, &mut body);
            write(&body)?;
        }
        file.sync_data().map_err(not_durable)?;
        Ok(at)
    }

    fn head(&self, batches: u64) -> Vec<u8> {
        let mut body = vec![VERSION];
        put_log_id(&mut body, &self.last);
        body.extend_from_slice(&batches.to_be_bytes());
        put_stored_membership(&mut body, &self.membership);
        body
    }

    /// The newest snapshot, with its length in bytes; none where there is none.
    pub(super) fn load(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Option<(Self, u64)>, OpenError> {
        let Some(name) = names(disk, dir).map_err(|error| OpenError::io(dir, error))?.pop() else {
            return Ok(None);
        };
        let path = dir.join(name);
        let bytes = super::read_file(disk, &path)?;
        let len = bytes.len() as u64;
        decode(&path, &bytes).map(|snapshot| Some((snapshot, len)))
    }
}

/// Names of whole snapshots, oldest first.
fn names(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<Vec<String>> {
    let whole = |name: &str| name.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let mut names: Vec<_> = disk.list(dir)?.into_iter().map(|entry| entry.name).filter(|name| whole(name)).collect();
    names.sort();
    Ok(names)
}

fn remove_others(disk: &Arc<dyn Disk>, dir: &Path, keep: &str) -> io::Result<()> {
    for name in names(disk, dir)? {
        if name.as_str() < keep {
            disk.remove_file(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Walks the frames of a snapshot file.
struct Frames<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    fn next(&mut self) -> Result<Frame<'a>, OpenError> {
        let frame = read_frame(&self.bytes[self.at..]).ok_or_else(|| self.damaged())?;
        self.at += frame.len();
        Ok(frame)
    }

    fn damaged(&self) -> OpenError {
        OpenError::Damaged { path: self.path.to_owned(), position: self.at as u64 }
    }

    fn format(&self, error: FormatError) -> OpenError {
        OpenError::Format { path: PathBuf::from(self.path), position: self.at as u64, error }
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Snapshot, OpenError> {
    let mut frames = Frames { path, bytes, at: 0 };
    let head = frames.next()?;
    let (last, batches, membership) = decode_head(head.body).map_err(|error| frames.format(error))?;
    let mut image = MetadataImage::default();
    for _ in 0..batches {
        let frame = frames.next()?;
        let records = decode_batch(frame.body).map_err(|error| frames.format(error.into()))?;
        let (next, _) =
            image.apply(&records, last.index).map_err(|error| OpenError::Replay { path: path.to_owned(), error })?;
        image = next;
    }
    if frames.at != bytes.len() {
        return Err(frames.damaged());
    }
    // An image without a record is still an image of that version.
    let image = image.apply(&[], last.index).map_or(image, |(image, _)| image);
    Ok(Snapshot { last, membership, image: Arc::new(image) })
}

/// The head of a snapshot: its last entry, the number of record frames, the membership.
pub(crate) fn decode_head(body: &[u8]) -> Result<(LogId, u64, StoredMembership), FormatError> {
    let mut from = Input(body);
    let version = from.u8()?;
    if version != VERSION {
        return Err(FormatError::UnknownVersion(version));
    }
    let (last, batches) = (take_log_id(&mut from)?, from.u64()?);
    let membership = take_stored_membership(&mut from)?;
    from.end()?;
    Ok((last, batches, membership))
}
