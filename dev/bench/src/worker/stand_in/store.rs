//! What the stand-in keeps: batches as they came, one file for each partition.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use parking_lot::Mutex;

const LAST_OFFSET_DELTA_AT: usize = 23;

/// Everything that was produced.
pub(super) struct Store {
    folder: PathBuf,
    /// How many files were made: each has a number for a name.
    files: AtomicUsize,
    partitions: Mutex<HashMap<(String, i32), Shared>>,
}

/// A partition and who may change it.
pub(super) type Shared = Arc<Mutex<Partition>>;

/// Batches one behind the other in one file.
pub(super) struct Partition {
    pub(super) file: Arc<File>,
    /// Base offset of each batch, and where it ends.
    batches: Vec<(i64, u64)>,
    /// Offset behind the last record.
    pub(super) next: i64,
}

impl Store {
    /// Keeps its files in `folder`.
    pub(super) fn new(folder: PathBuf) -> Store {
        Store { folder, files: AtomicUsize::new(0), partitions: Mutex::default() }
    }

    /// A partition, made where it is asked for first.
    pub(super) fn partition(&self, topic: &str, partition: i32) -> Result<Shared> {
        let mut partitions = self.partitions.lock();
        if let Some(found) = partitions.get(&(topic.to_owned(), partition)) {
            return Ok(Arc::clone(found));
        }
        let path = self.folder.join(self.files.fetch_add(1, Ordering::Relaxed).to_string());
        let file = Arc::new(File::options().read(true).write(true).create_new(true).open(&path)?);
        // It is gone with the last who holds it open.
        std::fs::remove_file(path)?;
        let made = Arc::new(Mutex::new(Partition { file, batches: Vec::new(), next: 0 }));
        partitions.insert((topic.to_owned(), partition), Arc::clone(&made));
        Ok(made)
    }

    /// Forgets topics.
    pub(super) fn delete(&self, topics: &[String]) {
        self.partitions.lock().retain(|(topic, _), _| !topics.contains(topic));
    }
}

impl Partition {
    /// Appends a batch, which gets its offset; that offset.
    pub(super) fn append(&mut self, batch: &mut [u8]) -> Result<i64> {
        let last = batch.get(LAST_OFFSET_DELTA_AT..LAST_OFFSET_DELTA_AT + 4).context("a batch that is cut")?;
        let count = i64::from(i32::from_be_bytes(last.try_into()?)) + 1;
        let (base, begin) = (self.next, self.begin(self.batches.len()));
        batch[..8].copy_from_slice(&base.to_be_bytes());
        self.file.write_all_at(batch, begin)?;
        self.batches.push((base, begin + batch.len() as u64));
        self.next += count;
        Ok(base)
    }

    /// Where batch number `at` begins, or the next one will.
    fn begin(&self, at: usize) -> u64 {
        at.checked_sub(1).map_or(0, |before| self.batches[before].1)
    }

    /// Whole batches from the one that holds `offset`: where they begin and end.
    pub(super) fn range(&self, offset: i64, bytes_max: u64) -> (u64, u64) {
        if offset >= self.next {
            let end = self.begin(self.batches.len());
            return (end, end);
        }
        let first = self.batches.partition_point(|(base, _)| *base <= offset).saturating_sub(1);
        let begin = self.begin(first);
        let behind = self.batches.partition_point(|(_, end)| *end <= begin + bytes_max);
        (begin, self.begin(behind.max(first + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_batches_are_found_from_the_one_that_holds_an_offset() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut partition = Partition { file, batches: Vec::new(), next: 0 };
        let mut batch = [0; 100];
        batch[LAST_OFFSET_DELTA_AT + 3] = 9;
        for number in 0..5 {
            assert_eq!(partition.append(&mut batch).unwrap(), number * 10);
        }
        assert_eq!(partition.range(0, 250), (0, 200));
        assert_eq!(partition.range(25, 100), (200, 300));
        assert_eq!(partition.range(25, 1), (200, 300));
        assert_eq!(partition.range(49, 1_000), (400, 500));
        assert_eq!(partition.range(50, 1_000), (500, 500));
    }
}
