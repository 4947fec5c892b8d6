//! Compressing a stream into a bounded buffer.
//!
//! Invariant: the buffer never grows beyond its room; a write that would need more fails.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use ottla_types::Compression;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::{CompressError, gzip_level, lz4, snappy::SnappyWriter, zstd_level};

/// Takes uncompressed bytes as a `Write` and gives the compressed body from [`Compressor::finish`].
pub struct Compressor {
    codec: Codec,
}

enum Codec {
    None(Room),
    Gzip(GzEncoder<Room>),
    Snappy(Box<SnappyWriter<Room>>),
    Lz4(Box<FrameEncoder<Room>>),
    Zstd(ZstdEncoder<'static, Room>),
}

impl Compressor {
    /// Compresses with `codec` at `level` (see [`super::compress`]) into at most `room` bytes.
    ///
    /// # Errors
    /// A level out of range, or no memory for the codec.
    pub fn new(codec: Compression, level: Option<i32>, room: usize) -> Result<Self, CompressError> {
        let refused = CompressError(codec);
        let out = Room { bytes: Vec::new(), left: room };
        let codec = match codec {
            Compression::None => Codec::None(out),
            Compression::Gzip => Codec::Gzip(GzEncoder::new(out, gzip_level(level).ok_or(refused)?)),
            Compression::Snappy => Codec::Snappy(Box::new(SnappyWriter::new(out))),
            Compression::Lz4 => Codec::Lz4(Box::new(FrameEncoder::with_frame_info(lz4::frame_info(), out))),
            Compression::Zstd => {
                Codec::Zstd(ZstdEncoder::new(out, zstd_level(level).ok_or(refused)?).map_err(|_| refused)?)
            }
        };
        Ok(Self { codec })
    }

    /// Ends the block: the compressed bytes.
    ///
    /// # Errors
    /// `ErrorKind::StorageFull` when they do not fit.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let out = match self.codec {
            Codec::None(out) => out,
            Codec::Gzip(encoder) => encoder.finish()?,
            Codec::Snappy(encoder) => encoder.finish()?,
            Codec::Lz4(encoder) => encoder.finish().map_err(io::Error::other)?,
            Codec::Zstd(encoder) => encoder.finish()?,
        };
        Ok(out.bytes)
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.codec {
            Codec::None(out) => out.write(bytes),
            Codec::Gzip(encoder) => encoder.write(bytes),
            Codec::Snappy(encoder) => encoder.write(bytes),
            Codec::Lz4(encoder) => encoder.write(bytes),
            Codec::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Room {
    bytes: Vec<u8>,
    left: usize,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
