//! Between a shard's records and the batches of its log.

use bytes::Bytes;
use ottla_groups::{GroupRecord, RecordError as GroupRecordError};
use ottla_log::{Log, ReadBound, ReadError};
use ottla_records::{
    BatchBuilder, Batches, BuildError, CheckedBatch, ControlType, NO_SEQUENCE, RecordError, records_of,
};
use ottla_transactions::{RecordError as TransactionRecordError, TransactionRecord};
use ottla_types::{Compression, Millis, Offset, ProducerIdAndEpoch};

/// How much of a log is read at once; a longer batch is read whole.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A record as it stands in a log.
pub(crate) trait StoredRecord: Sized {
    /// Key and value.
    fn to_log(&self) -> Result<(Bytes, Option<Bytes>), BatchError>;
    /// The same back.
    fn from_log(key: Option<Bytes>, value: Option<Bytes>) -> Result<Self, BatchError>;
}

impl StoredRecord for GroupRecord {
    fn to_log(&self) -> Result<(Bytes, Option<Bytes>), BatchError> {
        Ok(self.encode()?)
    }

    fn from_log(key: Option<Bytes>, value: Option<Bytes>) -> Result<Self, BatchError> {
        Ok(Self::decode(key, value)?)
    }
}

impl StoredRecord for TransactionRecord {
    fn to_log(&self) -> Result<(Bytes, Option<Bytes>), BatchError> {
        Ok(self.encode()?)
    }

    fn from_log(key: Option<Bytes>, value: Option<Bytes>) -> Result<Self, BatchError> {
        Ok(Self::decode(key, value)?)
    }
}

/// Why records cannot become a batch, or a batch records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("a record that its schema cannot express: {0}")]
    Encode(#[from] ottla_wire::EncodeError),
    #[error(transparent)]
    Group(#[from] GroupRecordError),
    #[error(transparent)]
    Transaction(#[from] TransactionRecordError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Batch(#[from] ottla_records::BatchError),
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error("there is no batch where offset {0} should be")]
    Unreadable(Offset),
}

/// One batch of `records`, part of a transaction of `transaction` where that is given. What a coordinator decided is written
/// together or not at all: the bounds that clients are held to do not hold here.
pub(super) fn batch_of<R: StoredRecord>(
    records: &[R],
    transaction: Option<ProducerIdAndEpoch>,
    now: Millis,
    compression: Compression,
) -> Result<CheckedBatch, BatchError> {
    let mut builder = BatchBuilder::new().compression(compression, None);
    if let Some(producer) = transaction {
        builder = builder.producer(producer, NO_SEQUENCE).transactional(true);
    }
    for record in records {
        let (key, value) = record.to_log()?;
        builder.append(now, Some(&key[..]), value.as_deref());
    }
    Ok(builder.build_checked()?)
}

/// What stands in the log, in order.
pub(super) enum Entry<R> {
    /// A record at its offset; with the producer where it is part of a transaction.
    Record(Offset, Option<ProducerIdAndEpoch>, R),
    /// The end of a transaction.
    End(ProducerIdAndEpoch, ControlType),
}

/// Walks all of `log`.
///
/// # Errors
/// Some of it cannot be read, or is damaged, which the log knows from then on. What `each` was told is not all of it.
pub(super) fn walk<R: StoredRecord>(log: &Log, mut each: impl FnMut(Entry<R>)) -> Result<(), BatchError> {
    let mut from = log.log_start();
    // What is known to be damaged need not be come to first, which may take long.
    if let Some(damage) = log.damages().into_iter().find(|damage| damage.next > from) {
        log.read(damage.first.max(from), 0, true, ReadBound::LogEnd)?;
    }
    while from < log.log_end() {
        let read = log.read(from, READ_BYTES, true, ReadBound::LogEnd)?;
        let Some(slice) = read.records else { break }; // compaction left nothing behind
        let bytes = slice.read()?;
        let before = from;
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { break }; // the last one may be cut off
            if let Err(error) = batch.verify_crc() {
                log.doubt(from)?;
                log.read(from, 0, true, ReadBound::LogEnd)?; // which says it better
                return Err(error.into());
            }
            entries(&batch, from, &mut each)?;
            from = from.max(batch.header().last_offset().plus(1));
        }
        if from == before {
            return Err(BatchError::Unreadable(from));
        }
    }
    Ok(())
}

fn entries<R: StoredRecord>(
    batch: &ottla_records::BatchRef<'_>,
    from: Offset,
    each: &mut impl FnMut(Entry<R>),
) -> Result<(), BatchError> {
    let header = batch.header();
    let producer = header.producer();
    let transactional = header.attributes.is_transactional().then_some(producer);
    let mut records = records_of(batch)?;
    while let Some(record) = records.next_record()? {
        if record.offset < from {
            continue;
        }
        if header.attributes.is_control() {
            if let Some(end) = record.key.and_then(ControlType::from_key) {
                each(Entry::End(producer, end));
            }
            continue;
        }
        let copied = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        each(Entry::Record(record.offset, transactional, R::from_log(copied(record.key), copied(record.value))?));
    }
    Ok(())
}
