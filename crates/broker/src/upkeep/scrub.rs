//! The scrub in the background: one thread that comes to every partition once in `ottla.scrub.interval.ms`, and reads its
//! closed segments at `ottla.scrub.io.max.bytes.per.second` at the most.
//!
//! A look at a partition costs something even where there is nothing to read, so it is paid for like bytes: that spreads the
//! looks at many small partitions over time. The first round begins `log.initial.task.delay.ms` after the start.
//!
//! Invariant: after [`Scrub::stop`] nothing is read.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ottla_config::ScrubConfig;
use ottla_types::TopicPartition;
use parking_lot::Mutex;

use super::{pause::Pause, throttle::Throttle};
use crate::node::Node;

/// How often there is a look at whether a round is due, and at the rate.
const LOOK: Duration = Duration::from_secs(1);
/// What a look at a partition costs beside the bytes that are read: at the default rate 20 looks a second, so that tens of
/// thousands of partitions are a load that nobody notices, and a round over them still ends within the hour.
const VISIT_BYTES: u64 = 512 * 1024;

/// The scrub of a broker.
#[derive(Debug)]
pub(crate) struct Scrub {
    node: Arc<Node>,
    pause: Pause,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Scrub {
    /// Begins.
    pub(crate) fn start(node: Arc<Node>) -> Arc<Self> {
        let this = Arc::new(Self { node, pause: Pause::default(), thread: Mutex::default() });
        let worker = Arc::clone(&this);
        match std::thread::Builder::new().name("log-scrub".to_owned()).spawn(move || worker.work()) {
            Ok(thread) => *this.thread.lock() = Some(thread),
            Err(error) => tracing::error!(%error, "no thread for the scrub"),
        }
        this
    }

    /// Ends it; returns when it has ended. To be called where blocking is allowed.
    pub(crate) fn stop(&self) {
        self.pause.end();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join(); // a panic there has been reported already
        }
    }

    fn config(&self) -> ScrubConfig {
        ScrubConfig::of(&self.node.replicas.config())
    }

    fn work(&self) {
        let delay_ms = u64::try_from(self.node.settings.logs.initial_task_delay_ms).unwrap_or(0);
        if self.pause.wait(Duration::from_millis(delay_ms)).is_break() {
            return;
        }
        let mut began: Option<Instant> = None;
        loop {
            let interval = self.config().interval_ms.map(Duration::from_millis);
            let left =
                interval.map(|interval| began.map_or(Duration::ZERO, |at| interval.saturating_sub(at.elapsed())));
            if left == Some(Duration::ZERO) {
                began = Some(Instant::now());
                if self.round().is_break() {
                    return;
                }
                continue;
            }
            if self.pause.wait(left.map_or(LOOK, |left| left.min(LOOK))).is_break() {
                return;
            }
        }
    }

    /// One look at everything; breaks off at the stop.
    fn round(&self) -> ControlFlow<()> {
        let began = Instant::now();
        let mut throttle = Throttle::default();
        let mut spend = |bytes: u64| {
            throttle.spend(bytes);
            loop {
                let ScrubConfig { interval_ms, io_max_bytes_per_second } = self.config();
                if interval_ms.is_none() {
                    return ControlFlow::Break(()); // switched off meanwhile
                }
                let wait = throttle.pay(began.elapsed(), io_max_bytes_per_second as f64);
                self.pause.wait(wait.min(LOOK))?;
                if wait <= LOOK {
                    return ControlFlow::Continue(());
                }
            }
        };
        for partition in self.node.dirs.partitions() {
            if spend(VISIT_BYTES).is_break() || self.look_at(&partition, &mut spend).is_break() {
                return self.pause.wait(Duration::ZERO);
            }
        }
        self.node.metrics.scrub.rounds.inc();
        tracing::debug!(took = ?began.elapsed(), "all closed segments were looked at");
        ControlFlow::Continue(())
    }

    fn look_at(&self, partition: &TopicPartition, spend: &mut dyn FnMut(u64) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut broken_off = ControlFlow::Continue(());
        let mut pace = |bytes| {
            self.node.metrics.scrub.bytes.inc_by(bytes);
            broken_off = spend(bytes);
            broken_off
        };
        let topic = self.node.replicas.by_name(partition.topic.as_str());
        let is_compacted = topic.is_some_and(|topic| topic.config().cleanup_policy.compact);
        if let Err(error) = self.node.dirs.scrub(partition, is_compacted, self.node.clock.now(), &mut pace) {
            tracing::warn!(%partition, %error, "a partition was not looked at for damage");
        }
        broken_off
    }
}
