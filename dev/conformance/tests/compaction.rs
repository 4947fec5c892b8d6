//! Compaction as clients and Kafka's tools see it: closed segments hold one record per key at its old offset, the size
//! falls, deletions are seen and go, so do the coordinators' own topics, Kafka's own tester reports a reduction, and segments
//! that one broker compacted are served by the other.
//!
//! `OTTLA_CLEANER=off` starts the broker without its cleaner: the cases that want compaction then fail, which shows that
//! they can.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::Broker;
use ottla_conformance::rust_client::{self, PATIENCE};
use ottla_conformance::tools::Tools;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_peer::run;
use ottla_testkit::Dice;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

/// How long compaction may take to come round; a cleaner that is off costs this much for each case.
const ROUND: Duration = Duration::from_secs(60);
const CONFIGS: &str = "kafka.admin.ConfigCommand";
/// Kafka's tool that writes, reads and compares.
const TESTER: &str = "org.apache.kafka.tools.LogCompactionTester";
/// What the dump tool prints of records that are a client's.
const PLAIN: &str = "--print-data-log";
const KEYS: usize = 500;
const RECORDS: usize = 60_000;
/// Small segments, compacted as soon as there is anything to do.
const QUICK: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "100"),
];

fn main() -> ExitCode {
    let off = std::env::var("OTTLA_CLEANER").is_ok_and(|value| value == "off");
    let properties = [
        ("log.cleaner.enable", if off { "false" } else { "true" }),
        ("log.cleaner.backoff.ms", "200"),
        ("log.segment.delete.delay.ms", "0"),
        ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.segment.bytes", "1048576"),
        ("transaction.state.log.num.partitions", "1"),
        ("transaction.state.log.segment.bytes", "1048576"),
        ("log.retention.check.interval.ms", "200"),
        ("log.initial.task.delay.ms", "0"),
        ("log.cleaner.min.cleanable.ratio", "0.01"),
        // For the topics of Kafka's tester, which leave it to the broker.
        ("log.segment.bytes", "1048576"),
    ];
    ottla_conformance::run("compaction", &properties, |suite, ottla| {
        let bootstrap = ottla.bootstrap();
        suite.case("closed_segments_hold_one_record_per_key", || closed_segments(ottla, &bootstrap));
        suite.case("deletions_are_seen_and_go", || deletions(ottla, &bootstrap));
        suite.case("a_policy_is_changed_without_a_restart", || changed_policy(ottla, &bootstrap));
        suite.case("a_limit_is_set_without_a_restart", || new_limit(ottla, &bootstrap));
        let (broker, address) = (&*ottla, &*bootstrap);
        suite.together(vec![
            ("consumer_offsets_stay_small".to_owned(), Box::new(|| consumer_offsets(broker, address))),
            ("transaction_state_stays_small".to_owned(), Box::new(|| transaction_state(broker, address))),
            ("kafkas_tester_reports_a_reduction".to_owned(), Box::new(|| kafkas_tester(broker))),
        ]);
        if !ottla.is_external() {
            suite.case("segments_change_places", || segments_change_places(ottla));
        }
        Ok(())
    })
}

