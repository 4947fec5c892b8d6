//! The log as openraft wants it: readable from memory, written by the disk thread.
//!
//! Entries since the last purge are kept in memory; snapshots bound them.

use std::{
    collections::VecDeque,
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use openraft::{
    OptionalSend, RaftLogReader,
    entry::RaftEntry,
    storage::{IOFlushed, LogState, RaftLogStorage},
};
use parking_lot::Mutex;

use super::{Entry, LogId, Types, Vote, disk_thread::DiskThread};
use crate::store::Recovered;

#[derive(Debug, Default)]
struct Memory {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: VecDeque<Entry>,
}

impl Memory {
    fn first(&self) -> u64 {
        self.entries.front().map_or_else(|| self.purged.map_or(0, |id| id.index + 1), RaftEntry::index)
    }

    /// Where entry `index` lies, or would.
    fn at(&self, index: u64) -> usize {
        index.saturating_sub(self.first()) as usize
    }
}

/// See the file's head; clones are the same log.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    memory: Arc<Mutex<Memory>>,
    disk: DiskThread,
}

impl LogStore {
    pub(super) fn new(disk: DiskThread, recovered: Recovered) -> Self {
        let Recovered { vote, purged, entries, .. } = recovered;
        Self { memory: Arc::new(Mutex::new(Memory { vote, purged, entries: entries.into() })), disk }
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let memory = self.memory.lock();
        let len = memory.entries.len();
        let (from, to) = (memory.at(start).min(len), memory.at(end).min(len));
        Ok(memory.entries.range(from..to.max(from)).cloned().collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory.lock().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let memory = self.memory.lock();
        let last_log_id = memory.entries.back().map(|entry| entry.log_id).or(memory.purged);
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.disk.save_vote(*vote).await?;
        self.memory.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.memory.lock().entries.extend(entries.iter().cloned());
        self.disk.append(entries, callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.disk.truncate(from).await?;
        let mut memory = self.memory.lock();
        let keep = memory.at(from);
        memory.entries.truncate(keep);
        Ok(())
    }

    async fn purge(&mut self, last: LogId) -> io::Result<()> {
        self.disk.purge(last).await?;
        let mut memory = self.memory.lock();
        let gone = memory.at(last.index + 1).min(memory.entries.len());
        memory.entries.drain(..gone);
        memory.purged = Some(last);
        Ok(())
    }
}
