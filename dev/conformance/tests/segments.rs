//! Segment files change places: those that Ottla wrote are served by Apache Kafka, those that Kafka wrote by Ottla, and both
//! brokers' text checkpoints say the same of the same partitions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client::{self, PATIENCE};
use ottla_conformance::text;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

/// Written by Ottla, then served by Kafka.
const FROM_OTTLA: [(&str, &str); 2] = [("ottla-none", "none"), ("ottla-zstd", "zstd")];
/// Written by Kafka, then served by Ottla.
const FROM_KAFKA: [(&str, &str); 2] = [("kafka-none", "none"), ("kafka-lz4", "lz4")];
/// Written alike by both, and cut at the front.
const ALIKE: &str = "alike";
const ALIKE_RECORDS: usize = 100;
const ALIKE_START: i64 = 10;
/// What is written into the foreign files once they are served.
const MORE: usize = 500;
/// What makes a segment; the other files of a partition belong to its broker.
const MOVED: [&str; 6] = ["log", "index", "timeindex", "txnindex", "snapshot", "leader-epoch-checkpoint"];

fn main() -> ExitCode {
    ottla_conformance::run("segments", &[], |suite, ottla| {
        if ottla.is_external() {
            bail!("this suite moves its broker's files; it cannot run against one that is not its own");
        }
        let words = text::dictionary()?;
        let words: Vec<_> = text::lines(&words).take(60_000).collect();
        let folder = tempfile::tempdir()?;
        let mut kafka = Kafka::start(&Jars::fetch()?, folder.path(), &Settings::default())?;
        let theirs = kafka.address().to_string();
        let ours = ottla.bootstrap();
        suite.case("write", || {
            for (topic, codec) in FROM_OTTLA {
                create(&ours, topic)?;
                create(&theirs, topic)?;
                produce(&ours, topic, codec, &words)?;
            }
            for (topic, codec) in FROM_KAFKA {
                create(&theirs, topic)?;
                create(&ours, topic)?;
                produce(&theirs, topic, codec, &words)?;
            }
            for bootstrap in [&ours, &theirs] {
                create(bootstrap, ALIKE)?;
                produce(bootstrap, ALIKE, "none", &words[..ALIKE_RECORDS])?;
                delete_records(bootstrap, ALIKE, ALIKE_START)?;
            }
            Ok(())
        });
        suite.case("stop", || kafka.stop().map(drop).and_then(|()| ottla.stop()));
        for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint"]
        {
            suite.case(name, || same_checkpoint(&ottla.data(), &kafka.data(), name));
        }
        suite.case("leader-epoch-checkpoint", || same_epochs(&ottla.data(), &kafka.data()));
        suite.case("move", || {
            for (topic, codec) in FROM_OTTLA {
                move_segments(&ottla.data(), &kafka.data(), topic, codec)?;
            }
            for (topic, codec) in FROM_KAFKA {
                move_segments(&kafka.data(), &ottla.data(), topic, codec)?;
            }
            Ok(())
        });
        suite.case("start", || kafka.start_again().and_then(|()| ottla.start_again()));
        for (topic, codec) in FROM_OTTLA {
            suite.case(&format!("kafka_serves_{topic}"), || serves(&theirs, topic, codec, &words));
        }
        for (topic, codec) in FROM_KAFKA {
            suite.case(&format!("ottla_serves_{topic}"), || serves(&ours, topic, codec, &words));
        }
        suite.case("kafka_stops", || kafka.stop().map(drop));
        Ok(())
    })
}

/// Small segments, so that several are moved.
fn create(bootstrap: &str, topic: &str) -> Result<()> {
    let small = [("segment.bytes", "1048576"), ("index.interval.bytes", "4096")];
    rust_client::create_topic(bootstrap, topic, 1, &small)
}

