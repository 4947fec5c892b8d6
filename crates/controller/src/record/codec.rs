//! How the fields of a metadata record lie in bytes.
//!
//! Numbers are zigzag LEB128 varints, texts and lists carry their length as an unsigned varint, options a byte 0 or 1,
//! ids their 16 bytes. Decoding never panics and never reserves more than the bytes at hand could fill.

use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicName, Uuid};

use super::RecordError;

/// A cursor over the bytes of one record.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.rest.split_first().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, RecordError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(RecordError::Malformed("varint over 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Malformed("varint over 64 bits"))
    }

    /// A length that the bytes at hand can hold at one byte per element at least.
    pub(crate) fn length(&mut self) -> Result<usize, RecordError> {
        let len = usize::try_from(self.varint()?).map_err(|_| RecordError::Truncated)?;
        if len > self.remaining() { Err(RecordError::Truncated) } else { Ok(len) }
    }

    fn zigzag(&mut self) -> Result<i64, RecordError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A value with one place in a record.
pub(crate) trait Field: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it back.
    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError>;
}

macro_rules! number_field {
    ($($number:ty),+) => {$(
        impl Field for $number {
            fn put(&self, out: &mut Vec<u8>) {
                let value = i64::from(*self);
                put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
                Self::try_from(from.zigzag()?).map_err(|_| RecordError::Malformed("number out of range"))
            }
        }
    )+};
}
number_field!(i8, u16, i16, i32, i64);

macro_rules! newtype_field {
    ($($name:ident),+) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
                Field::take(from).map(Self)
            }
        }
    )+};
}
newtype_field!(BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex);

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Malformed("flag neither 0 nor 1")),
        }
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let len = from.length()?;
        let text = std::str::from_utf8(from.slice(len)?).map_err(|_| RecordError::Malformed("text not UTF-8"))?;
        Ok(text.to_owned())
    }
}

impl Field for TopicName {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.as_str().len() as u64);
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Self::new(&String::take(from)?).map_err(|_| RecordError::Malformed("illegal topic name"))
    }
}

impl Field for Uuid {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let bytes = from.slice(16)?;
        Ok(Self(bytes.try_into().map_err(|_| RecordError::Truncated)?))
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if bool::take(from)? { T::take(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        // Grown as elements are read: a claimed length reserves nothing.
        (0..from.length()?).map(|_| T::take(from)).collect::<Result<_, _>>()
    }
}

/// Gives a struct its [`Field`]s in the order named; that order is the format.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl crate::record::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let _ = &out;
                $(crate::record::codec::Field::put(&self.$field, out);)*
            }
            fn take(
                from: &mut crate::record::codec::Reader<'_>,
            ) -> Result<Self, crate::record::RecordError> {
                let _ = &from;
                Ok(Self { $($field: crate::record::codec::Field::take(from)?,)* })
            }
        }
    };
}
pub(crate) use fields;
