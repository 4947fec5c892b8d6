//! Compaction in the background: `log.cleaner.threads` threads, each of which takes the dirtiest log that is due, and waits
//! for `log.cleaner.backoff.ms` when there is none.
//!
//! Threads of their own: a pass reads and writes for minutes, and would keep a thread of the blocking pool from shorter
//! work. Settings are read before each pass, so that a change of them needs no restart.
//!
//! Invariant: after [`Cleaners::stop`] no pass runs, and none waits.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ottla_config::CleanerConfig;
use ottla_log::{CleanError, CleanReport, CleanStats, CleanerSettings, Log};
use parking_lot::Mutex;

use super::{pause::Pause, throttle::Throttle};
use crate::{node::Node, random};

/// How often there is a look at whether there are as many threads, and whether they are as quick, as there should be.
const LOOK: Duration = Duration::from_secs(1);

/// The cleaning threads of a broker.
#[derive(Debug)]
pub(crate) struct Cleaners {
    node: Arc<Node>,
    digest_key: [u8; 16],
    began: Instant,
    throttle: Mutex<Throttle>,
    pause: Pause,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Cleaners {
    pub(crate) fn new(node: Arc<Node>) -> Arc<Self> {
        Arc::new(Self {
            node,
            digest_key: random::bytes(),
            began: Instant::now(),
            throttle: Mutex::default(),
            pause: Pause::default(),
            threads: Mutex::default(),
        })
    }

    /// Keeps as many threads as the settings say; never returns. Does nothing where `log.cleaner.enable` is off.
    pub(crate) async fn run(self: Arc<Self>) {
        if !self.node.settings.logs.cleaner_enable {
            return std::future::pending().await;
        }
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.keep_threads();
        }
    }

    /// Threads beyond the number end by themselves after their pass; one that died is replaced.
    fn keep_threads(self: &Arc<Self>) {
        let mut threads = self.threads.lock();
        for number in 0..self.config().threads {
            if threads.get(number).is_some_and(|thread| !thread.is_finished()) {
                continue;
            }
            let this = Arc::clone(self);
            let thread = std::thread::Builder::new().name(format!("log-cleaner-{number}"));
            match thread.spawn(move || this.work(number)) {
                Ok(thread) => {
                    if place(&mut threads, number, thread) {
                        self.node.metrics.cleaner.dead_threads.inc();
                    }
                }
                Err(error) => tracing::error!(%error, "no thread for compaction"),
            }
        }
        let wanted = self.config().threads;
        while threads.len() > wanted && threads.last().is_some_and(JoinHandle::is_finished) {
            threads.pop();
        }
    }

    /// Ends passes and threads; returns when they have ended. To be called where blocking is allowed.
    pub(crate) fn stop(&self) {
        self.pause.end();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join(); // a panic there has been reported already
        }
    }

    fn config(&self) -> CleanerConfig {
        CleanerConfig::of(&self.node.replicas.config())
    }

    fn work(&self, number: usize) {
        let mut found = false;
        loop {
            let config = self.config();
            let wait = if found { Duration::ZERO } else { Duration::from_millis(config.backoff_ms) };
            if self.pause.wait(wait).is_break() || number >= config.threads {
                return;
            }
            found = self.round(&config);
        }
    }

    /// Waits until `bytes` more are paid for. The rate may change meanwhile.
    fn pace(&self, bytes: u64) -> ControlFlow<()> {
        self.throttle.lock().spend(bytes);
        loop {
            let rate = self.config().io_max_bytes_per_second;
            let wait = self.throttle.lock().pay(self.began.elapsed(), rate);
            self.pause.wait(wait.min(LOOK))?;
            if wait <= LOOK {
                return ControlFlow::Continue(());
            }
        }
    }

    /// One pass over the dirtiest log; whether there was one and it was done.
    fn round(&self, config: &CleanerConfig) -> bool {
        let threads = config.threads.max(1);
        let settings = CleanerSettings {
            dedupe_bytes: config.dedupe_buffer_bytes / threads,
            load_factor: config.io_buffer_load_factor,
            io_bytes: config.io_buffer_bytes / threads / 2,
            digest_key: self.digest_key,
        };
        let mut pace = |bytes| self.pace(bytes);
        let began = Instant::now();
        let now = self.node.clock.now();
        match self.node.dirs.clean_dirtiest(&self.compacted_logs(), &settings, now, &mut pace) {
            Some(report) => self.tell(&report, began.elapsed()),
            None => false,
        }
    }

    /// The logs of compacted topics; those that were not used since the start are opened for it.
    fn compacted_logs(&self) -> Vec<Arc<Log>> {
        let topics = self.node.replicas.topics().into_iter().filter(|topic| topic.config().cleanup_policy.compact);
        let partitions = topics.flat_map(|topic| topic.partitions());
        partitions.filter_map(|partition| partition.log().ok()).collect()
    }

    fn tell(&self, report: &CleanReport, took: Duration) -> bool {
        let CleanReport { partition, result } = report;
        match result {
            Ok(stats) => {
                self.count(stats, took);
                tracing::info!(%partition, ?stats, ?took, "compacted");
                return true;
            }
            Err(CleanError::Changed | CleanError::Stopped) => {
                tracing::debug!(%partition, "a compaction ended early");
                return false;
            }
            Err(error @ CleanError::Damaged { .. }) => {
                tracing::error!(%partition, %error, "the partition cannot be compacted, and keeps growing");
            }
            Err(error @ CleanError::Io(_)) => tracing::warn!(%partition, %error, "a compaction failed"),
        }
        self.node.metrics.cleaner.failed_passes.inc();
        false
    }

    fn count(&self, stats: &CleanStats, took: Duration) {
        let metrics = &self.node.metrics.cleaner;
        metrics.passes.inc();
        metrics.bytes_read.inc_by(stats.bytes_read);
        metrics.bytes_written.inc_by(stats.bytes_written);
        metrics.bytes_removed.inc_by(stats.bytes_before.saturating_sub(stats.bytes_after));
        metrics.records_removed.inc_by(stats.records_before.saturating_sub(stats.records_after));
        metrics.last.seconds.set(took.as_secs_f64());
        metrics.last.recopy_percent.set(100.0 * stats.bytes_written as f64 / stats.bytes_read.max(1) as f64);
        metrics.last.map_percent.set(f64::from(stats.map_percent));
    }
}

/// Gives a thread the place of one that has ended; whether that one died, and did not end because fewer were wanted.
fn place(threads: &mut Vec<JoinHandle<()>>, number: usize, thread: JoinHandle<()>) -> bool {
    match threads.get_mut(number) {
        Some(ended) => std::mem::replace(ended, thread).join().is_err(),
        None => {
            threads.push(thread);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_died_is_counted() {
        let spawn = std::thread::spawn::<fn(), ()>;
        let mut threads = Vec::new();
        assert!(!place(&mut threads, 0, spawn(|| {})), "there was none");
        assert!(!place(&mut threads, 0, spawn(|| panic!("on purpose"))), "that one was not wanted any more");
        assert!(place(&mut threads, 0, spawn(|| {})), "that one died");
        assert_eq!(threads.len(), 1);
    }
}
