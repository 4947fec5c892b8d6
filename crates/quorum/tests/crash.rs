//! A crash at every write of the metadata log: all that was answered is there afterwards, nothing is half applied.
#![allow(clippy::unwrap_used)] // a test

mod world;

use std::{sync::Arc, time::Duration};

use ottla_disk::Disk;
use ottla_quorum::{OpenError, Quorum, StartError};
use ottla_testkit::{Fault, OperationKind, SimDisk};
use world::{create, start, topics};

/// Far more than a start takes on a full machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts, creates topics and restarts, until the disk dies; gives how many creations were answered with success.
async fn work(disk: &SimDisk) -> usize {
    let mut answered = 0;
    for _ in 0..2 {
        let Ok(quorum) = start(Arc::new(disk.clone())).await else { return answered };
        for _ in 0..4 {
            // Each topic has as many partitions as its number says, so a half applied one shows.
            let result = create(&quorum, &name(answered), answered as i32 + 1).await;
            if result.is_err() {
                quorum.shutdown().await;
                return answered;
            }
            answered += 1;
            if answered % 3 == 0 && quorum.snapshot().await.is_err() {
                quorum.shutdown().await;
                return answered;
            }
        }
        quorum.shutdown().await;
    }
    answered
}

fn name(at: usize) -> String {
    format!("t{at:03}")
}

/// Checks that what `disk` holds is what was answered, and maybe the one change that was not.
async fn check(disk: SimDisk, answered: usize, case: &str) {
    // A log that lost its members would wait for a leader for ever.
    let quorum = match tokio::time::timeout(PATIENCE, start(Arc::new(disk))).await {
        Ok(Ok(quorum)) => quorum,
        Ok(Err(error)) => panic!("{case}: {error}"),
        Err(_) => panic!("{case}: it does not start"),
    };
    let found = topics(&quorum.image());
    assert!(found.len() == answered || found.len() == answered + 1, "{case}: {answered} answered, found {found:?}");
    for (at, topic) in found.iter().enumerate() {
        assert_eq!(topic, &(name(at), at + 1), "{case}");
    }
    // And it goes on.
    create(&quorum, "after", 1).await.unwrap();
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_crash_at_any_write_loses_nothing_that_was_answered() {
    let whole = SimDisk::new(0);
    assert_eq!(work(&whole).await, 8);
    let mutations = whole.mutations();
    assert!(mutations > 70, "only {mutations} mutations: the test sees nothing");
    for at in 0..mutations {
        for seed in 0..4 {
            let disk = SimDisk::new(seed);
            disk.crash_at(at);
            let answered = work(&disk).await;
            let found = if seed == 0 { disk.power_cut() } else { disk.crash(seed) };
            check(found, answered, &format!("crash at mutation {at}, seed {seed}")).await;
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_starts_again() {
    let disk = SimDisk::new(3);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    for at in 0..3 {
        create(&quorum, &name(at), at as i32 + 1).await.unwrap();
    }
    let killed = disk.kill();
    drop(quorum);
    check(killed, 3, "kill").await;
}

#[tokio::test]
async fn a_failed_sync_is_not_answered_with_success_and_stops_the_log() {
    let disk = SimDisk::new(3);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    create(&quorum, &name(0), 1).await.unwrap();
    disk.inject(|operation| (operation.kind == OperationKind::SyncData).then(Fault::eio));
    assert!(create(&quorum, &name(1), 2).await.is_err());
    disk.heal();
    assert!(create(&quorum, &name(1), 2).await.is_err(), "written after a failed sync");
    assert_eq!(quorum.image().topic_count(), 1);
    quorum.shutdown().await;
    check(disk.power_cut(), 1, "failed sync").await;
}

const LOG: &str = "/data/__ottla_metadata/log-00000000000000000000";

async fn stopped_with_topics(count: usize) -> SimDisk {
    let disk = SimDisk::new(5);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    for at in 0..count {
        create(&quorum, &name(at), at as i32 + 1).await.unwrap();
    }
    quorum.shutdown().await;
    disk
}

fn flip(disk: &SimDisk, path: &str, at: u64) {
    let file = disk.open(path.as_ref(), ottla_disk::OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(&[byte[0] ^ 0x10])], at).unwrap();
}

async fn refused(disk: SimDisk) -> OpenError {
    match start(Arc::new(disk)).await.map(|_: Quorum| ()) {
        Err(StartError::Open(error)) => error,
        other => panic!("started on a damaged log: {other:?}"),
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_refused_and_named() {
    let disk = stopped_with_topics(3).await;
    let len = disk.open(LOG.as_ref(), ottla_disk::OpenMode::Read).unwrap().len().unwrap();
    for at in (0..len).step_by(7) {
        let disk = disk.kill();
        flip(&disk, LOG, at);
        match refused(disk).await {
            OpenError::Damaged { path, position } => {
                assert_eq!(path.to_str(), Some(LOG));
                assert!(position <= at, "byte {at} is damaged, {position} was named");
            }
            other => panic!("byte {at}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_refused() {
    let disk = stopped_with_topics(3).await;
    let len = disk.open(LOG.as_ref(), ottla_disk::OpenMode::Read).unwrap().len().unwrap();
    for keep in [0, 1, len / 2, len - 1] {
        let disk = disk.kill();
        disk.open(LOG.as_ref(), ottla_disk::OpenMode::Write).unwrap().set_len(keep).unwrap();
        let error = refused(disk).await;
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Short { .. }), "{keep}: {error}");
    }
    let disk = disk.kill();
    disk.remove_file(LOG.as_ref()).unwrap();
    assert!(matches!(refused(disk).await, OpenError::Short { .. }));
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_named() {
    let disk = SimDisk::new(5);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    create(&quorum, "x", 3).await.unwrap();
    quorum.snapshot().await.unwrap();
    quorum.shutdown().await;
    let listed = disk.list("/data/__ottla_metadata".as_ref()).unwrap();
    let name = listed.into_iter().map(|entry| entry.name).find(|name| name.starts_with("snapshot-")).unwrap();
    let path = format!("/data/__ottla_metadata/{name}");
    let len = disk.open(path.as_ref(), ottla_disk::OpenMode::Read).unwrap().len().unwrap();
    for at in (0..len).step_by(5) {
        let disk = disk.kill();
        flip(&disk, &path, at);
        assert!(matches!(refused(disk).await, OpenError::Damaged { path: named, .. } if named.to_str() == Some(&path)));
    }
    let disk = disk.kill();
    disk.open(path.as_ref(), ottla_disk::OpenMode::Write).unwrap().set_len(len - 1).unwrap();
    assert!(matches!(refused(disk).await, OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_log_without_its_hard_state_is_refused() {
    let disk = stopped_with_topics(1).await;
    disk.remove_file("/data/__ottla_metadata/hard-state".as_ref()).unwrap();
    assert!(matches!(refused(disk).await, OpenError::NoHardState { .. }));
    let disk = stopped_with_topics(1).await;
    flip(&disk, "/data/__ottla_metadata/hard-state", 21);
    assert!(matches!(refused(disk).await, OpenError::Damaged { .. }));
}
