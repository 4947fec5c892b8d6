//! A partition that two directories hold: which of the two is it?
//!
//! That comes of a directory that was away for some time: its topic was deleted and created anew meanwhile, or an operator
//! put the partition elsewhere. What the metadata says decides. Invariant: nothing is removed; where nothing decides,
//! neither is used.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use ottla_types::{TopicPartition, Uuid};

use super::{
    LogDirs,
    name::{self, Aside},
    slot::Slot,
};

/// A partition as the metadata knows it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Id of its topic.
    pub topic_id: Uuid,
    /// Id of the directory that it is assigned to; zero where there is none.
    pub directory: Uuid,
}

impl LogDirs {
    /// Decides which of two directories a partition is in, for all that two hold; to be called when the metadata is known,
    /// before any of them is used. The other one is put aside.
    pub fn settle_twins(&self, known: impl Fn(&TopicPartition) -> Option<Known>) {
        for second in std::mem::take(&mut *self.twins.lock()) {
            let partition = second.partition().clone();
            let Some(first) = self.slot(&partition) else { continue };
            let settled = match self.choose(&first, &second, known(&partition)) {
                Some(true) => self.put_slot_aside(&second),
                Some(false) => {
                    self.partitions.write().insert(partition.clone(), Arc::clone(&second));
                    self.put_slot_aside(&first)
                }
                None => {
                    tracing::error!(
                        %partition,
                        first = %first.dir().display(),
                        second = %second.dir().display(),
                        "two log directories hold the partition, and the metadata knows neither; it is offline until one is taken away"
                    );
                    self.ambiguous.lock().insert(partition);
                    continue;
                }
            };
            if let Err(error) = settled {
                tracing::error!(%partition, %error, "the other of two directories of a partition could not be put aside");
            }
        }
    }

    /// Whether the first of the two is the partition, where that can be told.
    fn choose(&self, first: &Slot, second: &Slot, known: Option<Known>) -> Option<bool> {
        let known = known?;
        let is_other = |slot: &Slot| slot.topic_id(self.disk()).ok().flatten().is_some_and(|id| id != known.topic_id);
        match (is_other(first), is_other(second)) {
            (false, true) => return Some(true),
            (true, false) => return Some(false),
            _ => {}
        }
        let is_assigned = |slot: &Slot| self.dirs[slot.dir_index()].id == known.directory;
        match (is_assigned(first), is_assigned(second)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    fn put_slot_aside(&self, slot: &Slot) -> io::Result<()> {
        if let Some(log) = slot.loaded()
            && let Err(error) = log.close()
        {
            tracing::warn!(partition = %slot.partition(), %error, "a log that is put aside was not closed");
        }
        let to = name::aside_path(self.disk(), slot.dir(), slot.partition(), Aside::Stray);
        self.disk().rename(slot.dir(), &to)?;
        self.disk().sync_dir(&self.dirs[slot.dir_index()].path)?;
        self.dirs[slot.dir_index()].partitions.fetch_sub(1, Ordering::AcqRel);
        self.strays.fetch_add(1, Ordering::AcqRel);
        tracing::warn!(
            partition = %slot.partition(),
            path = %to.display(),
            "two log directories held the partition; the one that is not it was put aside"
        );
        Ok(())
    }
}
