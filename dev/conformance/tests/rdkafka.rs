//! The Rust client over librdkafka, newer than kcat's: every codec, every shape of record, administration.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::rust_client::{self, PATIENCE, Record};
use ottla_conformance::{Broker, Suite};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn main() -> ExitCode {
    ottla_conformance::run("rdkafka", &[], |suite, broker| {
        let bootstrap = broker.bootstrap();
        for codec in CODECS {
            suite.case(&format!("shapes_{codec}"), || shapes(&bootstrap, &broker.topic(codec), codec));
        }
        positions(suite, broker, &bootstrap);
        administration(suite, broker, &bootstrap);
        suite.case("group_metrics_follow_a_client", || group_metrics(broker));
        Ok(())
    })
}

fn positions(suite: &mut Suite, broker: &Broker, bootstrap: &str) {
    suite.case("six_partitions", || six_partitions(bootstrap, &broker.topic("six")));
    suite.case("watermarks_and_times", || watermarks_and_times(bootstrap, &broker.topic("times")));
    suite.case("a_waiting_consumer_is_woken", || waiting_consumer(bootstrap, &broker.topic("waiting")));
    suite.case("too_large_a_record_is_refused", || too_large(bootstrap, &broker.topic("too-large")));
}

fn administration(suite: &mut Suite, broker: &Broker, bootstrap: &str) {
    suite.case("create_twice_is_refused", || create_twice(bootstrap, &broker.topic("twice")));
    suite.case("partitions_are_added", || partitions_are_added(bootstrap, &broker.topic("grown")));
    suite.case("configs_are_altered_and_described", || configs(bootstrap, &broker.topic("configured")));
    suite.case("a_deleted_topic_is_gone", || deleted(bootstrap, &broker.topic("deleted")));
}

/// A key, value and headers of every shape; the offset and time are filled in by position.
fn every_shape() -> Vec<Record> {
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 / 3) as u8).collect();
    let shapes = vec![
        (some(b"key"), some(b"value"), vec![]),
        (None, some(b"no key"), vec![]),
        (some(b"tombstone"), None, vec![]),
        (None, None, vec![]),
        (some(b""), some(b""), vec![]),
        (some("schlüssel".as_bytes()), some(&[0, 255, 10, 13]), vec![header("one", Some(b"1"))]),
        (None, some(b"h"), vec![header("same", Some(b"1")), header("same", Some(b"2")), header("same", Some(b"1"))]),
        (None, some(b"h"), vec![header("empty", Some(b"")), header("null", None), header("", Some(b"no name"))]),
        (some(b"large"), Some(large), vec![]),
    ];
    let number = |(offset, (key, value, headers))| Record {
        offset,
        timestamp: Some(1_600_000_000_000 + offset),
        key,
        value,
        headers,
    };
    (0..).zip(shapes).map(number).collect()
}

fn shapes(bootstrap: &str, topic: &str, codec: &str) -> Result<()> {
    let settings = [("compression.type", codec), ("message.max.bytes", "1048588"), ("linger.ms", "20")];
    let producer: BaseProducer = rust_client::config(bootstrap, &settings).create()?;
    let records = every_shape();
    for record in &records {
        producer.send(to_send(topic, record)).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    let found = rust_client::consume(bootstrap, topic, 0, Offset::Beginning, records.len())?;
    for (found, sent) in found.iter().zip(&records) {
        ensure!(found == sent, "record {} differs", sent.offset);
    }
    Ok(())
}

fn to_send<'a>(topic: &'a str, record: &'a Record) -> BaseRecord<'a, [u8], [u8]> {
    let mut message = BaseRecord::to(topic).partition(0).timestamp(record.timestamp.unwrap_or(0));
    message.key = record.key.as_deref();
    message.payload = record.value.as_deref();
    if record.headers.is_empty() {
        return message;
    }
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_ref() }));
    message.headers(headers)
}

fn send(bootstrap: &str, topic: &str, partition: i32, values: impl Iterator<Item = String>) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = rust_client::config(bootstrap, &[]).create()?;
    for value in values {
        let message: BaseRecord<'_, [u8], String> = BaseRecord::to(topic).partition(partition).payload(&value);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn six_partitions(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 6, &[])?;
    for partition in 0..6 {
        send(bootstrap, topic, partition, (0..500).map(|n| format!("{partition}/{n}")))?;
    }
    for partition in 0..6 {
        let found = rust_client::consume(bootstrap, topic, partition, Offset::Beginning, 500)?;
        for (n, record) in found.iter().enumerate() {
            ensure!(record.value.as_deref() == Some(format!("{partition}/{n}").as_bytes()), "{partition}/{n} differs");
        }
    }
    Ok(())
}