fn produce(bootstrap: &str, topic: &str, settings: &[(&str, &str)], records: usize) -> Result<()> {
    let settings = [settings, &[("enable.idempotence", "true"), ("batch.num.messages", "200")]].concat();
    let producer: ThreadedProducer<DefaultProducerContext> =
        rust_client::config(bootstrap, &settings).set("queue.buffering.max.messages", "1000000").create()?;
    for number in 0..records {
        let (key, value) = (key(number), value(number));
        let message = BaseRecord::<'_, str, str>::to(topic).partition(0).key(&key).payload(&value);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

/// Spread, so that every segment holds most keys.
fn key(number: usize) -> String {
    format!("key-{}", number.wrapping_mul(7919) % KEYS)
}

/// About a hundred characters that no codec makes much of.
fn value(number: usize) -> String {
    let mut dice = Dice::new(number as u64);
    (0..6).map(|_| format!("{:016x}", dice.throw())).collect()
}

/// The value that each key has last.
fn last_values(records: usize) -> BTreeMap<String, String> {
    (0..records).map(|number| (key(number), value(number))).collect()
}

/// Waits until `done` says so; what it said last otherwise.
fn eventually(what: &str, mut done: impl FnMut() -> Result<Result<(), String>>) -> Result<()> {
    let begin = Instant::now();
    loop {
        match done()? {
            Ok(()) => return Ok(()),
            Err(last) if begin.elapsed() > ROUND => bail!("{what}: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(200)), // somebody else's files: nothing to wait on
        }
    }
}

fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut logs: Vec<_> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    logs.retain(|path| path.extension() == Some(OsStr::new("log")));
    logs.sort();
    Ok(logs)
}

/// Bytes of the closed segments. A segment may be replaced while it is looked at.
fn closed_bytes(folder: &Path) -> Result<u64> {
    let mut logs = segments(folder)?;
    logs.pop();
    Ok(logs.iter().filter_map(|log| fs::metadata(log).ok()).map(|file| file.len()).sum())
}

/// Waits until the closed segments have at most `bytes`.
fn compacted_to(folder: &Path, bytes: u64) -> Result<()> {
    eventually("the closed segments stay large", || {
        let found = closed_bytes(folder)?;
        Ok(if found > 0 && found <= bytes { Ok(()) } else { Err(format!("{found} bytes where {bytes} are enough")) })
    })
}

/// Offset and key of every record in the files, as Kafka's dump tool prints them with this option.
fn dumped(files: &[PathBuf], printing: &str) -> Result<Vec<(u64, String)>> {
    let jars = Jars::fetch()?;
    let list: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let mut tool = jars.tool("org.apache.kafka.tools.DumpLogSegments");
    tool.args(["--deep-iteration", printing, "--files", &list.join(",")]);
    let output = run::run(&mut tool, ROUND * 3)?.success()?;
    let text = output.all_text();
    ensure!(!text.contains("isvalid: false"), "a batch is not valid");
    let record = |line: &str| {
        let offset = line.strip_prefix("| offset: ")?.split_whitespace().next()?.parse().ok()?;
        let key = line.split(" key: ").nth(1)?.split_whitespace().next()?;
        Some((offset, key.to_owned()))
    };
    Ok(text.lines().filter_map(record).collect())
}

/// The closed segments of a coordinator's topic come to hold one record per key, `key` among them, at most `bytes` in all.
fn one_record_per_key(folder: &Path, decoder: &str, key: &str, bytes: u64) -> Result<()> {
    compacted_to(folder, bytes)?;
    eventually("keys have several records", || {
        let mut files = segments(folder)?;
        files.pop();
        // A file may be replaced before the tool comes to it.
        let Ok(found) = dumped(&files, decoder) else { return Ok(Err("files are being replaced".to_owned())) };
        let mut keys: Vec<_> = found.into_iter().map(|(_, key)| key).collect();
        let (records, of_key) = (keys.len(), keys.iter().filter(|found| found.contains(key)).count());
        keys.sort_unstable();
        keys.dedup();
        let ends = keys.len() == records && of_key == 1;
        Ok(if ends { Ok(()) } else { Err(format!("{records} records of {} keys, {of_key} of {key}", keys.len())) })
    })
}

fn closed_segments(ottla: &Broker, bootstrap: &str) -> Result<()> {
    for codec in ["none", "zstd"] {
        let topic = ottla.topic(&format!("compacted-{codec}"));
        rust_client::create_topic(bootstrap, &topic, 1, &QUICK)?;
        produce(bootstrap, &topic, &[("compression.type", codec)], RECORDS)?;
        let folder = ottla.data().join(format!("{topic}-0"));
        compacted_to(&folder, 400_000)?;
        let mut files = segments(&folder)?;
        files.pop();
        let found = dumped(&files, PLAIN)?;
        let keys: BTreeSet<_> = found.iter().map(|(_, key)| key).collect();
        ensure!(keys.len() == KEYS, "{codec}: {} keys in closed segments", keys.len());
        ensure!(found.len() == KEYS, "{codec}: {} records of {KEYS} keys in closed segments", found.len());
        for (offset, name) in &found {
            ensure!(*name == key(*offset as usize), "offset {offset} holds {name}");
        }
        readers_see(bootstrap, &topic, &last_values(RECORDS))?;
    }
    Ok(())
}

/// Every key's last value, for a reader from the start; each record where it was written.
fn readers_see(bootstrap: &str, topic: &str, expected: &BTreeMap<String, String>) -> Result<()> {
    let consumer = rust_client::assigned(bootstrap, topic, 0, Offset::Beginning)?;
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let mut found = BTreeMap::new();
    let mut last = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                let message = message?;
                let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                found.insert(text(message.key()), text(message.payload()));
                last = Instant::now();
                if message.offset() + 1 >= end {
                    break;
                }
            }
            None => ensure!(last.elapsed() < PATIENCE, "the end at {end} was not reached"),
        }
    }
    ensure!(found == *expected, "{} keys were read, {} expected, or values differ", found.len(), expected.len());
    Ok(())
}

