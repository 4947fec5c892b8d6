//! The one thread that writes the metadata log, so that no fsync ever holds up a worker of the runtime.
//!
//! Invariants: jobs are done in the order given; appends that wait together share one write and one sync; after a failed
//! write nothing is written any more and every job fails, and whoever asks is told why. A full disk is no failure: the
//! reserve is given up for what is under way, and where that is not enough it waits until there is room.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use openraft::storage::IOFlushed;
use ottla_disk::is_full;
use tokio::sync::{oneshot, watch};

use super::{Entry, LogId, Types, Vote};
use crate::store::Store;

/// What reading one entry at a start costs beside its bytes, in bytes: decoding and applying take some microseconds.
const ENTRY_COST: u64 = 800;
/// Most appends that share a write.
const APPENDS_MAX: usize = 64;
/// How often a full disk is tried again.
const AGAIN: Duration = Duration::from_millis(500);

type Done = oneshot::Sender<io::Result<()>>;

enum Job {
    Append(Vec<Entry>, IOFlushed<Types>),
    Vote(Vote, Done),
    Truncate(u64, Done),
    Purge(LogId, Done),
    Close(Done),
}

/// A handle on the thread; it ends with the last handle.
#[derive(Clone, Debug)]
pub(super) struct DiskThread {
    jobs: Sender<Job>,
    replay_cost: Arc<AtomicU64>,
    full: Arc<AtomicBool>,
    failed: watch::Receiver<Option<Arc<str>>>,
}

