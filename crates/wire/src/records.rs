//! Record data in messages, and encoded messages as lists of segments.
//!
//! Invariant: an [`Encoded`]'s `len` is the sum of its segments' lengths.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use ottla_disk::FileSlice;

/// Record batches as they stand in a produce request or a fetch response.
#[derive(Clone, Debug)]
pub enum Records {
    /// In memory.
    Bytes(Bytes),
    /// In a log segment; read only when they are sent.
    File(FileSlice),
}

impl Records {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(slice) => slice.len,
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, read from the file where they lie in one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(slice) => slice.read(),
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<FileSlice> for Records {
    fn from(slice: FileSlice) -> Self {
        Self::File(slice)
    }
}

impl PartialEq for Records {
    /// Equal bytes in memory, or the same range of the same open file; never one of each, for that would have to read.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::File(a), Self::File(b)) => {
                Arc::ptr_eq(&a.file, &b.file) && a.position == b.position && a.len == b.len
            }
            _ => false,
        }
    }
}

/// A piece of an encoded message.
#[derive(Clone, Debug)]
pub enum Segment {
    /// In memory.
    Bytes(Bytes),
    /// A range of a file.
    File(FileSlice),
}

impl Segment {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(slice) => slice.len,
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An encoded message: its segments in order, and their length.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The segments.
    pub segments: Vec<Segment>,
    /// Bytes of all of them.
    pub len: u64,
}

impl Encoded {
    /// All of it in one piece; no copy where there is one segment in memory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(&self) -> io::Result<Bytes> {
        if let [Segment::Bytes(bytes)] = &self.segments[..] {
            return Ok(bytes.clone());
        }
        let mut all = BytesMut::with_capacity(usize::try_from(self.len).unwrap_or(0));
        for segment in &self.segments {
            match segment {
                Segment::Bytes(bytes) => all.extend_from_slice(bytes),
                Segment::File(slice) => all.extend_from_slice(&slice.read()?),
            }
        }
        Ok(all.freeze())
    }
}
