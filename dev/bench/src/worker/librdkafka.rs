//! librdkafka, through the Rust client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ottla_testkit::Dice;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::measure;
use crate::clients::Measured;
use crate::parameters::{FETCH_BYTES, PARTITIONS};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is produced.
#[derive(Debug, Args)]
pub(crate) struct Load {
    bootstrap: String,
    topic: String,
    size: usize,
    records: u64,
    acks: String,
    #[arg(long)]
    batch_bytes: u32,
    #[arg(long)]
    linger_ms: u32,
    /// Records get one of so many keys; none without it.
    #[arg(long)]
    keys: Option<u64>,
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Makes a topic.
pub(crate) fn create(bootstrap: &str, topic: &str, settings: &[String]) -> Result<Measured> {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let mut new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for setting in settings {
        let (key, value) = setting.split_once('=').context("a setting is KEY=VALUE")?;
        new = new.set(key, value);
    }
    let results = wait(admin.create_topics([&new], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    Ok(Measured::default())
}

/// Sets a topic's configuration.
pub(crate) fn alter(bootstrap: &str, topic: &str, settings: &[String]) -> Result<Measured> {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let mut new = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for setting in settings {
        let (key, value) = setting.split_once('=').context("a setting is KEY=VALUE")?;
        new = new.set(key, value);
    }
    let results = wait(admin.alter_configs([&new], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    Ok(Measured::default())
}

/// Deletes a topic.
pub(crate) fn delete(bootstrap: &str, topic: &str) -> Result<Measured> {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = wait(admin.delete_topics(&[topic], &options))?;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    Ok(Measured::default())
}

/// Drives a future that librdkafka's threads wake.
fn wait<T>(future: impl Future<Output = Result<T, KafkaError>>) -> Result<T> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return Ok(result?);
        }
        std::thread::park();
    }
}

/// Counts acknowledgements.
#[derive(Default)]
struct Counter {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl ClientContext for Counter {}

impl ProducerContext for Counter {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends records round the partitions, until each is acknowledged.
pub(crate) fn produce(load: &Load) -> Result<Measured> {
    let producer: BaseProducer<Counter> = config(&load.bootstrap)
        .set("acks", &load.acks)
        .set("linger.ms", load.linger_ms.to_string())
        .set("batch.size", load.batch_bytes.to_string())
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "262144")
        .set("compression.codec", "none")
        .create_with_context(Counter::default())?;
    let value: Vec<u8> = (0..load.size).map(|at| (at * 31 % 251) as u8).collect();
    producer.client().fetch_metadata(Some(&load.topic), PATIENCE)?;
    let measured = measure(|| {
        for number in 0..load.records {
            // With keys, those of a partition are its own.
            let place = load.keys.map_or(number, |keys| Dice::new(number).below(keys));
            let key = load.keys.map(|_| format!("key-{place:012}"));
            send(&producer, &load.topic, (place % PARTITIONS as u64) as i32, key.as_deref(), &value)?;
            if number % 1024 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(PATIENCE)?;
        Ok(producer.context().acknowledged.load(Ordering::Relaxed))
    })?;
    let refused = producer.context().refused.load(Ordering::Relaxed);
    ensure!(
        measured.records == load.records,
        "{} of {} acknowledged, {refused} refused",
        measured.records,
        load.records
    );
    Ok(measured)
}

fn send(producer: &BaseProducer<Counter>, topic: &str, partition: i32, key: Option<&str>, value: &[u8]) -> Result<()> {
    let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).partition(partition).payload(value);
    record.key = key;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
            Err((error, _)) => return Err(error.into()),
        }
        producer.poll(Duration::from_millis(1));
    }
}

/// Reads records of all partitions from their beginnings.
pub(crate) fn consume(bootstrap: &str, topic: &str, records: u64) -> Result<Measured> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", "assigned-only")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
        // Without this the client pauses for a second whenever it holds 100,000 messages.
        .set("queued.min.messages", "10000000")
        .set("queued.max.messages.kbytes", "262144")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    // What it takes to connect and to look up offsets is not what is measured.
    consumer.poll(PATIENCE).context("no record came")??;
    let mut measured = measure(|| {
        let mut bytes = 0;
        for read in 1..records {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => bytes += message.payload_len(),
                Some(Err(error)) => return Err(error.into()),
                None => bail!("only {read} of {records} records came"),
            }
        }
        ensure!(bytes > 0, "empty records");
        Ok(records - 1)
    })?;
    measured.records_in_all = records;
    Ok(measured)
}
