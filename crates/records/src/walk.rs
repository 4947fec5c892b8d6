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
        let shape = match skim(body) {
            Some((shape, len)) => {
                body = &body[len..];
                shape
            }
            None => next_fields(&mut body)?.into(),
        };
        visit(shape);
    }
    if body.is_empty() { Ok(()) } else { Err(RecordError::Trailing) }
}

/// Reads the record at the front of `body`, with its length: its shape and how many bytes it took. Only plain records,
/// those with numbers of up to three bytes and no headers, and only whole ones: `None` leaves the others, broken ones
/// among them, to the parser.
#[inline]
fn skim(body: &[u8]) -> Option<(Shape, usize)> {
    let mut at = 0;
    let len = usize::try_from(short(body, &mut at)?).ok()?;
    let end = at + len;
    at += 1;
    let timestamp_delta = i64::from(short(body, &mut at)?);
    let offset_delta = short(body, &mut at)?;
    let key_len = short(body, &mut at)?;
    let has_key = key_len >= 0;
    at += nullable_len(key_len)?;
    at += nullable_len(short(body, &mut at)?)?;
    let is_plain = body.get(at) == Some(&0) && at + 1 == end;
    is_plain.then_some((Shape { timestamp_delta, offset_delta, has_key }, end))
}

/// Bytes that follow a length, −1 standing for null.
#[inline]
fn nullable_len(len: i32) -> Option<usize> {
    if len >= -1 { Some(len.max(0) as usize) } else { None }
}

/// A zigzag number of up to three bytes.
#[inline]
fn short(body: &[u8], at: &mut usize) -> Option<i32> {
    let a = u32::from(*body.get(*at)?);
    if a < 0x80 {
        *at += 1;
        return Some(unfold(a));
    }
    let b = u32::from(*body.get(*at + 1)?);
    if b < 0x80 {
        *at += 2;
        return Some(unfold(a & 0x7f | b << 7));
    }
    let c = u32::from(*body.get(*at + 2)?);
    if c < 0x80 {
        *at += 3;
        return Some(unfold(a & 0x7f | (b & 0x7f) << 7 | c << 14));
    }
    None
}

#[inline]
fn unfold(folded: u32) -> i32 {
    (folded >> 1) as i32 ^ -((folded & 1) as i32)
}

fn walk_stream(declared: i32, mut window: Window<'_>, mut visit: impl FnMut(Shape)) -> Result<(), RecordError> {
    for found in 0..declared {
        let shape = match skim(window.ready()) {
            Some((shape, len)) => {
                window.pass(len);
                shape
            }
            None => read_shape(&mut window)?.ok_or(RecordError::Missing { found, declared })?,
        };
        visit(shape);
    }
    if window.is_at_end()? { Ok(()) } else { Err(RecordError::Trailing) }
}

/// Any record, however long; `None` at the end of the stream.
fn read_shape(window: &mut Window<'_>) -> Result<Option<Shape>, RecordError> {
    let Some(len) = window.record_len()? else { return Ok(None) };
    let shape = if len <= WINDOW_LEN {
        record::parse(&mut window.whole(len)?)?.into()
    } else {
        record::parse(&mut window.passing(len))?.into()
    };
    Ok(Some(shape))
}

#[cfg(test)]
mod tests;
