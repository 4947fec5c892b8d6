//! The disk thread by itself: order, shared writes, and what follows a failure.

use std::{path::Path, sync::Arc};

use openraft::{EntryPayload, entry::RaftEntry, storage::IOFlushed, type_config::TypeConfigExt};
use ottla_disk::Disk;
use ottla_testkit::{Fault, OperationKind, SimDisk};

use super::DiskThread;
use crate::{
    raft::{Entry, Types, log_id},
    store::Store,
};

fn start(disk: &SimDisk) -> DiskThread {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, recovered) = Store::open(&shared, Path::new("/m"), 1).unwrap();
    DiskThread::start(store, recovered.entries.len()).unwrap()
}

async fn append(thread: &DiskThread, index: u64) -> std::io::Result<()> {
    let (done, flushed) = Types::oneshot();
    thread.append(vec![Entry::new(log_id(1, index), EntryPayload::Blank)], IOFlushed::signal(done));
    flushed.await.unwrap()
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written() {
    let disk = SimDisk::new(1);
    let thread = start(&disk);
    append(&thread, 0).await.unwrap();
    disk.inject(|operation| (operation.kind == OperationKind::SyncData).then(Fault::eio));
    assert!(append(&thread, 1).await.is_err());
    disk.heal();
    let mutations = disk.mutations();
    assert!(append(&thread, 2).await.is_err());
    assert!(thread.truncate(0).await.is_err());
    assert_eq!(disk.mutations(), mutations);
}

#[tokio::test]
async fn a_closed_thread_refuses_and_lets_the_directory_go() {
    let disk = SimDisk::new(1);
    let thread = start(&disk);
    append(&thread, 0).await.unwrap();
    thread.close().await;
    assert!(append(&thread, 1).await.is_err());
    append(&start(&disk), 1).await.unwrap();
}
