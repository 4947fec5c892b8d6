//! openraft, fed from our disk and our image. Nothing outside of this module knows of it.

mod disk_thread;
mod log_store;
mod machine;
mod network;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use disk_thread::DiskThread;
use log_store::LogStore;
use machine::Machine;
use network::NoPeers;
use openraft::{
    Config, Raft, SnapshotPolicy,
    async_runtime::WatchReceiver,
    errors::{ClientWriteError, Fatal, RaftError},
    impls::BasicNode,
};
use ottla_controller::MetadataRecord;
use ottla_disk::Disk;
use ottla_types::BrokerId;

pub(crate) use machine::Applier;
pub(crate) use types::{
    Changes, Entry, LeaderId, LogId, Membership, StoredMembership, Types, Vote, log_id, membership, term_of,
};

use crate::{
    metadata_log::{MetadataLog, ProposeError},
    store::{OpenError, Store},
};

/// Replay cost after which a snapshot is worth its writing: some 5,000 small entries, or 4 MiB of large ones, which a
/// start reads in some tens of milliseconds.
const SNAPSHOT_AFTER: u64 = 4 << 20;

/// Why the quorum does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaftStartError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A thread could not be started.
    #[error("thread: {0}")]
    Thread(std::io::Error),
    /// openraft gave up.
    #[error("raft: {0}")]
    Raft(String),
}

/// The metadata log as a raft group.
#[derive(Debug)]
pub(crate) struct RaftLog {
    node: u64,
    raft: Raft<Types, Machine>,
    disk_thread: DiskThread,
}

impl RaftLog {
    /// Opens the log in `dir` and leads a quorum of one; when this returns, all that is committed is applied.
    pub(crate) async fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node: u64,
        applier: Applier,
    ) -> Result<Self, RaftStartError> {
        let (opened_disk, opened_dir) = (Arc::clone(&disk), dir.to_owned());
        let opening = tokio::task::spawn_blocking(move || Store::open(&opened_disk, &opened_dir, node));
        let (store, recovered) = opening.await.map_err(|error| RaftStartError::Raft(error.to_string()))??;
        let snapshot = recovered.snapshot.clone();
        let disk_thread = DiskThread::start(store, recovered.entries.len()).map_err(RaftStartError::Thread)?;
        let log_store = LogStore::new(disk_thread.clone(), recovered);
        let machine = Machine::new(disk, dir, applier, snapshot).await;
        let raft = Raft::new(node, Arc::new(config()?), NoPeers, log_store, machine).await.map_err(fatal)?;
        let this = Self { node, raft, disk_thread };
        this.lead().await?;
        Ok(this)
    }

    async fn lead(&self) -> Result<(), RaftStartError> {
        if self.raft.is_initialized().await.map_err(fatal)? {
            self.raft.trigger().elect(true).await.map_err(fatal)?;
        } else {
            let members = BTreeMap::from([(self.node, BasicNode::new(""))]);
            self.raft.initialize(members).await.map_err(|error| RaftStartError::Raft(error.to_string()))?;
        }
        // The entry with which a leader begins commits and applies all before it.
        let wait = self.raft.wait(None);
        let ready = wait.metrics(
            |metrics| metrics.state.is_leader() && metrics.last_applied.map(|id| id.index) == metrics.last_log_index,
            "lead the quorum",
        );
        ready.await.map(drop).map_err(|error| RaftStartError::Raft(error.to_string()))
    }

    /// Voters of the quorum.
    pub(crate) fn voters(&self) -> BTreeSet<BrokerId> {
        self.raft.voter_ids().filter_map(|id| i32::try_from(id).ok()).map(BrokerId).collect()
    }

    /// Writes a snapshot of all that is applied and drops the log before it.
    pub(crate) async fn snapshot(&self) -> Result<(), ProposeError> {
        let applied = self.raft.metrics().borrow_watched().last_applied;
        self.trigger_snapshot().await?;
        let wait = self.raft.wait(None);
        let done = wait.metrics(|metrics| metrics.snapshot >= applied && metrics.purged >= applied, "take a snapshot");
        done.await.map(drop).map_err(|_| ProposeError::Stopped)
    }

    async fn trigger_snapshot(&self) -> Result<(), ProposeError> {
        self.disk_thread.replay_cost().store(0, Ordering::Relaxed);
        self.raft.trigger().snapshot().await.map_err(|_| ProposeError::Stopped)
    }

    /// Whether there is hardly any room for the log.
    pub(crate) fn is_full(&self) -> bool {
        self.disk_thread.is_full()
    }

    /// Returns when the log cannot be written any more, with the reason.
    pub(crate) async fn failed(&self) -> Arc<str> {
        self.disk_thread.failed().await
    }

    async fn snapshot_when_due(&self) {
        if !self.disk_thread.is_full()
            && self.disk_thread.replay_cost().load(Ordering::Relaxed) >= SNAPSHOT_AFTER
            && self.trigger_snapshot().await.is_err()
        {
            tracing::error!("the metadata quorum stopped before it could take a snapshot");
        }
    }
}

impl MetadataLog for RaftLog {
    async fn propose(&self, records: Arc<Vec<MetadataRecord>>) -> Result<u64, ProposeError> {
        let written = self.raft.client_write(Changes(records)).await.map_err(|error| match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => ProposeError::NotLeader,
            _ => ProposeError::Stopped,
        })?;
        self.snapshot_when_due().await;
        Ok(written.log_id.index)
    }

    fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(%error, "the metadata quorum did not stop well");
        }
        self.disk_thread.close().await;
    }
}

fn config() -> Result<Config, RaftStartError> {
    let config = Config {
        cluster_name: "ottla".to_owned(),
        // Nobody has to hear from a leader in a quorum of one, which elects itself when it starts. openraft looks at its clock
        // every fifth of a heartbeat, and a broker with nothing to do is to use no processor.
        heartbeat_interval: 5_000,
        election_timeout_min: 20_000,
        election_timeout_max: 40_000,
        snapshot_policy: SnapshotPolicy::Never,
        // Nobody has to catch up in a quorum of one.
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    config.validate().map_err(|error| RaftStartError::Raft(error.to_string()))
}

fn fatal(error: Fatal<Types>) -> RaftStartError {
    RaftStartError::Raft(error.to_string())
}
