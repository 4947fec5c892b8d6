//! `.txnindex`: the aborted transactions whose marker lies in the segment, in the order of their markers.
//!
//! Entry, 34 bytes, big endian: version i16 (0), producer id i64, first offset of the transaction i64, offset of its
//! marker i64, last stable offset when the marker was appended i64. The file exists only where there is an entry.

use std::io::{self, IoSlice};

use ottla_disk::DiskFile;
use ottla_types::{Offset, ProducerId};

/// Bytes of an entry.
pub const ENTRY_LEN: usize = 34;
/// The only version.
const VERSION: i16 = 0;
/// Entries read in one call.
const BLOCK: usize = 64;

/// A transaction that a reader of committed records must leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// First offset of the transaction in this partition.
    pub first_offset: Offset,
    /// Offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset right after the marker: no transaction that began before it is still open.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    pub(crate) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        out[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields = [self.producer_id.0, self.first_offset.0, self.last_offset.0, self.last_stable_offset.0];
        for (field, slot) in fields.iter().zip(out[2..].chunks_exact_mut(8)) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    /// None where the version is not known.
    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> Option<Self> {
        if bytes[..2] != VERSION.to_be_bytes() {
            return None;
        }
        let mut fields = bytes[2..].chunks_exact(8).map(|field| field.try_into().map_or(-1, i64::from_be_bytes));
        let mut next = || fields.next().unwrap_or(-1);
        Some(Self {
            producer_id: ProducerId(next()),
            first_offset: Offset(next()),
            last_offset: Offset(next()),
            last_stable_offset: Offset(next()),
        })
    }
}

/// Adds an entry behind those that are there.
///
/// # Errors
/// As the file system says.
pub(crate) fn append(file: &dyn DiskFile, entry: &AbortedTransaction) -> io::Result<()> {
    let whole = file.len()? / ENTRY_LEN as u64 * ENTRY_LEN as u64; // a torn entry at the end is written over
    file.write_all_at(&mut [IoSlice::new(&entry.encode())], whole)
}

/// Calls `each` with every entry in file order until it says false; entries of unknown versions end the walk.
///
/// # Errors
/// As the file system says.
pub(crate) fn walk(file: &dyn DiskFile, mut each: impl FnMut(AbortedTransaction) -> bool) -> io::Result<()> {
    let mut bytes = [0; BLOCK * ENTRY_LEN];
    let mut position = 0;
    loop {
        let read = file.read_at(&mut bytes, position)?;
        for entry in bytes[..read].as_chunks::<ENTRY_LEN>().0 {
            match AbortedTransaction::decode(entry) {
                Some(entry) if each(entry) => {}
                _ => return Ok(()),
            }
        }
        if read < bytes.len() {
            return Ok(());
        }
        position += read as u64;
    }
}

/// Bytes of the entries whose marker lies before `end`, up to what cannot be an entry of the segment at `base`: a crash may
/// leave zeros where entries were.
///
/// # Errors
/// As the file system says.
pub(crate) fn kept(file: &dyn DiskFile, base: Offset, end: Offset) -> io::Result<u64> {
    let mut kept = 0;
    let mut next = base;
    walk(file, |entry| {
        let fits = entry.last_offset >= next && entry.last_offset < end && entry.first_offset < entry.last_offset;
        kept += u64::from(fits);
        next = entry.last_offset.plus(1);
        fits
    })?;
    Ok(kept * ENTRY_LEN as u64)
}
