//! Taking records out of a stored batch, as compaction does.
//!
//! Invariants: a batch keeps its base and last offset, its sequences, its producer, its leader epoch and its codec,
//! whatever is taken out; a record that stays keeps its bytes, but for its time delta where the batch gets a delete horizon:
//! the horizon takes the place of the time that deltas count from. A batch of which all stays is not made anew.

use bytes::Bytes;
use ottla_types::{Compression, Millis, TimestampType};

use crate::{
    BatchHeader, BatchRef, HEADER_LEN, LOG_OVERHEAD, Record, RecordError,
    compression::{CompressError, compress},
    crc_of, crc_of_parts,
    input::Input,
    reader::records_of,
    records::next_bytes,
    varint,
};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retained {
    /// All of it, as it is.
    Whole,
    /// This batch, which takes its place.
    Part(Bytes),
    /// No record.
    Nothing,
}

/// Why a batch cannot be gone over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetainError {
    /// Its records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its codec refused.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// What is left would not fit a batch's 31-bit length.
    #[error("a batch of {0} bytes is too large")]
    TooLarge(usize),
}

/// When the tombstones and markers of a batch that has no delete horizon yet may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Horizon {
    IfTombstones(Millis),
    Always(Millis),
}

/// Goes over batches; keeps its buffer from one to the next.
#[derive(Debug, Default)]
pub struct Retainer {
    /// The records that stay, each behind its length, uncompressed.
    body: Vec<u8>,
    recounted: Vec<u8>,
}

/// What was seen of the records.
struct Seen {
    all: bool,
    kept: i32,
    tombstones: bool,
    newest: Millis,
}

impl Retainer {
    /// Leaves in `batch` the records that `keep` says yes to. Where a record without a value is among them and the batch
    /// has no delete horizon, it becomes `horizon`.
    ///
    /// # Errors
    /// The batch is broken.
    pub fn retain(
        &mut self,
        batch: &BatchRef<'_>,
        horizon: Millis,
        keep: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Retained, RetainError> {
        self.run(batch, Horizon::IfTombstones(horizon), keep)
    }

    /// The same batch with the delete horizon `horizon`.
    ///
    /// # Errors
    /// The batch is broken.
    pub fn with_horizon(&mut self, batch: &BatchRef<'_>, horizon: Millis) -> Result<Retained, RetainError> {
        self.run(batch, Horizon::Always(horizon), |_| true)
    }

    fn run(
        &mut self,
        batch: &BatchRef<'_>,
        horizon: Horizon,
        keep: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Retained, RetainError> {
        let seen = self.gather(batch, keep)?;
        let header = batch.header();
        let horizon = match horizon {
            _ if header.delete_horizon().is_some() => None,
            Horizon::IfTombstones(horizon) => seen.tombstones.then_some(horizon),
            Horizon::Always(horizon) => Some(horizon),
        };
        match (seen.kept, seen.all && horizon.is_none()) {
            (0, _) => Ok(Retained::Nothing),
            (_, true) => Ok(Retained::Whole),
            _ => Ok(Retained::Part(self.build(*header, &seen, horizon)?)),
        }
    }

    fn gather(&mut self, batch: &BatchRef<'_>, mut keep: impl FnMut(&Record<'_>) -> bool) -> Result<Seen, RetainError> {
        let mut seen = Seen { all: true, kept: 0, tombstones: false, newest: Millis::NONE };
        self.body.clear();
        let mut records = records_of(batch)?;
        while let Some((record, bytes)) = records.next_with_bytes()? {
            if !keep(&record) {
                seen.all = false;
                continue;
            }
            seen.kept += 1;
            seen.tombstones |= record.value.is_none();
            seen.newest = seen.newest.max(record.timestamp);
            varint::write(&mut self.body, bytes.len() as i64);
            self.body.extend_from_slice(bytes);
        }
        Ok(seen)
    }

    fn build(&mut self, mut header: BatchHeader, seen: &Seen, horizon: Option<Millis>) -> Result<Bytes, RetainError> {
        header.records_count = seen.kept;
        if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = seen.newest;
        }
        let mut body = &self.body;
        if let Some(horizon) = horizon {
            recount(&self.body, header.base_timestamp.0.wrapping_sub(horizon.0), &mut self.recounted)?;
            body = &self.recounted;
            header.base_timestamp = horizon;
            header.attributes = header.attributes.with_delete_horizon(true);
        }
        match header.attributes.compression().map_err(RecordError::from)? {
            Compression::None => sealed(&mut header, body),
            codec => sealed(&mut header, &compress(codec, None, body)?),
        }
    }
}

fn sealed(header: &mut BatchHeader, body: &[u8]) -> Result<Bytes, RetainError> {
    let size = HEADER_LEN + body.len();
    header.batch_length = i32::try_from(size - LOG_OVERHEAD).map_err(|_| RetainError::TooLarge(size))?;
    let mut head = [0; HEADER_LEN];
    header.write_to(&mut head);
    header.crc = crc_of_parts(&head, body);
    header.write_to(&mut head);
    Ok([&head, body].concat().into())
}

/// Adds `shift` to the time delta of every record in `body`.
fn recount(mut body: &[u8], shift: i64, out: &mut Vec<u8>) -> Result<(), RecordError> {
    out.clear();
    while !body.is_empty() {
        let mut record = next_bytes(&mut body)?;
        let attributes = record.byte()?;
        let delta = record.varlong()?.wrapping_add(shift);
        let mut head = vec![attributes];
        varint::write(&mut head, delta);
        varint::write(out, (head.len() + record.len()) as i64);
        out.extend_from_slice(&head);
        out.extend_from_slice(record);
    }
    Ok(())
}

/// A batch of the same offsets, sequences, producer and times without a record: what is left where a batch has to stay for
/// what its header says.
#[must_use]
pub fn emptied(header: &BatchHeader) -> [u8; HEADER_LEN] {
    let attributes = header.attributes.with_compression(Compression::None).with_delete_horizon(false);
    let mut header = BatchHeader {
        attributes,
        batch_length: (HEADER_LEN - LOG_OVERHEAD) as i32,
        base_timestamp: Millis::NONE,
        records_count: 0,
        ..*header
    };
    let mut bytes = [0; HEADER_LEN];
    header.write_to(&mut bytes);
    header.crc = crc_of(&bytes);
    header.write_to(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
