//! Codecs: round trips, damage, caps.

use super::*;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 % 11 + i / 1000) as u8).collect()
}

fn decompress(codec: Compression, body: &[u8], cap: u64) -> Result<Vec<u8>, DecompressError> {
    let mut reader = Decompressor::new(codec, body, cap)?;
    let (mut out, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        match reader.read_some(&mut piece)? {
            0 => return Ok(out),
            read => out.extend_from_slice(&piece[..read]),
        }
    }
}

#[test]
fn every_codec_gives_back_what_it_took() {
    for codec in CODECS {
        for len in [0, 1, 100, 70_000, 300_000] {
            let packed = compress(codec, None, &text(len)).unwrap();
            assert_eq!(decompress(codec, &packed, len as u64).unwrap(), text(len), "{codec:?} {len}");
        }
    }
}

#[test]
fn a_cut_body_never_reads_as_a_whole_one() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = compress(codec, None, &text(1000)).unwrap();
        for len in 0..packed.len() {
            let read = decompress(codec, &packed[..len], 1 << 20);
            assert!(read.unwrap_or_default().is_empty(), "{codec:?} cut to {len} of {}", packed.len());
        }
    }
}

#[test]
fn nothing_comes_out_beyond_the_cap() {
    for codec in CODECS {
        let packed = compress(codec, None, &text(100_000)).unwrap();
        assert_eq!(decompress(codec, &packed, 99_999), Err(DecompressError::TooLarge), "{codec:?}");
    }
}

#[test]
fn bytes_after_the_block_are_an_error() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut packed = compress(codec, None, &text(1000)).unwrap();
        packed.extend_from_slice(b"left over");
        assert_eq!(decompress(codec, &packed, 1 << 20), Err(DecompressError::Corrupt), "{codec:?}");
    }
}

#[test]
fn snappy_without_framing_is_read_too() {
    let raw = snap::raw::Encoder::new().compress_vec(&text(200_000)).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, 200_000).unwrap(), text(200_000));
}

#[test]
fn a_snappy_block_that_claims_too_much_allocates_nothing() {
    // announces 4 GiB less one in five bytes
    assert_eq!(decompress(Compression::Snappy, b"\xff\xff\xff\xff\x0f", 1 << 40), Err(DecompressError::Corrupt));
}

#[test]
fn linked_lz4_blocks_and_checksums_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    for (mode, size) in [(BlockMode::Linked, BlockSize::Max64KB), (BlockMode::Independent, BlockSize::Max4MB)] {
        let info = FrameInfo::new().block_mode(mode).block_size(size).content_checksum(true).block_checksums(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&text(300_000)).unwrap();
        assert_eq!(decompress(Compression::Lz4, &encoder.finish().unwrap(), 300_000).unwrap(), text(300_000));
    }
}

#[test]
fn a_level_out_of_range_is_refused() {
    for (codec, level) in [(Compression::Gzip, 10), (Compression::Gzip, -2), (Compression::Zstd, 23)] {
        assert_eq!(compress(codec, Some(level), b"x"), Err(CompressError(codec)));
    }
}