fn produce(bootstrap: &str, topic: &str, codec: &str, words: &[&[u8]]) -> Result<()> {
    let settings = [("enable.idempotence", "true"), ("compression.type", codec), ("batch.num.messages", "500")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        rust_client::config(bootstrap, &settings).set("queue.buffering.max.messages", "1000000").create()?;
    for word in words {
        let message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(*word).key(*word);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn delete_records(bootstrap: &str, topic: &str, before: i64) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = rust_client::config(bootstrap, &[]).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before))?;
    rust_client::wait(admin.delete_records(&list, &AdminOptions::new()))?;
    Ok(())
}

/// All that was written is there, byte for byte at its offset, and the log takes more.
fn serves(bootstrap: &str, topic: &str, codec: &str, words: &[&[u8]]) -> Result<()> {
    produce(bootstrap, topic, codec, &words[..MORE])?;
    let records = rust_client::consume(bootstrap, topic, 0, Offset::Beginning, words.len() + MORE)?;
    let expected = words.iter().chain(&words[..MORE]);
    for (offset, (record, word)) in records.iter().zip(expected).enumerate() {
        ensure!(record.offset == offset as i64, "offset {} where {offset} was expected", record.offset);
        ensure!(record.value.as_deref() == Some(*word), "record {offset} differs");
    }
    // A lookup in the middle goes through the moved indexes.
    let middle = words.len() / 2;
    let found = rust_client::consume(bootstrap, topic, 0, Offset::Offset(middle as i64), 1)?;
    ensure!(found[0].value.as_deref() == Some(words[middle]), "record {middle} differs");
    Ok(())
}

fn move_segments(from: &Path, to: &Path, topic: &str, codec: &str) -> Result<()> {
    let (from, to) = (from.join(format!("{topic}-0")), to.join(format!("{topic}-0")));
    for entry in fs::read_dir(&to)? {
        let path = entry?.path();
        if is_moved(&path) {
            fs::remove_file(path)?;
        }
    }
    let mut segments = 0;
    for entry in fs::read_dir(&from)? {
        let path = entry?.path();
        if is_moved(&path) {
            segments += usize::from(path.extension().is_some_and(|kind| kind == "log"));
            fs::copy(&path, to.join(path.file_name().context("a file without a name")?))?;
        }
    }
    // Compressed, all of it may fit into one.
    ensure!(segments > usize::from(codec == "none"), "{segments} segments of {topic}");
    Ok(())
}

fn is_moved(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = path.extension().unwrap_or_default().to_string_lossy();
    MOVED.iter().any(|moved| *moved == kind || *moved == name)
}

/// What a checkpoint says of the topic that both brokers have alike, and its first line.
fn checkpointed(data: &Path, name: &str) -> Result<(String, BTreeMap<String, String>)> {
    let text = fs::read_to_string(data.join(name)).with_context(|| format!("{name} in {}", data.display()))?;
    let mut lines = text.lines();
    let version = lines.next().context("empty")?.to_owned();
    let count: usize = lines.next().context("no count")?.parse()?;
    let entries: Vec<_> = lines.collect();
    ensure!(entries.len() == count, "{count} entries are announced, {} are there", entries.len());
    ensure!(text.ends_with('\n'), "the last line is not ended");
    let of_topic = entries.iter().filter_map(|line| line.rsplit_once(' ')).filter(|(key, _)| *key == "alike 0");
    Ok((version, of_topic.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
}

fn same_checkpoint(ottla: &Path, kafka: &Path, name: &str) -> Result<()> {
    let (ours, theirs) = (checkpointed(ottla, name)?, checkpointed(kafka, name)?);
    ensure!(!theirs.1.is_empty(), "Kafka's {name} does not name the partition");
    ensure!(ours == theirs, "Ottla: {ours:?}; Kafka: {theirs:?}");
    Ok(())
}

fn same_epochs(ottla: &Path, kafka: &Path) -> Result<()> {
    let of = |data: &Path| fs::read_to_string(data.join("alike-0/leader-epoch-checkpoint"));
    let (ours, theirs) = (of(ottla)?, of(kafka)?);
    ensure!(ours == theirs, "Ottla: {ours:?}; Kafka: {theirs:?}");
    Ok(())
}
