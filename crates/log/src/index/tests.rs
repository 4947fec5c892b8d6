use std::{io::IoSlice, os::fd::BorrowedFd, sync::Arc};

use ottla_disk::{Disk, OpenMode};
use ottla_types::{Offset, ProducerId};
use proptest::prelude::*;

use super::{
    offset_index::OffsetEntry,
    time_index::TimeEntry,
    txn_index::{self, AbortedTransaction},
    *,
};
use crate::StdDisk;

fn file(dir: &tempfile::TempDir) -> Arc<dyn DiskFile> {
    StdDisk.open(&dir.path().join("index"), OpenMode::Create).unwrap()
}

fn write_out(index: &mut ActiveIndex<OffsetEntry>, file: &dyn DiskFile) -> io::Result<()> {
    if let Some((bytes, position)) = index.unwritten() {
        file.write_all_at(&mut [IoSlice::new(&bytes)], position)?;
        index.note_written();
    }
    Ok(())
}

fn entry(i: u32) -> OffsetEntry {
    OffsetEntry { relative: i * 10, position: i * 4096 }
}

#[test]
fn entries_are_laid_out_as_kafka_does() {
    let mut out = Vec::new();
    OffsetEntry { relative: 0x0102_0304, position: 0x0506_0708 }.encode(&mut out);
    assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8]);
    out.clear();
    TimeEntry { timestamp: 0x0102_0304_0506_0708, relative: 0x090a_0b0c }.encode(&mut out);
    assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(TimeEntry::decode(&out), TimeEntry { timestamp: 0x0102_0304_0506_0708, relative: 0x090a_0b0c });
    let aborted = AbortedTransaction {
        producer_id: ProducerId(1),
        first_offset: Offset(2),
        last_offset: Offset(3),
        last_stable_offset: Offset(4),
    };
    let bytes = aborted.encode();
    assert_eq!(bytes[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!([bytes[17], bytes[25], bytes[33]], [2, 3, 4]);
    assert_eq!(AbortedTransaction::decode(&bytes), Some(aborted));
    assert_eq!(AbortedTransaction::decode(&[1; 34]), None, "an unknown version");
}

proptest! {
    /// A lookup in memory and file together gives what a search of a plain list gives, wherever the search before it ended.
    #[test]
    fn lookup_finds_the_last_entry_not_above(count in 0u32..2500, write_every in 1usize..700, keys in prop::collection::vec(-5i64..26_000, 20)) {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let mut index = ActiveIndex::<OffsetEntry>::resume(0, None);
        for i in 0..count {
            let full = index.push(entry(i + 1));
            if full || (i as usize).is_multiple_of(write_every) {
                write_out(&mut index, &*file).unwrap();
            }
        }
        prop_assert!(index.recent.len() <= 2 * BLOCK);
        let hint = Hint::default();
        for key in keys {
            let expected = (1..=count).map(entry).take_while(|e| e.key() <= key).last();
            let found = match index.lookup(key) {
                Lookup::Found(found) => found,
                Lookup::InFile(entries) => search(&*file, entries, key, &hint).unwrap(),
            };
            prop_assert_eq!(found, expected);
        }
        let from = super::first_from::<OffsetEntry>(&*file, index.in_file, 1000, &hint, Entry::key).unwrap();
        prop_assert_eq!(from, (1..=index.in_file as u32).map(entry).find(|e| e.key() >= 1000));
        write_out(&mut index, &*file).unwrap();
        prop_assert_eq!(super::count::<OffsetEntry>(&*file).unwrap(), count as usize);
        prop_assert_eq!(index.len(), count as usize);
    }
}

#[test]
fn a_resumed_index_goes_on_where_the_file_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&dir);
    let mut index = ActiveIndex::resume(0, None);
    (1..=3).for_each(|i| {
        index.push(entry(i));
    });
    write_out(&mut index, &*file).unwrap();
    let mut index = ActiveIndex::resume(3, Some(read_entry(&*file, 2).unwrap()));
    assert_eq!(index.lookup(25), Lookup::InFile(2));
    index.push(entry(4));
    write_out(&mut index, &*file).unwrap();
    assert_eq!(read_entry::<OffsetEntry>(&*file, 3).unwrap(), entry(4));
    assert_eq!(search(&*file, 4, 39, &Hint::default()).unwrap(), Some(entry(3)));
    assert!(
        search::<OffsetEntry>(&*file, 5, 1000, &Hint::default()).is_err(),
        "an entry that is not there is an error, not a zero"
    );
}

#[test]
fn aborted_transactions_survive_a_torn_write_and_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&dir);
    let aborted = |i: i64| AbortedTransaction {
        producer_id: ProducerId(i),
        first_offset: Offset(i * 10),
        last_offset: Offset(i * 10 + 5),
        last_stable_offset: Offset(i * 10 + 6),
    };
    (0..100).for_each(|i| txn_index::append(&*file, &aborted(i)).unwrap());
    file.set_len(99 * 34 + 7).unwrap();
    txn_index::append(&*file, &aborted(200)).unwrap();
    let mut seen = Vec::new();
    txn_index::walk(&*file, |entry| {
        seen.push(entry.producer_id.0);
        true
    })
    .unwrap();
    assert_eq!(seen, (0..99).chain([200]).collect::<Vec<_>>());
    assert_eq!(txn_index::kept(&*file, Offset(0), Offset(55)).unwrap(), 5 * 34);
}

/// Counts what is read of it.
#[derive(Debug)]
struct Counted {
    file: Arc<dyn DiskFile>,
    reads: AtomicUsize,
}

impl DiskFile for Counted {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Relaxed);
        self.file.read_at(buf, position)
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_all_at(parts, position)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }
}

#[test]
fn who_goes_on_from_where_he_was_needs_one_read() {
    const ENTRIES: u32 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let file = Counted { file: file(&dir), reads: AtomicUsize::new(0) };
    let mut bytes = Vec::new();
    (0..ENTRIES).for_each(|i| entry(i).encode(&mut bytes));
    file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
    let hint = Hint::default();
    for at in (1_000..ENTRIES).step_by(100) {
        let before = file.reads.load(Relaxed);
        let found = search(&file, ENTRIES as usize, entry(at).key() + 5, &hint).unwrap();
        assert_eq!(found, Some(entry(at)));
        let reads = file.reads.load(Relaxed) - before;
        assert!(reads == 1 || at == 1_000, "{reads} reads for entry {at}");
    }
}
