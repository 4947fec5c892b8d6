use super::*;

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

#[test]
fn a_varint_takes_at_most_five_bytes_and_32_bits() {
    let read = |bytes: &[u8]| reader(bytes).uvarint();
    assert_eq!(read(&[0x00]), Ok(0));
    assert_eq!(read(&[0xac, 0x02]), Ok(300));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(DecodeError::VarintTooLong { at: 0 }));
    assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(DecodeError::VarintTooLong { at: 0 }));
    assert_eq!(read(&[0x80]), Err(DecodeError::Truncated { at: 1, wanted: 1, left: 0 }));
}

#[test]
fn null_is_a_negative_length_or_a_compact_zero() {
    assert_eq!(reader(&[0xff, 0xff]).nullable_string(false), Ok(None));
    assert_eq!(reader(&[0x00]).nullable_string(true), Ok(None));
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xfe]).nullable_bytes(false), Ok(None));
    assert_eq!(reader(&[0x00]).nullable_array(true, Reader::i8), Ok(None));
    assert_eq!(reader(&[0xff]).nullable_struct(Reader::i8), Ok(None));
    assert_eq!(reader(&[0x01, 0x07]).nullable_struct(Reader::i8), Ok(Some(7)));
    assert_eq!(reader(&[0x00]).tagged_struct(Reader::i8), Ok(None));
    assert_eq!(reader(&[0x01, 0x07]).tagged_struct(Reader::i8), Ok(Some(7)));
}

#[test]
fn null_is_refused_where_none_is_allowed() {
    assert_eq!(reader(&[0xff, 0xff]).string(false), Err(DecodeError::Null { at: 0 }));
    assert_eq!(reader(&[0x00]).bytes(true), Err(DecodeError::Null { at: 0 }));
    assert_eq!(reader(&[0x00]).array(true, Reader::i8), Err(DecodeError::Null { at: 0 }));
}

#[test]
fn a_string_is_utf8_and_not_longer_than_16_bits_say() {
    assert_eq!(reader(&[0, 2, 0xc3, 0xa4]).string(false), Ok("ä".to_owned()));
    assert_eq!(reader(&[0, 2, 0xc3, 0x28]).string(false), Err(DecodeError::NotUtf8 { at: 2 }));
    let mut long = vec![0x81, 0x80, 0x02];
    long.resize(3 + 32_768, b'x');
    assert_eq!(reader(&long).string(true), Err(DecodeError::StringTooLong { at: 0, bytes: 32_768 }));
    long[0] = 0x80;
    long[1] = 0x80;
    assert_eq!(reader(&long).string(true).map(|text| text.len()), Ok(32_767));
}

#[test]
fn an_array_is_not_longer_than_the_bytes_that_are_left() {
    let read = reader(&[0x7f, 0xff, 0xff, 0xff, 1]).array(false, Reader::i8);
    assert_eq!(read, Err(DecodeError::ArrayTooLong { at: 0, elements: 0x7fff_ffff, left: 1 }));
}

#[test]
fn elements_that_are_larger_in_memory_than_on_the_wire_are_paid_for() {
    let mut frame = 100_000_i32.to_be_bytes().to_vec();
    frame.resize(4 + 100_000, 0);
    let read = reader(&frame).array(false, |r| r.i8().map(|_| [0_u64; 8]));
    let left = 16 * frame.len() + (64 << 10);
    assert_eq!(read, Err(DecodeError::OverBudget { at: 4, wanted: 6_400_000, left }));
    assert!(reader(&frame).array(false, |r| r.i8().map(|_| [0_u64; 2])).is_ok());
}

#[test]
fn the_budget_is_one_for_all_arrays_of_a_frame() {
    let mut r = reader(&[0; 1000]);
    let mut arrays = 0;
    while r.elements(false, 0).is_ok() && r.charge(20_000).is_ok() {
        arrays += 1;
    }
    assert_eq!(arrays, ((64 << 10) + 16_000) / 20_000);
}

#[test]
fn bytes_are_a_slice_of_the_frame() {
    let frame = Bytes::from(vec![0, 0, 0, 2, 8, 9]);
    let bytes = Reader::new(frame.clone()).bytes(false).unwrap();
    assert_eq!(bytes.as_ptr(), frame[4..].as_ptr());
    assert_eq!(bytes.len(), 2);
}

#[test]
fn tags_are_read_skipped_and_kept_within_their_length() {
    let bytes = [3, 1, 1, 7, 5, 2, 9, 9, 6, 1, 4, 0xaa];
    let mut seen = Vec::new();
    let mut r = reader(&bytes);
    let read = r.tags(|r, tag| {
        if tag == 5 {
            return Ok(false);
        }
        seen.push((tag, r.i8()?));
        Ok(true)
    });
    assert_eq!((read, seen, r.left()), (Ok(()), vec![(1, 7), (6, 4)], 1));

    let longer_than_value = reader(&[1, 3, 2, 0, 0]).tags(|r, _| r.i8().map(|_| true));
    assert_eq!(longer_than_value, Err(DecodeError::TagTooLong { at: 3, tag: 3 }));
    let shorter_than_value = reader(&[1, 3, 1, 0, 0]).tags(|r, _| r.i16().map(|_| true));
    assert_eq!(shorter_than_value, Err(DecodeError::Truncated { at: 3, wanted: 2, left: 1 }));
    let past_the_frame = reader(&[1, 3, 9, 0]).skip_tags();
    assert_eq!(past_the_frame, Err(DecodeError::Truncated { at: 3, wanted: 9, left: 1 }));
}
