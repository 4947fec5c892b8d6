//! What was sent to a group, and what its members made of it.
//!
//! Invariants: a record below a committed offset does not come again; a member that was put out commits nothing; a
//! record's value is its place.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// One topic's journal. Partition and offset are a record's place.
#[derive(Debug, Default)]
pub struct Journal {
    /// Records sent to each partition.
    sent: BTreeMap<i32, i64>,
    /// How often each record came.
    read: BTreeMap<(i32, i64), usize>,
    /// The offset that each partition's next reader begins at, as acknowledged.
    committed: BTreeMap<i32, i64>,
    faults: Vec<String>,
}

impl Journal {
    /// The next record's value.
    pub fn next_value(&mut self, partition: i32) -> String {
        let offset = self.sent.entry(partition).or_default();
        *offset += 1;
        format!("{partition}/{}", *offset - 1)
    }

    /// `member` read a record. A stale member was put out without knowing: what it still holds comes from before.
    pub(super) fn read(&mut self, member: &str, stale: bool, place: (i32, i64), value: &str) {
        let (partition, offset) = place;
        if value != format!("{partition}/{offset}") {
            self.faults.push(format!("{member} read {value:?} at {partition}/{offset}"));
        }
        let committed = self.committed.get(&partition).copied().unwrap_or(0);
        if offset < committed && !stale {
            self.faults.push(format!("{member} read {partition}/{offset} again; {committed} was committed"));
        }
        *self.read.entry(place).or_default() += 1;
    }

    /// `member`'s commit was acknowledged.
    pub(super) fn committed(&mut self, member: &str, stale: bool, partition: i32, offset: i64) {
        let before = self.committed.entry(partition).or_default();
        if stale {
            self.faults.push(format!("{member} committed {partition}/{offset} though it had been put out"));
        }
        *before = offset.max(*before);
    }

    /// True when every record came.
    pub fn is_read(&self) -> bool {
        let sent = self.sent.iter();
        sent.flat_map(|(partition, end)| (0..*end).map(|offset| (*partition, offset)))
            .all(|place| self.read.contains_key(&place))
    }

    /// True when every record was committed.
    pub fn is_committed(&self) -> bool {
        self.sent.iter().all(|(partition, end)| self.committed.get(partition) == Some(end))
    }

    /// Records that came, however often.
    pub fn count(&self) -> usize {
        self.read.len()
    }

    /// An error that names what should not have happened.
    pub fn check(&self) -> Result<()> {
        ensure!(self.faults.is_empty(), "{}", self.faults[..self.faults.len().min(5)].join("; "));
        Ok(())
    }

    /// How far things are, for people.
    pub fn describe(&self) -> String {
        format!("sent {:?}, {} read, committed {:?}", self.sent, self.read.len(), self.committed)
    }
}
