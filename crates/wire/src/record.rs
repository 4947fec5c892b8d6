//! Keys and values of records in internal topics.
//!
//! Both begin with 16 bits: in a key they say which type of record it is, in a value which version of that type.

use bytes::Bytes;

use crate::{DecodeError, EncodeError, Message, Reader, Writer};

/// Key of a record in an internal topic.
pub trait RecordKey: Message {
    /// Which type of record.
    const RECORD_TYPE: i16;
}

/// Value of a record in an internal topic.
pub trait RecordValue: Message {
    /// Which type of record.
    const RECORD_TYPE: i16;
}

/// The bytes of a record's key.
///
/// # Errors
/// As [`Message::encode`].
pub fn encode_record_key<K: RecordKey>(key: &K) -> Result<Bytes, EncodeError> {
    prefixed(K::RECORD_TYPE, key, K::VERSIONS.max)
}

/// The bytes of a record's value.
///
/// # Errors
/// As [`Message::encode`].
pub fn encode_record_value<V: RecordValue>(value: &V, version: i16) -> Result<Bytes, EncodeError> {
    encode_versioned(value, version)
}

/// A message with its version in front, as 16 bits: so are values of records written, and what the members of a classic
/// group tell each other.
///
/// # Errors
/// As [`Message::encode`].
pub fn encode_versioned<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    prefixed(version, message, version)
}

/// The type of a record, and a reader on the rest of its key.
///
/// # Errors
/// `Truncated` for a key of fewer than two bytes.
pub fn split_record_key(key: Bytes) -> Result<(i16, Reader), DecodeError> {
    let mut r = Reader::new(key);
    Ok((r.i16()?, r))
}

/// Reads a record's value.
///
/// # Errors
/// As [`Message::decode`].
pub fn decode_record_value<V: RecordValue>(value: Bytes) -> Result<V, DecodeError> {
    let mut r = Reader::new(value);
    let version = r.i16()?;
    V::decode(&mut r, version)
}

fn prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::with_capacity(64);
    w.i16(prefix);
    message.encode(&mut w, version)?;
    Ok(w.finish().read().expect("such messages hold no record data, so nothing lies in a file"))
}

#[cfg(test)]
mod tests;
