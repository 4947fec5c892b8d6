//! The group coordinator of this broker: a shard for each partition of `__consumer_offsets` that it leads.
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
use ottla_controller::{MetadataDelta, MetadataImage};
use ottla_disk::Clock;
use ottla_groups::{GroupReply, GroupRequest, GroupShard, Settings};
use ottla_quorum::MetadataListener;
use ottla_types::{BrokerId, ErrorCode, Millis, PartitionIndex};
use parking_lot::RwLock;
use tokio::{runtime::Handle, sync::Notify};

use super::{
    partitioner::partition_of,
    running::{LoadError, Running},
};
use crate::replicas::Replicas;

/// The topic.
pub(crate) const TOPIC: &str = "__consumer_offsets";
/// How long until a shard that could not be loaded is tried again.
const RELOAD: Duration = Duration::from_secs(10);
/// Longest sleep between looks at deadlines.
const LOOK_MS: i64 = 60_000;

/// A shard of groups in service.
type Shard = Arc<Running<GroupShard>>;

/// See the file's head.
pub(crate) struct Groups {
    broker: BrokerId,
    replicas: Arc<Replicas>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    runtime: Handle,
    image: ArcSwap<MetadataImage>,
    shards: RwLock<BTreeMap<PartitionIndex, Shard>>,
    woken: Notify,
    /// Until when [`Groups::run_timers`] sleeps.
    sleeps_until: AtomicI64,
    closed: AtomicBool,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("shards", &self.shards.read().len()).finish_non_exhaustive()
    }
}

