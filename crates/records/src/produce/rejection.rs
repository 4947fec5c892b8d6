//! Why a producer's batch is not appended, and the code and words that tell it.

use ottla_types::{ErrorCode, Millis, Offset, UnknownCompression};

use crate::{BatchError, DecompressError, RecordError, compression::CompressError};

/// A rule that a produced batch breaks. Nothing of the batch is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceRejection {
    /// No whole batch of version 2, or a broken one.
    #[error("no valid record batch: {0}")]
    Batch(#[from] BatchError),
    /// Bytes after the one batch that a partition may have in a request.
    #[error("{left} bytes follow the one record batch that a request may hold for a partition")]
    MoreThanOneBatch {
        /// How many.
        left: usize,
    },
    /// Offsets are the broker's to give.
    #[error("the base offset of a produced batch must be 0, not {0}")]
    BaseOffset(Offset),
    /// Larger than `max.message.bytes`, as sent or as stored.
    #[error("the record batch takes {size} bytes or more and the topic allows {max}")]
    TooLarge {
        /// Bytes of the batch, or the least that it would take.
        size: usize,
        /// What is allowed.
        max: usize,
    },
    /// No records, or a count that does not fit the offsets.
    #[error("{count} records do not fit a last offset delta of {last_offset_delta}")]
    Count {
        /// Records declared.
        count: i32,
        /// Last offset delta declared.
        last_offset_delta: i32,
    },
    /// Control records are the broker's to write.
    #[error("a producer may not write control records")]
    Control,
    /// A producer id without a sequence number.
    #[error("a batch with a producer id needs a sequence number, and {0} is none")]
    Sequence(i32),
    /// A transaction that belongs to nobody.
    #[error("a transactional batch needs a producer id")]
    TransactionWithoutProducer,
    /// Codec 5, 6 or 7.
    #[error(transparent)]
    Codec(#[from] UnknownCompression),
    /// The records cannot be read.
    #[error("the records cannot be read: {0}")]
    Unreadable(RecordError),
    /// Records that can be read and break a rule each.
    #[error("{total} records of the batch were rejected{}", Faults(first))]
    Records {
        /// How many.
        total: i32,
        /// The first of them, at most [`ProduceRejection::FAULTS_MAX`].
        first: Vec<FaultyRecord>,
    },
    /// The batch claims the broker's timestamps.
    #[error("a producer may not set the timestamp type to LogAppendTime")]
    AppendTimeClaimed,
    /// The header's highest timestamp is out of range.
    #[error("the highest timestamp {0} is out of range")]
    MaxTimestamp(Millis),
    /// The topic's own codec refuses its level.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

/// A record that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultyRecord {
    /// Which record of the batch, from 0.
    pub batch_index: i32,
    /// The rule.
    pub fault: RecordFault,
}

/// A rule that a single record breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Offsets must count up from 0.
    #[error("offset delta {0} is not the record's place in its batch")]
    OffsetDelta(i32),
    /// A compacted topic goes by keys.
    #[error("a record without a key cannot go into a compacted topic")]
    NoKey,
    /// Too old, or too far ahead.
    #[error("timestamp {timestamp} is out of range: it should be within [{from}, {to}]")]
    Timestamp {
        /// The record's.
        timestamp: Millis,
        /// Earliest allowed.
        from: Millis,
        /// Latest allowed.
        to: Millis,
    },
}

impl From<RecordError> for ProduceRejection {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Codec(codec) => Self::Codec(codec),
            other => Self::Unreadable(other),
        }
    }
}

impl ProduceRejection {
    /// Most faulty records that are named one by one; a batch can hold a hundred thousand.
    pub const FAULTS_MAX: usize = 1000;

    /// The code to answer with: Kafka's own for the same fault, save where Kafka fails with `UNKNOWN_SERVER_ERROR`
    /// (unknown codec, broken compression, a codec that fails here).
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Batch(error) => batch_code(*error),
            Self::TooLarge { .. } | Self::Unreadable(RecordError::Decompress(DecompressError::TooLarge)) => {
                ErrorCode::MessageTooLarge
            }
            Self::Codec(_) => ErrorCode::UnsupportedCompressionType,
            Self::AppendTimeClaimed | Self::MaxTimestamp(_) => ErrorCode::InvalidTimestamp,
            Self::Records { first, .. } => records_code(first),
            // The batch is good, and another attempt, or another broker, may store it.
            Self::Compress(_) => ErrorCode::KafkaStorageError,
            Self::MoreThanOneBatch { .. }
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence(_)
            | Self::TransactionWithoutProducer
            | Self::Unreadable(_) => ErrorCode::InvalidRecord,
        }
    }

    /// The message to answer with.
    #[must_use]
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// The records to name in the answer, with a message each; none when the batch as a whole is at fault.
    pub fn record_errors(&self) -> impl Iterator<Item = (i32, String)> {
        let faulty = match self {
            Self::Records { first, .. } => first.as_slice(),
            _ => &[],
        };
        faulty.iter().map(|record| (record.batch_index, record.fault.to_string()))
    }
}

fn batch_code(error: BatchError) -> ErrorCode {
    match error {
        // formats 0 and 1 are known and not taken; other numbers are noise
        BatchError::Magic(0 | 1) | BatchError::Incomplete { .. } => ErrorCode::InvalidRecord,
        BatchError::LastOffsetDelta(_) | BatchError::RecordsCount(_) => ErrorCode::InvalidRecord,
        BatchError::Magic(_) | BatchError::Length(_) | BatchError::Crc { .. } => ErrorCode::CorruptMessage,
    }
}

fn records_code(faulty: &[FaultyRecord]) -> ErrorCode {
    let timestamps = faulty.iter().any(|record| matches!(record.fault, RecordFault::Timestamp { .. }));
    if timestamps { ErrorCode::InvalidTimestamp } else { ErrorCode::InvalidRecord }
}

/// The first three faults in words.
struct Faults<'a>(&'a [FaultyRecord]);

impl std::fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, record) in self.0.iter().take(3).enumerate() {
            let before = if at == 0 { ": " } else { "; " };
            write!(f, "{before}record {}: {}", record.batch_index, record.fault)?;
        }
        Ok(())
    }
}
