//! Reads the protocol's types from a frame.
//!
//! Invariants: no read passes the end of the frame or of the tagged field it is in; an array reserves no more elements
//! than bytes are left; all memory that decoding reserves is charged to a budget of [`BUDGET_FACTOR`] times the frame
//! plus [`BUDGET_FLOOR_BYTES`], so that a small frame cannot ask for a large amount. Byte fields and records are slices
//! of the frame and cost nothing.

use std::mem;

use bytes::Bytes;
use ottla_types::Uuid;

use crate::{Records, STRING_BYTES_MAX, VersionRange};

/// Memory allowed per byte of frame. The hungriest honest message names many topics of one or two letters: a `String`
/// and an id (40 bytes) for four bytes of frame.
const BUDGET_FACTOR: usize = 16;

/// Memory allowed to every frame, so that a short one may hold a few large structs.
const BUDGET_FLOOR_BYTES: usize = 64 << 10;

/// Why bytes are not the message they should be. Positions are bytes from the start of what the reader was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message goes on after its last byte.
    #[error("{wanted} bytes wanted at byte {at}, {left} are left")]
    Truncated {
        /// Where.
        at: usize,
        /// Bytes that should follow.
        wanted: usize,
        /// Bytes that do.
        left: usize,
    },
    /// An array announces more elements than bytes follow.
    #[error("an array of {elements} elements at byte {at}, {left} bytes are left")]
    ArrayTooLong {
        /// Where.
        at: usize,
        /// Elements announced.
        elements: usize,
        /// Bytes left.
        left: usize,
    },
    /// A string that no version of the protocol can carry.
    #[error("a string of {bytes} bytes at byte {at}, at most {max} are allowed", max = STRING_BYTES_MAX)]
    StringTooLong {
        /// Where.
        at: usize,
        /// Its length.
        bytes: usize,
    },
    /// A null where the version does not allow one.
    #[error("null at byte {at}, where none is allowed")]
    Null {
        /// Where.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("a string at byte {at} that is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// A variable-length number that does not fit 32 bits.
    #[error("a varint at byte {at} that is too long")]
    VarintTooLong {
        /// Where.
        at: usize,
    },
    /// A tagged field whose value ends before its length does.
    #[error("tagged field {tag} at byte {at} is longer than its value")]
    TagTooLong {
        /// Where its value begins.
        at: usize,
        /// Which.
        tag: u32,
    },
    /// The message would take more memory than a frame of its size may.
    #[error("decoding wants {wanted} bytes of memory at byte {at}, {left} are left to it")]
    OverBudget {
        /// Where.
        at: usize,
        /// Bytes to reserve.
        wanted: usize,
        /// Bytes that may still be reserved.
        left: usize,
    },
    /// A version that this codec does not know.
    #[error("version {version} is not in {known}")]
    Version {
        /// The version asked for.
        version: i16,
        /// Those that exist.
        known: VersionRange,
    },
}

type Read<T> = Result<T, DecodeError>;

/// A position in a frame, and the memory that decoding the rest may take.
///
/// `flex` arguments say whether the version is flexible: lengths are then unsigned varints plus one, 0 for null;
/// otherwise they are 16 or 32 bits, negative for null.
#[derive(Clone, Debug)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    end: usize,
    budget: usize,
}

macro_rules! number {
    ($($name:ident)*) => {$(
        /// A big-endian number.
        ///
        /// # Errors
        /// `Truncated`.
        #[inline]
        pub fn $name(&mut self) -> Read<$name> {
            let from = self.advance(size_of::<$name>())?;
            let mut raw = [0; size_of::<$name>()];
            raw.copy_from_slice(&self.frame[from..self.at]);
            Ok($name::from_be_bytes(raw))
        }
    )*};
}