fn deletions(ottla: &Broker, bootstrap: &str) -> Result<()> {
    let topic = ottla.topic("compacted-deletions");
    rust_client::create_topic(bootstrap, &topic, 1, &QUICK)?;
    produce(bootstrap, &topic, &[], 10_000)?;
    let producer: ThreadedProducer<DefaultProducerContext> = rust_client::config(bootstrap, &[]).create()?;
    for number in 0..KEYS {
        let key = format!("key-{number}");
        let tombstone = BaseRecord::<'_, str, str>::to(&topic).partition(0).key(&key);
        producer.send(tombstone).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    // Deletions are in the active segment until others follow; a second pass later than their horizon takes them.
    let folder = ottla.data().join(format!("{topic}-0"));
    eventually("deletions stay", || {
        fill(bootstrap, &topic)?;
        let mut files = segments(&folder)?;
        files.pop();
        // A file may be replaced before the tool comes to it.
        let Ok(found) = dumped(&files, PLAIN) else { return Ok(Err("files are being replaced".to_owned())) };
        let left = found.iter().filter(|(_, key)| key.starts_with("key-")).count();
        Ok(if left == 0 && !found.is_empty() { Ok(()) } else { Err(format!("{left} records of deleted keys")) })
    })
}

/// More than a segment of other keys.
fn fill(bootstrap: &str, topic: &str) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = rust_client::config(bootstrap, &[]).create()?;
    let value = "x".repeat(1000);
    for number in 0..1200 {
        let key = format!("fill-{}", number % 10);
        let message = BaseRecord::<'_, str, str>::to(topic).partition(0).key(&key).payload(&value);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn changed_policy(ottla: &Broker, bootstrap: &str) -> Result<()> {
    let topic = ottla.topic("compacted-later");
    let plain = [("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.01")];
    rust_client::create_topic(bootstrap, &topic, 1, &plain)?;
    produce(bootstrap, &topic, &[], RECORDS)?;
    let folder = ottla.data().join(format!("{topic}-0"));
    ensure!(closed_bytes(&folder)? > 3_000_000, "it is compacted without having been asked for");
    let tools = Tools::start(ottla)?;
    let of_topic = ["--alter", "--entity-type", "topics", "--entity-name", &topic];
    tools.run(CONFIGS, &[&of_topic[..], &["--add-config", "cleanup.policy=compact"]].concat())?;
    compacted_to(&folder, 400_000)
}

/// Retention takes a limit that is set later; who asks for what is gone is told where the log begins.
fn new_limit(ottla: &Broker, bootstrap: &str) -> Result<()> {
    let topic = ottla.topic("limited");
    rust_client::create_topic(bootstrap, &topic, 1, &[("segment.bytes", "1048576"), ("retention.ms", "-1")])?;
    produce(bootstrap, &topic, &[], RECORDS)?;
    let folder = ottla.data().join(format!("{topic}-0"));
    let consumer = rust_client::assigned(bootstrap, &topic, 0, Offset::Beginning)?;
    ensure!(consumer.fetch_watermarks(&topic, 0, PATIENCE)? == (0, RECORDS as i64), "it is cut without a limit");
    let tools = Tools::start(ottla)?;
    let of_topic = ["--alter", "--entity-type", "topics", "--entity-name", &topic];
    tools.run(CONFIGS, &[&of_topic[..], &["--add-config", "retention.bytes=3000000"]].concat())?;
    eventually("the log stays large", || {
        let (bytes, files) = (closed_bytes(&folder)?, segments(&folder)?);
        let (low, _) = consumer.fetch_watermarks(&topic, 0, PATIENCE)?;
        let base: i64 = files[0].file_stem().and_then(OsStr::to_str).context("no name")?.parse()?;
        // At least the limit stays, and less than a segment more.
        Ok(if bytes < 4_200_000 && low > 0 && low == base { Ok(()) } else { Err(format!("{bytes} bytes from {low}")) })
    })
}

/// A group that commits again and again: its topic keeps the last offset, not all of them.
fn consumer_offsets(ottla: &Broker, bootstrap: &str) -> Result<()> {
    let topic = ottla.topic("committed");
    rust_client::create_topic(bootstrap, &topic, 1, &[])?;
    let group: BaseConsumer =
        rust_client::config(bootstrap, &[("group.id", "busy"), ("enable.auto.commit", "false")]).create()?;
    let commit = |offset| -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(offset))?;
        list.find_partition(&topic, 0).context("it was added")?.set_metadata("x".repeat(4000));
        Ok(group.commit(&list, CommitMode::Sync)?)
    };
    // The client does not wait for the coordinator's topic to be made.
    eventually("no commit", || Ok(commit(0).map_err(|error| error.to_string())))?;
    // Each takes 4 KB: several segments, of which the closed ones become almost nothing.
    let commits = 1000;
    (1..=commits).try_for_each(commit)?;
    one_record_per_key(&ottla.data().join("__consumer_offsets-0"), "--offsets-decoder", &topic, 50_000)?;
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic, 0);
    let found = group.committed_offsets(list, PATIENCE)?;
    let offset = found.find_partition(&topic, 0).map(|found| found.offset());
    ensure!(offset == Some(Offset::Offset(commits)), "{offset:?} where {commits} was committed");
    Ok(())
}

