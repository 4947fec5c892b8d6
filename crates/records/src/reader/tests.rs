//! Counts that do not fit the records, for every codec.

use ottla_types::Millis;

use super::*;
use crate::BatchBuilder;

/// How reading ends when a batch of two records declares `declared`.
fn end_of(codec: Compression, declared: i32) -> (i32, Option<RecordError>) {
    let mut builder = BatchBuilder::new().compression(codec, None);
    builder.append(Millis(1), None, Some(&[7; 30_000]));
    builder.append(Millis(1), None, None);
    let mut bytes = builder.build().unwrap().to_vec();
    bytes[57..61].copy_from_slice(&declared.to_be_bytes());
    let mut reader = records_of(&BatchRef::parse(&bytes).unwrap()).unwrap();
    for found in 0.. {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
    unreachable!("a reader ends")
}

#[test]
fn a_count_that_does_not_fit_is_an_error() {
    for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        assert_eq!(end_of(codec, 2), (2, None));
        assert_eq!(end_of(codec, 1), (1, Some(RecordError::Trailing)), "{codec:?}");
        assert_eq!(end_of(codec, 0), (0, Some(RecordError::Trailing)), "{codec:?}");
        assert_eq!(end_of(codec, 3), (2, Some(RecordError::Missing { found: 2, declared: 3 })), "{codec:?}");
    }
}
