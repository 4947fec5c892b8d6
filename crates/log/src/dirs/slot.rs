//! A partition that is here, whether its log is open or not.

use std::{
    io,
    path::Path,
    sync::{Arc, OnceLock},
};

use ottla_disk::Disk;
use ottla_types::{Millis, TopicPartition, Uuid};
use parking_lot::Mutex;

use super::LogConfigs;
use crate::{
    LoadError, LoadReport, Log, StartPoint,
    checkpoint::{CheckpointError, partition_metadata},
    log::LogEnv,
};

/// A partition by its directory.
#[derive(Debug)]
pub(super) struct Slot {
    partition: TopicPartition,
    dir_index: usize,
    dir: Arc<Path>,
    /// What the checkpoints said at the start.
    start: StartPoint,
    topic_id: Mutex<Option<Uuid>>,
    log: OnceLock<Arc<Log>>,
    loading: Mutex<()>,
}

impl Slot {
    pub(super) fn new(
        partition: TopicPartition,
        dir_index: usize,
        dir: Arc<Path>,
        start: StartPoint,
        topic_id: Option<Uuid>,
    ) -> Self {
        let topic_id = Mutex::new(topic_id);
        Self { partition, dir_index, dir, start, topic_id, log: OnceLock::new(), loading: Mutex::default() }
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    pub(super) fn dir_index(&self) -> usize {
        self.dir_index
    }

    pub(super) fn dir(&self) -> &Arc<Path> {
        &self.dir
    }

    pub(super) fn start(&self) -> StartPoint {
        self.start
    }

    pub(super) fn loaded(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    /// The log, opened if it was not; with what was found then.
    pub(super) fn load(
        &self,
        env: &LogEnv,
        configs: &dyn LogConfigs,
        now: Millis,
    ) -> Result<(Arc<Log>, Option<LoadReport>), LoadError> {
        let _one_at_a_time = self.loading.lock();
        if let Some(log) = self.log.get() {
            return Ok((Arc::clone(log), None));
        }
        let config = configs.log_config(&self.partition.topic);
        let (partition, dir) = (self.partition.clone(), Arc::clone(&self.dir));
        let (log, report) = Log::open(env.clone(), partition, dir, self.start, config, now)?;
        Ok((Arc::clone(self.log.get_or_init(|| log)), Some(report)))
    }

    /// The topic id, read once.
    pub(super) fn topic_id(&self, disk: &dyn Disk) -> Result<Option<Uuid>, CheckpointError> {
        let mut topic_id = self.topic_id.lock();
        if topic_id.is_none() {
            *topic_id = partition_metadata::read(disk, &self.dir)?;
        }
        Ok(*topic_id)
    }

    /// Writes the topic id where there was none, or a damaged one.
    pub(super) fn set_topic_id(&self, disk: &dyn Disk, id: Uuid) -> io::Result<()> {
        partition_metadata::write(disk, &self.dir, id)?;
        *self.topic_id.lock() = Some(id);
        Ok(())
    }
}
