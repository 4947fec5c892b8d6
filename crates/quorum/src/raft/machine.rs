//! The state machine: committed entries onto the image.
//!
//! A thread of its own applies, because the listener behind it makes directories. Invariants: entries are applied in
//! order, each once; the listener has seen a change before it is published, and it is published before the entry counts
//! as applied.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{Stream, StreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine, SnapshotMeta},
    type_config::alias::{SnapshotMetaOf, SnapshotOf},
};
use ottla_controller::{MetadataDelta, MetadataImage, ReplayError};
use ottla_disk::{Disk, is_full};
use tokio::sync::oneshot;

use super::{Changes, LogId, StoredMembership, Types};
use crate::{MetadataListener, store::Snapshot};

/// How long until a snapshot that found no room is tried again.
const AGAIN: Duration = Duration::from_secs(5);

enum Step {
    Apply(Changes, u64, oneshot::Sender<Result<Arc<MetadataImage>, ReplayError>>),
    Replace(Arc<MetadataImage>, oneshot::Sender<()>),
    Publish(oneshot::Sender<()>),
}

/// A handle on the thread that applies; it ends with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Applier {
    steps: mpsc::Sender<Step>,
    latest: Arc<ArcSwap<MetadataImage>>,
    published: Arc<ArcSwap<MetadataImage>>,
}

impl Applier {
    /// Starts the thread. Until [`publish`](Self::publish), `listener` hears nothing and nothing is published.
    pub(crate) fn start(listener: Arc<dyn MetadataListener>) -> io::Result<Self> {
        let (steps, inbox) = mpsc::channel();
        let latest = Arc::new(ArcSwap::from_pointee(MetadataImage::default()));
        let published = Arc::new(ArcSwap::from_pointee(MetadataImage::default()));
        let worker = Worker { latest: Arc::clone(&latest), published: Arc::clone(&published), listener, live: false };
        let run = move || worker.run(&inbox);
        thread::Builder::new().name("ottla-metadata-apply".to_owned()).spawn(run)?;
        Ok(Self { steps, latest, published })
    }

    /// All that is applied.
    pub(crate) fn latest(&self) -> Arc<MetadataImage> {
        self.latest.load_full()
    }

    /// All that the listener has seen.
    pub(crate) fn published(&self) -> &Arc<ArcSwap<MetadataImage>> {
        &self.published
    }

    /// Shows the listener the whole image at once and every change from now on.
    pub(crate) async fn publish(&self) -> Option<()> {
        let (done, answer) = oneshot::channel();
        self.steps.send(Step::Publish(done)).ok()?;
        answer.await.ok()
    }

