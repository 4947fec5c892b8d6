//! Opening the data directories.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use ottla_disk::{Disk, DiskLock, is_full};
use ottla_types::{BrokerEpoch, BrokerId, Millis, Offset, TopicPartition, Uuid};
use parking_lot::{Mutex, RwLock};

use super::{
    DataDir, LogConfigs, LogDirs,
    checkpoints::Stored,
    cleaning::Cleaning,
    name::{Aside, DirKind, aside_path, kind_of},
    slot::Slot,
};
use crate::{
    LoadError, LoadReport, LogDirsConfig, MetaProperties, StartPoint,
    checkpoint::{CheckpointError, clean_shutdown, meta_properties, offsets::OffsetCheckpoint},
    damage::Tally,
    deletions::Deletions,
    flusher::Flusher,
    handles::HandleCache,
    health::{DirHealth, Listener},
    watched_disk::WatchedDisk,
};

/// Whose directories these are.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node_id: BrokerId,
    /// Ids for directories that have none yet, one per path.
    pub new_directory_ids: Vec<Uuid>,
}

/// Why one directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another process uses it.
    #[error("another process uses it")]
    Locked,
    /// It belongs to another cluster.
    #[error("it belongs to cluster {0}")]
    OtherCluster(String),
    /// It belongs to another node.
    #[error("it belongs to node {0}")]
    OtherNode(BrokerId),
    /// A file in it cannot be understood.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The disk failed while logs were recovered.
    #[error("it failed during recovery")]
    Failed,
}

/// A directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = path.display())]
pub struct BadDir {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: DirError,
}

/// Why the directories cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// None of them can be used.
    #[error("no log directory can be used: {}", each(.0))]
    Dirs(Vec<BadDir>),
    /// A log cannot be recovered.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No threads for flushing.
    #[error("the flushing threads do not start: {0}")]
    Threads(#[source] io::Error),
}

fn each(bad: &[BadDir]) -> String {
    bad.iter().map(BadDir::to_string).collect::<Vec<_>>().join("; ")
}

/// A log that was recovered at the start.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Which.
    pub partition: TopicPartition,
    /// What was found.
    pub report: LoadReport,
}

