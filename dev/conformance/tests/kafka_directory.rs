//! A data directory that Apache Kafka wrote, imported and served: ids, records, configurations, groups and transactions are
//! what they were; what is not carried over is named; and the way back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client::{self, PATIENCE, Record, config};
use ottla_conformance::transactions::Transactional;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_peer::tools::Tools;
use ottla_testkit::{BINARY_ENV, BrokerCommand, BrokerProcess};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS: usize = 2000;
const COMPACTED: &str = "compacted";
const TRANSACTED: &str = "transacted";
const GROUP: &str = "readers";
/// Records that the group has committed of the topic of the first codec.
const COMMITTED: usize = 700;
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";

fn main() -> ExitCode {
    // The suite's own broker is not used: those of these cases start on directories of their own.
    ottla_conformance::run("kafka_directory", &[], |suite, broker| {
        if broker.is_external() {
            bail!("this suite serves directories of its own; it cannot run against another's broker");
        }
        let folder = tempfile::tempdir()?;
        let mut world = World::new(folder.path())?;
        let mut kept = Kept::default();
        suite.case("kafka_writes", || world.write());
        suite.case("kafka_says", || {
            kept = world.read(&world.kafka.address().to_string())?;
            Ok(())
        });
        suite.case("a_running_broker_is_seen", || {
            refused(&world.import(&[], &world.kafka.data()), "a broker is running on it")
        });
        suite.case("kafka_stops", || world.kafka.stop().map(drop));
        suite.case("not_served_before", || world.not_served());
        suite.case("dump_log_finds_no_fault", || world.dump_log());
        let copy = folder.path().join("copy");
        suite.case("import_a_copy", || {
            let output = world.import(&["--from", &world.kafka.data().display().to_string()], &copy);
            imported(&output, &["client quotas", "SCRAM credentials", "carol"])?;
            succeeded(&world.import(&["--from", &world.kafka.data().display().to_string()], &copy), "already")
        });
        suite.case("serve_the_copy", || world.serve(&copy, |world, bootstrap| world.compare(bootstrap, &kept)));
        suite.case("kafka_s_own_is_untouched", || {
            world.kafka.start_again()?;
            let now = world.read(&world.kafka.address().to_string())?;
            ensure!(now == kept, "Kafka's directory says something else");
            world.kafka.kill()
        });
        let data = world.kafka.data();
        suite.case("import_after_a_kill_in_place", || imported(&world.import(&[], &data), &["not stopped cleanly"]));
        suite.case("serve_in_place", || world.serve(&data, |world, bootstrap| world.compare(bootstrap, &kept)));
        suite.case("the_way_back", || {
            fs::rename(data.join("__ottla_metadata"), folder.path().join("metadata-of-ottla"))?;
            world.kafka.start_again()?;
            let bootstrap = world.kafka.address().to_string();
            let records = rust_client::consume(&bootstrap, CODECS[0], 0, Offset::Beginning, RECORDS + 1)?;
            ensure!(records.last().is_some_and(|last| last.value.as_deref() == Some(b"from Ottla")), "the last record");
            produce(&bootstrap, CODECS[0], "none", 0..10)?;
            world.kafka.stop().map(drop)
        });
        Ok(())
    })
}

/// What must be the same before and after.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    ids: BTreeMap<String, String>,
    configs: BTreeMap<String, String>,
    records: BTreeMap<String, Vec<Shape>>,
    committed: i64,
}

/// A record, comparable.
type Shape = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

struct World {
    binary: PathBuf,
    kafka: Kafka,
    tools: std::cell::RefCell<Tools>,
}

