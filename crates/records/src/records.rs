//! The records of an uncompressed batch, read in place.
//!
//! Invariants: as many records as the header declares, or an error; the bytes end where the last record does, or an
//! error; nothing follows an error.

use ottla_types::{Compression, Millis, Offset, TimestampType};

use crate::{
    BatchHeader, Record, RecordError,
    input::Input,
    record::{self, Fields},
};

/// What a record's offset and time are counted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    offset: Offset,
    timestamp: Millis,
    append_time: Option<Millis>,
}

impl Base {
    pub(crate) fn of(header: &BatchHeader) -> Self {
        let append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        Self {
            offset: header.base_offset,
            timestamp: header.base_timestamp,
            append_time: append_time.then_some(header.max_timestamp),
        }
    }

    pub(crate) fn record<'a>(&self, fields: &Fields<&'a [u8]>) -> Record<'a> {
        Record {
            offset: self.offset.plus(i64::from(fields.offset_delta)),
            timestamp: self.append_time.unwrap_or_else(|| self.timestamp.plus(fields.timestamp_delta)),
            offset_delta: fields.offset_delta,
            timestamp_delta: fields.timestamp_delta,
            attributes: fields.attributes,
            key: fields.key,
            value: fields.value,
            headers: fields.headers(),
        }
    }
}

/// Iterator over the records of an uncompressed batch, in the order they lie there.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    base: Base,
    rest: &'a [u8],
    found: i32,
    declared: i32,
    ended: bool,
}

impl<'a> Records<'a> {
    /// The records in `body`, which is what follows `header`.
    ///
    /// # Errors
    /// [`RecordError::Compressed`] or [`RecordError::Codec`] when the attributes name a codec.
    pub fn of(header: &BatchHeader, body: &'a [u8]) -> Result<Self, RecordError> {
        if header.attributes.compression()? != Compression::None {
            return Err(RecordError::Compressed);
        }
        let declared = header.records_count;
        Ok(Self { base: Base::of(header), rest: body, found: 0, declared, ended: false })
    }

    /// The next record, and its own bytes without the length before them.
    pub(crate) fn next_with_bytes(&mut self) -> Option<Result<(Record<'a>, &'a [u8]), RecordError>> {
        if self.ended {
            return None;
        }
        if self.found == self.declared {
            self.ended = true;
            return (!self.rest.is_empty()).then_some(Err(RecordError::Trailing));
        }
        let record = self.read();
        self.ended = record.is_err();
        Some(record)
    }

    fn read(&mut self) -> Result<(Record<'a>, &'a [u8]), RecordError> {
        if self.rest.is_empty() {
            return Err(RecordError::Missing { found: self.found, declared: self.declared });
        }
        let bytes = next_bytes(&mut self.rest)?;
        let fields = record::parse(&mut { bytes })?;
        self.found += 1;
        Ok((self.base.record(&fields), bytes))
    }
}

/// Takes the next record with its length from the front of `rest`.
#[inline]
pub(crate) fn next_fields<'a>(rest: &mut &'a [u8]) -> Result<Fields<&'a [u8]>, RecordError> {
    let mut record = next_bytes(rest)?;
    record::parse(&mut record)
}

/// The same, not looked into and without its length.
#[inline]
pub(crate) fn next_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    let len = rest.varint()?;
    rest.take(usize::try_from(len).map_err(|_| RecordError::Length(len))?)
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_with_bytes()?.map(|(record, _)| record))
    }
}

impl std::iter::FusedIterator for Records<'_> {}
