//! What lies in the files of a partition's directory, for those who look at them from outside of a log.

use ottla_types::{Millis, Offset, ProducerEpoch, ProducerId};

use crate::{
    AbortedTransaction, BatchMark,
    index::{Entry, offset_index::OffsetEntry, time_index::TimeEntry},
    producer_state::snapshot_rows,
};
pub use crate::{
    index::txn_index::ENTRY_LEN as TXN_ENTRY_LEN,
    producer_state::SnapshotError,
    segment::name::{FileKind, parse_file_name},
};

/// Bytes of an entry of an offset index.
pub const OFFSET_ENTRY_LEN: usize = OffsetEntry::LEN;
/// Bytes of an entry of a time index.
pub const TIME_ENTRY_LEN: usize = TimeEntry::LEN;

/// Offsets and positions that an offset index of the segment at `base` names.
pub fn offset_entries(base: Offset, bytes: &[u8]) -> impl Iterator<Item = (Offset, u64)> + '_ {
    bytes.chunks_exact(OFFSET_ENTRY_LEN).map(OffsetEntry::decode).map(move |entry| {
        let offset = base.plus(i64::from(entry.relative));
        (offset, u64::from(entry.position))
    })
}

/// Times and offsets that a time index of the segment at `base` names.
pub fn time_entries(base: Offset, bytes: &[u8]) -> impl Iterator<Item = (Millis, Offset)> + '_ {
    bytes.chunks_exact(TIME_ENTRY_LEN).map(TimeEntry::decode).map(move |entry| {
        let offset = base.plus(i64::from(entry.relative));
        (Millis(entry.timestamp), offset)
    })
}

/// The entries of an index of aborted transactions; none in place of one of an unknown version.
pub fn aborted_transactions(bytes: &[u8]) -> impl Iterator<Item = Option<AbortedTransaction>> + '_ {
    bytes.as_chunks::<TXN_ENTRY_LEN>().0.iter().map(AbortedTransaction::decode)
}

/// A producer in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Which.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Epoch of the coordinator whose marker was the last; −1 before the first.
    pub coordinator_epoch: i32,
    /// When it was last heard of.
    pub last_timestamp: Millis,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
    /// Its newest batch.
    pub last: Option<BatchMark>,
}

/// The producers in a snapshot, by id.
///
/// # Errors
/// What is wrong with the bytes.
pub fn producer_snapshot(bytes: &[u8]) -> Result<Vec<SnapshotRow>, SnapshotError> {
    let mut rows: Vec<_> = snapshot_rows(bytes)?
        .map(|(id, entry)| SnapshotRow {
            id,
            epoch: entry.epoch,
            coordinator_epoch: entry.coordinator_epoch,
            last_timestamp: entry.last_timestamp,
            transaction_start: entry.transaction_start,
            last: entry.last().copied(),
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.id);
    Ok(rows)
}
