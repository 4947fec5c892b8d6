//! A decompressing stream seen through a buffer: the records of a compressed batch pass by in it.
//!
//! Invariants: the buffer starts at [`WINDOW_LEN`] and grows only when [`Window::whole`] is asked for more, and then
//! never beyond twice what has come out; so what a declared length claims costs nothing.

use crate::{
    DecompressError, RecordError,
    compression::Decompressor,
    input::Input,
    varint::{self, VarintError},
};

/// Bytes of the buffer at first: many records of the usual size.
pub(crate) const WINDOW_LEN: usize = 16 << 10;
/// Longest number in a record.
const VARLONG_LEN: usize = 10;

pub(crate) struct Window<'a> {
    source: Decompressor<'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    pub(crate) fn new(source: Decompressor<'a>) -> Self {
        Self { source, buffer: vec![0; WINDOW_LEN], start: 0, end: 0 }
    }

    /// What is there without reading on.
    #[inline]
    pub(crate) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes `len` of the bytes that are [`Window::ready`].
    #[inline]
    pub(crate) fn pass(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// At least `want` bytes without taking them, fewer only at the end of the stream; `want` fits the buffer.
    #[inline]
    fn peek(&mut self, want: usize) -> Result<&[u8], DecompressError> {
        if self.end - self.start < want {
            self.fill(want)?;
        }
        Ok(self.ready())
    }

    fn fill(&mut self, want: usize) -> Result<(), DecompressError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < want {
            match self.source.read_some(&mut self.buffer[self.end..])? {
                0 => break,
                read => self.end += read,
            }
        }
        Ok(())
    }

    /// Takes the length before the next record; `None` at the end of the stream.
    pub(crate) fn record_len(&mut self) -> Result<Option<usize>, RecordError> {
        let ready = self.peek(VARLONG_LEN)?;
        if ready.is_empty() {
            return Ok(None);
        }
        let (len, taken) = varint::read_i32(ready)?;
        self.start += taken;
        usize::try_from(len).map(Some).map_err(|_| RecordError::Length(len))
    }

    /// Whether the stream is at its end.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, DecompressError> {
        Ok(self.peek(1)?.is_empty())
    }

    /// Takes `len` bytes as a slice, holding them all.
    pub(crate) fn whole(&mut self, len: usize) -> Result<&[u8], RecordError> {
        while self.end - self.start < len {
            let had = self.end - self.start;
            self.fill(len.min(self.buffer.len()))?;
            if self.end == had {
                return Err(RecordError::Cut);
            }
            if self.end == self.buffer.len() && self.end < len {
                self.buffer.resize(len.min(2 * self.end), 0);
            }
        }
        self.start += len;
        Ok(&self.buffer[self.start - len..self.start])
    }

    /// The next `len` bytes as a record that passes by.
    pub(crate) fn passing(&mut self, len: usize) -> Passing<'_, 'a> {
        Passing { window: self, left: len }
    }

    fn skip(&mut self, mut len: usize) -> Result<(), RecordError> {
        loop {
            let ready = self.end - self.start;
            self.start += ready.min(len);
            len -= ready.min(len);
            if len == 0 {
                return Ok(());
            }
            if self.peek(1)?.is_empty() {
                return Err(RecordError::Cut);
            }
        }
    }
}

/// A record too long for the buffer: fields are read and runs of bytes skipped as they come.
pub(crate) struct Passing<'w, 'a> {
    window: &'w mut Window<'a>,
    left: usize,
}

/// Reads a number from the front of a slice: the value and how many bytes it took.
type ReadNumber<T> = fn(&[u8]) -> Result<(T, usize), VarintError>;

impl Passing<'_, '_> {
    fn number<T>(&mut self, read: ReadNumber<T>) -> Result<T, RecordError> {
        let left = self.left;
        let ready = self.window.peek(VARLONG_LEN.min(left))?;
        let (value, taken) = read(&ready[..ready.len().min(left)])?;
        self.window.start += taken;
        self.left -= taken;
        Ok(value)
    }
}

impl Input for Passing<'_, '_> {
    type Span = ();

    fn left(&self) -> usize {
        self.left
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        self.number(|bytes| bytes.first().map(|&byte| (byte, 1)).ok_or(VarintError::End))
    }

    fn varint(&mut self) -> Result<i32, RecordError> {
        self.number(varint::read_i32)
    }

    fn varlong(&mut self) -> Result<i64, RecordError> {
        self.number(varint::read_i64)
    }

    fn take(&mut self, len: usize) -> Result<(), RecordError> {
        self.left = self.left.checked_sub(len).ok_or(RecordError::Cut)?;
        self.window.skip(len)
    }

    fn rest(&self) {}
}
