//! Records of `__transaction_state`, in Kafka's schemas at the versions that Kafka 4.3.1 writes.

use bytes::Bytes;
use ottla_wire::{
    DecodeError, EncodeError, Message, RecordKey, decode_record_value, encode_record_key, encode_record_value,
    messages::{transaction_log_key::TransactionLogKey, transaction_log_value::TransactionLogValue},
    split_record_key,
};

/// Version of values that are written.
const VALUE_VERSION: i16 = 1;

/// One record: a key, and a value unless it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionRecord {
    /// What is known of a transactional id.
    State(TransactionLogKey, Option<TransactionLogValue>),
    /// A record of a type that is not known here; skipped.
    Other {
        /// Its type.
        kind: i16,
    },
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Key or value do not fit their schema.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Records of a compacted topic have one.
    #[error("a record without a key")]
    NoKey,
}

impl TransactionRecord {
    /// Key and value as they stand in the log.
    ///
    /// # Errors
    /// A string or an array too long for the schema.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::State(key, value) => {
                let value = value.as_ref().map(|value| encode_record_value(value, VALUE_VERSION));
                Ok((encode_record_key(key)?, value.transpose()?))
            }
            Self::Other { kind } => Ok((Bytes::copy_from_slice(&kind.to_be_bytes()), None)),
        }
    }

    /// Reads one record of the log.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Self, RecordError> {
        let (kind, mut rest) = split_record_key(key.ok_or(RecordError::NoKey)?)?;
        Ok(match kind {
            TransactionLogKey::RECORD_TYPE => Self::State(
                TransactionLogKey::decode(&mut rest, TransactionLogKey::VERSIONS.max)?,
                value.map(decode_record_value).transpose()?,
            ),
            kind => Self::Other { kind },
        })
    }
}
