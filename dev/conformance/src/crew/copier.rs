//! Makes an output of every input with librdkafka: consume, transform, produce, with the input's offsets in the transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::role::{Role, key};
use super::transactions::{End, Transactions};

const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
/// Most records of one transaction.
const BATCH: usize = 20;

/// What one poll gave: offset and value, by partition.
type Batch = BTreeMap<i32, Vec<(i64, String)>>;

/// Reads what was committed, and says it.
pub(super) fn read(role: &Role) -> Result<()> {
    let from = role.word("from")?;
    let consumer = assigned(role)?;
    while !role.is_over() {
        say_polled(role, from, &poll(role, &consumer));
    }
    leave(consumer);
    Ok(())
}

/// Copies with the offsets in the transaction.
pub(super) fn copy(role: &Role) -> Result<()> {
    let (from, to, group) = (role.word("from")?, role.word("to")?, role.word("group")?);
    let (partitions, aborts) = (role.number("partitions")?, role.number("aborts")?);
    let mut dice = role.dice()?;
    // First of all: offsets that a predecessor's transaction left pending are certain when that is aborted.
    let mut transactions = Transactions::open(role)?;
    let consumer = assigned(role)?;
    let metadata = consumer.group_metadata().context("no group")?;
    while !role.is_over() {
        let batch = poll(role, &consumer);
        if batch.is_empty() {
            continue;
        }
        let is_aborted = dice.below(aborts) == 1;
        let end = transactions.run(is_aborted, |transactions| -> KafkaResult<()> {
            say_polled(role, from, &batch);
            for (partition, records) in &batch {
                for (offset, _) in records {
                    let source = format!(" <{}:{offset}", key(from, *partition));
                    transactions.send(to, dice.below(partitions) as i32, &source)?;
                }
            }
            let next = |records: &Vec<(i64, String)>| records.last().map_or(0, |(offset, _)| offset + 1);
            let positions: Vec<_> = batch.iter().map(|(partition, records)| (*partition, next(records))).collect();
            transactions.offsets(from, &positions, group, &metadata)
        })?;
        match end {
            End::Committed => {}
            End::NotCommitted => rewind(role, &consumer)?,
            End::Fenced => {
                role.say("note fenced");
                break;
            }
        }
    }
    transactions.end();
    leave(consumer);
    Ok(())
}

/// The library is not asked to close: where that comes right behind an assignment it may end the whole process (its assertion
/// `rktp_started`). The connections go with the process.
fn leave(consumer: BaseConsumer) {
    std::mem::forget(consumer);
}

/// A consumer of every partition, from where its group's offsets are.
fn assigned(role: &Role) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = role.consumer()?.create()?;
    role.say("assign");
    rewind(role, &consumer)?;
    Ok(consumer)
}

/// To assign anew throws away what was fetched before.
fn rewind(role: &Role, consumer: &BaseConsumer) -> Result<()> {
    let (topic, partitions) = (role.word("from")?, role.number("partitions")? as i32);
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let committed = loop {
        match consumer.committed_offsets(list.clone(), PATIENCE) {
            Ok(committed) => break committed,
            Err(error) => role.say(format_args!("note trouble {error}")),
        }
    };
    let mut positions = TopicPartitionList::new();
    let mut words = String::new();
    for element in committed.elements() {
        let next = if let Offset::Offset(offset) = element.offset() { offset } else { 0 };
        positions.add_partition_offset(topic, element.partition(), Offset::Offset(next))?;
        words.push_str(&format!(" {}={next}", key(topic, element.partition())));
    }
    consumer.assign(&positions)?;
    role.say(format_args!("seek{words}"));
    Ok(())
}

fn poll(role: &Role, consumer: &BaseConsumer) -> Batch {
    let mut batch = Batch::new();
    let mut patience = POLL;
    for _ in 0..BATCH {
        match consumer.poll(patience) {
            Some(Ok(message)) => {
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                batch.entry(message.partition()).or_default().push((message.offset(), value));
            }
            Some(Err(error)) => role.say(format_args!("note trouble {error}")),
            None => break,
        }
        patience = Duration::ZERO;
    }
    batch
}

fn say_polled(role: &Role, topic: &str, batch: &Batch) {
    for (partition, records) in batch {
        let words: Vec<_> = records.iter().map(|(offset, value)| format!(" {offset}={value}")).collect();
        role.say(format_args!("polled {}{}", key(topic, *partition), words.concat()));
    }
}
