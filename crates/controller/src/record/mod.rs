//! The records of the metadata log, named and numbered as KRaft names and numbers them.
//!
//! Layout: kind (one byte), version (one byte), fields. A batch is a count and then each record behind its length.
//!
//! Invariants: what was encoded decodes to the same record; no bytes make decoding panic or reserve more than a small
//! multiple of them; a kind or version from the future is an error of its own, never a guess.

mod body;
mod codec;

pub use body::{
    ClusterId, Config, ConfigKind, ConfigResource, Endpoint, FeatureLevel, FeatureRange, FenceBroker, Partition,
    PartitionChange, PartitionState, ProducerIds, RegisterBroker, RemoveTopic, Topic, UnfenceBroker, UnregisterBroker,
};
use codec::{Field, Reader, put_varint};

/// Why bytes are not a metadata record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end inside a field.
    #[error("metadata record ends early")]
    Truncated,
    /// A field holds what it cannot.
    #[error("malformed metadata record: {0}")]
    Malformed(&'static str),
    /// A kind that this version of the program does not know: a newer one wrote it.
    #[error("unknown metadata record kind {0}")]
    UnknownKind(u8),
    /// A version that this version of the program does not know: a newer one wrote it.
    #[error("unknown version {version} of metadata record kind {kind}")]
    UnknownVersion {
        /// The kind.
        kind: u8,
        /// Its version.
        version: u8,
    },
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident = $kind:literal,)+) => {
        /// One change of the cluster's metadata.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum MetadataRecord {
            $($(#[$doc])* $name($name),)+
        }

        $(impl From<$name> for MetadataRecord {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        })+

        impl MetadataRecord {
            /// Appends the record's bytes to `out`.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(body) => {
                        out.extend_from_slice(&[$kind, 0]);
                        body.put(out);
                    })+
                }
            }

            fn decode_body(kind: u8, version: u8, from: &mut Reader<'_>) -> Result<Self, RecordError> {
                match (kind, version) {
                    $(($kind, 0) => $name::take(from).map(Self::$name),)+
                    $(($kind, _) => Err(RecordError::UnknownVersion { kind, version }),)+
                    _ => Err(RecordError::UnknownKind(kind)),
                }
            }
        }
    };
}

// KRaft's numbers. Kept free for what is to come: 6 AccessControl, 10 DelegationToken, 11 UserScramCredential,
// 14 ClientQuota, 17 BrokerRegistrationChange, 18 and 19 AccessControlEntry, 22 RemoveUserScramCredential. Ours start at 200.
records! {
    /// 0
    RegisterBroker = 0,
    /// 1
    UnregisterBroker = 1,
    /// 2
    Topic = 2,
    /// 3
    Partition = 3,
    /// 4
    Config = 4,
    /// 5
    PartitionChange = 5,
    /// 7
    FenceBroker = 7,
    /// 8
    UnfenceBroker = 8,
    /// 9
    RemoveTopic = 9,
    /// 12
    FeatureLevel = 12,
    /// 15
    ProducerIds = 15,
    /// 200
    ClusterId = 200,
}

impl MetadataRecord {
    /// Reads the one record that `bytes` hold.
    ///
    /// # Errors
    /// As [`RecordError`] says; bytes left over are malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut from = Reader::new(bytes);
        let (kind, version) = (from.byte()?, from.byte()?);
        let record = Self::decode_body(kind, version, &mut from)?;
        if from.remaining() > 0 { Err(RecordError::Malformed("bytes after the record")) } else { Ok(record) }
    }
}

/// Appends `records` as one batch to `out`.
pub fn encode_batch(records: &[MetadataRecord], out: &mut Vec<u8>) {
    put_varint(out, records.len() as u64);
    let mut one = Vec::new();
    for record in records {
        one.clear();
        record.encode(&mut one);
        put_varint(out, one.len() as u64);
        out.extend_from_slice(&one);
    }
}

/// Reads the batch that `bytes` hold.
///
/// # Errors
/// As [`RecordError`] says, of the first record that is bad.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<MetadataRecord>, RecordError> {
    let mut from = Reader::new(bytes);
    let count = from.length()?;
    let mut records = Vec::new();
    for _ in 0..count {
        let len = from.length()?;
        records.push(MetadataRecord::decode(from.slice(len)?)?);
    }
    if from.remaining() > 0 { Err(RecordError::Malformed("bytes after the batch")) } else { Ok(records) }
}