impl LogDirs {
    /// Opens the directories at `paths`, created where absent; recovers what was not closed. The reports are those of
    /// the logs that recovery had to change or found damaged. A directory that cannot be used is offline, the others are
    /// open.
    ///
    /// # Errors
    /// No directory can be used, or a log cannot be opened for a reason that is not its directory's.
    pub fn open(
        disk: Arc<dyn Disk>,
        paths: &[PathBuf],
        identity: &Identity,
        settings: LogDirsConfig,
        configs: Arc<dyn LogConfigs>,
        now: Millis,
    ) -> Result<(Self, Vec<Recovery>), OpenError> {
        let flusher = Arc::new(Flusher::start(settings.flush_threads).map_err(OpenError::Threads)?);
        let deletions = Arc::new(Deletions::new(settings.delete_delay_ms));
        let tally = Arc::<Tally>::default();
        let listener: Arc<OnceLock<Listener>> = Arc::default();
        let health = |path: &PathBuf| Arc::new(DirHealth::new(path.as_path().into(), Arc::clone(&listener)));
        let healths: Vec<_> = paths.iter().map(health).collect();
        let disk: Arc<dyn Disk> = Arc::new(WatchedDisk::new(disk, healths.clone()));
        let handles = HandleCache::new(disk, settings.open_files_max);
        let (mut dirs, mut bad) = (Vec::new(), Vec::new());
        let mut partitions: HashMap<TopicPartition, Arc<Slot>> = HashMap::new();
        let mut twins = Vec::new();
        let mut unfinished = Vec::new();
        let mut strays = 0;
        for (at, (path, health)) in paths.iter().zip(healths).enumerate() {
            let new_id = identity.new_directory_ids.get(at).copied().unwrap_or_default();
            match open_dir(&**handles.disk(), path, &health, identity, new_id, &tally) {
                Ok(dir) => {
                    for slot in dir.slots(at) {
                        match partitions.entry(slot.partition().clone()) {
                            Entry::Vacant(place) => drop(place.insert(Arc::new(slot))),
                            Entry::Occupied(_) => twins.push(Arc::new(slot)),
                        }
                    }
                    dir.retired.into_iter().for_each(|path| deletions.add_directory(path, now));
                    unfinished.extend(dir.unfinished.into_iter().map(|partition| (partition, path.clone())));
                    strays += dir.strays;
                    dirs.push(dir.data);
                }
                Err(source) => {
                    health.fail(&source);
                    dirs.push(DataDir::unusable(path, id_of(&**handles.disk(), path), health));
                    bad.push(BadDir { path: path.clone(), source });
                }
            }
        }
        if bad.len() == paths.len() {
            return Err(OpenError::Dirs(bad)); // which says of each why
        }
        dirs.iter().for_each(|dir: &DataDir| dir.health.opened());
        for BadDir { path, source } in &bad {
            dirs.iter().filter(|dir| *dir.path == **path).for_each(|dir| dir.health.tell(source));
        }
        let this = Self {
            handles,
            flusher,
            deletions,
            listener,
            configs,
            settings,
            dirs,
            partitions: RwLock::new(partitions),
            twins: Mutex::new(twins),
            moving: Mutex::default(),
            unfinished: Mutex::new(unfinished),
            ambiguous: Mutex::default(),
            strays: AtomicUsize::new(strays),
            cleaning: Cleaning::default(),
            side_pace: Mutex::default(),
            tally,
        };
        let recoveries = this.recover(now)?;
        this.forget_clean_stop();
        if this.offline_directories() == this.dirs.len() {
            let gone = |dir: &DataDir| BadDir { path: dir.path.to_path_buf(), source: DirError::Failed };
            return Err(OpenError::Dirs(this.dirs.iter().map(gone).collect()));
        }
        Ok((this, recoveries))
    }

    /// Opens every log that was not closed, several at a time. One that a full disk keeps from being put in order is
    /// opened when it is used, and may be then.
    fn recover(&self, now: Millis) -> Result<Vec<Recovery>, OpenError> {
        let unclean: Vec<_> = self.partitions.read().values().filter(|slot| !slot.start().clean).cloned().collect();
        let threads = self.settings.recovery_threads_per_dir.max(1) * self.dirs.len();
        let results = Mutex::new(Vec::new());
        for_each_parallel(threads, &unclean, |slot| {
            let loaded = slot.load(&self.env(slot.dir_index()), &*self.configs, now);
            let outcome = match loaded {
                Ok((_, report)) => {
                    Ok(Recovery { partition: slot.partition().clone(), report: report.unwrap_or_default() })
                }
                Err(_) if !self.dirs[slot.dir_index()].is_online() => return, // has been told about
                Err(LoadError::Io { partition, source }) if is_full(&source) => {
                    tracing::error!(%partition, error = %source, "no room to recover a log; it is tried again when it is used");
                    return;
                }
                Err(error) => Err(error),
            };
            results.lock().push(outcome);
        });
        let mut recoveries = results.into_inner().into_iter().collect::<Result<Vec<_>, _>>()?;
        recoveries.retain(|recovery| is_news(&recovery.report));
        recoveries.sort_by(|a, b| a.partition.cmp(&b.partition));
        recoveries.iter().for_each(tell);
        Ok(recoveries)
    }

    /// A directory that would be taken for cleanly stopped after a crash is not used.
    fn forget_clean_stop(&self) {
        for dir in self.dirs.iter().filter(|dir| dir.is_online()) {
            if let Err(error) = clean_shutdown::remove(self.disk(), &dir.path) {
                dir.health.fail(&error);
            }
        }
    }
}

impl DataDir {
    fn unusable(path: &Path, id: Uuid, health: Arc<DirHealth>) -> Self {
        Self {
            path: path.into(),
            id,
            partitions: AtomicUsize::new(0),
            health,
            syncs_volume: false,
            closed_in_epoch: None,
            stored: Mutex::default(),
            checkpointing: Mutex::default(),
            outdated: Mutex::default(),
            reserve: AtomicU64::new(0),
            _lock: None,
        }
    }
}

