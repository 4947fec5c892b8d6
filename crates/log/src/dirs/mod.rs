//! The data directories of a broker and the partitions in them.
//!
//! A start after a clean stop reads directory listings and checkpoints only; a log is opened when it is first used. A
//! start after a crash opens and recovers every log of the directory that was not closed, several at a time.
//!
//! Invariants: a partition lives in one directory; nobody else uses a directory while its lock is held; a stored
//! recovery point never passes what was flushed, and the files beside the log are up to it before it is stored.

mod checkpoints;
mod cleaning;
mod close;
mod durable;
mod moves;
mod name;
mod open;
mod placement;
mod reserve;
mod scrub;
mod slot;
mod space;
mod twins;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use ottla_disk::{Disk, DiskLock, Space};
use ottla_types::{BrokerEpoch, Millis, TopicName, TopicPartition, Uuid};
use parking_lot::{Mutex, RwLock};

pub use self::cleaning::{CleanReport, CleaningView};
pub use self::moves::{MoveError, MoveProgress, MoveState};
pub use self::open::{BadDir, DirError, Identity, OpenError, Recovery};
pub use self::placement::Assigned;
pub use self::scrub::Scrubbed;
pub use self::twins::Known;
use self::{
    checkpoints::Stored,
    cleaning::Cleaning,
    name::Aside,
    placement::{Directories, Placement, place},
    slot::Slot,
};
use crate::{
    LoadError, Log, LogConfig, LogDirsConfig, StartPoint,
    checkpoint::{CheckpointError, partition_metadata},
    damage::Tally,
    deletions::{Deletions, Fate},
    flusher::{Flusher, pace::Pace},
    handles::HandleCache,
    health::{DirHealth, Listener},
    log::LogEnv,
};

/// Where logs get their configuration from when they are opened.
pub trait LogConfigs: Send + Sync {
    /// The configuration of a topic's logs as it is now.
    fn log_config(&self, topic: &TopicName) -> LogConfig;
}

/// The same for all topics.
impl LogConfigs for LogConfig {
    fn log_config(&self, _topic: &TopicName) -> LogConfig {
        self.clone()
    }
}

/// The set of data directories.
pub struct LogDirs {
    handles: Arc<HandleCache>,
    flusher: Arc<Flusher>,
    deletions: Arc<Deletions>,
    /// Hears of directories that fail.
    listener: Arc<OnceLock<Listener>>,
    configs: Arc<dyn LogConfigs>,
    settings: LogDirsConfig,
    dirs: Vec<DataDir>,
    partitions: RwLock<HashMap<TopicPartition, Arc<Slot>>>,
    /// Copies on their way to another directory.
    moving: Mutex<HashMap<TopicPartition, Arc<moves::Moving>>>,
    /// Moves that the last run did not finish.
    unfinished: Mutex<Vec<(TopicPartition, PathBuf)>>,
    /// Second directories of partitions that two hold, until it is settled which they are in.
    twins: Mutex<Vec<Arc<Slot>>>,
    /// Partitions of which that cannot be settled.
    ambiguous: Mutex<HashSet<TopicPartition>>,
    strays: AtomicUsize,
    cleaning: Cleaning,
    /// What it costs to sync what logs have beside their segments.
    side_pace: Mutex<Pace>,
    /// What was found damaged.
    tally: Arc<Tally>,
}

/// One data directory.
#[derive(Debug)]
struct DataDir {
    path: Arc<Path>,
    id: Uuid,
    partitions: AtomicUsize,
    health: Arc<DirHealth>,
    /// Whether its volume can be synced with one call.
    syncs_volume: bool,
    closed_in_epoch: Option<BrokerEpoch>,
    stored: Mutex<Stored>,
    /// Held from where it is seen what a checkpoint is to say until it is stored.
    checkpointing: Mutex<()>,
    /// Partitions that are gone, of which the checkpoints may still speak.
    outdated: Mutex<HashSet<TopicPartition>>,
    /// Bytes that are kept for a full disk.
    reserve: AtomicU64,
    /// None where it could not be opened.
    _lock: Option<Box<dyn DiskLock>>,
}

impl DataDir {
    fn is_online(&self) -> bool {
        !self.health.is_failed()
    }

    fn has_reserve(&self, bytes: u64) -> bool {
        self.reserve.load(Ordering::Acquire) >= bytes
    }

    fn note_reserve(&self, bytes: u64) {
        self.reserve.store(bytes, Ordering::Release);
    }
}

