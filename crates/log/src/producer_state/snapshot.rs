//! `<offset>.snapshot`: the producer state up to an offset.
//!
//! Big endian: version i16 (1), CRC-32C u32 of all that follows it, count i32, then per producer 46 bytes: id i64,
//! epoch i16, last sequence i32, last offset i64, last offset minus first offset of that batch i32, timestamp i64,
//! coordinator epoch i32, first offset of the open transaction i64 (−1 for none). A producer without a batch has the
//! sequence, the offset −1 and the delta 0. Only the newest batch per producer is there.

use ottla_records::{NO_SEQUENCE, sequence_minus};
use ottla_types::{Millis, Offset, ProducerEpoch, ProducerId};

use super::{BatchMark, ProducerStates, entry::ProducerEntry};

const VERSION: i16 = 1;
/// Version and checksum.
const COVERED_FROM: usize = 6;
/// Version, checksum and count.
const HEAD_LEN: usize = 10;
const ENTRY_LEN: usize = 46;

/// Why the bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not as long as its count says.
    #[error("{len} bytes are no whole snapshot")]
    Length {
        /// Bytes there.
        len: usize,
    },
    /// Of another version than 1.
    #[error("version {0}")]
    Version(i16),
    /// The checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
}

/// The bytes of the snapshot of `states`, in order of producer id.
pub(crate) fn write_snapshot(states: &ProducerStates) -> Vec<u8> {
    let mut entries: Vec<_> = states.producers.iter().collect();
    entries.sort_unstable_by_key(|(id, _)| **id);
    let mut out = Vec::with_capacity(HEAD_LEN + entries.len() * ENTRY_LEN);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    entries.into_iter().for_each(|(id, entry)| write_entry(*id, entry, &mut out));
    let checksum = crc_fast::crc32_iscsi(&out[COVERED_FROM..]);
    out[2..COVERED_FROM].copy_from_slice(&checksum.to_be_bytes());
    out
}

fn write_entry(id: ProducerId, entry: &ProducerEntry, out: &mut Vec<u8>) {
    let (sequence, offset, delta) = entry.last().map_or((NO_SEQUENCE, -1, 0), |mark| {
        (mark.last_sequence, mark.last_offset.0, mark.last_offset.0.saturating_sub(mark.first_offset.0) as i32)
    });
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(&entry.epoch.0.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&delta.to_be_bytes());
    out.extend_from_slice(&entry.last_timestamp.0.to_be_bytes());
    out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    out.extend_from_slice(&entry.transaction_start.map_or(-1, |offset| offset.0).to_be_bytes());
}

/// The state that a snapshot holds.
///
/// # Errors
/// Says what is wrong with the bytes; the state is then replayed from an older snapshot.
pub(crate) fn read_snapshot(bytes: &[u8]) -> Result<ProducerStates, SnapshotError> {
    let mut states = ProducerStates::default();
    for (id, entry) in snapshot_rows(bytes)? {
        states.insert(id, entry);
    }
    Ok(states)
}

/// The producers that a snapshot holds, in its order.
///
/// # Errors
/// As [`read_snapshot`].
pub(crate) fn snapshot_rows(
    bytes: &[u8],
) -> Result<impl Iterator<Item = (ProducerId, ProducerEntry)> + '_, SnapshotError> {
    let length = SnapshotError::Length { len: bytes.len() };
    let (head, entries) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(length)?;
    let version = i16::from_be_bytes([head[0], head[1]]);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    if head[2..COVERED_FROM] != crc_fast::crc32_iscsi(&bytes[COVERED_FROM..]).to_be_bytes() {
        return Err(SnapshotError::Checksum);
    }
    let count = u32::from_be_bytes([head[6], head[7], head[8], head[9]]) as usize;
    let (entries, rest) = entries.as_chunks::<ENTRY_LEN>();
    if entries.len() != count || !rest.is_empty() {
        return Err(length);
    }
    Ok(entries.iter().map(read_entry))
}

fn read_entry(bytes: &[u8; ENTRY_LEN]) -> (ProducerId, ProducerEntry) {
    let sequence = i32::from_be_bytes(field(bytes, 10));
    let last_offset = i64::from_be_bytes(field(bytes, 14));
    let delta = i32::from_be_bytes(field(bytes, 22));
    let timestamp = Millis(i64::from_be_bytes(field(bytes, 26)));
    let last = (last_offset >= 0).then(|| BatchMark {
        first_sequence: if sequence == NO_SEQUENCE { sequence } else { sequence_minus(sequence, delta) },
        last_sequence: sequence,
        first_offset: Offset(last_offset.saturating_sub(i64::from(delta))),
        last_offset: Offset(last_offset),
        timestamp,
    });
    let coordinator_epoch = i32::from_be_bytes(field(bytes, 34));
    let transaction_start = i64::from_be_bytes(field(bytes, 38));
    let transaction_start = (transaction_start >= 0).then_some(Offset(transaction_start));
    let epoch = ProducerEpoch(i16::from_be_bytes(field(bytes, 8)));
    let id = ProducerId(i64::from_be_bytes(field(bytes, 0)));
    (id, ProducerEntry::restore(epoch, coordinator_epoch, timestamp, transaction_start, last))
}

fn field<const N: usize>(bytes: &[u8; ENTRY_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
