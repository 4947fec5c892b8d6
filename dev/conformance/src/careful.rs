//! A producer that remembers what was acknowledged, and finds out whether it is still there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};

use crate::rust_client::{self, PATIENCE};

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
pub struct Careful {
    producer: ThreadedProducer<Deliveries>,
    outcome: Arc<Mutex<Outcome>>,
    topic: String,
    sent: usize,
}

impl Careful {
    /// An idempotent producer that waits for all replicas and gives a record up after `timeout`.
    pub fn new(bootstrap: &str, topic: &str, timeout: Duration) -> Result<Self> {
        let outcome = Arc::<Mutex<Outcome>>::default();
        let settings = [
            ("enable.idempotence", "true"),
            ("message.timeout.ms", &*timeout.as_millis().to_string()),
            ("linger.ms", "1"),
            ("batch.num.messages", "50"),
            ("retry.backoff.max.ms", "200"),
            ("reconnect.backoff.max.ms", "200"),
            ("topic.metadata.refresh.fast.interval.ms", "100"),
            ("queue.buffering.max.messages", "1000000"),
        ];
        let config = rust_client::config(bootstrap, &settings);
        let producer = config.create_with_context(Deliveries(Arc::clone(&outcome)))?;
        Ok(Self { producer, outcome, topic: topic.to_owned(), sent: 0 })
    }

    /// Sends a record of `size` bytes that is like no other.
    pub fn send(&mut self, partition: i32, size: usize) -> Result<()> {
        let mut value = format!("{partition} {} ", self.sent).into_bytes();
        value.resize(size.max(value.len()), b'x');
        self.sent += 1;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).partition(partition).payload(&value);
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
    pub fn finish(&self) -> Result<()> {
        self.producer.flush(PATIENCE * 4).context("flush")
    }

    /// How many are acknowledged in a partition.
    #[must_use]
    pub fn acknowledged(&self, partition: i32) -> usize {
        self.of(partition).len()
    }

    /// How many are acknowledged at all.
    #[must_use]
    pub fn all_acknowledged(&self) -> usize {
        self.outcome().acknowledged.len()
    }

    /// How many are neither acknowledged nor given up.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let outcome = self.outcome();
        self.sent - outcome.acknowledged.len() - outcome.refused
    }

    /// How many were given up.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.outcome().refused
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offsets and values that are acknowledged in a partition.
    #[must_use]
    pub fn of(&self, partition: i32) -> Vec<(i64, Vec<u8>)> {
        let outcome = self.outcome();
        let own = outcome.acknowledged.range((partition, i64::MIN)..=(partition, i64::MAX));
        own.map(|((_, offset), value)| (*offset, value.clone())).collect()
    }
}

/// Everything in `acknowledged` is among `values`, all of a partition from offset 0 on, at its offset; nothing is there twice, and all
/// that one producer sent is in its order. Values that no such producer sent are passed over.
pub fn check(partition: i32, acknowledged: &[(i64, Vec<u8>)], values: &[Vec<u8>]) -> Result<()> {
    for (offset, value) in acknowledged {
        let found = values.get(usize::try_from(*offset)?);
        ensure!(
            found == Some(value),
            "partition {partition}, offset {offset}: {}",
            found.map_or("lost", |_| "another value")
        );
    }
    let numbers: Vec<_> = values.iter().filter_map(|value| number_of(value)).collect();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
        bail!("partition {partition}: record {} stands behind record {}", pair[1], pair[0]);
    }
    Ok(())
}

/// The number that a value was sent with.
fn number_of(value: &[u8]) -> Option<u64> {
    let mut words = str::from_utf8(value).ok()?.split(' ');
    let _partition: i32 = words.next()?.parse().ok()?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_found() {
        let value = |number: u64| format!("3 {number} xx").into_bytes();
        let there = [value(4), b"raw 0".to_vec(), value(5), value(9)];
        let acknowledged = [(0, value(4)), (3, value(9))];
        check(3, &acknowledged, &there).unwrap();
        assert!(check(3, &acknowledged, &there[..3]).unwrap_err().to_string().ends_with("lost"));
        assert!(check(3, &[(2, value(9))], &there).unwrap_err().to_string().ends_with("another value"));
        assert!(check(3, &[], &[value(4), value(4)]).is_err(), "doubled");
        assert!(check(3, &[], &[value(5), value(4)]).is_err(), "out of order");
    }
}
