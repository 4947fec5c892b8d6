//! Walking over every record of a batch to see that it can be read, keeping nothing.
//!
//! Invariants: uncompressed bodies are walked in place without allocating; compressed ones through a fixed window,
//! whatever the size of a record; the walk stops at the declared count and complains of what remains.

use ottla_types::Compression;

use crate::{
    BatchHeader, RecordError,
    compression::{Decompressor, decompressed_max},
    record::{self, Fields},
    records::next_fields,
    window::{WINDOW_LEN, Window},
};

/// What a check wants to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

impl<S> From<Fields<S>> for Shape {
    #[inline]
    fn from(fields: Fields<S>) -> Self {
        Self {
            timestamp_delta: fields.timestamp_delta,
            offset_delta: fields.offset_delta,
            has_key: fields.key.is_some(),
        }
    }
}

/// Calls `visit` with every record of the batch made of `header` and `body`.
pub(crate) fn walk(header: &BatchHeader, body: &[u8], visit: impl FnMut(Shape)) -> Result<(), RecordError> {
    match header.attributes.compression()? {
        Compression::None => walk_slice(header.records_count, body, visit),
        codec => {
            let source = Decompressor::new(codec, body, decompressed_max(body.len()))?;
            walk_stream(header.records_count, Window::new(source), visit)
        }
    }
}

fn walk_slice(declared: i32, mut body: &[u8], mut visit: impl FnMut(Shape)) -> Result<(), RecordError> {
    for found in 0..declared {
        if body.is_empty() {
            return Err(RecordError::Missing { found, declared });
        }
        visit(next_fields(&mut body)?.into());
    }
    if body.is_empty() { Ok(()) } else { Err(RecordError::Trailing) }
}

fn walk_stream(declared: i32, mut window: Window<'_>, mut visit: impl FnMut(Shape)) -> Result<(), RecordError> {
    for found in 0..declared {
        let len = window.record_len()?.ok_or(RecordError::Missing { found, declared })?;
        let shape = if len <= WINDOW_LEN {
            record::parse(&mut window.whole(len)?)?.into()
        } else {
            record::parse(&mut window.passing(len))?.into()
        };
        visit(shape);
    }
    if window.is_at_end()? { Ok(()) } else { Err(RecordError::Trailing) }
}
