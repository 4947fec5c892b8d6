//! The files of a cleanly stopped broker, read by Kafka's own dump tool: as many records, batches, segments, index
//! entries and producers as were written, and no defect.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::dump::{self, Partition};
use ottla_conformance::rust_client::{self, PATIENCE};
use ottla_conformance::{Broker, text};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn main() -> ExitCode {
    ottla_conformance::run("dump_log", &[], |suite, broker| {
        if broker.is_external() {
            bail!("this suite reads its broker's files; it cannot run against one that is not its own");
        }
        let words = text::dictionary()?;
        let words: Vec<_> = text::lines(&words).collect();
        for codec in CODECS {
            suite.case(&format!("write_{codec}"), || write(broker, codec, &words));
        }
        suite.case("stop", || broker.stop());
        let found = dump::judge_all(&broker.data())?;
        for codec in CODECS {
            suite.case(&format!("files_{codec}"), || check(&found, codec, words.len()));
        }
        suite.case("start_on_the_same_files", || broker.start_again());
        suite.case("write_more", || produce(broker, "none", &words[..1000]));
        suite.case("stop_again", || broker.stop());
        suite.case("files_with_more", || {
            let partition = dump::judge_all(&broker.data())?.remove("files-none-0").context("the partition is gone")?;
            ensure!(partition.end_offset == words.len() as u64 + 1000, "{partition:?}");
            Ok(())
        });
        Ok(())
    })
}

/// Small segments and a dense index, so that every kind of file has entries.
fn write(broker: &Broker, codec: &str, words: &[&[u8]]) -> Result<()> {
    let small = [("segment.bytes", "1048576"), ("index.interval.bytes", "4096")];
    rust_client::create_topic(&broker.bootstrap(), &format!("files-{codec}"), 1, &small)?;
    produce(broker, codec, words)
}

fn produce(broker: &Broker, codec: &str, words: &[&[u8]]) -> Result<()> {
    let settings = [("enable.idempotence", "true"), ("compression.type", codec), ("batch.num.messages", "200")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        rust_client::config(&broker.bootstrap(), &settings).set("queue.buffering.max.messages", "1000000").create()?;
    let topic = format!("files-{codec}");
    for word in words {
        let message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic).partition(0).payload(*word).key(*word);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn check(found: &std::collections::BTreeMap<String, Partition>, codec: &str, records: usize) -> Result<()> {
    let partition = found.get(&format!("files-{codec}-0")).context("the tool saw no such partition")?;
    ensure!(partition.records == records as u64 && partition.end_offset == records as u64, "{partition:?}");
    ensure!(partition.batches >= records as u64 / 200, "{partition:?}");
    ensure!(partition.index_entries > 0 && partition.time_index_entries > 0, "{partition:?}");
    ensure!(partition.snapshot_producers > 0, "{partition:?}");
    if codec == "none" {
        ensure!(partition.segments > 1, "{partition:?}");
    }
    Ok(())
}