/// A producer that ends transaction after transaction: the coordinator's topic keeps the last word, and works on with it.
fn transaction_state(ottla: &Broker, bootstrap: &str) -> Result<()> {
    let topic = ottla.topic("transacted");
    rust_client::create_topic(bootstrap, &topic, 1, &[])?;
    let id = "busy".repeat(1000);
    let settings = [("transactional.id", &*id), ("linger.ms", "0")];
    let producer = || -> Result<ThreadedProducer<DefaultProducerContext>> {
        let producer: ThreadedProducer<DefaultProducerContext> = rust_client::config(bootstrap, &settings).create()?;
        producer.init_transactions(PATIENCE)?;
        Ok(producer)
    };
    let transact = |producer: &ThreadedProducer<DefaultProducerContext>| -> Result<()> {
        producer.begin_transaction()?;
        let message = BaseRecord::<'_, str, str>::to(&topic).partition(0).key("k").payload("v");
        producer.send(message).map_err(|(error, _)| error)?;
        Ok(producer.commit_transaction(PATIENCE)?)
    };
    let first = producer()?;
    // Each takes some records of 4 KB.
    for _ in 0..150 {
        transact(&first)?;
    }
    one_record_per_key(&ottla.data().join("__transaction_state-0"), "--transaction-log-decoder", &id, 50_000)?;
    drop(first);
    transact(&producer()?)
}

