//! Real text through an idempotent producer while the broker is killed with -9 and started again: everything that was
//! acknowledged is there, once, in order, byte for byte.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client::{self, PATIENCE};
use ottla_conformance::{Broker, text};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

/// How long the producer may need to find the broker again.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    ottla_conformance::run("stream", &[], |suite, broker| {
        if broker.is_external() {
            bail!("this suite kills its broker; it cannot run against one that is not its own");
        }
        suite.case("dictionary_across_kill_9", || across_kill(broker, &text::dictionary()?, "none"));
        suite.case("sources_across_kill_9_zstd", || across_kill(broker, &text::sources()?, "zstd"));
        suite.case("sources_across_clean_restart_lz4", || across_restart(broker, &text::sources()?, "lz4"));
        Ok(())
    })
}

fn across_kill(broker: &mut Broker, text: &[u8], codec: &str) -> Result<()> {
    let topic = broker.topic("stream");
    let producer = Stream::new(broker, codec)?;
    let half = text::lines(text).count() / 2;
    let mut lines = text::lines(text);
    for line in lines.by_ref().take(half) {
        producer.send(&topic, line)?;
    }
    // Killed while records are acknowledged and others are on their way.
    producer.wait_acknowledged(half / 2)?;
    broker.kill()?;
    for line in lines.by_ref().take(half / 2) {
        producer.send(&topic, line)?;
    }
    broker.start_again()?;
    for line in lines {
        producer.send(&topic, line)?;
    }
    producer.finish(text::lines(text).count())?;
    compare(&broker.bootstrap(), &topic, text)?;
    // And once more from a broker that has nothing of it in memory.
    broker.kill()?;
    broker.start_again()?;
    compare(&broker.bootstrap(), &topic, text)
}

fn across_restart(broker: &mut Broker, text: &[u8], codec: &str) -> Result<()> {
    let topic = broker.topic("restart");
    let producer = Stream::new(broker, codec)?;
    let half = text::lines(text).count() / 2;
    for (n, line) in text::lines(text).enumerate() {
        if n == half {
            broker.stop()?;
            broker.start_again()?;
        }
        producer.send(&topic, line)?;
    }
    producer.finish(text::lines(text).count())?;
    compare(&broker.bootstrap(), &topic, text)
}

/// Everything in partition 0, in order, is the text: nothing lost, nothing doubled.
fn compare(bootstrap: &str, topic: &str, text: &[u8]) -> Result<()> {
    let expected = text::lines(text).count();
    let records = rust_client::consume(bootstrap, topic, 0, Offset::Beginning, expected)?;
    let mut at = 0;
    for (offset, record) in records.iter().enumerate() {
        ensure!(record.offset == offset as i64, "offset {} where {offset} was expected", record.offset);
        let value = record.value.as_deref().unwrap_or_default();
        ensure!(text[at..].starts_with(value), "record {offset} differs at byte {at}");
        at += value.len();
    }
    ensure!(at == text.len(), "{at} of {} bytes came back", text.len());
    let consumer = rust_client::assigned(bootstrap, topic, 0, Offset::End)?;
    let (low, high) = rdkafka::consumer::Consumer::fetch_watermarks(&consumer, topic, 0, PATIENCE)?;
    ensure!((low, high) == (0, expected as i64), "offsets {low} to {high} for {expected} records");
    Ok(())
}

/// An idempotent producer that keeps count of its acknowledgements.
struct Stream {
    producer: ThreadedProducer<Acknowledgements>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    acknowledged: AtomicUsize,
    refused: Mutex<Option<KafkaError>>,
}

struct Acknowledgements(Arc<State>);

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.0.acknowledged.fetch_add(1, Ordering::Relaxed)),
            Err((error, _)) => drop(self.0.refused.lock().map(|mut refused| *refused = Some(error.clone()))),
        }
    }
}

impl Stream {
    fn new(broker: &Broker, codec: &str) -> Result<Stream> {
        let state = Arc::<State>::default();
        let timeout = DELIVERY_PATIENCE.as_millis().to_string();
        let producer = rust_client::config(
            &broker.bootstrap(),
            &[
                ("enable.idempotence", "true"),
                ("compression.type", codec),
                ("message.timeout.ms", &timeout),
                ("linger.ms", "1"),
                ("batch.num.messages", "500"),
                ("reconnect.backoff.max.ms", "500"),
                ("retry.backoff.max.ms", "300"),
                ("queue.buffering.max.messages", "10000000"),
            ],
        )
        .create_with_context(Acknowledgements(state.clone()))?;
        Ok(Stream { producer, state })
    }

    fn send(&self, topic: &str, line: &[u8]) -> Result<()> {
        let begin = Instant::now();
        let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(line);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => message = back,
                Err((error, _)) => return Err(error.into()),
            }
            ensure!(begin.elapsed() < DELIVERY_PATIENCE, "the producer's queue stays full");
            std::thread::yield_now();
        }
    }

    fn wait_acknowledged(&self, count: usize) -> Result<()> {
        let begin = Instant::now();
        while self.state.acknowledged.load(Ordering::Relaxed) < count {
            self.check_refused()?;
            ensure!(begin.elapsed() < DELIVERY_PATIENCE, "fewer than {count} records were acknowledged");
            std::thread::yield_now();
        }
        Ok(())
    }

    fn finish(&self, count: usize) -> Result<()> {
        self.producer.flush(DELIVERY_PATIENCE).context("flush")?;
        self.check_refused()?;
        let acknowledged = self.state.acknowledged.load(Ordering::Relaxed);
        ensure!(acknowledged == count, "{acknowledged} of {count} records were acknowledged");
        Ok(())
    }

    fn check_refused(&self) -> Result<()> {
        let refused = self.state.refused.lock().map_or(None, |refused| refused.clone());
        refused.map_or(Ok(()), |error| Err(error).context("a record was refused"))
    }
}
