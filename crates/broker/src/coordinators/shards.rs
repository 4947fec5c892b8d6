//! One coordinator of this broker: a shard for each partition of its internal topic that the broker leads.
//!
//! Follows the metadata as [`crate::replicas`] does: a partition that comes is loaded in the background, requests for it are
//! told to come again until then.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use ottla_controller::MetadataImage;
use ottla_coordinator::Shard;
use ottla_disk::Clock;
use ottla_log::{ToVerify, Verification};
use ottla_types::{BrokerId, Compression, ErrorCode, Millis, PartitionIndex, TopicPartition};
use parking_lot::RwLock;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};

use super::{
    batch::StoredRecord,
    partitioner::partition_of,
    running::{LoadError, Running},
};
use crate::replicas::{Marker, Replicas};

/// How long until a shard that could not be loaded is tried again, if there is not room before.
const RELOAD: Duration = Duration::from_secs(10);
/// Longest sleep between looks at deadlines.
const LOOK_MS: i64 = 60_000;

/// What a coordinator lives in.
pub(super) struct Home<S> {
    /// The topic.
    pub(super) topic: &'static str,
    /// How its records are written.
    pub(super) compression: Compression,
    /// A shard to be filled from the log.
    pub(super) empty: Box<dyn Fn() -> S + Send + Sync>,
}

/// See the file's head.
pub(crate) struct Shards<S: Shard> {
    home: Home<S>,
    broker: BrokerId,
    replicas: Arc<Replicas>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    image: ArcSwap<MetadataImage>,
    shards: RwLock<BTreeMap<PartitionIndex, Arc<Running<S>>>>,
    woken: Notify,
    /// There is room on a disk that had none.
    room: Notify,
    /// A shard came into service.
    loaded: Notify,
    /// Until when [`Shards::run_timers`] sleeps.
    sleeps_until: AtomicI64,
    closed: AtomicBool,
}

impl<S: Shard> fmt::Debug for Shards<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.shards.read().len();
        f.debug_struct("Shards").field("topic", &self.home.topic).field("shards", &count).finish_non_exhaustive()
    }
}

