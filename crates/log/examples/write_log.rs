//! Writes a data directory with one partition of many segments, for tools that read Kafka's formats.
//!
//! `write_log DIR [--crash]` prints the partition's directory. With `--crash` the log is left as a killed process leaves
//! it, its end is torn, and then it is opened again, recovered and closed.
//!
//! The partition holds every codec, idempotent and transactional producers, committed and aborted transactions, one that
//! is open at the end, timestamps that go back and forth, and four leader epochs.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use bytes::Bytes;
use ottla_log::{Identity, Log, LogConfig, LogDirs, LogDirsConfig, Origin, StdDisk};
use ottla_records::{BatchBuilder, BatchHeader, CheckedBatch, ControlType, HEADER_LEN};
use ottla_types::{
    BrokerEpoch, BrokerId, Compression, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch, TopicName, TopicPartition, Uuid,
};

const NOW: Millis = Millis(1_760_000_000_000);
const ROUNDS: i32 = 400;
const TRANSACTIONAL: ProducerIdAndEpoch = ProducerIdAndEpoch { id: ProducerId(4711), epoch: ProducerEpoch(2) };
const IDEMPOTENT: ProducerIdAndEpoch = ProducerIdAndEpoch { id: ProducerId(12), epoch: ProducerEpoch(0) };

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().context("usage: write_log DIR [--crash]")?);
    let crash = args.next().as_deref() == Some("--crash");
    let partition = TopicPartition { topic: TopicName::new("written")?, partition: PartitionIndex(0) };
    let dirs = open(&root)?;
    let log = dirs.create(&partition, Uuid([5; 16]), NOW)?;
    write(&log)?;
    let dir = log.dir().to_owned();
    drop(log);
    if crash {
        drop(dirs);
        tear(&dir)?;
        let dirs = open(&root)?;
        anyhow::ensure!(dirs.log(&partition, NOW)?.log_end() > Offset::ZERO, "nothing was recovered");
        dirs.close(BrokerEpoch(7))?;
    } else {
        dirs.close(BrokerEpoch(7))?;
    }
    println!("{}", dir.display());
    Ok(())
}

fn open(root: &Path) -> anyhow::Result<LogDirs> {
    let identity = Identity {
        cluster_id: "bm90LWEtcmVhbC1jbHVzdA".to_owned(),
        node_id: BrokerId(1),
        new_directory_ids: vec![Uuid([6; 16])],
    };
    let config = LogConfig { segment_bytes: 64 * 1024, index_interval_bytes: 2000, ..LogConfig::default() };
    let paths = [root.to_owned()];
    let (dirs, reports) =
        LogDirs::open(Arc::new(StdDisk), &paths, &identity, LogDirsConfig::default(), Arc::new(config), NOW)?;
    for recovery in reports {
        eprintln!("recovered {}: {:?}", recovery.partition, recovery.report);
    }
    Ok(dirs)
}

fn write(log: &Log) -> anyhow::Result<()> {
    const CODECS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for round in 0..ROUNDS {
        let epoch = LeaderEpoch(round / 100 * 2);
        let mut plain = BatchBuilder::new().compression(CODECS[round as usize % 5], None);
        records(&mut plain, round, 1 + round as usize % 7);
        append(log, plain, epoch, Origin::Client)?;
        let mut idempotent = BatchBuilder::new().producer(IDEMPOTENT, round * 2);
        records(&mut idempotent, round, 2);
        append(log, idempotent, epoch, Origin::Client)?;
        let mut transactional = BatchBuilder::new().producer(TRANSACTIONAL, round).transactional(true);
        records(&mut transactional, round, 1);
        append(log, transactional, epoch, Origin::Client)?;
        if round % 10 == 9 && round != ROUNDS - 1 {
            let how = if round % 20 == 9 { ControlType::Abort } else { ControlType::Commit };
            append(log, BatchBuilder::marker(TRANSACTIONAL, how, 3, time(round)), epoch, Origin::Coordinator)?;
        }
        if round == ROUNDS / 2 {
            log.flush()?;
        }
    }
    log.advance_high_watermark(log.log_end());
    Ok(())
}

/// Mostly later than before, sometimes earlier.
fn time(round: i32) -> Millis {
    NOW.plus(i64::from(round) * 10 - if round % 3 == 0 { 50 } else { 0 })
}

fn records(batch: &mut BatchBuilder, round: i32, count: usize) {
    for i in 0..count {
        let key = format!("key-{round}-{i}");
        let value = key.repeat(20);
        batch.append(time(round).plus(i as i64), Some(key.as_bytes()), Some(value.as_bytes()));
    }
}

fn append(log: &Log, batch: BatchBuilder, epoch: LeaderEpoch, origin: Origin) -> anyhow::Result<()> {
    let bytes: Bytes = batch.build()?;
    let header = BatchHeader::parse(&bytes)?;
    let batch = CheckedBatch {
        header,
        head: *bytes.first_chunk::<HEADER_LEN>().context("a whole header")?,
        body: bytes.slice(HEADER_LEN..),
        max_timestamp: header.max_timestamp,
        offset_of_max_timestamp: 0,
    };
    log.append(&batch, epoch, origin, NOW)?;
    Ok(())
}

/// Adds half a batch to the newest segment.
fn tear(dir: &Path) -> anyhow::Result<()> {
    let mut names: Vec<_> = std::fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    names.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    names.sort();
    let newest = names.pop().context("a segment")?;
    let mut bytes = std::fs::read(&newest)?;
    bytes.truncate(100);
    OpenOptions::new().append(true).open(newest)?.write_all(&bytes)?;
    Ok(())
}