/// Why a partition was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The partition is here with another topic id (`INCONSISTENT_TOPIC_ID`).
    #[error("{partition} is here with topic id {found}")]
    OtherTopic {
        /// Which partition.
        partition: TopicPartition,
        /// The topic id that it has here.
        found: Uuid,
    },
    /// No directory is online (`KAFKA_STORAGE_ERROR`).
    #[error("no log directory is online")]
    NoDirectory,
    /// The directory that holds it, or may hold it, cannot be used (`KAFKA_STORAGE_ERROR`).
    #[error("{partition} may be in a log directory that is offline")]
    Offline {
        /// Which partition.
        partition: TopicPartition,
    },
    /// The topic id that is here cannot be read.
    #[error(transparent)]
    Metadata(#[from] CheckpointError),
    /// The log cannot be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The disk failed (`KAFKA_STORAGE_ERROR`).
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A directory as `DescribeLogDirs` shows it.
#[derive(Clone, Debug)]
pub struct DirDescription {
    /// Where it is.
    pub path: PathBuf,
    /// Its id.
    pub id: Uuid,
    /// Whether it failed.
    pub failed: bool,
    /// Room on its volume.
    pub space: Option<Space>,
    /// What is in it.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition in a directory.
#[derive(Clone, Debug)]
pub struct PartitionDescription {
    /// Which partition.
    pub partition: TopicPartition,
    /// Bytes of its segments.
    pub size: u64,
    /// Of the copy that a move makes: by how many records it is behind.
    pub copy_lag: Option<i64>,
}

impl LogDirs {
    /// The log of a partition; opened now if it was not yet.
    ///
    /// # Errors
    /// The partition is not here, or its log cannot be opened.
    pub fn log(&self, partition: &TopicPartition, now: Millis) -> Result<Arc<Log>, LoadError> {
        let slot = match self.partitions.read().get(partition) {
            Some(slot) => {
                if let Some(log) = slot.loaded() {
                    return Ok(Arc::clone(log));
                }
                Arc::clone(slot)
            }
            None => return Err(LoadError::Absent(partition.clone())),
        };
        self.load(&slot, now)
    }

    fn load(&self, slot: &Slot, now: Millis) -> Result<Arc<Log>, LoadError> {
        slot.load(&self.env(slot.dir_index()), &*self.configs, now).map(|(log, _)| log)
    }

    /// What the logs of directory number `at` need of their surroundings.
    fn env(&self, at: usize) -> LogEnv {
        LogEnv {
            handles: Arc::clone(&self.handles),
            flusher: Arc::clone(&self.flusher),
            deletions: Arc::clone(&self.deletions),
            health: Arc::clone(&self.dirs[at].health),
            syncs_volume: self.dirs[at].syncs_volume,
            tally: Arc::clone(&self.tally),
        }
    }

    /// The log of a partition if it has been opened.
    #[must_use]
    pub fn loaded(&self, partition: &TopicPartition) -> Option<Arc<Log>> {
        self.partitions.read().get(partition).and_then(|slot| slot.loaded().cloned())
    }

    /// Whether the partition is here.
    #[must_use]
    pub fn contains(&self, partition: &TopicPartition) -> bool {
        self.partitions.read().contains_key(partition)
    }

    /// Whether there are partitions in the directory at `path`, as it was configured.
    #[must_use]
    pub fn has_partitions(&self, path: &Path) -> bool {
        self.dirs.iter().any(|dir| &*dir.path == path && dir.partitions.load(Ordering::Acquire) > 0)
    }

    /// All partitions that are here, in no order.
    #[must_use]
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.read().keys().cloned().collect()
    }

    /// The topic id that a partition was created with; none where its file does not say.
    ///
    /// # Errors
    /// The partition is not here, or the file cannot be read.
    pub fn topic_id(&self, partition: &TopicPartition) -> Result<Option<Uuid>, CreateError> {
        let slot = self.slot(partition).ok_or_else(|| LoadError::Absent(partition.clone()))?;
        Ok(slot.topic_id(self.disk())?)
    }

    /// The partitions of a topic id, by reading every `partition.metadata` that was not read yet.
    #[must_use]
    pub fn partitions_of(&self, topic_id: Uuid) -> Vec<TopicPartition> {
        let slots: Vec<_> = self.partitions.read().values().cloned().collect();
        let is_of = |slot: &Arc<Slot>| slot.topic_id(self.disk()).is_ok_and(|id| id == Some(topic_id));
        slots.into_iter().filter(is_of).map(|slot| slot.partition().clone()).collect()
    }

    /// Id of the directory that holds a partition.
    #[must_use]
    pub fn directory_of(&self, partition: &TopicPartition) -> Option<Uuid> {
        self.slot(partition).map(|slot| self.dirs[slot.dir_index()].id)
    }

    /// Ids of the directories that are online.
    #[must_use]
    pub fn online_directories(&self) -> Vec<Uuid> {
        self.dirs.iter().filter(|dir| dir.is_online()).map(|dir| dir.id).collect()
    }

    /// How many directories are offline.
    #[must_use]
    pub fn offline_directories(&self) -> usize {
        self.dirs.iter().filter(|dir| !dir.is_online()).count()
    }

    /// How many directories are full.
    #[must_use]
    pub fn full_directories(&self) -> usize {
        self.dirs.iter().filter(|dir| dir.health.is_full()).count()
    }

    /// Whether the directory at `path`, as it was configured, is offline.
    #[must_use]
    pub fn is_offline(&self, path: &Path) -> bool {
        self.dirs.iter().any(|dir| &*dir.path == path && !dir.is_online())
    }

    /// Calls `listener` whenever a directory fails, on whichever thread finds it: it may do no more than tell another one.
    /// Only the first listener is heard.
    pub fn on_failure(&self, listener: impl Fn() + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    /// The broker epoch that every directory was cleanly stopped in; none where one of them was not, or says none.
    #[must_use]
    pub fn clean_stop_epoch(&self) -> Option<BrokerEpoch> {
        let mut epochs = self.dirs.iter().map(|dir| dir.closed_in_epoch.filter(|epoch| epoch.0 >= 0));
        let first = epochs.next()??;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    /// The log of a partition that begins now, in the directory with the fewest partitions; of one that is here already
    /// with the same topic id, its log.
    ///
    /// # Errors
    /// It is here with another topic id, or cannot be created.
    pub fn create(&self, partition: &TopicPartition, topic_id: Uuid, now: Millis) -> Result<Arc<Log>, CreateError> {
        self.open_assigned(partition, topic_id, Assigned::NEW, now)
    }

    /// The log of a partition that the metadata assigns here, created where it is nowhere and has no records anywhere.
    ///
    /// # Errors
    /// It is here with another topic id, its directory cannot be used, or it cannot be created.
    pub fn open_assigned(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        assigned: Assigned,
        now: Millis,
    ) -> Result<Arc<Log>, CreateError> {
        let slot = self.slot(partition);
        let place = self.place(slot.as_deref(), assigned);
        if place == Placement::Offline {
            return Err(CreateError::Offline { partition: partition.clone() });
        }
        let Some(slot) = slot else {
            let slot = self.create_slot(partition, topic_id, place)?;
            return Ok(self.load(&slot, now)?);
        };
        match slot.topic_id(self.disk())? {
            Some(found) if found != topic_id && is_nearly(found, topic_id) => {
                self.tally.file_replaced();
                tracing::warn!(%partition, %found, "a damaged topic id is written again");
                slot.set_topic_id(self.disk(), topic_id)?;
            }
            Some(found) if found != topic_id => {
                return Err(CreateError::OtherTopic { partition: partition.clone(), found });
            }
            Some(_) => {}
            None => slot.set_topic_id(self.disk(), topic_id)?,
        }
        Ok(self.load(&slot, now)?)
    }

    /// Whether a partition that the metadata assigns here can be used: its directory is known and online.
    #[must_use]
    pub fn is_usable(&self, partition: &TopicPartition, assigned: Assigned) -> bool {
        let slot = self.slot(partition);
        let online = slot.as_ref().is_none_or(|slot| self.dirs[slot.dir_index()].is_online());
        online && self.place(slot.as_deref(), assigned) != Placement::Offline
    }

    fn place(&self, slot: Option<&Slot>, assigned: Assigned) -> Placement {
        let found = slot.map(|slot| self.dirs[slot.dir_index()].id);
        if found == Some(assigned.directory) {
            return Placement::Found; // as nearly always
        }
        if slot.is_some_and(|slot| self.ambiguous.lock().contains(slot.partition())) {
            return Placement::Offline;
        }
        let online = self.online_directories();
        let any_failed = online.len() < self.dirs.len();
        place(found, assigned, Directories { online: &online, any_failed, given_up: &self.settings.given_up })
    }

    fn create_slot(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        place: Placement,
    ) -> Result<Arc<Slot>, CreateError> {
        self.forget_outdated(partition)?;
        let mut partitions = self.partitions.write();
        if let Some(slot) = partitions.get(partition) {
            return Ok(Arc::clone(slot)); // somebody was faster
        }
        let wanted = |dir: &DataDir| match place {
            Placement::Begins(Some(id)) => dir.id == id,
            _ => true,
        };
        let online = self.dirs.iter().enumerate().filter(|(_, dir)| dir.is_online() && wanted(dir));
        // As in Kafka by the number of partitions, and not by room; a full one comes last.
        let emptiest = online.min_by_key(|(_, dir)| (dir.health.is_full(), dir.partitions.load(Ordering::Acquire)));
        let (at, dir) = emptiest.ok_or(CreateError::NoDirectory)?;
        let path = dir.path.join(partition.to_string());
        self.disk().create_dir_all(&path)?;
        partition_metadata::write(self.disk(), &path, topic_id)?;
        dir.partitions.fetch_add(1, Ordering::AcqRel);
        let start = StartPoint { clean: true, ..StartPoint::default() };
        let slot = Arc::new(Slot::new(partition.clone(), at, path.into(), start, Some(topic_id)));
        partitions.insert(partition.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Takes a partition out of use at once: its directory gets another name. [`LogDirs::remove_due`] removes it once
    /// `log.segment.delete.delay.ms` is over.
    ///
    /// # Errors
    /// The partition is not here, or the disk failed.
    pub fn delete(&self, partition: &TopicPartition, now: Millis) -> Result<(), CreateError> {
        let at = self.retire(partition, now)?;
        Ok(self.disk().sync_dir(&self.dirs[at].path)?)
    }

    /// As [`LogDirs::delete`] for each of them, with one sync of a directory for all of its partitions; those that failed.
    pub fn delete_all(&self, partitions: &[TopicPartition], now: Millis) -> Vec<(TopicPartition, CreateError)> {
        let (mut touched, mut failed) = (HashSet::new(), Vec::new());
        for partition in partitions {
            match self.retire(partition, now) {
                Ok(at) => drop(touched.insert(at)),
                Err(error) => failed.push((partition.clone(), error)),
            }
        }
        for dir in touched.into_iter().map(|at| &self.dirs[at]) {
            if let Err(error) = self.disk().sync_dir(&dir.path) {
                tracing::warn!(path = %dir.path.display(), %error, "deleted partitions may be there again after a crash");
            }
        }
        failed
    }

    /// Gives the directory of a partition the name of one that is to be removed; the number of the one that it lies in.
    fn retire(&self, partition: &TopicPartition, now: Millis) -> Result<usize, CreateError> {
        self.give_up_move(partition, now);
        let (slot, to) = self.take_out(partition, Aside::Deleted)?;
        match slot.loaded() {
            Some(log) => log.retire(&to)?,
            None => self.disk().rename(slot.dir(), &to)?,
        }
        self.deletions.add_directory(to, now);
        self.forget_cleaning(partition);
        self.forget_clean_offset(&slot)?;
        Ok(slot.dir_index())
    }

    /// Takes a partition out of use that the metadata does not know: what was appended is flushed, and its directory gets
    /// another name, under which nobody touches it. That name.
    ///
    /// # Errors
    /// The partition is not here, or the disk failed.
    pub fn put_aside(&self, partition: &TopicPartition) -> Result<PathBuf, CreateError> {
        let (slot, to) = self.take_out(partition, Aside::Stray)?;
        if let Some(log) = slot.loaded()
            && let Err(error) = log.close()
        {
            tracing::warn!(%partition, %error, "a stray log was not closed");
        }
        self.disk().rename(slot.dir(), &to)?;
        self.disk().sync_dir(&self.dirs[slot.dir_index()].path)?;
        self.strays.fetch_add(1, Ordering::AcqRel);
        self.forget_cleaning(partition);
        self.forget_clean_offset(&slot)?;
        Ok(to)
    }

    /// Of most partitions nothing is stored, and what is stored of all others need not be looked at.
    fn forget_clean_offset(&self, slot: &Slot) -> Result<(), CreateError> {
        let clean_to = slot.loaded().map_or(slot.start().clean_to, |log| log.clean_to());
        Ok(clean_to.map_or(Ok(()), |_| self.store_clean_offsets(slot.dir_index()))?)
    }

    /// Directories that were put aside, now or earlier, and are still there.
    #[must_use]
    pub fn strays(&self) -> usize {
        self.strays.load(Ordering::Acquire)
    }

    fn take_out(&self, partition: &TopicPartition, why: Aside) -> Result<(Arc<Slot>, PathBuf), CreateError> {
        let slot = self.partitions.write().remove(partition);
        let slot = slot.ok_or_else(|| LoadError::Absent(partition.clone()))?;
        let dir = &self.dirs[slot.dir_index()];
        dir.partitions.fetch_sub(1, Ordering::AcqRel);
        dir.outdated.lock().insert(partition.clone());
        let to = name::aside_path(self.disk(), slot.dir(), slot.partition(), why);
        Ok((slot, to))
    }

    /// Removes the files of removed segments and the directories of deleted partitions whose delay is over; how many.
    ///
    /// # Errors
    /// As the file system says; what is left is removed the next time. In a directory that is full nothing waits for its
    /// delay.
    pub fn remove_due(&self, now: Millis) -> io::Result<usize> {
        let fate = |path: &Path| match self.dirs.iter().find(|dir| path.starts_with(&dir.path)) {
            Some(dir) if !dir.is_online() => Fate::IsLeft,
            Some(dir) if dir.health.is_full() => Fate::Goes,
            _ => Fate::Waits,
        };
        self.deletions.run(self.disk(), now, fate)
    }

    /// `log.segment.delete.delay.ms` as it is from now on.
    pub fn set_delete_delay_ms(&self, delay_ms: i64) {
        self.deletions.set_directory_delay_ms(delay_ms);
    }

    /// Starts the flush of every opened log whose oldest record has waited `flush.ms`; how many.
    pub fn flush_due(&self, now: Millis) -> usize {
        if !self.flusher.is_due(now) {
            return 0;
        }
        self.loaded_logs().iter().filter(|log| log.flush_if_due(now)).count()
    }

    /// Forgets, in every opened log, producers that have been silent for `expiration_ms` (`producer.id.expiration.ms`).
    pub fn expire_producers(&self, now: Millis, expiration_ms: i64) {
        self.loaded_logs().iter().for_each(|log| log.expire_producers(now, expiration_ms));
    }

    /// Flushes, on this thread, what waits for it. Only needed where there are no flushing threads.
    pub fn run_queued_flushes(&self) -> usize {
        self.flusher.run_queued()
    }

    /// As [`Self::run_queued_flushes`], with one sync of the volume for all.
    pub fn run_queued_flushes_together(&self) -> usize {
        self.flusher.run_queued_together()
    }

    /// What is where, with sizes; opens the files of every partition.
    #[must_use]
    pub fn describe(&self, now: Millis) -> Vec<DirDescription> {
        let describe = |(at, dir): (usize, &DataDir)| DirDescription {
            path: dir.path.to_path_buf(),
            id: dir.id,
            failed: !dir.is_online(),
            space: self.disk().space(&dir.path).ok(),
            partitions: if dir.is_online() { self.describe_partitions(at, now) } else { Vec::new() },
        };
        self.dirs.iter().enumerate().map(describe).collect()
    }

    fn describe_partitions(&self, at: usize, now: Millis) -> Vec<PartitionDescription> {
        let in_dir = |slot: &&Arc<Slot>| slot.dir_index() == at;
        let slots: Vec<_> = self.partitions.read().values().filter(in_dir).cloned().collect();
        let describe = |slot: Arc<Slot>| {
            let size = self.load(&slot, now).ok()?.size().ok()?;
            Some(PartitionDescription { partition: slot.partition().clone(), size, copy_lag: None })
        };
        let copies = self.copies_in(at).into_iter().filter_map(|(partition, log, lag)| {
            Some(PartitionDescription { partition, size: log.size().ok()?, copy_lag: Some(lag) })
        });
        slots.into_iter().filter_map(describe).chain(copies).collect()
    }

    fn loaded_logs(&self) -> Vec<Arc<Log>> {
        self.partitions.read().values().filter_map(|slot| slot.loaded().cloned()).collect()
    }

    fn slot(&self, partition: &TopicPartition) -> Option<Arc<Slot>> {
        self.partitions.read().get(partition).cloned()
    }

    fn disk(&self) -> &dyn Disk {
        &**self.handles.disk()
    }
}

/// Whether an id is another one with some bits that are wrong: two that were drawn are never so near.
fn is_nearly(found: Uuid, expected: Uuid) -> bool {
    let wrong: u32 = found.0.iter().zip(expected.0).map(|(a, b)| (a ^ b).count_ones()).sum();
    wrong <= 8
}

impl std::fmt::Debug for LogDirs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDirs").field("dirs", &self.dirs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