impl<S> Shards<S>
where
    S: Shard + Send + 'static,
    S::Record: StoredRecord,
    S::Reply: Send,
{
    /// Without shards. To be called on the runtime that loads them.
    pub(super) fn new(home: Home<S>, broker: BrokerId, replicas: Arc<Replicas>, clock: Arc<dyn Clock>) -> Self {
        Self {
            home,
            broker,
            replicas,
            clock,
            runtime: Handle::current(),
            image: ArcSwap::default(),
            shards: RwLock::default(),
            woken: Notify::new(),
            room: Notify::new(),
            loaded: Notify::new(),
            sleeps_until: AtomicI64::new(i64::MAX),
            closed: AtomicBool::new(false),
        }
    }

    /// The partition that an id belongs to; none before the topic exists.
    pub(crate) fn partition(&self, id: &str) -> Option<PartitionIndex> {
        let image = self.image.load();
        let count = i32::try_from(image.topic(self.home.topic)?.partitions.len()).ok()?;
        Some(PartitionIndex(partition_of(id, count)))
    }

    /// Decides a request that concerns one id now; the reply comes later.
    pub(crate) fn ask(
        &self,
        id: &str,
        request: S::Request,
    ) -> impl Future<Output = Result<S::Reply, ErrorCode>> + Send + use<S> {
        self.ask_verified(id, request, Verification::Off)
    }

    /// The same for a request that writes as part of a transaction.
    pub(crate) fn ask_verified(
        &self,
        id: &str,
        request: S::Request,
        verification: Verification,
    ) -> impl Future<Output = Result<S::Reply, ErrorCode>> + Send + use<S> {
        let asked = self.shard(id).and_then(|shard| self.ask_shard(&shard, request, verification));
        async move { asked?.await.unwrap_or(Err(ErrorCode::NotCoordinator)) }
    }

    /// Says whether a transaction of the producer is open in the partition of an id; otherwise its verification begins.
    ///
    /// # Errors
    /// The id is not served here now, or the producer has a newer epoch.
    pub(crate) fn verify(&self, id: &str, ask: &ToVerify) -> Result<Verification, ErrorCode> {
        self.shard(id)?.verify(ask, self.clock.now())
    }

    /// Ends a transaction in one partition: what it wrote holds or is void once this answers.
    pub(crate) fn end_transaction(
        &self,
        partition: PartitionIndex,
        marker: &Marker,
    ) -> impl Future<Output = Result<(), ErrorCode>> + Send + use<S> {
        let shard = self.shards.read().get(&partition).cloned().ok_or(ErrorCode::NotCoordinator);
        let ended = shard.and_then(|shard| {
            let ended = shard.end_transaction(self.clock.now(), marker);
            self.wake(&shard);
            ended
        });
        async move { ended?.await.map_err(|_| ErrorCode::NotCoordinator) }
    }

    /// Asks every shard; the first error where one is not in service.
    pub(crate) fn ask_all(
        &self,
        request: &S::Request,
    ) -> impl Future<Output = Result<Vec<S::Reply>, ErrorCode>> + Send + use<S>
    where
        S::Request: Clone,
    {
        let asked: Vec<_> =
            self.all().iter().map(|shard| self.ask_shard(shard, request.clone(), Verification::Off)).collect();
        async move {
            let mut replies = Vec::new();
            for asked in asked {
                replies.push(asked?.await.unwrap_or(Err(ErrorCode::NotCoordinator))?);
            }
            Ok(replies)
        }
    }

    /// All shards, in service or not yet.
    pub(super) fn all(&self) -> Vec<Arc<Running<S>>> {
        self.shards.read().values().cloned().collect()
    }

    /// Done when a shard has come into service since this was last done. For one who waits.
    pub(super) async fn loaded(&self) {
        self.loaded.notified().await;
    }

    /// Whether the metadata has the partition.
    pub(super) fn knows(&self, partition: &TopicPartition) -> bool {
        self.image.load().partition(partition.topic.as_str(), partition.partition).is_some()
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    pub(super) fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Follows the metadata.
    pub(super) fn apply(self: &Arc<Self>, image: &Arc<MetadataImage>) {
        self.image.store(Arc::clone(image));
        if !self.closed.load(Ordering::Acquire) {
            self.follow(image);
        }
    }

    /// Passes time; never returns.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let shards = self.all();
            let image = self.image.load_full();
            for shard in &shards {
                shard.pass(now, &image);
                if shard.take_lost() {
                    self.load(Arc::clone(shard));
                }
            }
            let next = shards.iter().filter_map(|shard| shard.deadline()).min();
            let until = next.unwrap_or(Millis(i64::MAX)).min(now.plus(LOOK_MS));
            self.sleeps_until.store(until.0, Ordering::Release);
            // What was set between the look and the store wakes nobody: look again.
            if shards.iter().filter_map(|shard| shard.deadline()).any(|at| at < until) {
                continue;
            }
            let sleep = Duration::from_millis(u64::try_from(until.since(self.clock.now())).unwrap_or(0));
            let _ = tokio::time::timeout(sleep, self.woken.notified()).await;
        }
    }

    /// What could not be written can be now: there is room on a disk.
    pub(crate) fn room_again(&self) {
        self.woken.notify_one();
        self.room.notify_waiters();
    }

    /// The broker stops: nobody waits any longer, nothing is written any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for shard in std::mem::take(&mut *self.shards.write()).values() {
            shard.unload();
        }
    }

    pub(super) fn shard(&self, id: &str) -> Result<Arc<Running<S>>, ErrorCode> {
        let partition = self.partition(id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.shards.read().get(&partition).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    pub(super) fn ask_shard(
        &self,
        shard: &Arc<Running<S>>,
        request: S::Request,
        verification: Verification,
    ) -> Result<oneshot::Receiver<Result<S::Reply, ErrorCode>>, ErrorCode> {
        let asked = shard.ask(self.clock.now(), &self.image.load(), request, verification);
        self.wake(shard);
        asked
    }

    /// Sees to it that time is passed when the shard wants it.
    pub(super) fn wake(&self, shard: &Running<S>) {
        if shard.deadline().is_some_and(|at| at.0 < self.sleeps_until.load(Ordering::Acquire)) {
            self.woken.notify_one();
        }
    }

    fn follow(self: &Arc<Self>, image: &MetadataImage) {
        let topic = image.topic(self.home.topic);
        let leads = |index: PartitionIndex| {
            topic.and_then(|topic| topic.partition(index)).is_some_and(|state| state.leader == Some(self.broker))
        };
        let stays = |index: PartitionIndex, shard: &Running<S>| {
            leads(index) && topic.is_some_and(|topic| topic.id == shard.partition().topic_id)
        };
        let gone: Vec<_> = self.shards.write().extract_if(.., |index, shard| !stays(*index, shard)).collect();
        gone.iter().for_each(|(_, shard)| shard.unload());
        for (index, _) in topic.iter().flat_map(|topic| topic.partitions.iter()) {
            if leads(*index) && !self.shards.read().contains_key(index) {
                self.take_over(*index);
            }
        }
        self.follow_in_sync_replicas(image);
    }

    /// As in Kafka, more replicas than there are is never asked for.
    fn follow_in_sync_replicas(&self, image: &MetadataImage) {
        let Some(topic) = self.replicas.by_name(self.home.topic) else { return };
        let least = usize::try_from(topic.config().min_insync_replicas).unwrap_or(0);
        let mut is_news = false;
        for (index, shard) in &*self.shards.read() {
            let state = image.partition(self.home.topic, *index);
            let enough = state.is_some_and(|state| state.isr.len() >= least.min(state.replicas.len()));
            is_news |= shard.set_enough_replicas(enough);
        }
        if is_news {
            self.woken.notify_one();
        }
    }

    fn take_over(self: &Arc<Self>, index: PartitionIndex) {
        let Some(partition) = self.replicas.by_name(self.home.topic).and_then(|topic| topic.partition(index)) else {
            return;
        };
        let shard = Arc::new(Running::new(partition, self.home.compression));
        self.shards.write().insert(index, Arc::clone(&shard));
        // A new partition has nothing to read: it can serve at once.
        let is_new = shard.partition().opened_log().is_some_and(|log| log.log_end() == log.log_start());
        if is_new && self.try_load(&shard).is_ok() {
            return;
        }
        self.load(shard);
    }

    fn try_load(&self, shard: &Arc<Running<S>>) -> Result<(), LoadError> {
        shard.load((self.home.empty)(), self.clock.now(), &self.image.load())?;
        self.loaded.notify_one();
        Ok(())
    }

    fn load(self: &Arc<Self>, shard: Arc<Running<S>>) {
        let shards = Arc::clone(self);
        self.runtime.spawn(async move {
            while shards.is_current(&shard) && !shard.is_loaded() {
                let (loader, loading) = (Arc::clone(&shards), Arc::clone(&shard));
                let loaded = tokio::task::spawn_blocking(move || loader.try_load(&loading));
                match loaded.await {
                    Ok(Ok(())) => shards.woken.notify_one(),
                    Ok(Err(error)) => {
                        tracing::error!(partition = %shard.partition().id, %error, "a coordinator's partition cannot be loaded");
                        let _ = tokio::time::timeout(RELOAD, shards.room.notified()).await;
                    }
                    Err(error) => {
                        tracing::error!(partition = %shard.partition().id, %error, "loading a coordinator's partition failed");
                        return;
                    }
                }
            }
        });
    }

    /// Whether `shard` is the one that serves its partition here.
    pub(super) fn is_current(&self, shard: &Arc<Running<S>>) -> bool {
        let index = shard.partition().id.partition;
        let same = self.shards.read().get(&index).is_some_and(|current| Arc::ptr_eq(current, shard));
        same && !self.closed.load(Ordering::Acquire)
    }
}
