//! Writes the protocol's types into a list of segments.
//!
//! Invariants: small values are copied into one buffer; large byte fields and record data are never copied, they are
//! noted with the place in the buffer where they belong; the length of all of it is known at every moment.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_types::Uuid;

use crate::{Encoded, Records, Segment, VersionRange};

/// The longest string that the protocol carries, in bytes: lengths have 16 bits and a sign.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Byte fields up to this length are copied: a segment of its own costs more than that.
const COPY_BYTES_MAX: usize = 4 << 10;

/// What a message holds that its version cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string over [`STRING_BYTES_MAX`].
    #[error("a string of {bytes} bytes, at most {max} can be sent", max = STRING_BYTES_MAX)]
    StringTooLong {
        /// Its length.
        bytes: usize,
    },
    /// An array, a byte field or a frame that a 32-bit length cannot describe.
    #[error("a length of {len}, which has no 32 bits")]
    TooLong {
        /// Bytes or elements.
        len: u64,
    },
    /// A null in a version that does not allow one.
    #[error("{field} is null, which this version does not allow")]
    Null {
        /// Kafka's name of the field.
        field: &'static str,
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

type Written = Result<(), EncodeError>;

/// The value of a field that may be null in other versions than this one.
pub(crate) fn required<'a, T>(field: &'static str, value: Option<&'a T>) -> Result<&'a T, EncodeError> {
    value.ok_or(EncodeError::Null { field })
}

/// Collects an encoded message. `flex` arguments mean what they mean to [`crate::Reader`].
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Segments and the places in `buffer` before which they belong, in ascending order.
    outside: Vec<(usize, Segment)>,
    outside_bytes: u64,
}

macro_rules! number {
    ($($name:ident $put:ident)*) => {$(
        /// A big-endian number.
        #[inline]
        pub fn $name(&mut self, value: $name) {
            self.buffer.$put(value);
        }
    )*};
}

