//! LZ4 frames: one frame is one body.
//!
//! Read: independent and linked blocks of any size the format has, with and without checksums. Written: independent
//! blocks of 64 KiB without a content checksum, which every client can read.

use std::io::Read;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameInfo};

use super::DecompressError;

pub(super) struct Lz4Reader<'a> {
    body: &'a [u8],
    frame: FrameDecoder<&'a [u8]>,
}

impl<'a> Lz4Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, frame: FrameDecoder::new(body) }
    }

    pub(super) fn read_some(&mut self, out: &mut [u8]) -> Result<usize, DecompressError> {
        let read = self.frame.read(out).map_err(|_| DecompressError::Corrupt)?;
        // the decoder takes bytes that just stop for an end, and would go on with a second frame; clients do neither
        if read == 0 && !out.is_empty() && frame_len(self.body) != Some(self.body.len()) {
            return Err(DecompressError::Corrupt);
        }
        Ok(read)
    }
}

const FLAGS_AT: usize = 4;
const HAS_DICTIONARY_ID: u8 = 1;
const HAS_CONTENT_CHECKSUM: u8 = 1 << 2;
const HAS_CONTENT_SIZE: u8 = 1 << 3;
const HAS_BLOCK_CHECKSUMS: u8 = 1 << 4;

/// Bytes of the frame at the start of `bytes`, from magic to end mark and checksum; `None` when it does not end there.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(FLAGS_AT)?;
    let length_of = |flag, len| if flags & flag != 0 { len } else { 0 };
    // magic, flags, block size, the optional two, header checksum
    let mut at = 4 + 1 + 1 + length_of(HAS_CONTENT_SIZE, 8) + length_of(HAS_DICTIONARY_ID, 4) + 1;
    loop {
        let word = bytes.get(at..)?.first_chunk::<4>()?;
        at += 4;
        match u32::from_le_bytes(*word) & 0x7fff_ffff {
            0 => break,
            block => at += block as usize + length_of(HAS_BLOCK_CHECKSUMS, 4),
        }
    }
    let len = at + length_of(HAS_CONTENT_CHECKSUM, 4);
    (len <= bytes.len()).then_some(len)
}

pub(super) fn frame_info() -> FrameInfo {
    FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent)
}