impl Reader {
    /// Reads from the first byte of `frame`.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        let end = frame.len();
        let budget = end.saturating_mul(BUDGET_FACTOR).saturating_add(BUDGET_FLOOR_BYTES);
        Self { frame, at: 0, end, budget }
    }

    /// Bytes that were not read yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.end - self.at
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.at..self.end)
    }

    number!(i8 i16 u16 i32 u32 i64 f64);

    /// A byte that is not zero.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn bool(&mut self) -> Read<bool> {
        Ok(self.i8()? != 0)
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn uuid(&mut self) -> Read<Uuid> {
        let from = self.advance(16)?;
        let mut id = Uuid::ZERO;
        id.0.copy_from_slice(&self.frame[from..self.at]);
        Ok(id)
    }

    /// An unsigned varint of at most 32 bits, five bytes.
    ///
    /// # Errors
    /// `Truncated`, `VarintTooLong`.
    #[inline]
    pub fn uvarint(&mut self) -> Read<u32> {
        let start = self.at;
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let from = self.advance(1)?;
            let byte = u32::from(self.frame[from]);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { at: start })
    }

    /// A string.
    ///
    /// # Errors
    /// `Null`, `NotUtf8`, `StringTooLong`, or what is wrong with its length.
    #[inline]
    pub fn string(&mut self, flex: bool) -> Read<String> {
        let at = self.at;
        self.nullable_string(flex)?.ok_or(DecodeError::Null { at })
    }

    /// A string or null.
    ///
    /// # Errors
    /// `NotUtf8`, `StringTooLong`, or what is wrong with its length.
    pub fn nullable_string(&mut self, flex: bool) -> Read<Option<String>> {
        let at = self.at;
        let len = if flex { self.compact_len()? } else { usize::try_from(self.i16()?).ok() };
        let Some(bytes) = len else { return Ok(None) };
        if bytes > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong { at, bytes });
        }
        let from = self.advance(bytes)?;
        self.charge(bytes)?;
        let text = str::from_utf8(&self.frame[from..self.at]).map_err(|_| DecodeError::NotUtf8 { at: from })?;
        Ok(Some(text.to_owned()))
    }

    /// Bytes, as a slice of the frame.
    ///
    /// # Errors
    /// `Null`, or what is wrong with their length.
    #[inline]
    pub fn bytes(&mut self, flex: bool) -> Read<Bytes> {
        let at = self.at;
        self.nullable_bytes(flex)?.ok_or(DecodeError::Null { at })
    }

    /// Bytes, as a slice of the frame, or null.
    ///
    /// # Errors
    /// What is wrong with their length.
    pub fn nullable_bytes(&mut self, flex: bool) -> Read<Option<Bytes>> {
        let Some(len) = self.len(flex)? else { return Ok(None) };
        let from = self.advance(len)?;
        Ok(Some(self.frame.slice(from..self.at)))
    }

    /// Record batches, as a slice of the frame.
    ///
    /// # Errors
    /// `Null`, or what is wrong with their length.
    #[inline]
    pub fn records(&mut self, flex: bool) -> Read<Records> {
        self.bytes(flex).map(Records::Bytes)
    }

    /// Record batches, as a slice of the frame, or null.
    ///
    /// # Errors
    /// What is wrong with their length.
    #[inline]
    pub fn nullable_records(&mut self, flex: bool) -> Read<Option<Records>> {
        Ok(self.nullable_bytes(flex)?.map(Records::Bytes))
    }

    /// An array.
    ///
    /// # Errors
    /// `Null`, `ArrayTooLong`, `OverBudget`, or what is wrong with an element.
    #[inline]
    pub fn array<T>(&mut self, flex: bool, element: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let at = self.at;
        self.nullable_array(flex, element)?.ok_or(DecodeError::Null { at })
    }

    /// An array or null.
    ///
    /// # Errors
    /// `ArrayTooLong`, `OverBudget`, or what is wrong with an element.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        flex: bool,
        mut element: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        let Some(elements) = self.elements(flex, size_of::<T>())? else { return Ok(None) };
        let mut array = Vec::with_capacity(elements);
        for _ in 0..elements {
            array.push(element(self)?);
        }
        Ok(Some(array))
    }

    /// A struct or null: a byte that is negative for null goes before it.
    ///
    /// # Errors
    /// `Truncated`, or what is wrong with the struct.
    #[inline]
    pub fn nullable_struct<T>(&mut self, value: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.i8()? < 0 { Ok(None) } else { value(self).map(Some) }
    }

    /// A struct or null as the value of a tagged field: a varint that is 0 for null goes before it.
    ///
    /// # Errors
    /// `Truncated`, `VarintTooLong`, or what is wrong with the struct.
    #[inline]
    pub fn tagged_struct<T>(&mut self, value: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.uvarint()? == 0 { Ok(None) } else { value(self).map(Some) }
    }

    /// The tagged fields of a struct. `known` reads the value of a tag and gives true, or leaves it and gives false;
    /// what it leaves is skipped.
    ///
    /// # Errors
    /// `TagTooLong`, or what is wrong with a length or a value.
    pub fn tags(&mut self, mut known: impl FnMut(&mut Self, u32) -> Read<bool>) -> Read<()> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let bytes = self.uvarint()? as usize;
            let at = self.advance(bytes)?;
            let after = mem::replace(&mut self.at, at);
            let end = mem::replace(&mut self.end, after);
            if known(self, tag)? && self.at != after {
                return Err(DecodeError::TagTooLong { at, tag });
            }
            self.at = after;
            self.end = end;
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    ///
    /// # Errors
    /// What is wrong with a length.
    #[inline]
    pub fn skip_tags(&mut self) -> Read<()> {
        self.tags(|_, _| Ok(false))
    }

    /// Moves over `bytes` bytes and gives where they began.
    #[inline]
    fn advance(&mut self, bytes: usize) -> Read<usize> {
        let at = self.at;
        if bytes > self.end - at {
            return Err(DecodeError::Truncated { at, wanted: bytes, left: self.end - at });
        }
        self.at += bytes;
        Ok(at)
    }

    /// Length of bytes or an array; none for null.
    #[inline]
    fn len(&mut self, flex: bool) -> Read<Option<usize>> {
        if flex { self.compact_len() } else { Ok(usize::try_from(self.i32()?).ok()) }
    }

    #[inline]
    fn compact_len(&mut self) -> Read<Option<usize>> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Number of elements of an array, checked and paid for.
    fn elements(&mut self, flex: bool, element_bytes: usize) -> Read<Option<usize>> {
        let at = self.at;
        let Some(elements) = self.len(flex)? else { return Ok(None) };
        // Every element takes a byte at least, in every message.
        if elements > self.left() {
            return Err(DecodeError::ArrayTooLong { at, elements, left: self.left() });
        }
        self.charge(elements.saturating_mul(element_bytes))?;
        Ok(Some(elements))
    }

    #[inline]
    fn charge(&mut self, bytes: usize) -> Read<()> {
        let (at, left) = (self.at, self.budget);
        self.budget = left.checked_sub(bytes).ok_or(DecodeError::OverBudget { at, wanted: bytes, left })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
