use std::{
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    sync::Arc,
};

use ottla_disk::{DiskFile, FileSlice};

use super::*;
use crate::{
    Message,
    messages::{self, fetch_response::PartitionData},
};

/// A file whose byte at position p is p.
#[derive(Debug)]
struct Positions;

impl DiskFile for Positions {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        (position..).zip(buf.iter_mut()).for_each(|(at, byte)| *byte = at as u8);
        Ok(buf.len())
    }

    fn write_all_at(&self, _: &mut [IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(256)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn slice(position: u64, len: usize) -> FileSlice {
    FileSlice { file: Arc::new(Positions), position, len }
}

fn written(write: impl FnOnce(&mut Writer) -> Written) -> Vec<u8> {
    let mut w = Writer::default();
    write(&mut w).unwrap();
    w.finish().read().unwrap().to_vec()
}

#[test]
fn lengths_and_nulls_have_two_forms() {
    assert_eq!(written(|w| w.string(false, "ab")), [0, 2, b'a', b'b']);
    assert_eq!(written(|w| w.string(true, "ab")), [3, b'a', b'b']);
    assert_eq!(written(|w| w.nullable_string(false, None)), [0xff, 0xff]);
    assert_eq!(written(|w| w.nullable_bytes(false, None)), [0xff; 4]);
    assert_eq!(written(|w| w.nullable_records(true, None)), [0]);
    assert_eq!(written(|w| w.nullable_struct(None::<&i8>, |_, _| Ok(()))), [0xff]);
    assert_eq!(written(|w| w.tagged_struct(None::<&i8>, |_, _| Ok(()))), [0]);
    let one = |w: &mut Writer, x: &i8| {
        w.i8(*x);
        Ok(())
    };
    let numbers = |w: &mut Writer, flex| w.array(flex, &[1, 2], one);
    assert_eq!(written(|w| numbers(w, false)), [0, 0, 0, 2, 1, 2]);
    assert_eq!(written(|w| numbers(w, true)), [3, 1, 2]);
}

#[test]
fn a_string_over_16_bits_is_refused_in_both_forms() {
    let long = "x".repeat(STRING_BYTES_MAX + 1);
    for flex in [false, true] {
        let refused = Writer::default().string(flex, &long);
        assert_eq!(refused, Err(EncodeError::StringTooLong { bytes: 32_768 }));
        assert_eq!(Writer::default().string(flex, &long[1..]), Ok(()));
    }
}

#[test]
fn large_bytes_and_files_are_segments_in_their_place() {
    let large = Bytes::from(vec![7; COPY_BYTES_MAX + 1]);
    let mut w = Writer::frame();
    w.bytes(false, &large).unwrap();
    w.i8(1);
    w.records(false, &slice(5, 3).into()).unwrap();
    w.records(false, &slice(0, 0).into()).unwrap();
    w.i8(2);
    let encoded = w.finish_frame().unwrap();

    let shape = encoded.segments.iter().map(|segment| (matches!(segment, Segment::File(_)), segment.len()));
    assert_eq!(shape.collect::<Vec<_>>(), [(false, 8), (false, large.len()), (false, 5), (true, 3), (false, 5)]);
    let bytes = encoded.read().unwrap();
    assert_eq!(bytes.len() as u64, encoded.len);
    assert_eq!(bytes[..4], (bytes.len() as i32 - 4).to_be_bytes());
    assert_eq!(bytes[8 + large.len()..], [1, 0, 0, 0, 3, 5, 6, 7, 0, 0, 0, 0, 2]);
    let Segment::Bytes(shared) = &encoded.segments[1] else { panic!("no segment in memory") };
    assert_eq!(shared.as_ptr(), large.as_ptr(), "large bytes were copied");
}

#[test]
fn a_frame_that_32_bits_cannot_describe_is_refused() {
    let mut w = Writer::frame();
    w.records(true, &slice(0, i32::MAX as usize).into()).unwrap();
    assert!(matches!(w.finish_frame(), Err(EncodeError::TooLong { .. })));
    let too_long = Writer::default().records(true, &slice(0, i32::MAX as usize + 1).into());
    assert_eq!(too_long, Err(EncodeError::TooLong { len: 1 << 31 }));
}

#[test]
fn a_fetch_response_carries_file_slices() {
    let partition = PartitionData { records: Some(slice(1, 9).into()), ..PartitionData::default() };
    let topic = messages::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    let response = messages::FetchResponse { responses: vec![topic], ..Default::default() };
    let mut w = Writer::default();
    response.encode(&mut w, 12).unwrap();
    let encoded = w.finish();
    assert!(matches!(&encoded.segments[..], [Segment::Bytes(_), Segment::File(_), Segment::Bytes(_)]));

    let mut r = crate::Reader::new(encoded.read().unwrap());
    let read = messages::FetchResponse::decode(&mut r, 12).unwrap();
    let records = read.responses[0].partitions[0].records.as_ref().unwrap();
    assert_eq!(records.read().unwrap()[..], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_a_version_cannot_say_is_an_error_or_left_out() {
    let request = messages::MetadataRequest { topics: None, ..Default::default() };
    let null = request.encode(&mut Writer::default(), 0);
    assert_eq!(null, Err(EncodeError::Null { field: "Topics" }));
    assert_eq!(request.encode(&mut Writer::default(), 1), Ok(()));
    let known = messages::MetadataRequest::VERSIONS;
    assert_eq!(request.encode(&mut Writer::default(), 99), Err(EncodeError::Version { version: 99, known }));
}