/// The tester ends well even where nothing was compacted, so its figure counts.
fn kafkas_tester(ottla: &Broker) -> Result<()> {
    let jars = Jars::fetch()?;
    let mut tool = jars.tool(TESTER);
    tool.args(["--bootstrap-server", &ottla.bootstrap(), "--messages", "200000", "--topics", "1"]);
    tool.args(["--percent-deletes", "10", "--sleep", "15"]);
    let output = run::run(&mut tool, Duration::from_secs(300))?.success()?;
    let text = output.all_text();
    let line = text.lines().find(|line| line.contains("reduction")).with_context(|| text.clone())?;
    println!("  LogCompactionTester: {line}");
    let percent = reduction(line).with_context(|| format!("no figure in {line:?}"))?;
    // Of each key there are hundreds; what is left is the active segment and what was closed during the last look.
    ensure!(percent >= 50.0, "{line}");
    Ok(())
}

/// The number before the `%`.
fn reduction(line: &str) -> Option<f64> {
    let before = line.split('%').next()?;
    before.rsplit(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).next()?.parse().ok()
}

/// What makes a segment; the other files of a partition belong to its broker.
const MOVED: [&str; 6] = ["log", "index", "timeindex", "txnindex", "snapshot", "leader-epoch-checkpoint"];

fn segments_change_places(ottla: &mut Broker) -> Result<()> {
    let ours = ottla.bootstrap();
    let folder = tempfile::tempdir()?;
    let properties = [("log.cleaner.backoff.ms", "200"), ("log.segment.delete.delay.ms", "0")];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let mut kafka = Kafka::start(&Jars::fetch()?, folder.path(), &Settings { properties, ..Settings::default() })?;
    let theirs = kafka.address().to_string();
    for topic in ["compacted-by-ottla", "compacted-by-kafka"] {
        rust_client::create_topic(&ours, topic, 1, &QUICK)?;
        rust_client::create_topic(&theirs, topic, 1, &QUICK)?;
    }
    produce(&ours, "compacted-by-ottla", &[("compression.type", "lz4")], RECORDS)?;
    produce(&theirs, "compacted-by-kafka", &[("compression.type", "lz4")], RECORDS)?;
    compacted_to(&ottla.data().join("compacted-by-ottla-0"), 400_000)?;
    compacted_to(&kafka.data().join("compacted-by-kafka-0"), 400_000)?;
    kafka.stop()?;
    ottla.stop()?;
    move_segments(&ottla.data().join("compacted-by-ottla-0"), &kafka.data().join("compacted-by-ottla-0"))?;
    move_segments(&kafka.data().join("compacted-by-kafka-0"), &ottla.data().join("compacted-by-kafka-0"))?;
    kafka.start_again()?;
    ottla.start_again()?;
    readers_see(&theirs, "compacted-by-ottla", &last_values(RECORDS))?;
    readers_see(&ours, "compacted-by-kafka", &last_values(RECORDS))?;
    kafka.stop().map(drop)
}

fn move_segments(from: &Path, to: &Path) -> Result<()> {
    let is_moved = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = path.extension().unwrap_or_default().to_string_lossy();
        MOVED.iter().any(|moved| *moved == kind || *moved == name)
    };
    for entry in fs::read_dir(to)? {
        let path = entry?.path();
        if is_moved(&path) {
            fs::remove_file(path)?;
        }
    }
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if is_moved(&path) {
            fs::copy(&path, to.join(path.file_name().context("a file without a name")?))?;
        }
    }
    Ok(())
}
