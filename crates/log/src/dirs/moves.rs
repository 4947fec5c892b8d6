//! Moves of partitions between directories.
//!
//! A move makes a copy beside the other partitions of the directory that it goes to, in a folder whose name ends in
//! `-future`, as Kafka names it. The copy follows the log until it has everything; then, while nobody appends:
//!
//! 1. it gets the rest, is flushed and closed, and a file in it says which directory it comes from (`moved-from`);
//! 2. its folder gets the partition's name, durably. From here on it is the partition: of two folders of that name it is the
//!    one whose file names the other's directory;
//! 3. the old folder is renamed to be removed, and the file in the new one goes.
//!
//! A crash before step 2 leaves a copy that the next start throws away, to begin the move anew: what the log lost in the crash
//! the copy may have. Invariants: whoever appended successfully finds it in the log that is used after a crash at any moment;
//! a copy that lacks something never has the partition's name.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use ottla_disk::is_full;
use ottla_records::{BatchError, Batches, CheckedBatch, HEADER_LEN};
use ottla_types::{LeaderEpoch, Millis, TopicPartition, Uuid};

use super::{
    LogDirs,
    name::{self, Aside},
    slot::Slot,
};
use crate::{
    AppendError, CutError, LoadError, Log, LogState, Origin, ReadBound, ReadError, StartPoint,
    checkpoint::{partition_metadata, read_whole, write_atomic},
};

/// Name of the file that says where a copy comes from: ids of directories, one a line.
const MOVED_FROM: &str = "moved-from";
/// What is read at once.
const READ_BYTES: usize = 1024 * 1024;

/// A copy on its way.
#[derive(Debug)]
pub(super) struct Moving {
    to: usize,
    path: PathBuf,
    topic_id: Uuid,
    log: Arc<Log>,
}

/// A partition that is moved, its log, and the copy.
type Parts = (Arc<Slot>, Arc<Log>, Arc<Moving>);

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// There is more to copy.
    Goes,
    /// The copy has, or nearly has, everything.
    CaughtUp,
    /// There is no room for the copy now.
    NoRoom,
}

/// What one call did for a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveProgress {
    /// How far it is.
    pub state: MoveState,
    /// Bytes that were copied.
    pub bytes: u64,
}

