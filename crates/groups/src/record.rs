//! Records of `__consumer_offsets`, in Kafka's schemas at the versions that Kafka 4.3.1 writes.

use bytes::Bytes;
use ottla_wire::{
    DecodeError, EncodeError, Message, RecordKey, RecordValue, decode_record_value, encode_record_key,
    encode_record_value,
    messages::{
        consumer_group_current_member_assignment_key::ConsumerGroupCurrentMemberAssignmentKey,
        consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue,
        consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey,
        consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue,
        consumer_group_metadata_key::ConsumerGroupMetadataKey,
        consumer_group_metadata_value::ConsumerGroupMetadataValue,
        consumer_group_regular_expression_key::ConsumerGroupRegularExpressionKey,
        consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue,
        consumer_group_target_assignment_member_key::ConsumerGroupTargetAssignmentMemberKey,
        consumer_group_target_assignment_member_value::ConsumerGroupTargetAssignmentMemberValue,
        consumer_group_target_assignment_metadata_key::ConsumerGroupTargetAssignmentMetadataKey,
        consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue,
        group_metadata_key::GroupMetadataKey, group_metadata_value::GroupMetadataValue,
        legacy_offset_commit_key::LegacyOffsetCommitKey, legacy_offset_commit_value::LegacyOffsetCommitValue,
        offset_commit_key::OffsetCommitKey, offset_commit_value::OffsetCommitValue,
    },
    split_record_key,
};

/// Version of offsets that are written; one with a time to expire at needs version 1.
const OFFSET_VERSION: i16 = 4;
const OFFSET_EXPIRING_VERSION: i16 = 1;
/// Version of classic groups that are written.
const CLASSIC_VERSION: i16 = 3;
/// No time to expire at.
const NEVER: i64 = -1;

/// One record: a key, and a value unless it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the schemas say
pub enum GroupRecord {
    Offset(OffsetCommitKey, Option<OffsetCommitValue>),
    Classic(GroupMetadataKey, Option<GroupMetadataValue>),
    Epoch(ConsumerGroupMetadataKey, Option<ConsumerGroupMetadataValue>),
    Member(ConsumerGroupMemberMetadataKey, Option<ConsumerGroupMemberMetadataValue>),
    TargetEpoch(ConsumerGroupTargetAssignmentMetadataKey, Option<ConsumerGroupTargetAssignmentMetadataValue>),
    Target(ConsumerGroupTargetAssignmentMemberKey, Option<ConsumerGroupTargetAssignmentMemberValue>),
    Current(ConsumerGroupCurrentMemberAssignmentKey, Option<ConsumerGroupCurrentMemberAssignmentValue>),
    Regex(ConsumerGroupRegularExpressionKey, Option<ConsumerGroupRegularExpressionValue>),
    /// Of a kind that means nothing here: another family's, or one that newer versions no longer write.
    Other {
        kind: i16,
    },
}

/// Why a record of the internal topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Its bytes.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No key: nothing says what it is.
    #[error("a record without a key")]
    NoKey,
}

impl GroupRecord {
    /// Key and value as they stand in the log.
    ///
    /// # Errors
    /// A string or an array too long for the schema.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Offset(key, value) => {
                let expires = value.as_ref().is_some_and(|value| value.expire_timestamp != NEVER);
                pair(key, value.as_ref(), if expires { OFFSET_EXPIRING_VERSION } else { OFFSET_VERSION })
            }
            Self::Classic(key, value) => pair(key, value.as_ref(), CLASSIC_VERSION),
            Self::Epoch(key, value) => pair(key, value.as_ref(), 0),
            Self::Member(key, value) => pair(key, value.as_ref(), 0),
            Self::TargetEpoch(key, value) => pair(key, value.as_ref(), 0),
            Self::Target(key, value) => pair(key, value.as_ref(), 0),
            Self::Current(key, value) => pair(key, value.as_ref(), 0),
            Self::Regex(key, value) => pair(key, value.as_ref(), 0),
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
            LegacyOffsetCommitKey::RECORD_TYPE => {
                let key = LegacyOffsetCommitKey::decode(&mut rest, 0)?;
                let value: Option<LegacyOffsetCommitValue> = value_of(value)?;
                Self::Offset(
                    OffsetCommitKey { group: key.group, topic: key.topic, partition: key.partition },
                    value.map(|value| OffsetCommitValue {
                        offset: value.offset,
                        leader_epoch: -1,
                        metadata: value.metadata,
                        commit_timestamp: value.commit_timestamp,
                        ..OffsetCommitValue::default()
                    }),
                )
            }
            OffsetCommitKey::RECORD_TYPE => Self::Offset(key_of(&mut rest)?, value_of(value)?),
            GroupMetadataKey::RECORD_TYPE => Self::Classic(key_of(&mut rest)?, value_of(value)?),
            ConsumerGroupMetadataKey::RECORD_TYPE => Self::Epoch(key_of(&mut rest)?, value_of(value)?),
            ConsumerGroupMemberMetadataKey::RECORD_TYPE => Self::Member(key_of(&mut rest)?, value_of(value)?),
            ConsumerGroupTargetAssignmentMetadataKey::RECORD_TYPE => {
                Self::TargetEpoch(key_of(&mut rest)?, value_of(value)?)
            }
            ConsumerGroupTargetAssignmentMemberKey::RECORD_TYPE => Self::Target(key_of(&mut rest)?, value_of(value)?),
            ConsumerGroupCurrentMemberAssignmentKey::RECORD_TYPE => Self::Current(key_of(&mut rest)?, value_of(value)?),
            ConsumerGroupRegularExpressionKey::RECORD_TYPE => Self::Regex(key_of(&mut rest)?, value_of(value)?),
            kind => Self::Other { kind },
        })
    }
}

fn pair<K: RecordKey, V: RecordValue>(
    key: &K,
    value: Option<&V>,
    version: i16,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    Ok((encode_record_key(key)?, value.map(|value| encode_record_value(value, version)).transpose()?))
}

fn key_of<K: RecordKey>(rest: &mut ottla_wire::Reader) -> Result<K, DecodeError> {
    K::decode(rest, K::VERSIONS.max)
}

fn value_of<V: RecordValue>(value: Option<Bytes>) -> Result<Option<V>, DecodeError> {
    value.map(decode_record_value).transpose()
}
