//! One record: what it is made of, and reading it without copying.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//!   | key length varint (-1 null) key | value length varint (-1 null) value
//!   | header count varint { key length varint, key, value length varint (-1 null), value }
//! ```
//! Invariants: a record that was read fills its length exactly, and all its headers can be read; duplicate header keys
//! stay, in order.

use ottla_types::{Millis, Offset, UnknownCompression};

use crate::{DecompressError, input::Input};

/// Why the records of a batch cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record, or a field of one, runs past its end.
    #[error("a record runs past its end")]
    Cut,
    /// A number of more than 5 (or 10) bytes, or wider than its type.
    #[error("a number in a record is too long")]
    Varint,
    /// A negative length where none is allowed, or below −1 where null is.
    #[error("length {0} in a record is impossible")]
    Length(i32),
    /// A negative count of headers, or more than the record has room for.
    #[error("a record cannot have {0} headers")]
    HeaderCount(i32),
    /// A record ends before its declared length does.
    #[error("a record is {0} bytes longer than its fields")]
    Unread(usize),
    /// Bytes after the last record.
    #[error("bytes follow the last record of the batch")]
    Trailing,
    /// Fewer records than the header says.
    #[error("the batch ends after {found} of {declared} records")]
    Missing {
        /// Whole records found.
        found: i32,
        /// What the header says.
        declared: i32,
    },
    /// Compressed records where uncompressed ones are asked for.
    #[error("the records are compressed")]
    Compressed,
    /// The attributes name no codec.
    #[error(transparent)]
    Codec(#[from] UnknownCompression),
    /// The compressed block is broken, or too large.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
}

/// A record within a batch; the slices are the batch's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset in the partition.
    pub offset: Offset,
    /// The producer's time, or the batch's append time.
    pub timestamp: Millis,
    /// Offset minus the batch's base offset, as stored.
    pub offset_delta: i32,
    /// Time minus the batch's base timestamp, as stored.
    pub timestamp_delta: i64,
    /// Unused by every version so far; carried along.
    pub attributes: i8,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null: a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers in the order they were given.
    pub headers: Headers<'a>,
}

/// The headers of a record: an iterator that cannot fail, because the record was read to its end before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    rest: &'a [u8],
    count: usize,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The name, UTF-8 by convention and not checked; need not be unique.
    pub key: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (key, value) = parse_header(&mut self.rest).ok()?;
        Some(RecordHeader { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// The fields of a record as they stand in the batch; `S` is a slice, or nothing where the record only passes by.
pub(crate) struct Fields<S> {
    pub(crate) attributes: i8,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<S>,
    pub(crate) value: Option<S>,
    pub(crate) header_count: usize,
    pub(crate) headers: S,
}

impl<'a> Fields<&'a [u8]> {
    pub(crate) fn headers(&self) -> Headers<'a> {
        Headers { rest: self.headers, count: self.header_count }
    }
}

/// Reads the record that `input` holds, without the length before it, to its very end.
#[inline]
pub(crate) fn parse<I: Input>(input: &mut I) -> Result<Fields<I::Span>, RecordError> {
    let attributes = input.byte()? as i8;
    let timestamp_delta = input.varlong()?;
    let offset_delta = input.varint()?;
    let key = nullable(input)?;
    let value = nullable(input)?;
    let header_count = header_count(input)?;
    let headers = input.rest();
    for _ in 0..header_count {
        parse_header(input)?;
    }
    match input.left() {
        0 => Ok(Fields { attributes, timestamp_delta, offset_delta, key, value, header_count, headers }),
        unread => Err(RecordError::Unread(unread)),
    }
}

#[inline]
fn header_count<I: Input>(input: &mut I) -> Result<usize, RecordError> {
    let count = input.varint()?;
    // a header takes two bytes at least, so a huge count fails before it is counted to
    match usize::try_from(count) {
        Ok(headers) if headers <= input.left() / 2 => Ok(headers),
        _ => Err(RecordError::HeaderCount(count)),
    }
}

fn parse_header<I: Input>(input: &mut I) -> Result<(I::Span, Option<I::Span>), RecordError> {
    let key_len = input.varint()?;
    let key = input.take(usize::try_from(key_len).map_err(|_| RecordError::Length(key_len))?)?;
    Ok((key, nullable(input)?))
}

#[inline]
fn nullable<I: Input>(input: &mut I) -> Result<Option<I::Span>, RecordError> {
    match input.varint()? {
        -1 => Ok(None),
        len => Ok(Some(input.take(usize::try_from(len).map_err(|_| RecordError::Length(len))?)?)),
    }
}
