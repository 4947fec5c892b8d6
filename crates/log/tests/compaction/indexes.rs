//! What Kafka's dump tool asks of the indexes of closed segments, asked of every one.
//!
//! An entry names the last offset of a batch that is there; one of the time index has the newest time of that batch's
//! records, and times rise.

use std::{io, path::Path};

use ottla_disk::{Disk, OpenMode};
use ottla_log::Log;
use ottla_records::{Batches, records_of};
use ottla_testkit::SimDisk;
use proptest::prelude::*;

/// A batch as it lies in a segment.
struct Lying {
    last: i64,
    position: usize,
    /// Time of its newest record; none where it has no records.
    newest: Option<i64>,
}

/// Looks at each closed segment of `log`.
pub(crate) fn check(disk: &SimDisk, log: &Log) -> Result<(), TestCaseError> {
    let mut bases = log.segment_bases();
    bases.pop();
    for base in bases {
        let bytes = |ending: &str| content(disk, &log.dir().join(format!("{:020}.{ending}", base.0))).unwrap();
        let batches = batches(&bytes("log"));
        for entry in bytes("index").chunks_exact(8) {
            let (relative, position) = entry.split_at(4);
            let (last, position) = (base.0 + i64::from(number(relative)), number(position) as usize);
            let found = batches.iter().find(|batch| batch.last == last);
            prop_assert_eq!(found.map(|batch| batch.position), Some(position), "index of {}, offset {}", base, last);
        }
        let mut before = i64::MIN;
        for entry in bytes("timeindex").chunks_exact(12) {
            let (time, relative) = entry.split_at(8);
            let (time, last) = (i64::from_be_bytes(time.try_into().unwrap()), base.0 + i64::from(number(relative)));
            let found = batches.iter().find(|batch| batch.last == last);
            prop_assert_eq!(found.and_then(|batch| batch.newest), Some(time), "time index of {}, {}", base, last);
            prop_assert!(time > before, "time index of {base}, {last}");
            before = time;
        }
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

fn content(disk: &SimDisk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn batches(bytes: &[u8]) -> Vec<Lying> {
    let mut position = 0;
    let mut found = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        let mut records = records_of(&batch).unwrap();
        let mut newest = None;
        while let Some(record) = records.next_record().unwrap() {
            newest = newest.max(Some(record.timestamp.0));
        }
        found.push(Lying { last: batch.header().last_offset().0, position, newest });
        position += batch.bytes().len();
    }
    assert_eq!(position, bytes.len());
    found
}
