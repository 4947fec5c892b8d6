//! Headers: what must not parse, what must come back, sequence numbers around their end.

use super::*;

fn some() -> BatchHeader {
    BatchHeader {
        base_offset: Offset(0x0102_0304_0506_0708),
        batch_length: 49,
        partition_leader_epoch: LeaderEpoch(7),
        crc: 0xdead_beef,
        attributes: Attributes(0b1_0010),
        last_offset_delta: 4,
        base_timestamp: Millis(-1),
        max_timestamp: Millis(99),
        producer_id: ProducerId(12),
        producer_epoch: ProducerEpoch(3),
        base_sequence: i32::MAX - 1,
        records_count: 5,
    }
}

fn bytes_of(header: &BatchHeader) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    header.write_to(&mut bytes);
    bytes
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut BatchHeader), error: BatchError) {
    let mut header = some();
    change(&mut header);
    assert_eq!(BatchHeader::parse(&bytes_of(&header)), Err(error));
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    check_refused(|h| h.batch_length = 48, BatchError::Length(48));
    check_refused(|h| h.batch_length = -2, BatchError::Length(-2));
    check_refused(|h| h.batch_length = i32::MAX, BatchError::Length(i32::MAX));
    check_refused(|h| h.last_offset_delta = -1, BatchError::LastOffsetDelta(-1));
    check_refused(|h| h.records_count = i32::MIN, BatchError::RecordsCount(i32::MIN));
    let bytes = bytes_of(&some());
    for have in 0..HEADER_LEN {
        assert_eq!(BatchHeader::parse(&bytes[..have]), Err(BatchError::Incomplete { have, need: HEADER_LEN }));
    }
    for magic in [0, 1, 3, -1] {
        let mut other = bytes;
        other[16] = magic as u8;
        assert_eq!(BatchHeader::parse(&other), Err(BatchError::Magic(magic)));
    }
}

#[test]
fn a_header_comes_back_as_it_was_written() {
    let header = some();
    assert_eq!(BatchHeader::parse(&bytes_of(&header)), Ok(header));
    assert_eq!(header.size_in_bytes(), HEADER_LEN);
    assert_eq!(header.next_offset(), header.base_offset.plus(5));
}

#[test]
fn an_offset_at_the_end_of_the_range_stays_there() {
    let header = BatchHeader { base_offset: Offset(i64::MAX), ..some() };
    assert_eq!(header.next_offset(), Offset(i64::MAX));
}

#[test]
fn sequence_numbers_wrap_to_zero() {
    assert_eq!(some().last_sequence(), 2);
    assert_eq!(BatchHeader { base_sequence: NO_SEQUENCE, ..some() }.last_sequence(), NO_SEQUENCE);
    assert_eq!(sequence_plus(i32::MAX, 1), 0);
    assert_eq!(sequence_plus(i32::MAX, i32::MAX), i32::MAX - 1);
    assert_eq!(sequence_minus(0, 1), i32::MAX);
    assert_eq!(sequence_minus(5, 5), 0);
}
