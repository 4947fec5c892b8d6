//! What the suites of transactions share: how their brokers are set, and a transaction that stays open while tools look at it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::rust_client::config;

/// As the suites of groups have it, and a look for transactions whose time is over five times a second.
pub const BROKER_PROPERTIES: [(&str, &str); 6] = {
    let [one, two, three, four, five] = crate::groups::BROKER_PROPERTIES;
    [one, two, three, four, five, ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200")]
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A producer with a transactional id.
pub struct Transactional {
    producer: BaseProducer,
}

impl std::fmt::Debug for Transactional {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Transactional")
    }
}

impl Transactional {
    /// One that has its id, fenced off from others before it.
    pub fn start(bootstrap: &str, id: &str) -> Result<Transactional> {
        Transactional::start_with(bootstrap, id, &[])
    }

    /// [`start`](Transactional::start) with more settings of librdkafka.
    pub fn start_with(bootstrap: &str, id: &str, more: &[(&str, &str)]) -> Result<Transactional> {
        let settings = [&[("transactional.id", id), ("linger.ms", "0")], more].concat();
        let producer: BaseProducer = config(bootstrap, &settings).create()?;
        producer.init_transactions(PATIENCE)?;
        Ok(Transactional { producer })
    }

    /// Begins a transaction and has the broker take these values into partition 0.
    pub fn begin(&self, topic: &str, values: &[&str]) -> Result<()> {
        self.producer.begin_transaction()?;
        self.send(topic, values)
    }

    /// Has the broker take these values too, in the transaction that is open.
    pub fn send(&self, topic: &str, values: &[&str]) -> Result<()> {
        for value in values {
            let record = BaseRecord::<(), str>::to(topic).partition(0).payload(value);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        let begin = Instant::now();
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(10));
            ensure!(begin.elapsed() < PATIENCE, "the broker does not take the records");
        }
        Ok(())
    }

    /// Commits.
    pub fn commit(&self) -> Result<()> {
        Ok(self.producer.commit_transaction(PATIENCE)?)
    }

    /// Aborts.
    pub fn abort(&self) -> Result<()> {
        Ok(self.producer.abort_transaction(PATIENCE)?)
    }
}
