//! The four codecs of a batch's body, each as one compressed block.
//!
//! Invariants: decompression streams, holding no more than the codec's window ([`Decompressor`] names them) however
//! much comes out; it never gives more than the cap it was made with; bytes after the end of the block are an error.

mod lz4;
mod snappy;

use std::io::{self, Read, Write};

use flate2::{bufread::MultiGzDecoder, write::GzEncoder};
use lz4::Lz4Reader;
use ottla_types::Compression;
use snappy::SnappyReader;
use zstd::stream::read::Decoder as ZstdReader;

/// Why a compressed block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// The bytes are not what the codec writes, or end too early.
    #[error("the compressed records are broken")]
    Corrupt,
    /// More comes out than the cap allows, or a window would have to be larger than this crate gives.
    #[error("the compressed records are too large")]
    TooLarge,
}

/// A codec refused to compress: the level is out of its range or the memory was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot compress with {0:?}")]
pub struct CompressError(pub Compression);

/// Largest window that a zstd frame may ask for, as a power of two: what the highest level uses. Memory is only
/// touched as far as data came out.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A body being decompressed. What it holds: gzip 32 KiB; lz4 up to two blocks of 4 MiB; zstd up to 128 MiB, as much
/// of it as has come out; snappy one block, at most 22 times its compressed size and 64 MiB; no codec nothing.
pub struct Decompressor<'a> {
    codec: Codec<'a>,
    left: u64,
}

enum Codec<'a> {
    None(&'a [u8]),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyReader<'a>),
    Lz4(Box<Lz4Reader<'a>>),
    Zstd(ZstdReader<'static, &'a [u8]>),
}

impl<'a> Decompressor<'a> {
    /// Reads `body`, giving at most `output_max` bytes; the byte after that is [`DecompressError::TooLarge`].
    ///
    /// # Errors
    /// [`DecompressError::TooLarge`] when the codec gets no memory. Broken bytes show when they are read.
    pub fn new(codec: Compression, body: &'a [u8], output_max: u64) -> Result<Self, DecompressError> {
        let codec = match codec {
            Compression::None => Codec::None(body),
            Compression::Gzip => Codec::Gzip(Box::new(MultiGzDecoder::new(body))),
            Compression::Snappy => Codec::Snappy(SnappyReader::new(body)),
            Compression::Lz4 => Codec::Lz4(Box::new(Lz4Reader::new(body))),
            Compression::Zstd => Codec::Zstd(zstd_reader(body).map_err(|_| DecompressError::TooLarge)?),
        };
        Ok(Self { codec, left: output_max })
    }

    /// Fills the front of `out`: how many bytes, and 0 only at the end or for an empty `out`.
    ///
    /// # Errors
    /// Broken bytes, or more than the cap.
    pub fn read_some(&mut self, out: &mut [u8]) -> Result<usize, DecompressError> {
        let read = match &mut self.codec {
            Codec::None(rest) => rest.read(out).map_err(|_| DecompressError::Corrupt),
            Codec::Gzip(reader) => reader.read(out).map_err(|_| DecompressError::Corrupt),
            Codec::Snappy(reader) => reader.read_some(out),
            Codec::Lz4(reader) => reader.read_some(out),
            Codec::Zstd(reader) => reader.read(out).map_err(|_| DecompressError::Corrupt),
        }?;
        self.left = self.left.checked_sub(read as u64).ok_or(DecompressError::TooLarge)?;
        Ok(read)
    }
}

impl Read for Decompressor<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.read_some(out).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn zstd_reader(body: &[u8]) -> io::Result<ZstdReader<'static, &[u8]>> {
    let mut reader = ZstdReader::with_buffer(body)?;
    reader.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(reader)
}

/// Compresses `bytes` as the body of a batch. `level` is the codec's own (gzip 0 to 9, zstd -131072 to 22; snappy has
/// none and lz4 only its fast one, so they ignore it), `None` its default.
///
/// # Errors
/// A level out of range.
pub fn compress(codec: Compression, level: Option<i32>, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    let refused = CompressError(codec);
    match codec {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => gzip(level, bytes).ok_or(refused),
        Compression::Snappy => snappy::compress(bytes).map_err(|_| refused),
        Compression::Lz4 => lz4::compress(bytes).map_err(|_| refused),
        Compression::Zstd => zstd_checked(level, bytes).ok_or(refused),
    }
}

fn gzip(level: Option<i32>, bytes: &[u8]) -> Option<Vec<u8>> {
    let level = match level.unwrap_or(-1) {
        -1 => flate2::Compression::default(),
        level @ 0..=9 => flate2::Compression::new(level as u32),
        _ => return None,
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4 + 64), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn zstd_checked(level: Option<i32>, bytes: &[u8]) -> Option<Vec<u8>> {
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    zstd::compression_level_range().contains(&level).then(|| zstd::bulk::compress(bytes, level).ok())?
}

#[cfg(test)]
mod tests;
