//! The Rust client over librdkafka, as the suites use it: one producer or consumer with assigned partitions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long a consumer waits for the next record before the suite calls it missing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A record as it came out of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970, where the record has a time.
    pub timestamp: Option<i64>,
    /// Its key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// Its headers in order; a value may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A configuration for `bootstrap` with more settings of librdkafka.
pub fn config(bootstrap: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("message.timeout.ms", "60000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

/// Creates one topic through the admin client.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32, topic_config: &[(&str, &str)]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap, &[]).create()?;
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (key, value) in topic_config {
        new = new.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let results = crate::rust_client::wait(admin.create_topics([&new], &options))?;
    for result in results {
        result.map_err(|(topic, code)| anyhow::anyhow!("creating {topic}: {code}"))?;
    }
    Ok(())
}

/// Drives a future that librdkafka's own threads wake.
pub fn wait<T, E: std::error::Error + Send + Sync + 'static>(future: impl Future<Output = Result<T, E>>) -> Result<T> {
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => return Ok(result?),
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads `count` records of one partition from `from` on.
pub fn consume(bootstrap: &str, topic: &str, partition: i32, from: Offset, count: usize) -> Result<Vec<Record>> {
    let consumer = assigned(bootstrap, topic, partition, from)?;
    let mut records = Vec::with_capacity(count);
    let mut last = Instant::now();
    while records.len() < count {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                records.push(record(&message));
                last = Instant::now();
            }
            Some(Err(error)) => bail!("after {} records: {error}", records.len()),
            None if last.elapsed() > PATIENCE => bail!("only {} of {count} records came", records.len()),
            None => {}
        }
    }
    Ok(records)
}

/// A consumer that is assigned one partition.
pub fn assigned(bootstrap: &str, topic: &str, partition: i32, from: Offset) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(
        bootstrap,
        &[
            ("group.id", "assigned-only"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
        ],
    )
    .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, from)?;
    consumer.assign(&list).context("assign")?;
    Ok(consumer)
}

/// What is in a message.
pub fn record(message: &impl Message) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Record {
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