impl World {
    fn new(folder: &Path) -> Result<World> {
        let binary = std::env::var_os(BINARY_ENV).context("no binary to test")?.into();
        let jars = Jars::fetch()?;
        let settings = Settings {
            properties: [
                ("num.partitions", "1"),
                ("transaction.state.log.num.partitions", "3"),
                ("offsets.topic.num.partitions", "3"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
            cpus: None,
        };
        let kafka = Kafka::start(&jars, &folder.join("kafka"), &settings)?;
        let tools = Tools::start(&jars)?.into();
        Ok(World { binary, kafka, tools })
    }

    fn tool(&self, bootstrap: &str, class: &str, arguments: &[&str]) -> Result<String> {
        let all = [&["--bootstrap-server", bootstrap], arguments].concat();
        Ok(self.tools.borrow_mut().run(class, &all, b"")?.success()?.text())
    }

    fn write(&self) -> Result<()> {
        let bootstrap = self.kafka.address().to_string();
        for codec in CODECS {
            let small = [("segment.bytes", "1048576"), ("retention.ms", "123456789"), ("index.interval.bytes", "1024")];
            rust_client::create_topic(&bootstrap, codec, 2, &small)?;
            produce(&bootstrap, codec, codec, 0..RECORDS)?;
        }
        rust_client::create_topic(&bootstrap, COMPACTED, 1, &[("cleanup.policy", "compact")])?;
        produce(&bootstrap, COMPACTED, "none", 0..100)?;
        rust_client::create_topic(&bootstrap, TRANSACTED, 1, &[])?;
        let producer = Transactional::start(&bootstrap, "worker")?;
        producer.begin(TRANSACTED, &["one", "two"])?;
        producer.commit()?;
        producer.begin(TRANSACTED, &["never"])?;
        producer.abort()?;
        producer.begin(TRANSACTED, &["three"])?;
        producer.commit()?;
        let open = Transactional::start(&bootstrap, "open")?;
        open.begin(TRANSACTED, &["undecided"])?;
        commit_offsets(&bootstrap)?;
        let alter = |arguments: &[&str]| self.tool(&bootstrap, CONFIGS, arguments).map(drop);
        alter(&[
            "--alter",
            "--entity-type",
            "users",
            "--entity-name",
            "carol",
            "--add-config",
            "producer_byte_rate=1024",
        ])?;
        alter(&[
            "--alter",
            "--entity-type",
            "users",
            "--entity-name",
            "dave",
            "--add-config",
            "SCRAM-SHA-256=[password=secret]",
        ])?;
        alter(&["--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "message.max.bytes=2000000"])
    }

    fn read(&self, bootstrap: &str) -> Result<Kept> {
        let mut kept = Kept::default();
        let described = self.tool(bootstrap, TOPICS, &["--describe"])?;
        for line in described.lines().filter(|line| line.starts_with("Topic: ")) {
            let field = |name: &str| Some(line.split(name).nth(1)?.split_whitespace().next()?.to_owned());
            kept.ids.insert(field("Topic: ").context("name")?, field("TopicId: ").context("id")?);
        }
        for topic in CODECS.iter().chain(&[COMPACTED, TRANSACTED]) {
            let set =
                self.tool(bootstrap, CONFIGS, &["--describe", "--entity-type", "topics", "--entity-name", topic])?;
            let mut lines: Vec<_> = set.lines().map(|line| line.trim().to_owned()).collect();
            lines.sort();
            kept.configs.insert((*topic).to_owned(), lines.join("\n"));
        }
        let default = ["--describe", "--entity-type", "brokers", "--entity-default"];
        kept.configs.insert("brokers".to_owned(), self.tool(bootstrap, CONFIGS, &default)?);
        for (topic, count) in CODECS.iter().map(|codec| (*codec, RECORDS)).chain([(COMPACTED, 100), (TRANSACTED, 3)]) {
            let records = rust_client::consume(bootstrap, topic, 0, Offset::Beginning, count)?;
            kept.records.insert(topic.to_owned(), records.into_iter().map(shape).collect());
        }
        kept.committed = committed(bootstrap)?;
        Ok(kept)
    }

    /// Ottla with `arguments`.
    fn ottla(&self, arguments: &[&str]) -> Result<Output> {
        Ok(Command::new(&self.binary).args(arguments).output()?)
    }

    fn import(&self, arguments: &[&str], data: &Path) -> Result<Output> {
        let data = data.display().to_string();
        self.ottla(&[&["import-kafka", "--data-dir", &data], arguments].concat())
    }

    fn not_served(&self) -> Result<()> {
        let data = self.kafka.data().display().to_string();
        let output = self.ottla(&["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--set", "node.id=1"]);
        refused(&output, "ottla import-kafka")
    }

    fn dump_log(&self) -> Result<()> {
        let data = self.kafka.data().display().to_string();
        let output = self.ottla(&["dump-log", "--print-data-log", "--format", "json", "--files", &data])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let fault = text.lines().find(|line| line.contains("\"kind\":\"damage\""));
        ensure!(output.status.success() && fault.is_none(), "{fault:?}");
        for word in
            ["\"type\":\"TopicRecord\"", "\"type\":\"OffsetCommit\"", "\"type\":\"TransactionLog\"", "LEADER_CHANGE"]
        {
            ensure!(text.contains(word), "no {word}");
        }
        Ok(())
    }

    /// Serves a directory, has `check` look, and stops cleanly.
    fn serve(&self, data: &Path, check: impl FnOnce(&World, &str) -> Result<()>) -> Result<()> {
        let command = BrokerCommand::new(&self.binary, data).argument("--set").argument("node.id=1");
        let mut process: BrokerProcess = command.start()?;
        let checked = check(self, &process.address().to_string());
        checked.with_context(|| process.stderr())?;
        let status = process.terminate()?;
        ensure!(status.success(), "the stop: {status}: {}", process.stderr());
        Ok(())
    }

    fn compare(&self, bootstrap: &str, kept: &Kept) -> Result<()> {
        let now = self.read(bootstrap)?;
        ensure!(now.ids == kept.ids, "ids: {:?} were {:?}", now.ids, kept.ids);
        ensure!(now.committed == kept.committed, "the group is at {}, was at {}", now.committed, kept.committed);
        for (topic, records) in &kept.records {
            ensure!(now.records.get(topic) == Some(records), "records of {topic} differ");
        }
        for (of, configs) in &kept.configs {
            let found = now.configs.get(of);
            ensure!(found == Some(configs), "settings of {of}: {found:?} were {configs:?}");
        }
        // The transaction that was open is aborted when its producer comes again; then readers go past it.
        let again = Transactional::start(bootstrap, "open")?;
        again.begin(TRANSACTED, &["decided"])?;
        again.commit()?;
        let records = rust_client::consume(bootstrap, TRANSACTED, 0, Offset::Beginning, 4)?;
        let values: Vec<_> = records.iter().filter_map(|record| record.value.as_deref()).collect();
        ensure!(values == [&b"one"[..], b"two", b"three", b"decided"], "{values:?}");
        let producer: ThreadedProducer<DefaultProducerContext> = config(bootstrap, &[]).create()?;
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(CODECS[0]).partition(0).payload(b"from Ottla");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(PATIENCE)?;
        let records = rust_client::consume(bootstrap, CODECS[0], 0, Offset::Offset(RECORDS as i64), 1)?;
        ensure!(records[0].value.as_deref() == Some(b"from Ottla"), "a new record at offset {}", records[0].offset);
        Ok(())
    }
}

fn shape(record: Record) -> Shape {
    (record.offset, record.key, record.value)
}

fn produce(bootstrap: &str, topic: &str, codec: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let settings = [("enable.idempotence", "true"), ("compression.type", codec), ("batch.num.messages", "50")];
    let producer: ThreadedProducer<DefaultProducerContext> = config(bootstrap, &settings).create()?;
    for number in numbers {
        let (key, value) = (format!("key-{}", number % 20), format!("value {number} of {topic}").repeat(20));
        let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(&number.to_string()) });
        let record = BaseRecord::to(topic).partition(0).key(&key).payload(&value).headers(headers);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn commit_offsets(bootstrap: &str) -> Result<()> {
    let consumer: BaseConsumer = config(bootstrap, &[("group.id", GROUP)]).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(CODECS[0], 0, Offset::Offset(COMMITTED as i64))?;
    Ok(consumer.commit(&list, CommitMode::Sync)?)
}

fn committed(bootstrap: &str) -> Result<i64> {
    let consumer: BaseConsumer = config(bootstrap, &[("group.id", GROUP)]).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition(CODECS[0], 0);
    let found = consumer.committed_offsets(list, Duration::from_secs(30))?;
    match found.elements()[0].offset() {
        Offset::Offset(offset) => Ok(offset),
        other => bail!("no offset: {other:?}"),
    }
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeded(output: &Result<Output>, says: &str) -> Result<()> {
    let output = output.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    ensure!(output.status.success() && words(output).contains(says), "{}: {}", output.status, words(output));
    Ok(())
}

fn imported(output: &Result<Output>, notes: &[&str]) -> Result<()> {
    notes.iter().try_for_each(|note| succeeded(output, note))
}

fn refused(output: &Result<Output>, says: &str) -> Result<()> {
    let output = output.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    ensure!(output.status.code() == Some(1) && words(output).contains(says), "{}: {}", output.status, words(output));
    Ok(())
}