impl Writer {
    /// Writes into a buffer that already has room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(bytes), ..Self::default() }
    }

    /// Bytes written so far, those of segments included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buffer.len() as u64 + self.outside_bytes
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, as segments.
    #[must_use]
    pub fn finish(self) -> Encoded {
        let len = self.len();
        let buffer = self.buffer.freeze();
        if self.outside.is_empty() {
            return Encoded { segments: vec![Segment::Bytes(buffer)], len };
        }
        let mut segments = Vec::with_capacity(self.outside.len() * 2 + 1);
        let mut from = 0;
        for (at, segment) in self.outside {
            if from < at {
                segments.push(Segment::Bytes(buffer.slice(from..at)));
            }
            segments.push(segment);
            from = at;
        }
        if from < buffer.len() {
            segments.push(Segment::Bytes(buffer.slice(from..)));
        }
        Encoded { segments, len }
    }

    /// Starts a frame: four bytes that [`Self::finish_frame`] turns into its length.
    #[must_use]
    pub fn frame() -> Self {
        let mut w = Self::with_capacity(256);
        w.i32(0);
        w
    }

    /// What was written since [`Self::frame`], with its length before it.
    ///
    /// # Errors
    /// `TooLong` for a frame that a 32-bit length cannot describe.
    pub fn finish_frame(mut self) -> Result<Encoded, EncodeError> {
        let len = length(self.len().saturating_sub(4))?;
        self.buffer[..4].copy_from_slice(&len.to_be_bytes());
        Ok(self.finish())
    }

    number!(i8 put_i8 i16 put_i16 u16 put_u16 i32 put_i32 u32 put_u32 i64 put_i64 f64 put_f64);

    /// One byte, 1 for true.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self, id: Uuid) {
        self.buffer.put_slice(&id.0);
    }

    /// An unsigned varint.
    #[inline]
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A string.
    ///
    /// # Errors
    /// `StringTooLong`.
    pub fn string(&mut self, flex: bool, text: &str) -> Written {
        let bytes = text.len();
        let short = i16::try_from(bytes).map_err(|_| EncodeError::StringTooLong { bytes })?;
        if flex {
            self.uvarint(bytes as u32 + 1);
        } else {
            self.i16(short);
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// A string or null.
    ///
    /// # Errors
    /// `StringTooLong`.
    pub fn nullable_string(&mut self, flex: bool, text: Option<&str>) -> Written {
        match text {
            Some(text) => self.string(flex, text)?,
            None if flex => self.uvarint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    /// Bytes.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn bytes(&mut self, flex: bool, bytes: &Bytes) -> Written {
        self.put_len(flex, bytes.len() as u64)?;
        self.put_bytes(bytes);
        Ok(())
    }

    /// Bytes or null.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn nullable_bytes(&mut self, flex: bool, bytes: Option<&Bytes>) -> Written {
        if let Some(bytes) = bytes { self.bytes(flex, bytes) } else { self.put_null(flex) }
    }

    /// Record batches.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn records(&mut self, flex: bool, records: &Records) -> Written {
        self.put_len(flex, records.len() as u64)?;
        match records {
            Records::Bytes(bytes) => self.put_bytes(bytes),
            Records::File(slice) if slice.len == 0 => {}
            Records::File(slice) => self.put_segment(Segment::File(slice.clone())),
        }
        Ok(())
    }

    /// Record batches or null.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn nullable_records(&mut self, flex: bool, records: Option<&Records>) -> Written {
        if let Some(records) = records { self.records(flex, records) } else { self.put_null(flex) }
    }

    /// An array; `element` writes one.
    ///
    /// # Errors
    /// `TooLong`, or what is wrong with an element.
    #[inline]
    pub fn array<T>(&mut self, flex: bool, array: &[T], mut element: impl FnMut(&mut Self, &T) -> Written) -> Written {
        self.put_len(flex, array.len() as u64)?;
        array.iter().try_for_each(|one| element(self, one))
    }

    /// An array or null.
    ///
    /// # Errors
    /// `TooLong`, or what is wrong with an element.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        flex: bool,
        array: Option<&[T]>,
        element: impl FnMut(&mut Self, &T) -> Written,
    ) -> Written {
        if let Some(array) = array { self.array(flex, array, element) } else { self.put_null(flex) }
    }

    /// A struct or null.
    ///
    /// # Errors
    /// What is wrong with the struct.
    #[inline]
    pub fn nullable_struct<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T) -> Written) -> Written {
        self.i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| write(self, value))
    }

    /// A struct or null as the value of a tagged field.
    ///
    /// # Errors
    /// What is wrong with the struct.
    #[inline]
    pub fn tagged_struct<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T) -> Written) -> Written {
        self.uvarint(u32::from(value.is_some()));
        value.map_or(Ok(()), |value| write(self, value))
    }

    /// The tagged fields of a struct that has none to write.
    #[inline]
    pub fn no_tags(&mut self) {
        self.uvarint(0);
    }

    fn put_len(&mut self, flex: bool, len: u64) -> Written {
        let short = length(len)?;
        if flex {
            self.uvarint(short as u32 + 1);
        } else {
            self.i32(short);
        }
        Ok(())
    }

    fn put_null(&mut self, flex: bool) -> Written {
        if flex {
            self.uvarint(0);
        } else {
            self.i32(-1);
        }
        Ok(())
    }

    fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.buffer.put_slice(bytes);
        } else {
            self.put_segment(Segment::Bytes(bytes.clone()));
        }
    }

    fn put_segment(&mut self, segment: Segment) {
        self.outside_bytes += segment.len() as u64;
        self.outside.push((self.buffer.len(), segment));
    }

    fn append(&mut self, other: Self) {
        let at = self.buffer.len();
        self.buffer.put_slice(&other.buffer);
        self.outside.extend(other.outside.into_iter().map(|(place, segment)| (at + place, segment)));
        self.outside_bytes += other.outside_bytes;
    }
}

fn length(len: u64) -> Result<i32, EncodeError> {
    i32::try_from(len).map_err(|_| EncodeError::TooLong { len })
}

/// Tagged fields of one struct, collected because their number goes before them.
#[derive(Debug, Default)]
pub struct Tags {
    count: u32,
    fields: Writer,
}

impl Tags {
    /// Adds a field. Tags come in ascending order.
    ///
    /// # Errors
    /// `TooLong`, or what is wrong with the value.
    pub fn field(&mut self, tag: u32, value: impl FnOnce(&mut Writer) -> Written) -> Written {
        let mut w = Writer::default();
        value(&mut w)?;
        self.count += 1;
        self.fields.uvarint(tag);
        self.fields.uvarint(length(w.len())? as u32);
        self.fields.append(w);
        Ok(())
    }

    /// Writes number and fields.
    ///
    /// # Errors
    /// None today.
    pub fn finish(self, w: &mut Writer) -> Written {
        w.uvarint(self.count);
        w.append(self.fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
