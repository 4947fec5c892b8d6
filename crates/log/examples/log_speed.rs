//! Measures appends and reads of one log, without a flush: nanoseconds each and bytes per second.
//!
//! `log_speed DIR [MEGABYTES]`; build it with optimisations.

use std::{hint::black_box, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use ottla_log::{Identity, Log, LogConfig, LogDirs, LogDirsConfig, Origin, ReadBound, StdDisk};
use ottla_records::{BatchBuilder, CheckedBatch, HEADER_LEN};
use ottla_types::{BrokerId, LeaderEpoch, Millis, Offset, PartitionIndex, TopicName, TopicPartition, Uuid};

const NOW: Millis = Millis(1_760_000_000_000);

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().context("usage: log_speed DIR [MEGABYTES]")?);
    let megabytes: usize = args.next().map_or(Ok(256), |text| text.parse())?;
    let identity =
        Identity { cluster_id: "speed".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let (settings, config) = (LogDirsConfig::default(), Arc::new(LogConfig::default()));
    let (dirs, _) = LogDirs::open(Arc::new(StdDisk), &[root], &identity, settings, config, NOW)?;
    for (i, size) in [1 << 10, 16 << 10, 1 << 20].into_iter().enumerate() {
        let partition = TopicPartition { topic: TopicName::new("speed")?, partition: PartitionIndex(i as i32) };
        let log = dirs.create(&partition, Uuid([2; 16]), NOW)?;
        measure(&log, size, (megabytes << 20) / size)?;
        dirs.delete(&partition, NOW)?;
    }
    dirs.remove_due(Millis(i64::MAX))?;
    Ok(())
}

fn measure(log: &Log, size: usize, count: usize) -> anyhow::Result<()> {
    let batch = batch(size)?;
    let bytes = batch.header.size_in_bytes() * count;
    let started = Instant::now();
    for _ in 0..count {
        black_box(log.append(&batch, LeaderEpoch(0), Origin::Client, NOW)?);
    }
    tell(&format!("append {size} B"), started, count, bytes);
    let tail = Offset(log.log_end().0 - 1);
    let started = Instant::now();
    for _ in 0..count {
        black_box(log.read(tail, 1 << 20, true, ReadBound::LogEnd)?);
    }
    tell("  read at the tail", started, count, 0);
    let started = Instant::now();
    for i in 0..count {
        let from = Offset((i as i64 * 7919) % log.log_end().0);
        black_box(log.read(from, 1 << 20, true, ReadBound::LogEnd)?);
    }
    tell("  read anywhere", started, count, 0);
    Ok(())
}

fn batch(size: usize) -> anyhow::Result<CheckedBatch> {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(&vec![7; size - HEADER_LEN - 12]));
    Ok(builder.build_checked()?)
}

fn tell(what: &str, started: Instant, count: usize, bytes: usize) {
    let elapsed = started.elapsed();
    let each = elapsed.as_nanos() / count.max(1) as u128;
    let rate = bytes as f64 / elapsed.as_secs_f64() / 1e6;
    println!("{what:22} {each:>9} ns each {rate:>8.0} MB/s");
}
