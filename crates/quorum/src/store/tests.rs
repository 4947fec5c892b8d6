//! The store by itself: bytes, torn ends against damage, truncation, purging.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use openraft::{EntryPayload, entry::RaftEntry, impls::BasicNode};
use ottla_controller::{ClusterId, MetadataImage};
use ottla_disk::{Disk, OpenMode};
use ottla_testkit::{Dice, SimDisk};
use ottla_types::Uuid;

use super::{
    FormatError, OpenError, Recovered, Snapshot, Store,
    codec::{put_entry, take_entry},
    frame::{HEAD_LEN, put_frame, read_frame},
};
use crate::raft::{Changes, Entry, LeaderId, StoredMembership, Vote, log_id, membership};

const DIR: &str = "/m/meta";

fn change(term: u64, index: u64) -> Entry {
    let records = vec![ClusterId { id: Uuid([index as u8; 16]) }.into()];
    Entry::new(log_id(term, index), EntryPayload::Normal(Changes(Arc::new(records))))
}

fn open(disk: &SimDisk) -> Result<(Store, Recovered), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open(&disk, Path::new(DIR), 1)
}

fn indexes(recovered: &Recovered) -> Vec<u64> {
    recovered.entries.iter().map(RaftEntry::index).collect()
}

fn log_path(first: u64) -> String {
    format!("{DIR}/log-{first:020}")
}

/// A disk whose log holds entries 0 to 4, appended one by one, by a process that was killed.
fn five_entries() -> SimDisk {
    let disk = SimDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    for index in 0..5 {
        store.append(&[change(1, index)]).unwrap();
    }
    disk.kill()
}

fn bytes_of(disk: &SimDisk) -> Vec<u8> {
    let file = disk.open(log_path(0).as_ref(), OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Where each frame starts, and the end.
fn positions(bytes: &[u8]) -> Vec<usize> {
    let mut positions = vec![0];
    while let Some(frame) = read_frame(&bytes[positions[positions.len() - 1]..]) {
        positions.push(positions[positions.len() - 1] + frame.len());
    }
    positions
}

fn write(disk: &SimDisk, at: usize, bytes: &[u8]) {
    let file = disk.open(log_path(0).as_ref(), OpenMode::Write).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(bytes)], at as u64).unwrap();
}

#[test]
fn an_entry_is_durable_when_its_append_returns() {
    // The first append also makes the segment, whose name has to be durable with it; so does the first after a purge.
    for appended in 1..4 {
        let disk = SimDisk::new(1);
        let (mut store, _) = open(&disk).unwrap();
        for index in 0..appended {
            store.append(&[change(1, index)]).unwrap();
        }
        let (_, recovered) = open(&disk.power_cut()).unwrap();
        assert_eq!(indexes(&recovered), (0..appended).collect::<Vec<_>>(), "after {appended} appends");
    }
}

#[test]
fn every_kind_of_entry_survives_its_bytes() {
    let voters = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
    let nodes = [1, 2, 3].map(|id| (id, BasicNode::new(format!("host{id}:9093"))));
    let members = membership(vec![voters(&[1, 2]), voters(&[2])], nodes).unwrap();
    let entries = [
        Entry::new(log_id(7, 1), EntryPayload::Blank),
        change(u64::MAX, u64::MAX),
        Entry::new(log_id(0, 0), EntryPayload::Membership(members)),
    ];
    for entry in entries {
        let mut bytes = Vec::new();
        put_entry(&mut bytes, &entry);
        assert_eq!(take_entry(&bytes).unwrap(), entry);
        for keep in 0..bytes.len() {
            assert!(take_entry(&bytes[..keep]).is_err(), "cut at {keep}: {entry}");
        }
    }
    assert_eq!(take_entry(&[9]), Err(FormatError::UnknownVersion(9)));
}

#[test]
fn hostile_bytes_are_no_entry_and_no_frame() {
    let mut dice = Dice::new(1);
    for _ in 0..20_000 {
        let len = dice.below(60) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| dice.throw() as u8).collect();
        let _ = read_frame(&bytes);
        bytes.splice(0..0, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, dice.below(4) as u8]);
        let _ = take_entry(&bytes);
    }
}

#[test]
fn a_torn_end_is_cut_and_overwritten() {
    let whole = bytes_of(&five_entries());
    let starts = positions(&whole);
    for keep in starts[4]..whole.len() {
        let disk = five_entries();
        disk.open(log_path(0).as_ref(), OpenMode::Write).unwrap().set_len(keep as u64).unwrap();
        let (mut store, recovered) = open(&disk).unwrap();
        assert_eq!(indexes(&recovered), [0, 1, 2, 3], "cut at {keep}");
        store.append(&[change(2, 4)]).unwrap();
        drop(store);
        let (_, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.entries[4], change(2, 4));
    }
}

