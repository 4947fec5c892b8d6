//! The four codecs of a batch's body, each as one compressed block.
//!
//! Invariants: decompression streams, holding no more than the codec's window ([`Decompressor`] names them) however
//! much comes out; it never gives more than the cap it was made with; bytes after the end of the block are an error.

mod compressor;
mod lz4;
mod snappy;

use std::io::{self, Read, Write};

use flate2::bufread::MultiGzDecoder;
use lz4::Lz4Reader;
use ottla_types::Compression;
use snappy::SnappyReader;
use zstd::stream::read::Decoder as ZstdReader;

pub use compressor::Compressor;

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

/// Most that is taken out of `compressed_len` bytes of a body: the densest that gzip can be, and for the codecs that
/// are denser on monotonous records still 64 MiB. Never 2 GiB, which no client could hold.
#[must_use]
pub fn decompressed_max(compressed_len: usize) -> u64 {
    const FREE: u64 = 64 << 20;
    const RATIO: u64 = 1100;
    (compressed_len as u64).saturating_mul(RATIO).saturating_add(FREE).min(i32::MAX as u64)
}

/// Compresses `bytes` as the body of a batch. `level` is the codec's own (gzip 0 to 9 or −1, zstd −131072 to 22;
/// snappy has none and lz4 only its fast one, so they ignore it), `None` its default.
///
/// # Errors
/// A level out of range.
pub fn compress(codec: Compression, level: Option<i32>, bytes: &[u8]) -> Result<Vec<u8>, CompressError> {
    let refused = |_| CompressError(codec);
    let mut compressor = Compressor::new(codec, level, usize::MAX)?;
    compressor.write_all(bytes).map_err(refused)?;
    compressor.finish().map_err(refused)
}

fn gzip_level(level: Option<i32>) -> Option<flate2::Compression> {
    match level.unwrap_or(-1) {
        -1 => Some(flate2::Compression::default()),
        level @ 0..=9 => Some(flate2::Compression::new(level as u32)),
        _ => None,
    }
}

fn zstd_level(level: Option<i32>) -> Option<i32> {
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    zstd::compression_level_range().contains(&level).then_some(level)
}

#[cfg(test)]
mod tests;
