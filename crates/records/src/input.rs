//! Where the fields of one record come from: a slice that holds it, or a stream that passes by.
//!
//! One parser ([`crate::record::parse`]) reads both. Invariant: an input never gives bytes beyond its record.

use crate::{
    RecordError,
    varint::{self, VarintError},
};

/// The bytes of one record, taken from front to end.
pub(crate) trait Input {
    /// What stands for a run of bytes: the slice itself, or nothing when it only passes by.
    type Span;

    /// Bytes of the record not yet taken.
    fn left(&self) -> usize;
    /// The next byte.
    fn byte(&mut self) -> Result<u8, RecordError>;
    /// The next zigzag number of 32 bits.
    fn varint(&mut self) -> Result<i32, RecordError>;
    /// The next zigzag number of 64 bits.
    fn varlong(&mut self) -> Result<i64, RecordError>;
    /// The next `len` bytes.
    fn take(&mut self, len: usize) -> Result<Self::Span, RecordError>;
    /// All that is left, without taking it.
    fn rest(&self) -> Self::Span;
}

impl From<VarintError> for RecordError {
    fn from(error: VarintError) -> Self {
        match error {
            VarintError::End => Self::Cut,
            VarintError::TooLong => Self::Varint,
        }
    }
}

impl<'a> Input for &'a [u8] {
    type Span = &'a [u8];

    #[inline]
    fn left(&self) -> usize {
        self.len()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.split_first().ok_or(RecordError::Cut)?;
        *self = rest;
        Ok(*first)
    }

    #[inline]
    fn varint(&mut self) -> Result<i32, RecordError> {
        let (value, len) = varint::read_i32(self)?;
        *self = &self[len..];
        Ok(value)
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, RecordError> {
        let (value, len) = varint::read_i64(self)?;
        *self = &self[len..];
        Ok(value)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<Self::Span, RecordError> {
        let (span, rest) = self.split_at_checked(len).ok_or(RecordError::Cut)?;
        *self = rest;
        Ok(span)
    }

    #[inline]
    fn rest(&self) -> Self::Span {
        self
    }
}
