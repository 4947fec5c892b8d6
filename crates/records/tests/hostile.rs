//! Hostile bytes: nothing panics, and memory stays within a fixed bound however much a batch claims or holds.
//!
//! One test only: the allocator counts for the whole process.
#![allow(clippy::unwrap_used)] // a test may
#![allow(unsafe_code)] // a counting allocator cannot be written without

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use ottla_records::{
    BatchBuilder, BatchRef, HEADER_LEN, ProduceRules, RecordError, TargetCompression, check_produce,
    compression::{Compressor, compress},
    crc_of, fuzz_batch, records_of,
};
use ottla_types::{Compression, ErrorCode, Millis};

struct Counting;

static NOW_HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = NOW_HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST_HELD.fetch_max(held, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW_HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `run` held at most beyond what was held before.
fn most_held_by(run: impl FnOnce()) -> usize {
    let before = NOW_HELD.load(Relaxed);
    MOST_HELD.store(before, Relaxed);
    run();
    MOST_HELD.load(Relaxed) - before
}

/// Highest resident size of the process so far, for what C code allocates; 0 where there is no such file.
fn resident_peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

const T: Millis = Millis(1_700_000_000_000);
const BIG: usize = 64 << 20;
const COMPRESSED: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A batch that declares one record and has `body`.
fn batch(codec: Compression, body: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(T, None, None);
    let mut batch = builder.build().unwrap()[..HEADER_LEN].to_vec();
    batch[22] = codec as u8;
    batch.extend_from_slice(body);
    mend(&mut batch);
    batch.into()
}

fn mend(batch: &mut [u8]) {
    let len = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&len.to_be_bytes());
    let crc = crc_of(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// One record with a value of `len` zeros, compressed without ever being held.
fn big_record(codec: Compression, len: usize) -> Vec<u8> {
    let mut out = Compressor::new(codec, None, usize::MAX).unwrap();
    let mut varint = Vec::new();
    let mut put = |value: usize| {
        let mut folded = value << 1;
        while folded >= 0x80 {
            varint.push(folded as u8 | 0x80);
            folded >>= 7;
        }
        varint.push(folded as u8);
        std::mem::take(&mut varint)
    };
    let value_len = put(len);
    let record_len = put(4 + value_len.len() + len + 1);
    out.write_all(&record_len).unwrap();
    out.write_all(&[0, 0, 0, 1]).unwrap();
    out.write_all(&value_len).unwrap();
    let zeros = [0; 1 << 16];
    (0..len / zeros.len()).for_each(|_| out.write_all(&zeros).unwrap());
    out.write_all(&[0]).unwrap();
    out.finish().unwrap()
}

#[track_caller]
fn check_bomb(what: &str, bytes: &Bytes, expected: Option<ErrorCode>, held_max: usize) {
    let rules = ProduceRules { max_message_bytes: usize::MAX, ..ProduceRules::default() };
    let mut answer = None;
    let held = most_held_by(|| answer = check_produce(bytes, &rules, T).map_err(|e| e.error_code()).err());
    assert_eq!(answer, expected, "{what}");
    assert!(held <= held_max, "{what}: {held} bytes held for {} received", bytes.len());
}

fn check_bombs() {
    for codec in COMPRESSED {
        // zstd's window is C memory, and a bomb of its density is beyond the cap
        let (len, expected) = match codec {
            Compression::Zstd => (2 * BIG, Some(ErrorCode::MessageTooLarge)),
            _ => (BIG, None),
        };
        let bomb = batch(codec, &big_record(codec, len));
        check_bomb(codec.name(), &bomb, expected, 512 << 10);
        let nested = batch(codec, &compress(codec, None, &big_record(codec, len)).unwrap());
        check_bomb("nested", &nested, Some(ErrorCode::InvalidRecord), 512 << 10);
    }
    check_wide_windows();
    check_claims();
    check_recompression();
}

/// Codecs whose window the sender chooses.
fn check_wide_windows() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    for mode in [BlockMode::Linked, BlockMode::Independent] {
        let info = FrameInfo::new().block_mode(mode).block_size(BlockSize::Max4MB);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&vec![0; BIG]).unwrap();
        let bomb = batch(Compression::Lz4, &encoder.finish().unwrap());
        check_bomb("lz4, 4 MiB blocks", &bomb, Some(ErrorCode::InvalidRecord), 13 << 20);
    }
    let raw = snap::raw::Encoder::new().compress_vec(&vec![0; BIG - 1]).unwrap();
    let bomb = batch(Compression::Snappy, &raw);
    check_bomb("one raw snappy block", &bomb, Some(ErrorCode::InvalidRecord), 22 * raw.len() + (64 << 10));
    for claim in [&b"\xff\xff\xff\xff\x0f"[..], b"\xff\xff\xff\x0f"] {
        check_bomb("raw snappy claim", &batch(Compression::Snappy, claim), Some(ErrorCode::InvalidRecord), 64 << 10);
    }
}

