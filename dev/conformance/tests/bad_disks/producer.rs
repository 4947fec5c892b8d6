//! A producer that remembers what was acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client;
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};

use super::stage::{PATIENCE, Stage, TOPIC};

/// Acknowledged values by partition and offset, and how many were refused for good.
#[derive(Default)]
struct Outcome {
    acknowledged: BTreeMap<(i32, i64), Vec<u8>>,
    refused: usize,
}

struct Deliveries(Arc<Mutex<Outcome>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                let value = message.payload().unwrap_or_default().to_vec();
                outcome.acknowledged.insert((message.partition(), message.offset()), value);
            }
            Err(_) => outcome.refused += 1,
        }
    }
}

/// See the file's head.
pub(crate) struct Careful {
    producer: ThreadedProducer<Deliveries>,
    outcome: Arc<Mutex<Outcome>>,
    sent: usize,
}

impl Careful {
    /// An idempotent producer that gives a record up after `timeout`.
    pub(crate) fn new(stage: &Stage, timeout: Duration) -> Result<Self> {
        let outcome = Arc::<Mutex<Outcome>>::default();
        let settings = [
            ("enable.idempotence", "true"),
            ("message.timeout.ms", &*timeout.as_millis().to_string()),
            ("linger.ms", "1"),
            ("batch.num.messages", "50"),
            ("retry.backoff.max.ms", "200"),
            ("topic.metadata.refresh.fast.interval.ms", "100"),
            ("queue.buffering.max.messages", "1000000"),
        ];
        let config = rust_client::config(&stage.bootstrap()?, &settings);
        let producer = config.create_with_context(Deliveries(Arc::clone(&outcome)))?;
        Ok(Self { producer, outcome, sent: 0 })
    }

    /// Sends a record of `size` bytes that is like no other.
    pub(crate) fn send(&mut self, partition: i32, size: usize) -> Result<()> {
        let mut value = format!("{partition} {} ", self.sent).into_bytes();
        value.resize(size.max(value.len()), b'x');
        self.sent += 1;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(partition).payload(&value);
        let begin = Instant::now();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => bail!(error),
            }
            ensure!(begin.elapsed() < PATIENCE, "the producer's queue stays full");
            std::thread::yield_now();
        }
    }

    /// Waits until everything is acknowledged or given up.
    pub(crate) fn finish(&self) -> Result<()> {
        self.producer.flush(PATIENCE * 2).context("flush")
    }

    /// How many are acknowledged in a partition.
    pub(crate) fn acknowledged(&self, partition: i32) -> usize {
        self.of(partition).len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).refused
    }

    fn of(&self, partition: i32) -> Vec<(i64, Vec<u8>)> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let own = outcome.acknowledged.iter().filter(|((of, _), _)| *of == partition);
        own.map(|((_, offset), value)| (*offset, value.clone())).collect()
    }

    /// Everything that was acknowledged is there, at its offset, and nothing twice.
    pub(crate) fn check(&self, stage: &Stage, partition: i32) -> Result<()> {
        let acknowledged = self.of(partition);
        let Some((last, _)) = acknowledged.last() else { return Ok(()) };
        let values = stage.values(partition, usize::try_from(*last)? + 1)?;
        for (offset, value) in &acknowledged {
            ensure!(
                values.get(usize::try_from(*offset)?) == Some(value),
                "partition {partition}, offset {offset}: another value"
            );
        }
        let mut unique: Vec<_> = values.iter().filter(|value| value.as_slice() != b"raw").collect();
        let all = unique.len();
        unique.sort();
        unique.dedup();
        ensure!(unique.len() == all, "partition {partition}: {} values are there twice", all - unique.len());
        Ok(())
    }
}