/// Why a partition is not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// No such directory is configured (`LOG_DIR_NOT_FOUND`).
    #[error("there is no such log directory")]
    UnknownDirectory,
    /// The directory that it should go to is offline (`KAFKA_STORAGE_ERROR`).
    #[error("the log directory is offline")]
    Offline,
    /// The folder's name would be too long (`INVALID_TOPIC_EXCEPTION`).
    #[error("the name of the topic is too long for a move")]
    NameTooLong,
    /// It is not here, is not being moved, or cannot be used.
    #[error("there is nothing to move")]
    Nothing,
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch of it is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The copy took nothing.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The copy could not be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The copy could not be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LogDirs {
    /// Begins to move a partition to the directory at `to`, as it is configured; to the one that it is in, gives up a move
    /// that is under way. Whether there is something to do from now on.
    ///
    /// # Errors
    /// See [`MoveError`]; a move to another directory is given up all the same.
    pub fn begin_move(&self, partition: &TopicPartition, to: &Path, now: Millis) -> Result<bool, MoveError> {
        let path = to.join(name::future_name(partition).ok_or(MoveError::NameTooLong)?);
        let at = self.dirs.iter().position(|dir| &*dir.path == to).ok_or(MoveError::UnknownDirectory)?;
        if !self.dirs[at].is_online() {
            return Err(MoveError::Offline);
        }
        let mut moving = self.moving.lock();
        if moving.get(partition).is_some_and(|copy| copy.to == at) {
            return Ok(true);
        }
        if let Some(copy) = moving.remove(partition) {
            self.throw_away(&copy, partition, now);
        }
        let slot = self.slot(partition).ok_or(MoveError::Nothing)?;
        if slot.dir_index() == at {
            return Ok(false);
        }
        let source = self.load(&slot, now)?;
        let topic_id = slot.topic_id(self.disk()).ok().flatten().ok_or(MoveError::Nothing)?;
        self.disk().create_dir_all(&path)?;
        partition_metadata::write(self.disk(), &path, topic_id)?;
        let start = StartPoint { clean: true, log_start: source.log_start(), ..StartPoint::default() };
        let config = (*source.config()).clone();
        let (log, _) = Log::open(self.env(at), partition.clone(), path.as_path().into(), start, config, now)?;
        moving.insert(partition.clone(), Arc::new(Moving { to: at, path, topic_id, log }));
        Ok(true)
    }

    /// Partitions that are being moved.
    #[must_use]
    pub fn moves(&self) -> Vec<TopicPartition> {
        self.moving.lock().keys().cloned().collect()
    }

    /// Moves that the last run did not finish, with the directories that they went to; once.
    #[must_use]
    pub fn take_unfinished_moves(&self) -> Vec<(TopicPartition, PathBuf)> {
        std::mem::take(&mut *self.unfinished.lock())
    }

    /// Gives up a move, if the partition is being moved.
    pub fn give_up_move(&self, partition: &TopicPartition, now: Millis) {
        if let Some(copy) = self.moving.lock().remove(partition) {
            self.throw_away(&copy, partition, now);
        }
    }

    fn throw_away(&self, copy: &Moving, partition: &TopicPartition, now: Millis) {
        let to = name::aside_path(self.disk(), &self.dirs[copy.to].path.join("x"), partition, Aside::Deleted);
        match copy.log.retire(&to) {
            Ok(()) => self.deletions.add_directory(to, now),
            Err(error) => tracing::warn!(%partition, %error, "the copy of a move that was given up remains"),
        }
    }

    fn copy_of(&self, partition: &TopicPartition) -> Result<Parts, MoveError> {
        let copy = self.moving.lock().get(partition).cloned().ok_or(MoveError::Nothing)?;
        let slot = self.slot(partition).ok_or(MoveError::Nothing)?;
        let source = slot.loaded().cloned().ok_or(MoveError::Nothing)?;
        Ok((slot, source, copy))
    }

    /// Copies some of what a move has to copy.
    ///
    /// # Errors
    /// The move cannot go on; [`LogDirs::give_up_move`] ends it.
    pub fn advance_move(&self, partition: &TopicPartition, now: Millis) -> Result<MoveProgress, MoveError> {
        let (_, source, copy) = self.copy_of(partition)?;
        match follow(&source, &copy.log, now) {
            Ok(bytes) => {
                let more = copy.log.log_end() < source.log_end() && lags(&source, &copy.log);
                Ok(MoveProgress { state: if more { MoveState::Goes } else { MoveState::CaughtUp }, bytes })
            }
            Err(error) if needs_room(&error) => Ok(MoveProgress { state: MoveState::NoRoom, bytes: 0 }),
            Err(error) => Err(error),
        }
    }

    /// Puts the copy in the place of the log, which is closed then; appends wait meanwhile. The log that is used from now on.
    ///
    /// # Errors
    /// The log goes on where it is.
    pub fn finish_move(&self, partition: &TopicPartition, now: Millis) -> Result<Arc<Log>, MoveError> {
        let (slot, source, copy) = self.copy_of(partition)?;
        copy.log.flush().map_err(io::Error::other)?; // most of it while others append
        // A log whose beginning is missing without a word of it was damaged.
        copy.log.raise_log_start(source.log_start())?;
        self.checkpoint_copy(copy.to, &copy.log)?;
        let new = source.hand_over(|producers| {
            let new = self.swap(&source, &slot, &copy, now)?;
            new.take_over_producers(std::mem::take(producers)); // with what is known of transactions that may begin
            Ok(new)
        })?;
        self.moving.lock().remove(partition);
        let before = &self.dirs[slot.dir_index()];
        before.partitions.fetch_sub(1, Ordering::AcqRel);
        self.dirs[copy.to].partitions.fetch_add(1, Ordering::AcqRel);
        before.outdated.lock().insert(partition.clone());
        Ok(new)
    }

    fn swap(&self, source: &Log, slot: &Slot, copy: &Moving, now: Millis) -> Result<Arc<Log>, MoveError> {
        while copy.log.log_end() < source.log_end() {
            let before = copy.log.log_end();
            follow(source, &copy.log, now)?;
            if copy.log.log_end() == before {
                return Err(MoveError::Nothing); // what is left cannot be read
            }
        }
        copy.log.raise_log_start(source.log_start())?;
        let start = StartPoint {
            clean: true,
            recovery_point: copy.log.log_end(),
            log_start: copy.log.log_start(),
            high_watermark: source.high_watermark(),
            clean_to: None,
            recovery_point_lost: false,
        };
        copy.log.close()?;
        self.mark(slot, copy)?;
        let target = &self.dirs[copy.to].path;
        let path = target.join(slot.partition().to_string());
        self.disk().rename(&copy.path, &path)?;
        let moved = Slot::new(slot.partition().clone(), copy.to, path.as_path().into(), start, Some(copy.topic_id));
        let opened = self.disk().sync_dir(target).map_err(MoveError::from).and_then(|()| Ok(self.load(&moved, now)?));
        let new = opened.inspect_err(|_| {
            let undone = self.disk().rename(&path, &copy.path).and_then(|()| self.disk().sync_dir(target));
            if let Err(error) = undone {
                tracing::error!(partition = %slot.partition(), %error, "a move was neither finished nor undone");
                source.go_offline(); // what it took from now on might be missing in the one that counts
            }
        })?;
        new.set_config((*source.config()).clone());
        self.partitions.write().insert(slot.partition().clone(), Arc::new(moved));
        self.forget_cleaning(slot.partition());
        if let Err(error) = self.remove_moved(slot, &path, now) {
            tracing::warn!(partition = %slot.partition(), %error, "the folder that a partition was moved from remains");
        }
        Ok(new)
    }

    /// The old folder is removed, and with it the reason for the file.
    fn remove_moved(&self, slot: &Slot, new: &Path, now: Millis) -> io::Result<()> {
        let to = name::aside_path(self.disk(), slot.dir(), slot.partition(), Aside::Deleted);
        self.disk().rename(slot.dir(), &to)?;
        self.disk().sync_dir(&self.dirs[slot.dir_index()].path)?;
        self.deletions.add_directory(to, now);
        self.disk().remove_file(&new.join(MOVED_FROM))
    }

    /// Says in the copy which directory it comes from, and from which that one came, as far as those still may have it.
    fn mark(&self, slot: &Slot, copy: &Moving) -> io::Result<()> {
        let offline = |id: &Uuid| !self.online_directories().contains(id);
        let mut from: Vec<_> = self.moved_from(slot.dir())?.into_iter().filter(offline).collect();
        from.push(self.dirs[slot.dir_index()].id);
        let text: String = from.iter().map(|id| format!("{id}\n")).collect();
        write_atomic(self.disk(), &copy.path.join(MOVED_FROM), text.as_bytes())
    }

    fn moved_from(&self, dir: &Path) -> io::Result<Vec<Uuid>> {
        let bytes = read_whole(self.disk(), &dir.join(MOVED_FROM))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Whether `slot` was moved out of the directory of `other`.
    pub(super) fn comes_from(&self, slot: &Slot, other: &Slot) -> bool {
        self.moved_from(slot.dir()).is_ok_and(|from| from.contains(&self.dirs[other.dir_index()].id))
    }

    /// Of the move that `slot` came by nothing is left.
    pub(super) fn forget_move(&self, slot: &Slot) {
        if let Err(error) = self.disk().remove_file(&slot.dir().join(MOVED_FROM)) {
            tracing::warn!(partition = %slot.partition(), %error, "what says where a partition was moved from remains");
        }
    }

    /// The copy of a move, and by how many records it is behind.
    pub(super) fn copies_in(&self, at: usize) -> Vec<(TopicPartition, Arc<Log>, i64)> {
        let copies: Vec<_> =
            self.moving.lock().iter().map(|(partition, copy)| (partition.clone(), Arc::clone(copy))).collect();
        let in_dir = copies.into_iter().filter(|(_, copy)| copy.to == at);
        let described = in_dir.map(|(partition, copy)| {
            let end = self.loaded(&partition).map_or(copy.log.log_end(), |log| log.log_end());
            let lag = (end.0 - copy.log.log_end().0).max(0);
            (partition, Arc::clone(&copy.log), lag)
        });
        described.collect()
    }
}

/// Whether more is left than is copied while nobody appends.
fn lags(source: &Log, copy: &Log) -> bool {
    if source.segment_bases().last().is_some_and(|active| copy.log_end() < *active) {
        return true; // a read ends with its segment
    }
    let read = source.read(copy.log_end(), READ_BYTES, true, ReadBound::LogEnd);
    read.is_ok_and(|read| read.len() >= READ_BYTES)
}

fn needs_room(error: &MoveError) -> bool {
    match error {
        MoveError::Append(AppendError::Full) => true,
        MoveError::Append(AppendError::Io(error)) | MoveError::Io(error) => is_full(error),
        _ => false,
    }
}

/// Brings `copy` nearer to `source`, by a few batches; by how many bytes.
fn follow(source: &Log, copy: &Log, now: Millis) -> Result<u64, MoveError> {
    if source.state() != LogState::Online {
        return Err(MoveError::Nothing);
    }
    if copy.log_end() < source.log_start() {
        copy.truncate_fully_and_start_at(source.log_start(), now)?;
    }
    if copy.log_end() >= source.log_end() {
        return Ok(0);
    }
    let read = source.read(copy.log_end(), READ_BYTES, true, ReadBound::LogEnd)?;
    let Some(slice) = read.records else { return Ok(0) };
    let bytes = slice.read()?;
    let mut at = 0;
    for batch in Batches::new(&bytes) {
        let Ok(batch) = batch else { break }; // the last one may be cut off
        batch.verify_crc()?;
        let header = *batch.header();
        let len = header.size_in_bytes();
        let Some(head) = bytes[at..].first_chunk::<HEADER_LEN>() else { break };
        let checked = CheckedBatch {
            header,
            head: *head,
            body: bytes.slice(at + HEADER_LEN..at + len),
            max_timestamp: header.max_timestamp,
            offset_of_max_timestamp: header.last_offset_delta,
        };
        at += len;
        // One that the copy has already begins before its end: where compaction left the offset within a batch.
        if header.last_offset() < copy.log_end() {
            continue;
        }
        append(copy, &checked, now)?;
    }
    Ok(at as u64)
}

/// A batch that was legal when it came may be larger than a segment may be now.
fn append(copy: &Log, batch: &CheckedBatch, now: Millis) -> Result<(), MoveError> {
    match copy.append(batch, LeaderEpoch::UNKNOWN, Origin::Replication, now) {
        Err(AppendError::LargerThanSegment { size, .. }) => {
            let mut config = (*copy.config()).clone();
            config.segment_bytes = u32::try_from(size).unwrap_or(u32::MAX);
            copy.set_config(config);
            copy.append(batch, LeaderEpoch::UNKNOWN, Origin::Replication, now)?;
        }
        appended => drop(appended?),
    }
    Ok(())
}
