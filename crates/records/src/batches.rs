//! Walking over record batches that lie one after the other, as in a segment, a fetch answer or a produce request.
//!
//! Invariants: every batch given lies wholly in the slice; the walk ends after its first error; the bytes of the
//! batches given before add up to [`Batches::consumed`].

use crate::{BatchError, BatchHeader, HEADER_LEN, RecordError, Records, verify_crc};

/// A whole batch in a slice, its header read and its checksum not yet looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRef<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchRef<'a> {
    /// The batch at the start of `bytes`, whatever follows it.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and [`BatchError::Incomplete`] when the batch is longer than `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let need = header.size_in_bytes();
        let bytes = bytes.get(..need).ok_or(BatchError::Incomplete { have: bytes.len(), need })?;
        Ok(Self { header, bytes })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Header and body, exactly the batch.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, compressed if the attributes say so.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// Compares checksum and bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        verify_crc(self.bytes)
    }

    /// The records of an uncompressed batch, without copying. For any codec see [`crate::records_of`].
    ///
    /// # Errors
    /// [`RecordError::Compressed`] when there is a codec.
    pub fn records(&self) -> Result<Records<'a>, RecordError> {
        Records::of(&self.header, self.body())
    }
}

/// Iterator over the batches of a slice. Bytes at the end that are no whole batch come as a last
/// [`BatchError::Incomplete`]; any other error also ends the walk.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
    consumed: usize,
    ended: bool,
}

impl<'a> Batches<'a> {
    /// Walks over `bytes`, which start with a batch.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, consumed: 0, ended: false }
    }

    /// Bytes of the whole batches given so far; the position of the next one, or of the error.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchRef<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.rest.is_empty() {
            return None;
        }
        let batch = BatchRef::parse(self.rest);
        match &batch {
            Ok(batch) => {
                self.consumed += batch.bytes.len();
                self.rest = &self.rest[batch.bytes.len()..];
            }
            Err(_) => self.ended = true,
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches<'_> {}