#[test]
fn an_end_of_garbage_is_cut() {
    for garbage in [&[0; 300][..], &[0xff; 7], b"OMF1", b"OMF1\0\0\0\x09"] {
        let disk = five_entries();
        let end = bytes_of(&disk).len();
        write(&disk, end, garbage);
        assert_eq!(indexes(&open(&disk).unwrap().1), [0, 1, 2, 3, 4], "{garbage:?}");
        assert_eq!(bytes_of(&disk).len(), end);
    }
}

#[test]
fn damage_below_a_later_frame_is_never_cut() {
    let whole = bytes_of(&five_entries());
    let starts = positions(&whole);
    for (at, byte) in whole[..starts[4]].iter().enumerate() {
        let disk = five_entries();
        write(&disk, at, &[byte ^ 1]);
        let frame = starts.iter().rposition(|start| *start <= at).unwrap();
        match open(&disk) {
            Err(OpenError::Damaged { position, .. }) => assert_eq!(position, starts[frame] as u64),
            other => panic!("byte {at}: {:?}", other.map(|(_, recovered)| indexes(&recovered))),
        }
    }
}

#[test]
fn frames_of_one_torn_write_are_cut_although_later_ones_are_whole() {
    // Three entries in one write: none of them was durable when the others were written.
    let disk = SimDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    store.append(&[change(1, 0)]).unwrap();
    let before = bytes_of(&disk).len();
    store.append(&[change(1, 1), change(1, 2), change(1, 3)]).unwrap();
    let disk = disk.kill();
    write(&disk, before + HEAD_LEN, &[0; 8]);
    assert_eq!(indexes(&open(&disk).unwrap().1), [0]);
}

#[test]
fn entries_are_truncated_from_the_end() {
    let disk = five_entries();
    for from in (0..6).rev() {
        let (mut store, _) = open(&disk).unwrap();
        store.truncate(from).unwrap();
        drop(store);
        assert_eq!(indexes(&open(&disk).unwrap().1), (0..from.min(5)).collect::<Vec<_>>());
    }
    let (mut store, _) = open(&disk).unwrap();
    store.append(&[change(3, 0)]).unwrap();
    drop(store);
    assert_eq!(open(&disk).unwrap().1.entries, [change(3, 0)]);
}

#[test]
fn truncating_below_a_clean_stop_takes_its_note_back() {
    let disk = five_entries();
    let (mut store, _) = open(&disk).unwrap();
    store.close(Some(log_id(1, 4))).unwrap();
    store.truncate(2).unwrap();
    drop(store);
    assert_eq!(indexes(&open(&disk).unwrap().1), [0, 1]);
}

#[test]
fn what_a_snapshot_holds_can_be_purged() {
    let disk = five_entries();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let snapshot = |index| Snapshot {
        last: log_id(1, index),
        membership: StoredMembership::default(),
        image: Arc::new(MetadataImage::default().apply(&[], index).unwrap().0),
    };
    let (mut store, _) = open(&disk).unwrap();
    snapshot(2).save(&shared, Path::new(DIR)).unwrap();
    store.purge(log_id(1, 2)).unwrap();
    drop(store);
    let (mut store, recovered) = open(&disk).unwrap();
    assert_eq!((indexes(&recovered), recovered.purged), (vec![3, 4], Some(log_id(1, 2))));
    snapshot(4).save(&shared, Path::new(DIR)).unwrap();
    store.purge(log_id(1, 4)).unwrap();
    assert!(!disk.exists(log_path(0).as_ref()));
    store.append(&[change(2, 5)]).unwrap();
    drop(store);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!((indexes(&recovered), recovered.snapshot.unwrap().image.version()), (vec![5], 4));
}

#[test]
fn a_log_purged_without_its_snapshot_is_refused() {
    let disk = five_entries();
    let (mut store, _) = open(&disk).unwrap();
    store.purge(log_id(1, 2)).unwrap();
    drop(store);
    assert!(matches!(open(&disk), Err(OpenError::Gap { expected: 0, .. })));
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = SimDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    store.append(&[change(1, 0)]).unwrap();
    drop(store);
    disk.rename(log_path(0).as_ref(), log_path(1).as_ref()).unwrap();
    assert!(open(&disk).is_err());
}

#[test]
fn a_frame_of_a_newer_program_is_refused_and_named() {
    let disk = five_entries();
    let end = bytes_of(&disk).len();
    let mut frame = Vec::new();
    put_frame(&mut frame, end as u64, &[77]);
    write(&disk, end, &frame);
    let Err(OpenError::Format { position, error, .. }) = open(&disk) else { panic!("opened") };
    assert_eq!((position, error), (end as u64, FormatError::UnknownVersion(77)));
}

#[test]
fn the_vote_is_kept() {
    let disk = SimDisk::new(1);
    let (mut store, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.vote, None);
    let vote = Vote { leader_id: LeaderId { term: 3, voted_for: 1 }, committed: true };
    store.save_vote(vote).unwrap();
    assert_eq!(open(&disk.power_cut()).unwrap().1.vote, Some(vote));
}
