//! The indexes of a segment, each entry held against the log beside it, and producer snapshots.

use std::{collections::BTreeMap, path::Path};

use ottla_log::files::{
    OFFSET_ENTRY_LEN, TIME_ENTRY_LEN, TXN_ENTRY_LEN, aborted_transactions, offset_entries, producer_snapshot,
    time_entries,
};
use ottla_types::Offset;

use crate::{
    Request, Shows,
    out::Out,
    read,
    segment::{Found, Scan},
};

/// A batch of the log beside an index.
struct Batch {
    base: i64,
    position: u64,
    max_timestamp: i64,
}

/// The batches of the log beside the index at `path`, by last offset; none where there is no such log, or nobody asks.
fn log_beside(request: &Request, path: &Path) -> Option<BTreeMap<i64, Batch>> {
    if request.index_sanity {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    let (digits, rest) = name.split_once('.')?;
    let suffix = rest.split_once('.').map_or(String::new(), |(_, suffix)| format!(".{suffix}"));
    let mut scan = Scan::open(&path.with_file_name(format!("{digits}.log{suffix}"))).ok()?;
    let mut batches = BTreeMap::new();
    while let Ok(Some((position, found))) = scan.next() {
        match found {
            Found::Batch(header, ..) => {
                let batch = Batch { base: header.base_offset.0, position, max_timestamp: header.max_timestamp.0 };
                batches.insert(header.last_offset().0, batch);
            }
            Found::Broken(_) => drop(scan.resync().ok()?),
        }
    }
    Some(batches)
}

/// Whether entries are shown, and not only what is wrong with them.
fn shows_entries(request: &Request) -> bool {
    !request.index_faults_only && !request.index_sanity
}

/// Tells of bytes that are no whole entry; where the rest are zeros, that the file was made longer than it is filled.
fn entries_end(bytes: &[u8], entry_len: usize, out: &mut Out<'_>) -> Result<usize, crate::Failure> {
    let filled = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let end = filled.div_ceil(entry_len) * entry_len;
    if bytes.len() > end.max(entry_len) && bytes.len() - end >= entry_len {
        out.row("preallocated", 0, &vec![("bytes", ((bytes.len() - end) as i64).into())])?;
        return Ok(end);
    }
    let whole = bytes.len() / entry_len * entry_len;
    if whole < bytes.len() {
        out.damage(Some(whole as u64), &format_args!("{} bytes are no whole entry", bytes.len() - whole))?;
    }
    Ok(whole)
}

pub(crate) fn show_offsets(request: &Request, path: &Path, base: i64, out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    let batches = log_beside(request, path);
    let end = entries_end(&bytes, OFFSET_ENTRY_LEN, out)?;
    let mut last: Option<(Offset, u64)> = None;
    for (at, (offset, position)) in offset_entries(Offset(base), &bytes[..end]).enumerate() {
        let place = (at * OFFSET_ENTRY_LEN) as u64;
        if shows_entries(request) {
            out.row("entry", 0, &vec![("offset", offset.0.into()), ("position", (position as i64).into())])?;
        }
        if last.is_some_and(|last| offset <= last.0 || position <= last.1) {
            out.damage(Some(place), &"the entry does not follow the one before")?;
        }
        if let Some(batches) = &batches
            && batches.get(&offset.0).is_none_or(|batch| batch.position != position)
        {
            let what = format_args!("no batch that ends with offset {offset} stands at byte {position} of the log");
            out.damage(Some(place), &what)?;
        }
        last = Some((offset, position));
    }
    without_log(request, batches.is_none(), out)
}

pub(crate) fn show_times(request: &Request, path: &Path, base: i64, out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    let batches = log_beside(request, path);
    let end = entries_end(&bytes, TIME_ENTRY_LEN, out)?;
    let mut last = None;
    for (at, (time, offset)) in time_entries(Offset(base), &bytes[..end]).enumerate() {
        let place = (at * TIME_ENTRY_LEN) as u64;
        if shows_entries(request) {
            out.row("entry", 0, &vec![("timestamp", time.0.into()), ("offset", offset.0.into())])?;
        }
        if last.is_some_and(|(before, at)| time <= before || offset <= at) {
            out.damage(Some(place), &"the entry does not follow the one before")?;
        }
        if let Some(batches) = &batches {
            // Older Kafka named the record itself, others name the last one of its batch.
            let batch = batches.range(offset.0..).next().map(|(_, batch)| batch).filter(|batch| batch.base <= offset.0);
            if batch.is_none_or(|batch| batch.max_timestamp != time.0) {
                let what = format_args!("no batch with offset {offset} has {time} as its largest timestamp");
                out.damage(Some(place), &what)?;
            }
        }
        last = Some((time, offset));
    }
    without_log(request, batches.is_none(), out)
}

fn without_log(request: &Request, without: bool, out: &mut Out<'_>) -> Shows {
    if without && !request.index_sanity {
        out.row("note", 0, &vec![("text", "there is no log beside it to hold it against".into())])?;
    }
    Ok(())
}

pub(crate) fn show_aborted(request: &Request, path: &Path, out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    for (at, entry) in aborted_transactions(&bytes).enumerate() {
        let place = (at * TXN_ENTRY_LEN) as u64;
        let Some(entry) = entry else {
            out.damage(Some(place), &"an entry of an unknown version")?;
            continue;
        };
        if shows_entries(request) {
            let fields = vec![
                ("producerId", entry.producer_id.0.into()),
                ("firstOffset", entry.first_offset.0.into()),
                ("lastOffset", entry.last_offset.0.into()),
                ("lastStableOffset", entry.last_stable_offset.0.into()),
            ];
            out.row("aborted", 0, &fields)?;
        }
        if entry.first_offset > entry.last_offset {
            out.damage(Some(place), &"the transaction ends before it begins")?;
        }
    }
    let whole = bytes.len() / TXN_ENTRY_LEN * TXN_ENTRY_LEN;
    if whole < bytes.len() {
        out.damage(Some(whole as u64), &format_args!("{} bytes are no whole entry", bytes.len() - whole))?;
    }
    Ok(())
}

pub(crate) fn show_producers(path: &Path, out: &mut Out<'_>) -> Shows {
    let rows = match producer_snapshot(&read(path)?) {
        Ok(rows) => rows,
        Err(error) => return Ok(out.damage(Some(0), &error)?),
    };
    for row in rows {
        let offset = |offset: Option<Offset>| offset.map_or(-1, |offset| offset.0).into();
        let fields = vec![
            ("producerId", row.id.0.into()),
            ("producerEpoch", i32::from(row.epoch.0).into()),
            ("coordinatorEpoch", row.coordinator_epoch.into()),
            ("currentTxnFirstOffset", offset(row.transaction_start)),
            ("lastTimestamp", row.last_timestamp.0.into()),
            ("firstSequence", row.last.map_or(-1, |mark| mark.first_sequence).into()),
            ("lastSequence", row.last.map_or(-1, |mark| mark.last_sequence).into()),
            ("lastOffset", offset(row.last.map(|mark| mark.last_offset))),
        ];
        out.row("producer", 0, &fields)?;
    }
    Ok(())
}
