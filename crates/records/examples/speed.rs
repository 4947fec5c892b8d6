//! How fast batches are checked: one line per case, best of several rounds. Run it with `--release`.

#![allow(clippy::unwrap_used)] // a measuring program

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ottla_records::{BatchBuilder, Depth, ProduceRules, check_produce, compression::compress, crc_of};
use ottla_types::{Compression, Millis};

const NOW: Millis = Millis(1_700_000_000_000);
const ROUNDS: usize = 7;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn main() {
    for len in [1 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let bytes = text(len);
        report(&format!("crc-32c, {len} bytes"), len, 0, || {
            black_box(crc_of(&bytes));
        });
    }
    for value_len in [100, 1000] {
        for codec in CODECS {
            check(codec, value_len, 64 << 10, Depth::Records);
        }
        check(Compression::None, value_len, 64 << 10, Depth::HeaderOnly);
        check(Compression::None, value_len, 1 << 10, Depth::Records);
        for codec in &CODECS[1..] {
            check(*codec, value_len, 4 << 10, Depth::Records);
        }
    }
    for codec in &CODECS[1..] {
        let bytes = text(64 << 10);
        report(&format!("compress {}, 64 KiB", codec.name()), bytes.len(), 0, || {
            drop(black_box(compress(*codec, None, &bytes)));
        });
    }
}

/// Checks a batch of about `len` bytes of records with values of `value_len`.
fn check(codec: Compression, value_len: usize, len: usize, depth: Depth) {
    let mut builder = BatchBuilder::new().compression(codec, None);
    let bytes = text(value_len + len);
    while builder.body_len() < len {
        let at = builder.body_len() % len;
        builder.append(NOW.plus(i64::from(builder.records_count() / 100)), None, Some(&bytes[at..at + value_len]));
    }
    let (records, plain_len) = (builder.records_count(), builder.body_len());
    let batch: Bytes = builder.build().unwrap();
    let rules = ProduceRules { depth, ..ProduceRules::default() };
    let name =
        format!("check {:6} {value_len:4} B records, {plain_len:6} -> {:6} B, {depth:?}", codec.name(), batch.len());
    report(&name, plain_len, records, || drop(black_box(check_produce(&batch, &rules, NOW).unwrap())));
}

/// Half noise, half words: compresses about threefold.
fn text(len: usize) -> Vec<u8> {
    let (mut state, mut out) = (1u64, Vec::with_capacity(len + 16));
    while out.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        out.extend_from_slice(b"\"name\": ");
        out.extend_from_slice(&(state >> 40).to_le_bytes()[..4]);
    }
    out.truncate(len);
    out
}

fn report(name: &str, bytes: usize, records: i32, mut run: impl FnMut()) {
    let times = (200_000_000 / bytes / 20).max(3);
    let best = (0..ROUNDS).map(|_| round(times, &mut run)).min().unwrap_or_default() / times as u32;
    let rate = bytes as f64 / best.as_secs_f64() / 1e6;
    let each = if records > 0 { best.as_nanos() as f64 / f64::from(records) } else { 0.0 };
    println!("{name}: {rate:.0} MB/s, {:.2} us, {each:.1} ns per record", best.as_secs_f64() * 1e6);
}

fn round(times: usize, run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..times).for_each(|_| run());
    start.elapsed()
}
