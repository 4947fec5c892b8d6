//! Snappy, in the two forms that clients send.
//!
//! Java clients wrap blocks in xerial's framing: the magic, two versions, and blocks each after its length, all
//! numbers big endian. Go and C clients may send one raw snappy block without any framing. The first eight bytes tell
//! them apart. What is written here is framed, in blocks of 32 KiB.
//!
//! Invariant: a block's output is allocated only when the block is long enough to give as much.

use std::io::{self, Write};

use super::DecompressError;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic, version 1, oldest version that can read it: 1.
const PREAMBLE: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Uncompressed bytes per block written.
const BLOCK_LEN: usize = 32 << 10;
/// Most that comes out of a block of one: raw blocks are whole batches, and no client makes batches this large.
const BLOCK_OUTPUT_MAX: usize = 64 << 20;
/// A copy of 64 bytes takes 3, and nothing is denser; so this many times its size is more than a block can give.
const RATIO_MAX: usize = 22;

pub(super) struct SnappyReader<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    given: usize,
}

impl<'a> SnappyReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, framed: body.starts_with(&MAGIC), block: Vec::new(), given: 0 }
    }

    pub(super) fn read_some(&mut self, out: &mut [u8]) -> Result<usize, DecompressError> {
        while self.given == self.block.len() && !self.rest.is_empty() && !out.is_empty() {
            self.next_block()?;
        }
        let ready = &self.block[self.given..];
        let len = ready.len().min(out.len());
        out[..len].copy_from_slice(&ready[..len]);
        self.given += len;
        Ok(len)
    }

    fn next_block(&mut self) -> Result<(), DecompressError> {
        if !self.framed {
            let block = std::mem::take(&mut self.rest);
            return self.decompress(block);
        }
        if self.rest.starts_with(&MAGIC) {
            self.take(PREAMBLE.len())?;
            return Ok(());
        }
        let len = self.take(4)?;
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        let block = self.take(len)?;
        self.decompress(block)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecompressError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecompressError::Corrupt)?;
        self.rest = rest;
        Ok(taken)
    }

    fn decompress(&mut self, block: &[u8]) -> Result<(), DecompressError> {
        let len = snap::raw::decompress_len(block).map_err(|_| DecompressError::Corrupt)?;
        if len > block.len().saturating_mul(RATIO_MAX) {
            return Err(DecompressError::Corrupt);
        }
        if len > BLOCK_OUTPUT_MAX {
            return Err(DecompressError::TooLarge);
        }
        self.given = 0;
        self.block.resize(len, 0);
        let read = snap::raw::Decoder::new().decompress(block, &mut self.block);
        if read != Ok(len) { Err(DecompressError::Corrupt) } else { Ok(()) }
    }
}

/// Writes xerial's framing.
pub(super) struct SnappyWriter<W> {
    out: W,
    encoder: snap::raw::Encoder,
    pending: Vec<u8>,
    packed: Vec<u8>,
    started: bool,
}

impl<W: Write> SnappyWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, encoder: snap::raw::Encoder::new(), pending: Vec::new(), packed: Vec::new(), started: false }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        Ok(self.out)
    }

    fn write_block(&mut self) -> io::Result<()> {
        if !self.started {
            self.out.write_all(&PREAMBLE)?;
            self.started = true;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.packed.resize(snap::raw::max_compress_len(self.pending.len()), 0);
        let len = self.encoder.compress(&self.pending, &mut self.packed).map_err(io::Error::other)?;
        self.out.write_all(&(len as u32).to_be_bytes())?;
        self.out.write_all(&self.packed[..len])?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for SnappyWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(BLOCK_LEN - self.pending.len());
        self.pending.extend_from_slice(&bytes[..len]);
        if self.pending.len() == BLOCK_LEN {
            self.write_block()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
