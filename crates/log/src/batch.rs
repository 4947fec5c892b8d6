//! What the log itself reads of a batch's records: markers of transactions, and times.

use ottla_records::{BatchHeader, BatchRef, ControlType, Records, records_of};
use ottla_types::{Millis, Offset};

use crate::producer_state::Marker;

/// The end of a transaction that a control batch holds; none for other batches, other control records, and bodies that
/// cannot be read.
pub(crate) fn marker_of(header: &BatchHeader, body: &[u8]) -> Option<Marker> {
    if !header.attributes.is_control() || !header.has_producer_id() {
        return None;
    }
    let record = Records::of(header, body).ok()?.next()?.ok()?;
    let commit = match ControlType::from_key(record.key?)? {
        ControlType::Commit => true,
        ControlType::Abort => false,
    };
    // version i16, coordinator epoch i32
    let epoch = record.value?.get(2..6)?.try_into().ok()?;
    Some(Marker { commit, coordinator_epoch: i32::from_be_bytes(epoch) })
}

/// Timestamp and offset of the first record of the whole batch in `bytes` that is neither older than `timestamp` nor
/// below `from`; none where there is none, or the records cannot be read.
pub(crate) fn first_record_from(bytes: &[u8], timestamp: Millis, from: Offset) -> Option<(Millis, Offset)> {
    let batch = BatchRef::parse(bytes).ok()?;
    let mut records = records_of(&batch).ok()?;
    while let Some(record) = records.next_record().ok()? {
        if record.timestamp >= timestamp && record.offset >= from {
            return Some((record.timestamp, record.offset));
        }
    }
    None
}
