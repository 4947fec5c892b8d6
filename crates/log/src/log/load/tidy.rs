//! What a stop or a crash may leave in a partition's directory, put in order before the log is opened.
//!
//! - `*.deleted`: removal was decided: removed.
//! - `*.cleaned`: compaction was at work: removed, and before them, durably, the `.swap` files of the same run that were
//!   renamed already, for the run had not been decided.
//! - `*.swap`: compaction was decided: the segments that it replaces are removed, then the files get their names.
//! - an index without its log: removed; so is a producer snapshot that belongs to no segment, except the newest.
//! - anything else is left alone.

use std::{collections::BTreeSet, io};

use ottla_types::Offset;

use super::Loading;
use crate::{
    checkpoint::damage,
    handles::DELETED_SUFFIX,
    segment::{
        Segment,
        name::{FileKind, file_name, parse_file_name},
        walk::WalkError,
    },
};

/// What is in the directory.
pub(super) struct Listed {
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    /// Bases of those that lack an index.
    pub(super) unindexed: BTreeSet<Offset>,
    /// Bases of those of which there are only indexes.
    pub(super) without_log: BTreeSet<Offset>,
    /// Whether damage was found earlier.
    pub(super) is_damaged: bool,
}

/// The segments of the directory.
///
/// # Errors
/// As the file system says.
pub(super) fn list_segments(loading: &Loading) -> io::Result<Listed> {
    let mut names = names(loading)?;
    if settle(loading, &names)? {
        names = self::names(loading)?;
    }
    let files: Vec<_> = names.iter().filter_map(|name| parse_file_name(name)).collect();
    let of = |wanted: FileKind| files.iter().filter(move |(_, kind)| *kind == wanted).map(|(base, _)| *base);
    let bases: BTreeSet<Offset> = of(FileKind::Log).collect();
    let with_txn_index: BTreeSet<Offset> = of(FileKind::TxnIndex).collect();
    let mut without_log = BTreeSet::new();
    for (base, kind) in files.iter().filter(|(base, kind)| *kind != FileKind::Snapshot && !bases.contains(base)) {
        remove(loading, &file_name(*base, *kind))?;
        without_log.insert(*base);
    }
    let newest = of(FileKind::Snapshot).max();
    for stray in of(FileKind::Snapshot).filter(|at| !bases.contains(at) && Some(*at) != newest) {
        remove(loading, &file_name(stray, FileKind::Snapshot))?;
    }
    let segment = |base: Offset| Segment::new(&loading.env.handles, &loading.dir, base, with_txn_index.contains(&base));
    let indexed: BTreeSet<Offset> = of(FileKind::OffsetIndex).collect();
    let timed: BTreeSet<Offset> = of(FileKind::TimeIndex).collect();
    let unindexed = bases.iter().filter(|base| !indexed.contains(base) || !timed.contains(base)).copied().collect();
    let is_damaged = names.iter().any(|name| name == damage::NAME);
    Ok(Listed { segments: bases.into_iter().map(segment).collect(), unindexed, without_log, is_damaged })
}

/// Removes producer snapshots of offsets above `end`.
///
/// # Errors
/// As the file system says.
pub(super) fn remove_snapshots_behind(loading: &Loading, end: Offset) -> io::Result<()> {
    for name in names(loading)? {
        if parse_file_name(&name).is_some_and(|(at, kind)| kind == FileKind::Snapshot && at > end) {
            remove(loading, &name)?;
        }
    }
    Ok(())
}

fn names(loading: &Loading) -> io::Result<Vec<String>> {
    Ok(loading.disk().list(&loading.dir)?.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
}

/// Finishes or undoes what was under way; whether anything was.
fn settle(loading: &Loading, names: &[String]) -> io::Result<bool> {
    let with = |suffix: &'static str| {
        names.iter().filter_map(move |name| Some((name, parse_file_name(name.strip_suffix(suffix)?)?)))
    };
    let undone_from = with(".cleaned").map(|(_, (base, _))| base).min();
    let is_undone = |base: Offset| undone_from.is_some_and(|from| base >= from);
    let (undone, swaps): (Vec<_>, Vec<_>) =
        with(".swap").map(|(name, (base, kind))| (name, base, kind)).partition(|(_, base, _)| is_undone(*base));
    undone.iter().try_for_each(|(name, ..)| remove(loading, name))?;
    if !undone.is_empty() {
        // Only the `.cleaned` files tell that these were not decided, so they have to be gone first.
        loading.disk().sync_dir(&loading.dir)?;
    }
    let over: Vec<_> = with(DELETED_SUFFIX).chain(with(".cleaned")).map(|(name, _)| name).collect();
    over.iter().try_for_each(|name| remove(loading, name))?;
    finish_swaps(loading, names, &swaps)?;
    let any = !(undone.is_empty() && over.is_empty() && swaps.is_empty());
    if any {
        loading.disk().sync_dir(&loading.dir)?;
    }
    Ok(any)
}

/// Goes on where `Log::replace_segments` was interrupted, in its order: while a log file waits for its name, what stands
/// under the final names belongs to the segments that go; it gets its name durably before any other file does.
fn finish_swaps(loading: &Loading, names: &[String], swaps: &[(&String, Offset, FileKind)]) -> io::Result<()> {
    let name = |(name, base, kind): (&String, Offset, FileKind)| {
        loading.disk().rename(&loading.dir.join(name), &loading.dir.join(file_name(base, kind)))
    };
    let (logs, others): (Vec<_>, Vec<_>) = swaps.iter().copied().partition(|(_, _, kind)| *kind == FileKind::Log);
    for (name, base, _) in &logs {
        remove_replaced(loading, names, name, *base)?;
    }
    if !logs.is_empty() {
        loading.disk().sync_dir(&loading.dir)?;
        logs.into_iter().try_for_each(name)?;
        loading.disk().sync_dir(&loading.dir)?;
    }
    others.into_iter().try_for_each(name)
}

/// Removes the segments that begin within the swapped-in one.
fn remove_replaced(loading: &Loading, names: &[String], swap: &str, base: Offset) -> io::Result<()> {
    let last = last_offset(loading, swap)?.unwrap_or(base);
    for name in names {
        let Some((found, kind)) = parse_file_name(name) else { continue };
        if kind != FileKind::Snapshot && found >= base && found <= last {
            remove(loading, name)?;
        }
    }
    Ok(())
}

fn last_offset(loading: &Loading, swap: &str) -> io::Result<Option<Offset>> {
    let file = loading.disk().open(&loading.dir.join(swap), ottla_disk::OpenMode::Read)?;
    let mut last = None;
    for placed in crate::segment::walk::HeaderWalk::new(&*file, 0, file.len()?, crate::segment::walk::LONG) {
        match placed {
            Ok(placed) => last = Some(placed.header.last_offset()),
            Err(WalkError::Io(error)) => return Err(error),
            Err(WalkError::Bad { .. }) => break,
        }
    }
    Ok(last)
}

fn remove(loading: &Loading, name: &str) -> io::Result<()> {
    match loading.disk().remove_file(&loading.dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
