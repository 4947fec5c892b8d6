//! Group commit: many appends, of many partitions, share few flushes.
//!
//! A partition that waits stands in the queue once, however many appends wait for it; a flush covers everything that
//! was appended before it began. A small pool works through the queue, so that several files are flushed at a time,
//! which journaling file systems turn into one commit.
//!
//! Invariants: every waiter is answered exactly once, when its offset is durable, or cannot become so; a callback runs
//! on a flushing thread (or on the caller's, when nothing needs to be flushed) and outside of any lock.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use ottla_types::Offset;
use parking_lot::{Condvar, Mutex};

use crate::{FlushError, Log};

/// Is called once: with the offset below which all is durable, or with why it is not.
pub type Flushed = Box<dyn FnOnce(Result<Offset, FlushError>) + Send>;

/// Who waits for a flush of one log.
#[derive(Default)]
pub(crate) struct FlushWaiters {
    waiting: Mutex<Vec<(Offset, Flushed)>>,
    queued: AtomicBool,
}

impl fmt::Debug for FlushWaiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushWaiters").field("waiting", &self.waiting.lock().len()).finish_non_exhaustive()
    }
}

impl FlushWaiters {
    fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// Takes out those who wait for no more than `to`; all of them where there is no such offset.
    fn take(&self, to: Option<Offset>) -> Vec<(Offset, Flushed)> {
        let mut waiting = self.waiting.lock();
        match to {
            Some(to) => waiting.extract_if(.., |(offset, _)| *offset <= to).collect(),
            None => std::mem::take(&mut *waiting),
        }
    }

    /// Answers those who wait for no more than `to`.
    pub(crate) fn answer(&self, to: Offset) {
        self.take(Some(to)).into_iter().for_each(|(_, done)| done(Ok(to)));
    }

    /// Answers those who wait for more than `end` with an error.
    pub(crate) fn fail_beyond(&self, end: Offset, error: FlushError) {
        let beyond: Vec<_> = self.waiting.lock().extract_if(.., |(offset, _)| *offset > end).collect();
        beyond.into_iter().for_each(|(_, done)| done(Err(error)));
    }

    /// Answers all with an error.
    pub(crate) fn fail(&self, error: FlushError) {
        self.take(None).into_iter().for_each(|(_, done)| done(Err(error)));
    }
}

/// The pool that flushes for a set of directories.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    not_empty: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    logs: VecDeque<Arc<Log>>,
    stopped: bool,
}

impl Flusher {
    /// Starts `threads` threads. With 0 nothing is flushed before [`Flusher::run_queued`] is called.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut started = Vec::with_capacity(threads);
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("flush-{number}"));
            started.push(thread.spawn(move || queue.run())?);
        }
        Ok(Self { queue, threads: Mutex::new(started) })
    }

    /// Calls `done` once everything below `to` is durable.
    pub(crate) fn when_flushed(&self, log: Arc<Log>, to: Offset, done: Flushed) {
        let flushed = log.flushed();
        if flushed >= to {
            return done(Ok(flushed));
        }
        log.flush_waiters.waiting.lock().push((to, done));
        if !self.enqueue(&log) {
            run_one(&log); // nobody would come to do it
        }
    }

    /// Flushes the sealed segments of the log as soon as a thread is free; not at all once the flusher was stopped, when
    /// logs are closed anyway.
    pub(crate) fn flush_sealed_soon(&self, log: &Arc<Log>) {
        self.enqueue(log);
    }

    /// Whether the log stands in the queue now.
    fn enqueue(&self, log: &Arc<Log>) -> bool {
        if log.flush_waiters.queued.swap(true, Ordering::AcqRel) {
            return true;
        }
        let mut state = self.queue.state.lock();
        if state.stopped {
            log.flush_waiters.queued.store(false, Ordering::Release);
            return false;
        }
        state.logs.push_back(Arc::clone(log));
        drop(state);
        self.queue.not_empty.notify_one();
        true
    }

    /// Flushes what is queued, on this thread; the number of logs.
    pub(crate) fn run_queued(&self) -> usize {
        let mut done = 0;
        while let Some(log) = { self.queue.state.lock().logs.pop_front() } {
            run_one(&log);
            done += 1;
        }
        done
    }

    /// Flushes what is queued and ends the threads.
    pub(crate) fn stop(&self) {
        self.queue.state.lock().stopped = true;
        self.queue.not_empty.notify_all();
        let own = std::thread::current().id(); // a flushing thread may be the last to let go of the logs
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.thread().id() != own {
                let _ = thread.join(); // a panic there has been reported already
            }
        }
        self.run_queued();
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn run(&self) {
        while let Some(log) = self.next() {
            run_one(&log);
        }
    }

    fn next(&self) -> Option<Arc<Log>> {
        let mut state = self.state.lock();
        loop {
            if let Some(log) = state.logs.pop_front() {
                return Some(log);
            }
            if state.stopped {
                return None;
            }
            self.not_empty.wait(&mut state);
        }
    }
}

/// One flush of one log, and its answers. The log leaves the queue before the flush begins: who comes later is not
/// covered and queues it again.
fn run_one(log: &Log) {
    log.flush_waiters.queued.store(false, Ordering::Release);
    // A panic (an invariant broken) takes this log offline, not the thread that others wait for.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match log.flush_waiters.is_empty() {
        true => log.flush_sealed(),
        false => log.flush(),
    }));
    if outcome.is_err() {
        log.go_offline();
        log.flush_waiters.fail(FlushError::Offline);
    }
}