/// A record that claims 1 GiB where there are 20 KB costs little, walked over or read.
fn check_claims() {
    let mut claim = vec![0; 20_000];
    claim[..5].copy_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x08]);
    for codec in COMPRESSED {
        let bytes = batch(codec, &compress(codec, None, &claim).unwrap());
        check_bomb("claim", &bytes, Some(ErrorCode::InvalidRecord), 512 << 10);
        let held = most_held_by(|| {
            let batch = BatchRef::parse(&bytes).unwrap();
            assert_eq!(records_of(&batch).unwrap().next_record(), Err(RecordError::Cut));
        });
        assert!(held <= 512 << 10, "{codec:?}: {held}");
    }
}

/// Storing with another codec streams too.
fn check_recompression() {
    for from in COMPRESSED {
        let bomb = batch(from, &big_record(from, BIG / 4));
        for to in [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Snappy] {
            let compression = TargetCompression::Codec(to, None);
            let rules = ProduceRules { compression, max_message_bytes: 4 << 20, ..ProduceRules::default() };
            let held = most_held_by(|| drop(check_produce(&bomb, &rules, T)));
            assert!(held <= 9 << 20, "{from:?} to {to:?}: {held}");
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

fn vectors() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/batches");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn mutate(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(6) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] = dice.roll(256) as u8,
            2 => bytes[at] ^= 1 << dice.roll(8),
            3 => bytes.insert(at, [0, 0x7f, 0x80, 0xff][dice.roll(4)]),
            4 => bytes.extend_from_within(at..(at + 64).min(bytes.len())),
            _ => {
                let extreme = [-2i32, -1, 0, i32::MAX, i32::MIN][dice.roll(5)].to_be_bytes();
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&extreme[..end - at]);
            }
        }
    }
    bytes
}

fn check_mutations() {
    const ROUNDS: usize = 300;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for seed in vectors().iter().filter(|seed| seed.len() < 4096) {
        for round in 0..ROUNDS {
            let bytes = mutate(seed, &mut dice);
            let held = most_held_by(|| fuzz_batch(&bytes));
            assert!(held <= 16 << 20, "round {round}: {held} bytes held for {} received", bytes.len());
        }
    }
}

fn check_truncations() {
    for seed in vectors() {
        let step = seed.len() / 200 + 1;
        (0..seed.len()).step_by(step).for_each(|len| fuzz_batch(&seed[..len]));
    }
    (0..2000).for_each(|seed| {
        let mut dice = Dice(seed + 1);
        let noise: Vec<u8> = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect();
        fuzz_batch(&noise);
    });
}

#[test]
fn hostile_bytes_neither_panic_nor_fill_the_memory() {
    let before = resident_peak_kib();
    check_bombs();
    check_truncations();
    check_mutations();
    let grown = resident_peak_kib().saturating_sub(before);
    // the test itself holds one buffer of 64 MiB and its compressed forms
    assert!(grown <= 256 << 10, "resident size grew by {grown} KiB");
}