    async fn apply(&self, changes: Changes, index: u64) -> io::Result<Arc<MetadataImage>> {
        let (done, answer) = oneshot::channel();
        self.steps.send(Step::Apply(changes, index, done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(io::Error::other)
    }

    async fn replace(&self, image: Arc<MetadataImage>) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.steps.send(Step::Replace(image, done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the metadata is not applied any more")
}

struct Worker {
    latest: Arc<ArcSwap<MetadataImage>>,
    published: Arc<ArcSwap<MetadataImage>>,
    listener: Arc<dyn MetadataListener>,
    live: bool,
}

impl Worker {
    fn run(mut self, inbox: &mpsc::Receiver<Step>) {
        while let Ok(step) = inbox.recv() {
            match step {
                Step::Apply(changes, index, done) => {
                    let _ = done.send(self.apply(&changes, index));
                }
                Step::Replace(image, done) => {
                    let delta = MetadataDelta::between(&self.latest.load(), &image);
                    self.show(&delta, &image);
                    let _ = done.send(());
                }
                Step::Publish(done) => {
                    self.live = true;
                    let image = self.latest.load_full();
                    self.show(&MetadataDelta::between(&MetadataImage::default(), &image), &image);
                    let _ = done.send(());
                }
            }
        }
    }

    fn apply(&self, changes: &Changes, index: u64) -> Result<Arc<MetadataImage>, ReplayError> {
        let (image, delta) = self.latest.load().apply(&changes.0, index)?;
        let image = Arc::new(image);
        self.show(&delta, &image);
        Ok(image)
    }

    fn show(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        if self.live {
            self.listener.apply(delta, image);
            self.published.store(Arc::clone(image));
        }
        self.latest.store(Arc::clone(image));
    }
}

/// What openraft drives.
#[derive(Debug)]
pub(crate) struct Machine {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    applier: Applier,
    applied: Option<LogId>,
    membership: StoredMembership,
    image: Arc<MetadataImage>,
    snapshot: Option<Snapshot>,
}

impl Machine {
    /// A machine that starts with what `snapshot` holds.
    pub(super) async fn new(disk: Arc<dyn Disk>, dir: &Path, applier: Applier, snapshot: Option<Snapshot>) -> Self {
        let image = snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.image)).unwrap_or_default();
        let applied = snapshot.as_ref().map(|snapshot| snapshot.last);
        let membership = snapshot.as_ref().map(|snapshot| snapshot.membership.clone()).unwrap_or_default();
        if applier.replace(Arc::clone(&image)).await.is_err() {
            tracing::error!("the metadata is not applied any more");
        }
        Self { disk, dir: dir.to_owned(), applier, applied, membership, image, snapshot }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Arc<MetadataImage>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(changes) => self.image = self.applier.apply(changes, entry.log_id.index).await?,
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), members);
                }
            }
            self.applied = Some(entry.log_id);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let snapshot = self.applied.map(|last| Snapshot {
            last,
            membership: self.membership.clone(),
            image: Arc::clone(&self.image),
        });
        Builder { disk: Arc::clone(&self.disk), dir: self.dir.clone(), snapshot }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, image: Arc<MetadataImage>) -> io::Result<()> {
        let Some(last) = meta.last_log_id else { return Ok(()) };
        let snapshot = Snapshot { last, membership: meta.last_membership.clone(), image };
        save(&self.disk, &self.dir, &snapshot).await?;
        self.applier.replace(Arc::clone(&snapshot.image)).await?;
        self.applied = Some(last);
        self.membership = snapshot.membership.clone();
        self.image = Arc::clone(&snapshot.image);
        self.snapshot = Some(snapshot);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Arc<MetadataImage>>>> {
        Ok(self.snapshot.as_ref().map(offered))
    }
}

/// Writes one snapshot of what was applied when it was made.
#[derive(Debug)]
pub(crate) struct Builder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    snapshot: Option<Snapshot>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Arc<MetadataImage>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Arc<MetadataImage>>> {
        let snapshot = self.snapshot.as_ref().ok_or_else(|| io::Error::other("nothing to take a snapshot of"))?;
        save(&self.disk, &self.dir, snapshot).await?;
        Ok(offered(snapshot))
    }
}

fn offered(snapshot: &Snapshot) -> SnapshotOf<Types, Arc<MetadataImage>> {
    let meta = SnapshotMeta { last_log_id: Some(snapshot.last), last_membership: snapshot.membership.clone() };
    SnapshotOf::<Types, Arc<MetadataImage>> { meta, snapshot: Arc::clone(&snapshot.image) }
}

/// Where there is no room for it, it is tried again until there is: nothing waits for a snapshot.
async fn save(disk: &Arc<dyn Disk>, dir: &Path, snapshot: &Snapshot) -> io::Result<()> {
    loop {
        let (disk, dir, snapshot) = (Arc::clone(disk), dir.to_owned(), snapshot.clone());
        let saving = tokio::task::spawn_blocking(move || snapshot.save(&disk, &dir));
        match saving.await.map_err(io::Error::other)? {
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for a snapshot of the metadata");
                tokio::time::sleep(AGAIN).await;
            }
            saved => return saved.map(drop),
        }
    }
}
