//! The quick look at a record against the parser, and the walk in place against the walk through the window.

use ottla_types::Millis;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::BatchBuilder;

/// Bytes of records: whole ones, with a few changed.
fn bodies() -> impl Strategy<Value = (i32, Vec<u8>)> {
    let value = prop_oneof![vec(any::<u8>(), 0..5), (0usize..20_000).prop_map(|len| vec![7; len])];
    let record = (0i64..1 << 22, prop::option::of(value.clone()), prop::option::of(value), 0usize..2);
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (vec(record, 1..20), changes).prop_map(|(records, changes)| {
        let mut builder = BatchBuilder::new();
        for (time, key, value, headers) in &records {
            let headers = vec![(&b"h"[..], value.as_deref()); *headers];
            builder.append_with_headers(Millis(*time), key.as_deref(), value.as_deref(), &headers);
        }
        let mut body = builder.build().unwrap()[crate::HEADER_LEN..].to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len().min(60));
            body[at] = byte;
        }
        (records.len() as i32, body)
    })
}

fn in_place(count: i32, body: &[u8]) -> (Vec<Shape>, Result<(), RecordError>) {
    let mut shapes = Vec::new();
    let end = walk_slice(count, body, |shape| shapes.push(shape));
    (shapes, end)
}

fn streamed(count: i32, body: &[u8]) -> (Vec<Shape>, Result<(), RecordError>) {
    let mut shapes = Vec::new();
    let source = Decompressor::new(Compression::None, body, u64::MAX).unwrap();
    let end = walk_stream(count, Window::new(source), |shape| shapes.push(shape));
    (shapes, end)
}

fn parsed(count: i32, mut body: &[u8]) -> (Vec<Shape>, bool) {
    let mut shapes = Vec::new();
    for _ in 0..count {
        match next_fields(&mut body) {
            Ok(fields) => shapes.push(fields.into()),
            Err(_) => return (shapes, false),
        }
    }
    (shapes, body.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_ways_to_walk_agree((count, body) in bodies()) {
        let (shapes, end) = in_place(count, &body);
        prop_assert_eq!((shapes.clone(), end.is_ok()), parsed(count, &body));
        let (other, other_end) = streamed(count, &body);
        prop_assert_eq!((shapes, end.is_ok()), (other, other_end.is_ok()));
    }
}

#[test]
fn a_plain_record_is_skimmed_and_others_are_not() {
    let plain = [12, 0, 0, 0, 1, 1, 0];
    let shape = Shape { timestamp_delta: 0, offset_delta: 0, has_key: false };
    assert_eq!(skim(&plain), Some((shape, 7)));
    for len in 0..plain.len() {
        assert_eq!(skim(&plain[..len]), None, "cut to {len}");
    }
    for (at, byte) in [(0, 10), (0, 14), (0, 1), (4, 3), (5, 3), (6, 2), (4, 2)] {
        let mut other = plain;
        other[at] = byte;
        assert_eq!(skim(&other), None, "byte {at} is {byte}");
    }
}