fn was_cut(report: &LoadReport) -> bool {
    report.cut_bytes > 0 || report.removed_segments > 0 || report.shorter_than_recovery_point
}

/// What is damaged or gone was told when the log was opened.
fn is_news(report: &LoadReport) -> bool {
    was_cut(report) || !report.damages.is_empty() || report.lost_from.is_some()
}

fn tell(recovery: &Recovery) {
    let Recovery { partition, report } = recovery;
    if was_cut(report) {
        tracing::warn!(
            %partition,
            cut_bytes = report.cut_bytes,
            removed_segments = report.removed_segments,
            hole = report.hole,
            shorter_than_recovery_point = report.shorter_than_recovery_point,
            "the end of the log was cut after a crash"
        );
    }
}

/// Calls `run` for each item on up to `threads` threads.
pub(super) fn for_each_parallel<T: Sync>(threads: usize, items: &[T], run: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            run(item);
        }
    };
    let helpers = threads.min(items.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(work);
        }
        work();
    });
}

/// A directory, its lock held, its listing and checkpoints read.
struct OpenedDir {
    data: DataDir,
    found: HashSet<TopicPartition>,
    retired: Vec<PathBuf>,
    /// Partitions whose move to here was not finished; what there is of the copy is retired.
    unfinished: Vec<TopicPartition>,
    strays: usize,
    recovery_points: HashMap<TopicPartition, Offset>,
    recovery_points_lost: bool,
    log_starts: HashMap<TopicPartition, Offset>,
    high_watermarks: HashMap<TopicPartition, Offset>,
    clean_offsets: HashMap<TopicPartition, Offset>,
}

impl OpenedDir {
    fn slots(&self, at: usize) -> Vec<Slot> {
        let clean = self.data.closed_in_epoch.is_some();
        let offset = |of: &HashMap<TopicPartition, Offset>, partition: &TopicPartition| {
            of.get(partition).copied().unwrap_or_default()
        };
        let slot = |partition: &TopicPartition| {
            let start = StartPoint {
                recovery_point: offset(&self.recovery_points, partition),
                log_start: offset(&self.log_starts, partition),
                high_watermark: offset(&self.high_watermarks, partition),
                clean_to: self.clean_offsets.get(partition).copied(),
                clean,
                recovery_point_lost: self.recovery_points_lost,
            };
            Slot::new(partition.clone(), at, self.data.path.join(partition.to_string()).into(), start, None)
        };
        self.found.iter().map(slot).collect()
    }
}

