//! One transactional id's transactions with librdkafka, and what becomes of them.
//!
//! Invariants: what is sent is said before, what was answered after; `commit` is said before the commit is asked for, and an
//! outcome only when it is certain.

use std::time::Duration;

use anyhow::{Result, bail};
use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaError};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::role::{Role, key};

/// For one question; those that can be asked again are.
const PATIENCE: Duration = Duration::from_secs(20);

/// How one transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    /// Or nobody knows, and the producer was made anew.
    NotCommitted,
    /// Another producer has the transactional id.
    Fenced,
}

pub(super) struct Transactions {
    role: Role,
    producer: ThreadedProducer<Told>,
    sent: usize,
}

/// Says what was acknowledged.
struct Told(Role);

impl ClientContext for Told {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.say(format_args!("note error {error} {reason}"));
    }
}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = match result {
            Ok(message) => message,
            Err((error, _)) => return self.0.say(format_args!("note refused {error}")),
        };
        if message.offset() >= 0 {
            let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
            let key = key(message.topic(), message.partition());
            self.0.say(format_args!("acked {key} {value} @{}", message.offset()));
        }
    }
}

impl Transactions {
    pub(super) fn open(role: &Role) -> Result<Transactions> {
        Ok(Transactions { role: role.clone(), producer: producer(role)?, sent: 0 })
    }

    /// Nothing more is sent, and all that was is answered. How long the library takes to close, which has once been more than a
    /// minute, is nobody's to wait for.
    pub(super) fn end(self) {
        std::thread::spawn(move || drop(self.producer));
    }

    /// A value that this client has not sent before.
    pub(super) fn next(&mut self) -> String {
        self.sent += 1;
        format!("{}.{}", self.role.name, self.sent - 1)
    }

    pub(super) fn send(&mut self, topic: &str, partition: i32, source: &str) -> KafkaResult<()> {
        let value = self.next();
        self.role.say(format_args!("send {} {value}{source}", key(topic, partition)));
        let record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error)
    }

    /// Positions by partition.
    pub(super) fn offsets(
        &self,
        topic: &str,
        positions: &[(i32, i64)],
        group: &str,
        metadata: &ConsumerGroupMetadata,
    ) -> KafkaResult<()> {
        let words: Vec<_> = positions.iter().map(|(at, offset)| format!(" {}={offset}", key(topic, *at))).collect();
        self.role.say(format_args!("offsets {group}{}", words.concat()));
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.again(|| self.producer.send_offsets_to_transaction(&list, metadata, PATIENCE))?;
        self.role.say("note offsets");
        Ok(())
    }

    /// Runs one transaction.
    pub(super) fn run(&mut self, aborts: bool, work: impl FnOnce(&mut Self) -> KafkaResult<()>) -> Result<End> {
        self.role.say("begin");
        let done = self.producer.begin_transaction().and_then(|()| work(self));
        let done = done.and_then(|()| if aborts { self.abort() } else { self.commit() });
        match done {
            Ok(()) => {
                self.role.say(if aborts { "fail" } else { "ok" });
                Ok(if aborts { End::NotCommitted } else { End::Committed })
            }
            Err(error) => self.recover(&error),
        }
    }

    fn commit(&self) -> KafkaResult<()> {
        self.role.say("commit");
        self.again(|| self.producer.commit_transaction(PATIENCE))
    }

    /// What is not flushed would not be sent, and an aborted transaction would leave nothing to be seen.
    fn abort(&self) -> KafkaResult<()> {
        self.producer.flush(PATIENCE)?;
        self.again(|| self.producer.abort_transaction(PATIENCE))
    }

    /// What may be asked again is.
    fn again(&self, mut ask: impl FnMut() -> KafkaResult<()>) -> KafkaResult<()> {
        loop {
            match ask() {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !error.txn_requires_abort() => {
                    self.role.say(format_args!("note again {error}"));
                }
                done => return done,
            }
        }
    }

    fn recover(&mut self, error: &KafkaError) -> Result<End> {
        self.role.say(format_args!("note trouble {error}"));
        let is_fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
        if !is_fatal {
            match self.again(|| self.producer.abort_transaction(PATIENCE)) {
                Ok(()) => {
                    self.role.say("fail");
                    return Ok(End::NotCommitted);
                }
                Err(worse) => self.role.say(format_args!("note trouble {worse}")),
            }
        }
        self.role.say("unknown");
        if !self.role.is("revive") {
            return Ok(End::Fenced);
        }
        self.producer = producer(&self.role)?;
        Ok(End::NotCommitted)
    }
}

fn producer(role: &Role) -> Result<ThreadedProducer<Told>> {
    let config = role.config(&[
        ("transactional.id", role.word("txid")?),
        ("transaction.timeout.ms", role.word("timeout")?),
        ("linger.ms", "1"),
    ])?;
    let producer: ThreadedProducer<Told> = config.create_with_context(Told(role.clone()))?;
    loop {
        match producer.init_transactions(PATIENCE) {
            Ok(()) => break,
            Err(KafkaError::Transaction(error)) if may_retry(&error) => role.say(format_args!("note again {error}")),
            Err(error) => bail!("no producer: {error}"),
        }
    }
    role.say("note init");
    Ok(producer)
}

fn may_retry(error: &RDKafkaError) -> bool {
    error.is_retriable() && !error.is_fatal()
}