fn watermarks_and_times(bootstrap: &str, topic: &str) -> Result<()> {
    let producer: BaseProducer = rust_client::config(bootstrap, &[]).create()?;
    for n in 0..100_i64 {
        let message: BaseRecord<'_, [u8], str> =
            BaseRecord::to(topic).partition(0).payload("x").timestamp(1_600_000_000_000 + n * 10);
        producer.send(message).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    let consumer = rust_client::assigned(bootstrap, topic, 0, Offset::Beginning)?;
    ensure!(consumer.fetch_watermarks(topic, 0, PATIENCE)? == (0, 100), "watermarks");
    for (time, offset) in [(1_600_000_000_000, 0), (1_600_000_000_495, 50), (1_600_000_000_990, 99)] {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(topic, 0, Offset::Offset(time))?;
        let answer = consumer.offsets_for_times(times, PATIENCE)?;
        let found = answer.find_partition(topic, 0).context("no answer")?.offset();
        ensure!(found == Offset::Offset(offset), "time {time} is at {found:?}, not {offset}");
    }
    Ok(())
}

fn waiting_consumer(bootstrap: &str, topic: &str) -> Result<()> {
    send(bootstrap, topic, 0, std::iter::once("before".to_owned()))?;
    let consumer = rust_client::assigned(bootstrap, topic, 0, Offset::Beginning)?;
    let first = consumer.poll(PATIENCE).context("nothing came")??;
    drop(first);
    ensure!(consumer.poll(Duration::from_millis(300)).is_none(), "a record that nobody sent");
    send(bootstrap, topic, 0, std::iter::once("after".to_owned()))?;
    let second = consumer.poll(PATIENCE).context("not woken")??;
    ensure!(rdkafka::Message::payload(&second) == Some(b"after"), "another record");
    Ok(())
}

fn too_large(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 1, &[("max.message.bytes", "1000")])?;
    let refused = send_one(bootstrap, topic, &"x".repeat(2000));
    ensure!(refused == Some(RDKafkaErrorCode::MessageSizeTooLarge), "{refused:?}");
    ensure!(send_one(bootstrap, topic, "small").is_none(), "a small record is refused");
    Ok(())
}

/// The error that one record was refused with.
fn send_one(bootstrap: &str, topic: &str, value: &str) -> Option<RDKafkaErrorCode> {
    let outcome = (|| {
        let producer: BaseProducer<Outcome> =
            rust_client::config(bootstrap, &[]).create_with_context(Outcome::default())?;
        let message: BaseRecord<'_, [u8], str> = BaseRecord::to(topic).partition(0).payload(value);
        producer.send(message).map_err(|(error, _)| error)?;
        producer.flush(PATIENCE)?;
        producer.context().0.lock().map_or(Ok(()), |outcome| outcome.clone().unwrap_or(Err(KafkaError::Canceled)))
    })();
    outcome.err().and_then(|error: KafkaError| error.rdkafka_error_code())
}

/// What became of the last record.
#[derive(Default)]
struct Outcome(std::sync::Mutex<Option<Result<(), KafkaError>>>);

impl rdkafka::ClientContext for Outcome {}

impl rdkafka::producer::ProducerContext for Outcome {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        if let Ok(mut outcome) = self.0.lock() {
            *outcome = Some(result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone()));
        }
    }
}

fn admin(bootstrap: &str) -> Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    Ok((rust_client::config(bootstrap, &[]).create()?, options))
}

fn create_twice(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 1, &[])?;
    let error = rust_client::create_topic(bootstrap, topic, 1, &[]).err().context("created twice")?;
    ensure!(
        error.to_string().contains("TopicAlreadyExists") || error.to_string().contains("already exists"),
        "{error}"
    );
    Ok(())
}

fn partition_count(bootstrap: &str, topic: &str) -> Result<usize> {
    let consumer = rust_client::assigned(bootstrap, topic, 0, Offset::Beginning)?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
}