fn open_dir(
    disk: &dyn Disk,
    path: &Path,
    health: &Arc<DirHealth>,
    identity: &Identity,
    new_id: Uuid,
    tally: &Tally,
) -> Result<OpenedDir, DirError> {
    create_durably(disk, path)?;
    let lock = take_lock(disk, path)?;
    let id = check_identity(disk, path, identity, new_id)?;
    let mut found = HashSet::new();
    let mut retired = Vec::new();
    let mut unfinished = Vec::new();
    let mut strays = 0;
    for entry in disk.list(path)?.into_iter().filter(|entry| entry.is_dir) {
        match kind_of(&entry.name) {
            DirKind::Partition(partition) => drop(found.insert(partition)),
            DirKind::Retired => retired.push(path.join(&entry.name)),
            DirKind::Future(partition) => {
                // What the log lost in a crash the copy may have: it is made anew.
                let to = aside_path(disk, &path.join(&entry.name), &partition, Aside::Deleted);
                disk.rename(&path.join(&entry.name), &to)?;
                retired.push(to);
                unfinished.push(partition);
            }
            DirKind::Stray => {
                tracing::warn!(path = %path.join(&entry.name).display(), "a partition that the metadata did not know");
                strays += 1;
            }
            DirKind::Other => {}
        }
    }
    let closed_in_epoch: Option<BrokerEpoch> = clean_shutdown::read(disk, path)?;
    let syncs_volume = disk.syncs_volume(path);
    if !syncs_volume {
        tracing::info!(path = %path.display(), "the volume cannot be synced as a whole: what is flushed is flushed file by file");
    }
    let read = |which: OffsetCheckpoint| read_or_do_without(which, disk, path, tally);
    let (recovery_points, recovery_points_lost) = read(OffsetCheckpoint::RecoveryPoint)?;
    let (log_starts, _) = read(OffsetCheckpoint::LogStart)?;
    let (high_watermarks, _) = read(OffsetCheckpoint::HighWatermark)?;
    let (clean_offsets, clean_offsets_lost) = read(OffsetCheckpoint::Cleaner)?;
    if clean_offsets_lost {
        disk.remove_file(&path.join(OffsetCheckpoint::Cleaner.name()))?; // written only where there is something to say
    }
    let is_gone = |partition: &&TopicPartition| !found.contains(partition);
    let outdated = recovery_points.keys().chain(log_starts.keys()).filter(is_gone).cloned().collect();
    let data = DataDir {
        path: path.into(),
        id,
        partitions: AtomicUsize::new(found.len()),
        health: Arc::clone(health),
        syncs_volume,
        closed_in_epoch,
        stored: Mutex::new(Stored::default()),
        checkpointing: Mutex::default(),
        outdated: Mutex::new(outdated),
        reserve: AtomicU64::new(0),
        _lock: Some(lock),
    };
    Ok(OpenedDir {
        data,
        found,
        retired,
        unfinished,
        strays,
        recovery_points,
        recovery_points_lost,
        log_starts,
        high_watermarks,
        clean_offsets,
    })
}

/// The entries of a checkpoint, and whether they are lost because it cannot be understood. Each can be done without: logs
/// are checked from their beginning, begin with their first segment, are committed as far as their leader says, are compacted
/// from their beginning.
fn read_or_do_without(
    which: OffsetCheckpoint,
    disk: &dyn Disk,
    path: &Path,
    tally: &Tally,
) -> Result<(HashMap<TopicPartition, Offset>, bool), DirError> {
    match which.read(disk, path) {
        Ok(entries) => Ok((entries, false)),
        Err(error @ CheckpointError::Io { .. }) => Err(error.into()),
        Err(error) => {
            tally.file_replaced();
            tracing::error!(%error, "a checkpoint is damaged and is written again");
            Ok((HashMap::new(), true))
        }
    }
}

/// Creates the directory and those above it, and makes their names durable.
fn create_durably(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|dir| !disk.exists(dir)).collect();
    disk.create_dir_all(path)?;
    for dir in missing {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk.sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskLock>, DirError> {
    disk.lock(&path.join(".lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => DirError::Locked,
        _ => DirError::Io(error),
    })
}

/// The id that a directory says of itself that cannot be used otherwise; zero where it says none.
fn id_of(disk: &dyn Disk, path: &Path) -> Uuid {
    MetaProperties::read(disk, path).ok().flatten().map_or(Uuid::ZERO, |found| found.directory_id)
}

/// The id of the directory, which is given one where it has none.
fn check_identity(disk: &dyn Disk, path: &Path, identity: &Identity, new_id: Uuid) -> Result<Uuid, DirError> {
    let found = MetaProperties::read(disk, path)?;
    if let Some(found) = &found {
        if found.cluster_id != identity.cluster_id {
            return Err(DirError::OtherCluster(found.cluster_id.clone()));
        }
        if found.node_id != identity.node_id {
            return Err(DirError::OtherNode(found.node_id));
        }
        if !found.directory_id.is_zero() {
            return Ok(found.directory_id);
        }
    }
    let (cluster_id, node_id) = (identity.cluster_id.clone(), identity.node_id);
    MetaProperties { cluster_id, node_id, directory_id: new_id }.write(disk, path)?;
    tracing::info!(path = %path.display(), id = %new_id, file = meta_properties::NAME, "a new log directory");
    Ok(new_id)
}