impl Groups {
    /// Without shards. To be called on the runtime that loads them.
    pub(crate) fn new(broker: BrokerId, replicas: Arc<Replicas>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            broker,
            replicas,
            clock,
            settings: Arc::new(settings),
            runtime: Handle::current(),
            image: ArcSwap::default(),
            shards: RwLock::default(),
            woken: Notify::new(),
            sleeps_until: AtomicI64::new(i64::MAX),
            closed: AtomicBool::new(false),
        }
    }

    /// The partition that a group belongs to; none before the topic exists.
    pub(crate) fn partition(&self, group: &str) -> Option<PartitionIndex> {
        let image = self.image.load();
        let count = i32::try_from(image.topic(TOPIC)?.partitions.len()).ok()?;
        Some(PartitionIndex(partition_of(group, count)))
    }

    /// Decides a request of one group now; the reply comes later.
    pub(crate) fn ask(
        &self,
        group: &str,
        request: GroupRequest,
    ) -> impl Future<Output = Result<GroupReply, ErrorCode>> + Send + use<> {
        let asked = self.shard(group).and_then(|shard| self.ask_shard(&shard, request));
        async move { asked?.await.map_err(|_| ErrorCode::NotCoordinator) }
    }

    /// Asks every shard; the first error where one is not in service.
    pub(crate) fn ask_all(
        &self,
        request: &GroupRequest,
    ) -> impl Future<Output = Result<Vec<GroupReply>, ErrorCode>> + Send + use<> {
        let shards: Vec<_> = self.shards.read().values().cloned().collect();
        let asked: Vec<_> = shards.iter().map(|shard| self.ask_shard(shard, request.clone())).collect();
        async move {
            let mut replies = Vec::new();
            for asked in asked {
                replies.push(asked?.await.map_err(|_| ErrorCode::NotCoordinator)?);
            }
            Ok(replies)
        }
    }

    /// Calls `each` with group, topic, partition and committed offset of all that is in service.
    pub(crate) fn committed(&self, mut each: impl FnMut(&str, &str, i32, i64)) {
        let shards: Vec<_> = self.shards.read().values().cloned().collect();
        for shard in shards {
            shard.look(|shard| {
                shard.committed().for_each(|(group, topic, partition, at)| each(group, topic, partition, at.offset.0));
            });
        }
    }

    /// Passes time; never returns.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let shards: Vec<_> = self.shards.read().values().cloned().collect();
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

    /// The broker stops: nobody waits any longer, nothing is written any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for shard in std::mem::take(&mut *self.shards.write()).values() {
            shard.unload();
        }
    }

    fn shard(&self, group: &str) -> Result<Shard, ErrorCode> {
        let partition = self.partition(group).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.shards.read().get(&partition).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    fn ask_shard(
        &self,
        shard: &Shard,
        request: GroupRequest,
    ) -> Result<tokio::sync::oneshot::Receiver<GroupReply>, ErrorCode> {
        let asked = shard.ask(self.clock.now(), &self.image.load(), request);
        self.wake(shard);
        asked
    }

    fn wake(&self, shard: &Shard) {
        if shard.deadline().is_some_and(|at| at.0 < self.sleeps_until.load(Ordering::Acquire)) {
            self.woken.notify_one();
        }
    }

    fn follow(self: &Arc<Self>, image: &MetadataImage) {
        let topic = image.topic(TOPIC);
        let leads = |index: PartitionIndex| {
            topic.and_then(|topic| topic.partition(index)).is_some_and(|state| state.leader == Some(self.broker))
        };
        let stays = |index: PartitionIndex, shard: &Shard| {
            leads(index) && topic.is_some_and(|topic| topic.id == shard.partition().topic_id)
        };
        let gone: Vec<_> = self.shards.write().extract_if(.., |index, shard| !stays(*index, shard)).collect();
        gone.iter().for_each(|(_, shard)| shard.unload());
        for (index, _) in topic.iter().flat_map(|topic| topic.partitions.iter()) {
            if leads(*index) && !self.shards.read().contains_key(index) {
                self.take_over(*index);
            }
        }
    }

    fn take_over(self: &Arc<Self>, index: PartitionIndex) {
        let Some(partition) = self.replicas.by_name(TOPIC).and_then(|topic| topic.partition(index)) else { return };
        let shard = Arc::new(Running::new(partition, self.settings.offsets.topic_compression));
        self.shards.write().insert(index, Arc::clone(&shard));
        // A new partition has nothing to read: its groups can be served at once.
        let is_new = shard.partition().opened_log().is_some_and(|log| log.log_end() == log.log_start());
        if is_new && self.try_load(&shard).is_ok() {
            return;
        }
        self.load(shard);
    }

    fn try_load(&self, shard: &Shard) -> Result<(), LoadError> {
        let empty = GroupShard::new(Arc::clone(&self.settings));
        shard.load(empty, self.clock.now(), &self.image.load())
    }

    fn load(self: &Arc<Self>, shard: Shard) {
        let groups = Arc::clone(self);
        self.runtime.spawn(async move {
            while groups.is_current(&shard) && !shard.is_loaded() {
                let (loader, loading) = (Arc::clone(&groups), Arc::clone(&shard));
                let loaded = tokio::task::spawn_blocking(move || loader.try_load(&loading));
                match loaded.await {
                    Ok(Ok(())) => groups.woken.notify_one(),
                    Ok(Err(error)) => {
                        tracing::error!(partition = %shard.partition().id, %error, "groups cannot be loaded");
                        tokio::time::sleep(RELOAD).await;
                    }
                    Err(error) => {
                        tracing::error!(partition = %shard.partition().id, %error, "loading groups failed");
                        return;
                    }
                }
            }
        });
    }

    fn is_current(&self, shard: &Shard) -> bool {
        let index = shard.partition().id.partition;
        let same = self.shards.read().get(&index).is_some_and(|current| Arc::ptr_eq(current, shard));
        same && !self.closed.load(Ordering::Acquire)
    }
}

/// Applies metadata to the partitions first, then to the groups that live in them.
#[derive(Debug)]
pub(crate) struct FollowMetadata {
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) groups: Arc<Groups>,
}

impl MetadataListener for FollowMetadata {
    fn apply(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.replicas.apply(delta, image);
        self.groups.image.store(Arc::clone(image));
        if self.groups.closed.load(Ordering::Acquire) {
            return;
        }
        self.groups.follow(image);
        let deleted: Vec<_> = delta.deleted.values().map(|topic| topic.name.as_str()).collect();
        if !deleted.is_empty() {
            let now = self.groups.clock.now();
            let shards: Vec<_> = self.groups.shards.read().values().cloned().collect();
            for shard in shards {
                shard.tell(now, |shard| shard.topics_deleted(now, &deleted));
            }
        }
    }
}