impl DiskThread {
    /// Starts the thread over `store`, which holds `entries` entries.
    pub(super) fn start(store: Store, entries: usize) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let replay_cost = Arc::new(AtomicU64::new(store.log_len() + entries as u64 * ENTRY_COST));
        let full = Arc::<AtomicBool>::default();
        let (tell_failed, failed) = watch::channel(None);
        let worker = Worker {
            store,
            inbox,
            put_off: VecDeque::new(),
            replay_cost: Arc::clone(&replay_cost),
            last: None,
            failed: None,
            tell_failed,
            full: Arc::clone(&full),
            has_reserve: false,
        };
        thread::Builder::new().name("ottla-metadata-log".to_owned()).spawn(move || worker.run())?;
        Ok(Self { jobs, replay_cost, full, failed })
    }

    /// Whether there is hardly any room: then only what is urgent should be written.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Returns when the disk has failed, with what it said; never where the thread ends before.
    pub(super) async fn failed(&self) -> Arc<str> {
        let mut failed = self.failed.clone();
        let told = failed.wait_for(Option::is_some).await.map(|told| told.clone());
        match told {
            Ok(Some(error)) => error,
            _ => std::future::pending().await,
        }
    }

    /// What replaying the entries would cost that came since the counter was last set to 0, in bytes.
    pub(super) fn replay_cost(&self) -> &AtomicU64 {
        &self.replay_cost
    }

    /// Appends; `flushed` is told when the entries are durable.
    pub(super) fn append(&self, entries: Vec<Entry>, flushed: IOFlushed<Types>) {
        if let Err(unsent) = self.jobs.send(Job::Append(entries, flushed))
            && let Job::Append(_, flushed) = unsent.0
        {
            flushed.io_completed(Err(gone()));
        }
    }

    pub(super) async fn save_vote(&self, vote: Vote) -> io::Result<()> {
        self.ask(|done| Job::Vote(vote, done)).await
    }

    pub(super) async fn truncate(&self, from: u64) -> io::Result<()> {
        self.ask(|done| Job::Truncate(from, done)).await
    }

    pub(super) async fn purge(&self, last: LogId) -> io::Result<()> {
        self.ask(|done| Job::Purge(last, done)).await
    }

    /// Notes a clean stop and ends the thread; a failure only costs the note.
    pub(super) async fn close(&self) {
        if let Err(error) = self.ask(Job::Close).await {
            tracing::warn!(%error, "the metadata log was not closed cleanly");
        }
    }

    async fn ask(&self, job: impl FnOnce(Done) -> Job) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(job(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the metadata log is closed")
}

struct Worker {
    store: Store,
    inbox: Receiver<Job>,
    /// Jobs that came while the disk was full, oldest first.
    put_off: VecDeque<Job>,
    replay_cost: Arc<AtomicU64>,
    /// Last entry appended since the start.
    last: Option<LogId>,
    failed: Option<io::ErrorKind>,
    tell_failed: watch::Sender<Option<Arc<str>>>,
    full: Arc<AtomicBool>,
    has_reserve: bool,
}

impl Worker {
    fn run(mut self) {
        let mut next = self.next();
        while let Some(job) = next.take() {
            next = match job {
                Job::Append(entries, flushed) => self.run_appends(entries, flushed),
                Job::Close(done) => {
                    let last = self.last;
                    let result = self.run_one(|store| store.close(last));
                    // Before the answer the lock is gone, and no later job can get lost in here.
                    drop(self);
                    let _ = done.send(result);
                    return;
                }
                Job::Vote(vote, done) => self.answer(done, |store| store.save_vote(vote)),
                Job::Truncate(from, done) => self.answer(done, |store| store.truncate(from)),
                Job::Purge(last, done) => self.answer(done, |store| store.purge(last)),
            };
            if next.is_none() {
                next = self.next();
            }
        }
    }

    /// The next job; none when nobody can give one any more. Where there is no reserve, one is made meanwhile.
    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.put_off.pop_front() {
            return Some(job);
        }
        while !self.has_reserve && self.failed.is_none() {
            match self.inbox.recv_timeout(AGAIN) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.keep_reserve(),
            }
        }
        self.inbox.recv().ok()
    }

    fn try_next(&mut self) -> Option<Job> {
        self.put_off.pop_front().or_else(|| self.inbox.try_recv().ok())
    }

    fn keep_reserve(&mut self) {
        match self.store.keep_reserve() {
            Ok(()) => {
                self.has_reserve = true;
                if self.full.swap(false, Ordering::AcqRel) {
                    tracing::warn!("there is room for the metadata again");
                }
            }
            Err(error) if is_full(&error) => self.note_full(),
            Err(error) => self.note_failed(&error),
        }
    }

    fn note_full(&self) {
        if !self.full.swap(true, Ordering::AcqRel) {
            tracing::error!("there is no room for the metadata; nothing is changed but what makes room");
        }
    }

    fn note_failed(&mut self, error: &io::Error) {
        tracing::error!(%error, "the metadata log cannot be written any more");
        self.failed = Some(error.kind());
        self.tell_failed.send_replace(Some(error.to_string().into()));
    }

    /// Makes room of the reserve, or waits until there may be some; false where the thread is to end instead.
    fn make_room(&mut self) -> io::Result<bool> {
        self.note_full();
        self.has_reserve = false;
        if self.store.give_up_reserve()? {
            return Ok(true);
        }
        match self.inbox.recv_timeout(AGAIN) {
            Ok(job) => {
                let ends = matches!(job, Job::Close(_));
                self.put_off.push_back(job);
                Ok(!ends)
            }
            Err(RecvTimeoutError::Timeout) => Ok(true),
            Err(RecvTimeoutError::Disconnected) => Ok(false),
        }
    }

    /// Writes these entries with those of all appends that already wait; gives the first other job.
    fn run_appends(&mut self, mut entries: Vec<Entry>, flushed: IOFlushed<Types>) -> Option<Job> {
        let (mut waiting, mut other) = (vec![flushed], None);
        while waiting.len() < APPENDS_MAX && other.is_none() {
            match self.try_next() {
                Some(Job::Append(more, flushed)) => {
                    entries.extend(more);
                    waiting.push(flushed);
                }
                Some(job) => other = Some(job),
                None => break,
            }
        }
        let before = self.store.log_len();
        let result = self.run_one(|store| store.append(&entries));
        if result.is_ok() {
            self.last = entries.last().map(|entry| entry.log_id).or(self.last);
            let cost = self.store.log_len() - before + entries.len() as u64 * ENTRY_COST;
            self.replay_cost.fetch_add(cost, Ordering::Relaxed);
        }
        for flushed in waiting {
            flushed.io_completed(again(&result));
        }
        other
    }

    fn answer(&mut self, done: Done, job: impl Fn(&mut Store) -> io::Result<()>) -> Option<Job> {
        let result = self.run_one(job);
        let _ = done.send(result);
        None
    }

    fn run_one(&mut self, job: impl Fn(&mut Store) -> io::Result<()>) -> io::Result<()> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        loop {
            let result = match job(&mut self.store) {
                Err(error) if is_full(&error) => match self.make_room() {
                    Ok(true) => continue,
                    Ok(false) => Err(error),
                    Err(error) => Err(error),
                },
                result => result,
            };
            return result.inspect_err(|error| self.note_failed(error));
        }
    }
}

fn again(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
