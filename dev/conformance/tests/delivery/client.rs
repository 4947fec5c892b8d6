//! What the three programs share: where they work, their clients, and the gate.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ottla_conformance::rust_client::{PATIENCE, config};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Most records of one round.
pub(crate) const BATCH: usize = 10;
/// Holds the program's name and its place.
const ROLE_ENV: &str = "OTTLA_DELIVERY";

/// What is copied, where to, and whose offsets remember how far.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) bootstrap: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) group: String,
}

pub(crate) fn give_role(command: &mut Command, name: &str, place: &Place) {
    let words = [name, &place.bootstrap, &place.input, &place.output, &place.group];
    command.env(ROLE_ENV, words.join(" "));
}

pub(crate) fn role() -> Option<(String, Place)> {
    let role = std::env::var(ROLE_ENV).ok()?;
    let mut words = role.split(' ').map(str::to_owned);
    let name = words.next()?;
    let place = Place { bootstrap: words.next()?, input: words.next()?, output: words.next()?, group: words.next()? };
    Some((name, place))
}

/// The input while it is read.
pub(crate) struct Input {
    pub(crate) consumer: BaseConsumer,
    is_at_end: bool,
}

impl Place {
    /// Reads the input's one partition from the group's offset on, committed records only.
    pub(crate) fn input(&self) -> Result<Input> {
        let settings = [
            ("group.id", self.group.as_str()),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
        ];
        let consumer: BaseConsumer = config(&self.bootstrap, &settings).create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.input, 0, Offset::Stored)?;
        consumer.assign(&list)?;
        Ok(Input { consumer, is_at_end: false })
    }

    /// An idempotent producer: what it retries does not come twice. That alone does not make the programs differ.
    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Result<ThreadedProducer<DefaultProducerContext>> {
        Ok(config(&self.bootstrap, &[&[("enable.idempotence", "true")], settings].concat()).create()?)
    }

    /// Sends a batch to the output; everything is acknowledged when this returns.
    pub(crate) fn process(
        &self,
        producer: &ThreadedProducer<DefaultProducerContext>,
        batch: &[(i64, String)],
    ) -> Result<()> {
        for (_, value) in batch {
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&self.output).partition(0).payload(value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        Ok(producer.flush(PATIENCE)?)
    }

    /// The group's offset behind a batch.
    pub(crate) fn behind(&self, batch: &[(i64, String)]) -> Result<TopicPartitionList> {
        let (last, _) = batch.last().context("an empty batch")?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.input, 0, Offset::Offset(last + 1))?;
        Ok(list)
    }
}

impl Input {
    /// The next records, with their offsets; none at the end of the topic.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<(i64, String)>>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH && !self.is_at_end {
            match self.consumer.poll(PATIENCE) {
                Some(Ok(message)) => {
                    let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    batch.push((message.offset(), value));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.is_at_end = true,
                Some(Err(KafkaError::MessageConsumptionFatal(error))) => bail!("reading: {error}"),
                // Others pass: the client asks again by itself.
                Some(Err(error)) => eprintln!("reading: {error}"),
                None => bail!("nothing comes, not even the end"),
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

/// Where the program may be killed: says that it is here, and waits to be let on.
pub(crate) fn gate() -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "at the gate").and_then(|()| out.flush())?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
