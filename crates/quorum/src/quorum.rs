//! The face of the quorum towards the broker.

use std::{collections::BTreeSet, ops::Range, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use ottla_controller::{
    AllocateProducerIds, Ask, Bootstrap, BrokerError, Controller, Endpoint, FeatureRange, MetadataDelta, MetadataImage,
    ProducerIdsError, RegisterBrokerRequest,
};
use ottla_disk::{Clock, Disk};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::{
    driver::{Driver, Inbox},
    metadata_log::{MetadataLog, ProposeError},
    raft::{Applier, RaftLog, RaftStartError},
    store::OpenError,
};

/// Name of the directory that holds the metadata, in the one given. No topic's partition has such a name.
pub const METADATA_DIR: &str = "__ottla_metadata";

/// Hears of every change of the metadata, in order, on the thread that applies them.
pub trait MetadataListener: Send + Sync + 'static {
    /// `delta` leads to `image`, which becomes visible when this returns. The first call is the whole image.
    fn apply(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>);
}

/// This node, as it registers itself.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRegistration {
    /// `node.id`.
    pub broker: BrokerId,
    /// Id that a new cluster gets; a cluster that has one keeps it.
    pub cluster_id: Uuid,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// What it can run.
    pub features: Vec<FeatureRange>,
    /// Features and levels that a new cluster starts with.
    pub cluster_features: Vec<(String, i16)>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub directories: Vec<Uuid>,
}

/// Why the quorum does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `node.id` is negative.
    #[error("node id {0} is negative")]
    NodeId(BrokerId),
    /// The metadata on disk.
    #[error("metadata log: {0}")]
    Open(#[from] OpenError),
    /// A thread could not be started.
    #[error("metadata thread: {0}")]
    Thread(std::io::Error),
    /// The quorum could not be led.
    #[error("metadata quorum: {0}")]
    Raft(String),
    /// The node could not be registered.
    #[error("registration: {0}")]
    Register(#[from] BrokerError),
    /// The log took nothing.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The system has no randomness to give.
    #[error("no random bytes: {0}")]
    Random(#[from] NoRandomness),
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandomness;

impl From<RaftStartError> for StartError {
    fn from(error: RaftStartError) -> Self {
        match error {
            RaftStartError::Open(error) => Self::Open(error),
            RaftStartError::Thread(error) => Self::Thread(error),
            RaftStartError::Raft(error) => Self::Raft(error),
        }
    }
}

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Another node is the active controller: ask there.
    #[error("this is not the active controller")]
    NotController,
    /// The quorum has stopped, by order or because its disk failed. What was asked may have happened or not.
    #[error("the metadata quorum has stopped")]
    Stopped,
    /// There is no room for the metadata; nothing happened.
    #[error("there is no room for the metadata")]
    Full,
    /// Deciding failed because of a fault in the controller; nothing happened.
    #[error("the controller failed to decide")]
    Faulty,
    /// No producer ids were given.
    #[error(transparent)]
    ProducerIds(#[from] ProducerIdsError),
}

impl SubmitError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotController => ErrorCode::NotController,
            Self::Full => ErrorCode::KafkaStorageError,
            Self::Stopped | Self::Faulty => ErrorCode::UnknownServerError,
            Self::ProducerIds(error) => error.code(),
        }
    }
}

impl From<ProposeError> for SubmitError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader => Self::NotController,
            ProposeError::Stopped => Self::Stopped,
        }
    }
}

/// A running member of the metadata quorum.
#[derive(Debug)]
pub struct Quorum {
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
    image: Arc<ArcSwap<MetadataImage>>,
    inbox: Inbox,
    log: Arc<RaftLog>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Quorum {
    /// Starts a quorum of one, with its log in [`METADATA_DIR`] under `dir`. When this returns, the node is registered,
    /// `listener` has seen the image and questions are answered.
    ///
    /// # Errors
    /// What keeps it from working; nothing of it runs then.
    pub async fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node: NodeRegistration,
        controller: Controller,
        clock: Arc<dyn Clock>,
        listener: Arc<dyn MetadataListener>,
    ) -> Result<Self, StartError> {
        let id = u64::try_from(node.broker.0).map_err(|_| StartError::NodeId(node.broker))?;
        let applier = Applier::start(listener).map_err(StartError::Thread)?;
        let log = Arc::new(RaftLog::start(disk, &dir.join(METADATA_DIR), id, applier.clone()).await?);
        let image = Arc::clone(applier.published());
        let (inbox, driver) = Driver::start(Arc::clone(&log), applier.clone(), controller, clock);
        let driver = Mutex::new(Some(driver));
        let mut this = Self { broker: node.broker, broker_epoch: (-1).into(), image, inbox, log, driver };
        match this.join(node, &applier).await {
            Ok(()) => Ok(this),
            Err(error) => {
                this.shutdown().await;
                Err(error)
            }
        }
    }