fn partitions_are_added(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 2, &[])?;
    let (admin, options) = admin(bootstrap)?;
    let results = rust_client::wait(admin.create_partitions([&NewPartitions::new(topic, 5)], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    ensure!(partition_count(bootstrap, topic)? == 5, "not five partitions");
    send(bootstrap, topic, 4, std::iter::once("in the new one".to_owned()))?;
    rust_client::consume(bootstrap, topic, 4, Offset::Beginning, 1).map(drop)
}

fn configs(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 1, &[("retention.ms", "123456")])?;
    let (admin, options) = admin(bootstrap)?;
    let resource = ResourceSpecifier::Topic(topic);
    let value = |name: &str| -> Result<Option<String>> {
        let results = rust_client::wait(admin.describe_configs([&resource], &options))?;
        let described = results.into_iter().next().context("no answer")?.map_err(|code| anyhow::anyhow!("{code}"))?;
        Ok(described.get(name).and_then(|entry| entry.value.clone()))
    };
    ensure!(value("retention.ms")?.as_deref() == Some("123456"), "the value that the topic was created with");
    ensure!(value("cleanup.policy")?.as_deref() == Some("delete"), "the default");
    let change = AlterConfig::new(resource).set("retention.ms", "7890000");
    let results = rust_client::wait(admin.alter_configs([&change], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    ensure!(value("retention.ms")?.as_deref() == Some("7890000"), "the altered value");
    Ok(())
}

fn deleted(bootstrap: &str, topic: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, topic, 3, &[])?;
    send(bootstrap, topic, 1, std::iter::once("x".to_owned()))?;
    let (admin, options) = admin(bootstrap)?;
    let results = rust_client::wait(admin.delete_topics(&[topic], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    let again = rust_client::wait(admin.delete_topics(&[topic], &options))?;
    ensure!(again.iter().all(Result::is_err), "deleted twice");
    rust_client::create_topic(bootstrap, topic, 3, &[])?;
    let consumer = rust_client::assigned(bootstrap, topic, 1, Offset::Beginning)?;
    ensure!(consumer.fetch_watermarks(topic, 1, PATIENCE)? == (0, 0), "records of the deleted topic");
    Ok(())
}

/// What the page says in its line of `metric` that holds all of `labels`; nothing where there is no such line.
fn gauge(broker: &Broker, metric: &str, labels: &[String]) -> Result<Option<f64>> {
    let page = broker.metrics()?.unwrap_or_default();
    let mut lines = page.lines().filter_map(|line| line.strip_prefix(metric));
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label.as_str())));
    line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| Ok(value.parse()?)).transpose()
}

/// A group commits, and a transaction is open beside it: how far it is behind all records, and behind committed ones.
fn group_metrics(broker: &Broker) -> Result<()> {
    if broker.process().is_none() {
        return Ok(()); // Another broker has no such page.
    }
    let (bootstrap, topic) = (broker.bootstrap(), broker.topic("lagging"));
    let group = format!("g-{topic}");
    rust_client::create_topic(&bootstrap, &topic, 1, &[])?;
    send(&bootstrap, &topic, 0, (0..10).map(|n| n.to_string()))?;
    let lag = |isolation: &str| {
        let labels = [format!("group=\"{group}\""), format!("topic=\"{topic}\""), format!("isolation=\"{isolation}\"")];
        gauge(broker, "ottla_consumer_group_lag{", &labels)
    };
    let lags_are = |what: &str, expected: (f64, f64)| -> Result<()> {
        let begun = std::time::Instant::now();
        loop {
            let found = (lag("read_uncommitted")?, lag("read_committed")?);
            if found == (Some(expected.0), Some(expected.1)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{what}: {found:?}, not {expected:?}");
        }
    };
    let stable =
        || gauge(broker, "ottla_groups{", &["classic".to_owned(), "Stable".to_owned()]).map(Option::unwrap_or_default);
    let commits = || gauge(broker, "ottla_group_offset_commits_total", &[]).map(Option::unwrap_or_default);

    ensure!(lag("read_committed")?.is_none(), "a lag of a group that is not there");
    let before = (stable()?, commits()?);
    let settings = [("group.id", group.as_str()), ("enable.auto.commit", "false"), ("auto.offset.reset", "earliest")];
    let consumer: BaseConsumer = rust_client::config(&bootstrap, &settings).create()?;
    consumer.subscribe(&[&topic])?;
    let begun = std::time::Instant::now();
    // A poll also ends when the assignment comes.
    while consumer.poll(Duration::from_millis(100)).transpose()?.is_none() {
        ensure!(begun.elapsed() < PATIENCE, "nothing came");
    }
    let commit = |offset| -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(offset))?;
        Ok(consumer.commit(&list, CommitMode::Sync)?)
    };
    commit(4)?;
    lags_are("four of ten", (6.0, 6.0))?;
    ensure!((stable()?, commits()?) == (before.0 + 1.0, before.1 + 1.0), "one more group, one more commit");

    let settings = [("transactional.id", topic.as_str())];
    let producer: BaseProducer = rust_client::config(&bootstrap, &settings).create()?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    for _ in 0..3 {
        let record = BaseRecord::<(), str>::to(&topic).partition(0).payload("open");
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    lags_are("three of an open transaction", (9.0, 6.0))?;
    producer.abort_transaction(PATIENCE)?;
    lags_are("with the marker of its end", (10.0, 10.0))?;
    commit(14)?;
    lags_are("all is read", (0.0, 0.0))?;
    drop(consumer);
    ensure!(stable()? == before.0, "the group is not stable any more");
    Ok(())
}
