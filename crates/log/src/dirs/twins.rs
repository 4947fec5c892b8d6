//! A partition that two directories hold: which of the two is it?
//!
//! That comes of a directory that was away for some time: its topic was deleted and created anew meanwhile, or an operator
//! put the partition elsewhere; or a crash cut a move short. What the move left decides, then what the metadata says.
//! Invariant: nothing is removed but what a move has copied; where nothing decides, neither is used.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use ottla_types::{Millis, TopicPartition, Uuid};

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
            // A move that was cut short when it had been decided says so itself; what it left is of no use.
            let (first_is_it, why) = match self.after_a_move(&first, &second) {
                Some(first_is_it) => (first_is_it, Aside::Deleted),
                None => match self.choose(&first, &second, known(&partition)) {
                    Some(first_is_it) => (first_is_it, Aside::Stray),
                    None => {
                        self.note_ambiguous(&first, &second);
                        continue;
                    }
                },
            };
            let (kept, other) = if first_is_it { (&first, &second) } else { (&second, &first) };
            self.partitions.write().insert(partition.clone(), Arc::clone(kept));
            let settled = self.put_slot_aside(other, why);
            if why == Aside::Deleted && settled.is_ok() {
                self.forget_move(kept);
            }
            if let Err(error) = settled {
                tracing::error!(%partition, %error, "the other of two directories of a partition could not be put aside");
            }
        }
    }

    fn note_ambiguous(&self, first: &Slot, second: &Slot) {
        tracing::error!(
            partition = %first.partition(),
            first = %first.dir().display(),
            second = %second.dir().display(),
            "two log directories hold the partition, and the metadata knows neither; it is offline until one is taken away"
        );
        self.ambiguous.lock().insert(first.partition().clone());
    }

    /// Whether the first of the two was moved out of the directory of the second; none where neither was.
    fn after_a_move(&self, first: &Slot, second: &Slot) -> Option<bool> {
        match (self.comes_from(first, second), self.comes_from(second, first)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
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

    fn put_slot_aside(&self, slot: &Slot, why: Aside) -> io::Result<()> {
        if let Some(log) = slot.loaded()
            && let Err(error) = log.close()
        {
            tracing::warn!(partition = %slot.partition(), %error, "a log that is put aside was not closed");
        }
        let dir = &self.dirs[slot.dir_index()];
        let to = name::aside_path(self.disk(), slot.dir(), slot.partition(), why);
        self.disk().rename(slot.dir(), &to)?;
        self.disk().sync_dir(&dir.path)?;
        dir.partitions.fetch_sub(1, Ordering::AcqRel);
        tracing::warn!(partition = %slot.partition(), path = %to.display(), "two log directories held the partition; the other one was put aside");
        match why {
            Aside::Deleted => self.deletions.add_directory(to, Millis(0)),
            Aside::Stray => drop(self.strays.fetch_add(1, Ordering::AcqRel)),
        }
        Ok(())
    }
}
