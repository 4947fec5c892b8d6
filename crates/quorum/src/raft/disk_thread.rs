//! The one thread that writes the metadata log, so that no fsync ever holds up a worker of the runtime.
//!
//! Invariants: jobs are done in the order given; appends that wait together share one write and one sync; after a failed
//! write nothing is written any more and every job fails.

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::{Entry, LogId, Types, Vote};
use crate::store::Store;

/// What reading one entry at a start costs beside its bytes, in bytes: decoding and applying take some microseconds.
const ENTRY_COST: u64 = 800;
/// Most appends that share a write.
const APPENDS_MAX: usize = 64;

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
}

impl DiskThread {
    /// Starts the thread over `store`, which holds `entries` entries.
    pub(super) fn start(store: Store, entries: usize) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let replay_cost = Arc::new(AtomicU64::new(store.log_len() + entries as u64 * ENTRY_COST));
        let worker = Worker { store, inbox, replay_cost: Arc::clone(&replay_cost), last: None, failed: None };
        thread::Builder::new().name("ottla-metadata-log".to_owned()).spawn(move || worker.run())?;
        Ok(Self { jobs, replay_cost })
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
    replay_cost: Arc<AtomicU64>,
    /// Last entry appended since the start.
    last: Option<LogId>,
    failed: Option<io::ErrorKind>,
}

impl Worker {
    fn run(mut self) {
        let mut next = self.inbox.recv().ok();
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
                next = self.inbox.recv().ok();
            }
        }
    }

    /// Writes these entries with those of all appends that already wait; gives the first other job.
    fn run_appends(&mut self, mut entries: Vec<Entry>, flushed: IOFlushed<Types>) -> Option<Job> {
        let (mut waiting, mut other) = (vec![flushed], None);
        while waiting.len() < APPENDS_MAX && other.is_none() {
            match self.inbox.try_recv() {
                Ok(Job::Append(more, flushed)) => {
                    entries.extend(more);
                    waiting.push(flushed);
                }
                Ok(job) => other = Some(job),
                Err(_) => break,
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

    fn answer(&mut self, done: Done, job: impl FnOnce(&mut Store) -> io::Result<()>) -> Option<Job> {
        let result = self.run_one(job);
        let _ = done.send(result);
        None
    }

    fn run_one(&mut self, job: impl FnOnce(&mut Store) -> io::Result<()>) -> io::Result<()> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        let result = job(&mut self.store);
        if let Err(error) = &result {
            tracing::error!(%error, "the metadata log cannot be written any more");
            self.failed = Some(error.kind());
        }
        result
    }
}

fn again(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
