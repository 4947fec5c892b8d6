//! Group commit: many appends, of many partitions, share few flushes.
//!
//! A partition that waits stands in the queue once, however many appends wait for it; a flush covers everything that
//! was appended before it began. A small pool works through the queue, so that several files are flushed at a time,
//! which journaling file systems turn into one commit. Where many stand there, one thread takes all of them and syncs
//! their volume, if that costs less (`pace.rs`); the others wait meanwhile, so that the next ones gather. On volumes that
//! cannot be synced as a whole ([`Disk::syncs_volume`]) it is always file by file.
//!
//! [`Disk::syncs_volume`]: ottla_disk::Disk::syncs_volume
//!
//! Invariants: every waiter is answered exactly once, when its offset is durable, or cannot become so; a callback runs
//! on a flushing thread (or on the caller's, when nothing needs to be flushed) and outside of any lock.

pub(crate) mod pace;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use ottla_types::{Millis, Offset};
use parking_lot::{Condvar, Mutex};

use self::pace::Pace;
use crate::{FlushError, Log};

/// `flush.ms` where there is none.
const NEVER: Millis = Millis(i64::MAX);

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

    /// Answers those who wait for more than `end` gives with an error. It is asked while nobody can begin to wait: whoever
    /// does wait has appended before, so that only what was cut off lies beyond.
    pub(crate) fn fail_beyond(&self, end: impl FnOnce() -> Offset, error: FlushError) {
        let mut waiting = self.waiting.lock();
        let end = end();
        let beyond: Vec<_> = waiting.extract_if(.., |(offset, _)| *offset > end).collect();
        drop(waiting);
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
    /// Before this time no record of any log has waited `flush.ms`, so that nobody needs to look at them.
    due: AtomicI64,
}

#[derive(Debug)]
struct Queue {
    threads: usize,
    state: Mutex<QueueState>,
    not_empty: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    logs: VecDeque<Arc<Log>>,
    /// How many of them are on a volume that can be synced as a whole.
    sharers: usize,
    stopped: bool,
    /// A thread syncs a volume.
    sharing: bool,
    pace: Pace,
}

/// What one thread does next.
enum Task {
    One(Arc<Log>),
    /// All of them with one sync.
    Together(Vec<Arc<Log>>),
}

impl Flusher {
    /// Starts `threads` threads. With 0 nothing is flushed before [`Flusher::run_queued`] is called.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue { threads, state: Mutex::default(), not_empty: Condvar::new() });
        let mut started = Vec::with_capacity(threads);
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("flush-{number}"));
            started.push(thread.spawn(move || queue.run())?);
        }
        Ok(Self { queue, threads: Mutex::new(started), due: AtomicI64::new(NEVER.0) })
    }

    /// A record will have waited `flush.ms` at that time.
    pub(crate) fn comes_due(&self, at: Millis) {
        if at < NEVER {
            self.due.fetch_min(at.0, Ordering::AcqRel);
        }
    }

    /// Whether a record may have waited `flush.ms` by now. Who asks then looks at all logs, and tells anew what comes due.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        let due = Millis(self.due.swap(NEVER.0, Ordering::AcqRel));
        if due > now {
            self.comes_due(due);
        }
        due <= now
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
        state.push(Arc::clone(log));
        drop(state);
        self.queue.not_empty.notify_one();
        true
    }

    /// Flushes what is queued, on this thread; the number of logs.
    pub(crate) fn run_queued(&self) -> usize {
        let mut done = 0;
        while let Some(log) = { self.queue.state.lock().pop() } {
            run_one(&log);
            done += 1;
        }
        done
    }

    /// As [`Flusher::run_queued`], with one sync for all whose volumes allow it.
    pub(crate) fn run_queued_together(&self) -> usize {
        let logs = self.queue.state.lock().take_sharers();
        if !logs.is_empty() {
            run_together(&logs);
        }
        logs.len() + self.run_queued()
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
        while let Some(task) = self.next() {
            let begin = Instant::now();
            match task {
                Task::One(log) => {
                    run_one(&log);
                    self.state.lock().pace.note_single(begin.elapsed());
                }
                Task::Together(logs) => {
                    run_together(&logs);
                    let mut state = self.state.lock();
                    state.pace.note_shared(begin.elapsed());
                    state.sharing = false;
                    drop(state);
                    self.not_empty.notify_all();
                }
            }
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if state.sharing {
                if let Some(log) = state.pop_alone() {
                    return Some(Task::One(log));
                }
            } else {
                let sharers = state.sharers;
                if state.pace.prefers_shared(sharers, self.threads) {
                    state.sharing = true;
                    return Some(Task::Together(state.take_sharers()));
                }
                if let Some(log) = state.pop() {
                    return Some(Task::One(log));
                }
                if state.stopped {
                    return None;
                }
            }
            self.not_empty.wait(&mut state);
        }
    }
}

impl QueueState {
    fn push(&mut self, log: Arc<Log>) {
        self.sharers += usize::from(log.syncs_volume());
        self.logs.push_back(log);
    }

    fn pop(&mut self) -> Option<Arc<Log>> {
        let log = self.logs.pop_front()?;
        self.sharers -= usize::from(log.syncs_volume());
        Some(log)
    }

    /// The first that is flushed by itself in any case.
    fn pop_alone(&mut self) -> Option<Arc<Log>> {
        if self.logs.len() == self.sharers {
            return None; // as nearly always
        }
        let at = self.logs.iter().position(|log| !log.syncs_volume())?;
        self.logs.remove(at)
    }

    /// All that one sync of their volume may flush.
    fn take_sharers(&mut self) -> Vec<Arc<Log>> {
        self.sharers = 0;
        let (sharers, others): (Vec<_>, Vec<_>) = self.logs.drain(..).partition(|log| log.syncs_volume());
        self.logs = others.into();
        sharers
    }
}

/// One sync of each volume that the logs are on, and the answers of all. They leave the queue before it begins.
fn run_together(logs: &[Arc<Log>]) {
    logs.iter().for_each(|log| log.flush_waiters.queued.store(false, Ordering::Release));
    let mut busy = Vec::new();
    // A panic (an invariant broken) takes these logs offline, not the thread that others wait for.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut volumes: BTreeMap<&Path, Vec<_>> = BTreeMap::new();
        for log in logs {
            match log.begin_shared_flush() {
                Ok(Some(begun)) => volumes.entry(log.volume()).or_default().push((log, begun)),
                Ok(None) => busy.push(log),
                Err(_) => {} // who waits has been told
            }
        }
        for begun in volumes.into_values() {
            let synced = begun.first().is_none_or(|(log, _)| log.sync_volume());
            begun.into_iter().for_each(|(log, begun)| log.end_shared_flush(begun, synced));
        }
    }));
    if outcome.is_err() {
        for log in logs {
            log.go_offline();
            log.flush_waiters.fail(FlushError::Offline);
        }
    }
    busy.into_iter().for_each(|log| run_one(log));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_to_wait_while_it_is_found_out_what_was_cut_off() {
        let waiters = FlushWaiters::default();
        waiters.waiting.lock().push((Offset(7), Box::new(|result| assert_eq!(result, Err(FlushError::Truncated)))));
        let end = || {
            assert!(waiters.waiting.try_lock().is_none(), "an append of now would be called cut off");
            Offset(6)
        };
        waiters.fail_beyond(end, FlushError::Truncated);
        assert!(waiters.is_empty());
    }
}
