//! A consumer that comes to a damaged batch.

use std::{fs, os::unix::fs::FileExt, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client;
use ottla_records::Batches;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    message::Message,
    topic_partition_list::Offset,
};

use super::stage::{PATIENCE, Stage, TOPIC};

/// Batches of one record.
const RECORDS: i64 = 20;
/// The one that is damaged.
const VICTIM: i64 = 7;

/// Offsets of the records that come, up to the end or the first error.
fn consumed(consumer: &BaseConsumer, mut next: i64) -> Result<(i64, Option<String>)> {
    let begin = Instant::now();
    while next < RECORDS {
        match consumer.poll(std::time::Duration::from_millis(100)) {
            Some(Ok(message)) => {
                ensure!(message.offset() == next, "offset {} where {next} is next", message.offset());
                next += 1;
            }
            Some(Err(error)) => return Ok((next, Some(error.to_string()))),
            None => ensure!(begin.elapsed() < PATIENCE, "nothing comes after offset {next}"),
        }
    }
    Ok((next, None))
}

/// What is before the damage comes, then an error; it goes on where the consumer seeks to.
pub(crate) fn a_consumer_seeks_past() -> Result<()> {
    let mut stage = Stage::new(&[])?;
    stage.start(&["a"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    for _ in 0..RECORDS {
        ensure!(stage.produce(0)? == 0 && stage.produce(1)? == 0);
    }
    ensure!(stage.stop()?);
    let path = stage.dir("a").join(format!("{TOPIC}-0/00000000000000000000.log"));
    let bytes = fs::read(&path)?;
    let before = Batches::new(&bytes).map_while(Result::ok).take_while(|batch| batch.header().base_offset.0 < VICTIM);
    let position: usize = before.map(|batch| batch.bytes().len()).sum();
    fs::OpenOptions::new().write(true).open(&path)?.write_all_at(&[0], position as u64 + 16)?;
    stage.start(&["a"])?;
    let consumer = rust_client::assigned(&stage.bootstrap()?, TOPIC, 0, Offset::Beginning)?;
    let (stopped_at, error) = consumed(&consumer, 0)?;
    let Some(error) = error else { bail!("the damaged record came") };
    ensure!(stopped_at == VICTIM, "stopped at {stopped_at}: {error}");
    println!("a damaged batch, as librdkafka tells it: {error}");
    let remembered = fs::read_to_string(stage.dir("a").join(format!("{TOPIC}-0/ottla-damage")))?;
    let behind: i64 = remembered.split_ascii_whitespace().last().context("an offset")?.parse()?;
    ensure!(behind == VICTIM + 1, "{remembered}");
    consumer.seek(TOPIC, 0, Offset::Offset(behind), PATIENCE)?;
    loop {
        // Errors of answers that were on their way may come yet.
        match consumed(&consumer, behind)? {
            (end, None) if end == RECORDS => break,
            (next, Some(_)) if next == behind => {}
            other => bail!("{other:?}"),
        }
    }
    ensure!(stage.values(1, RECORDS as usize)?.len() == RECORDS as usize, "the other partition");
    ensure!(stage.produce(0)? == 0, "records are taken");
    ensure!(stage.stop()?);
    Ok(())
}
