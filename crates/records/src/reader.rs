//! Reading the records of a batch with any codec, one at a time.
//!
//! Invariant: beside the decompressor, no more is held than the window or twice the record last given.

use ottla_types::Compression;

use crate::{
    BatchRef, Record, RecordError, Records,
    compression::{Decompressor, decompressed_max},
    record,
    records::Base,
    window::Window,
};

/// The records of a batch, decompressed as they are asked for. A record borrows the reader, so one is held at a time.
pub struct RecordReader<'a> {
    source: Source<'a>,
}

enum Source<'a> {
    InPlace(Records<'a>),
    Stream { window: Window<'a>, base: Base, found: i32, declared: i32 },
    Ended,
}

/// Starts reading `batch`. Nothing is decompressed yet.
///
/// # Errors
/// [`RecordError::Codec`] for an unknown codec.
pub fn records_of<'a>(batch: &BatchRef<'a>) -> Result<RecordReader<'a>, RecordError> {
    let (header, body) = (batch.header(), batch.body());
    let source = match header.attributes.compression()? {
        Compression::None => Source::InPlace(batch.records()?),
        codec => Source::Stream {
            window: Window::new(Decompressor::new(codec, body, decompressed_max(body.len()))?),
            base: Base::of(header),
            found: 0,
            declared: header.records_count,
        },
    };
    Ok(RecordReader { source })
}

impl RecordReader<'_> {
    /// The next record, or `None` after as many as the header declares.
    ///
    /// # Errors
    /// Broken records, fewer or more than declared; what comes after an error means nothing, but it ends.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        Ok(self.next_with_bytes()?.map(|(record, _)| record))
    }

    /// The same, and the record's own bytes without the length before them.
    pub(crate) fn next_with_bytes(&mut self) -> Result<Option<(Record<'_>, &[u8])>, RecordError> {
        if matches!(&self.source, Source::Stream { found, declared, .. } if found == declared) {
            return self.end();
        }
        self.read()
    }

    fn end(&mut self) -> Result<Option<(Record<'_>, &[u8])>, RecordError> {
        match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Stream { mut window, .. } => {
                if window.is_at_end()? {
                    Ok(None)
                } else {
                    Err(RecordError::Trailing)
                }
            }
            Source::InPlace(_) | Source::Ended => Ok(None),
        }
    }

    fn read(&mut self) -> Result<Option<(Record<'_>, &[u8])>, RecordError> {
        match &mut self.source {
            Source::Ended => Ok(None),
            Source::InPlace(records) => records.next_with_bytes().transpose(),
            Source::Stream { window, base, found, declared } => {
                let missing = RecordError::Missing { found: *found, declared: *declared };
                let len = window.record_len()?.ok_or(missing)?;
                let bytes = window.whole(len)?;
                let fields = record::parse(&mut { bytes })?;
                *found += 1;
                Ok(Some((base.record(&fields), bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
