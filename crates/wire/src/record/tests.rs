use super::*;
use crate::messages::{
    ConsumerGroupMemberMetadataValue, GroupMetadataKey, OffsetCommitKey, OffsetCommitValue, TransactionLogKey,
};

#[test]
fn a_key_begins_with_the_type_of_its_record() {
    let key = OffsetCommitKey { group: "g".to_owned(), topic: "t".to_owned(), partition: 3 };
    let bytes = encode_record_key(&key).unwrap();
    assert_eq!(bytes[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    let (record_type, mut rest) = split_record_key(bytes).unwrap();
    assert_eq!(record_type, OffsetCommitKey::RECORD_TYPE);
    assert_eq!(OffsetCommitKey::decode(&mut rest, 0), Ok(key));
    assert_eq!((GroupMetadataKey::RECORD_TYPE, TransactionLogKey::RECORD_TYPE), (2, 0));
}

#[test]
fn a_value_begins_with_its_version() {
    let value = OffsetCommitValue { offset: 8, leader_epoch: 4, metadata: "m".to_owned(), ..Default::default() };
    for version in 3..=4 {
        let bytes = encode_record_value(&value, version).unwrap();
        assert_eq!(bytes[..2], version.to_be_bytes());
        assert_eq!(decode_record_value(bytes), Ok(value.clone()));
    }
}

#[test]
fn a_value_of_an_unknown_version_is_an_error() {
    let read = decode_record_value::<OffsetCommitValue>(Bytes::from_static(&[0, 99, 0]));
    assert_eq!(read, Err(DecodeError::Version { version: 99, known: OffsetCommitValue::VERSIONS }));
    assert!(split_record_key(Bytes::from_static(&[0])).is_err());
}

#[test]
fn a_tagged_struct_is_null_in_the_way_kafka_writes_it() {
    let value = ConsumerGroupMemberMetadataValue { classic_member_metadata: None, ..Default::default() };
    let bytes = encode_record_value(&value, 0).unwrap();
    // One tagged field: tag 0, one byte, null.
    assert_eq!(bytes[bytes.len() - 4..], [1, 0, 1, 0]);
    assert_eq!(decode_record_value(bytes), Ok(value));
}

#[test]
fn large_values_come_in_one_piece() {
    let member = crate::messages::group_metadata_value::MemberMetadata {
        subscription: Bytes::from(vec![7; 10_000]),
        ..Default::default()
    };
    let value = crate::messages::GroupMetadataValue { members: vec![member], ..Default::default() };
    let bytes = encode_record_value(&value, 3).unwrap();
    assert!(bytes.len() > 10_000);
    assert_eq!(decode_record_value(bytes), Ok(value));
}