    /// Gives the cluster its id, registers the node, and goes public.
    async fn join(&mut self, node: NodeRegistration, applier: &Applier) -> Result<(), StartError> {
        let bootstrap = Bootstrap { cluster_id: node.cluster_id, features: node.cluster_features };
        let register = RegisterBrokerRequest {
            broker: node.broker,
            incarnation: random_uuid()?,
            endpoints: node.endpoints,
            features: node.features,
            rack: node.rack,
            directories: node.directories,
            fenced: false,
        };
        // Both go into one entry.
        let (bootstrapped, registered) = tokio::join!(self.submit(bootstrap), self.submit(register));
        bootstrapped?;
        self.broker_epoch = registered??;
        applier.publish().await.ok_or(StartError::Submit(SubmitError::Stopped))
    }

    /// The metadata: all that was answered before this call, and all that the listener has seen.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Asks the active controller. The answer comes when what it says is committed, durable and visible.
    ///
    /// # Errors
    /// As [`SubmitError`] says. Dropping the future does not take the question back.
    pub async fn submit<A: Ask>(&self, ask: A) -> Result<A::Reply, SubmitError> {
        let command = ask.into();
        if self.is_full() && !command.is_urgent() {
            return Err(SubmitError::Full);
        }
        let reply = self.inbox.ask(command).await?;
        A::reply(reply).ok_or(SubmitError::Faulty)
    }

    /// Gets a block of producer ids for this broker.
    ///
    /// # Errors
    /// As [`SubmitError`] says.
    pub async fn allocate_producer_ids(&self) -> Result<Range<i64>, SubmitError> {
        let ask = AllocateProducerIds { broker: self.broker, broker_epoch: self.broker_epoch };
        let block = self.submit(ask).await??;
        Ok(block.first..block.first + i64::from(block.len))
    }

    /// Epoch that this broker was registered under.
    #[must_use]
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// Whether this node is the active controller.
    #[must_use]
    pub fn is_active_controller(&self) -> bool {
        self.log.is_leader()
    }

    /// Voters of the quorum.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<BrokerId> {
        self.log.voters()
    }

    /// Writes a snapshot of the metadata and drops the log before it. Happens by itself when the log grew.
    ///
    /// # Errors
    /// As [`SubmitError`] says.
    pub async fn snapshot(&self) -> Result<(), SubmitError> {
        Ok(self.log.snapshot().await?)
    }

    /// Whether there is hardly any room for the metadata: then only what is urgent is done
    /// ([`Command::is_urgent`](ottla_controller::Command::is_urgent)).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.log.is_full()
    }

    /// Returns when the metadata cannot be written any more, with the reason: the node must stop then.
    pub async fn failed(&self) -> Arc<str> {
        self.log.failed().await
    }

    /// Stops: answers what was asked, refuses what comes later, leaves the log closed.
    pub async fn shutdown(&self) {
        self.inbox.close();
        let driver = self.driver.lock().take();
        if let Some(driver) = driver {
            if let Err(error) = driver.await {
                tracing::error!(%error, "the controller ended badly");
            }
            self.log.shutdown().await;
        }
    }
}

/// A fresh random id, as topics, clusters and incarnations have: version 4, and never one that starts with `-`, which
/// command lines would take for an option.
///
/// # Errors
/// The system has no randomness to give.
pub fn random_uuid() -> Result<Uuid, NoRandomness> {
    loop {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        if !Uuid(bytes).to_string().starts_with('-') {
            return Ok(Uuid(bytes));
        }
    }
}
