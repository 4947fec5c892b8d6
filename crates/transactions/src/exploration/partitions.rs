//! A partition's log as far as it matters: epochs, sequences and markers as Kafka's log has them; what is open, what ended how.

use std::collections::BTreeMap;

use ottla_types::{ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use super::network::{Tag, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Producer {
    epoch: ProducerEpoch,
    /// None where the epoch came with a marker.
    last_sequence: Option<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    producers: BTreeMap<ProducerId, Producer>,
    /// Writes without a marker behind them.
    open: Vec<(Tag, ProducerId)>,
    /// Writes whose transaction ended here; whether it was committed.
    ended: BTreeMap<Tag, bool>,
    /// Counted where epochs are not bumped.
    markers: u8,
    /// What is in it twice.
    doubled: Option<Tag>,
}

impl Partition {
    pub(super) fn open(&self) -> Option<Tag> {
        self.open.first().map(|(tag, _)| *tag)
    }

    pub(super) fn ended(&self) -> &BTreeMap<Tag, bool> {
        &self.ended
    }

    pub(super) fn doubled(&self) -> Option<Tag> {
        self.doubled
    }

    /// What a write has to find unchanged when it comes to be appended.
    pub(super) fn guard(&self) -> u8 {
        self.markers
    }

    /// Whether the write is in the log now.
    pub(super) fn append(&mut self, write: Write, guard: u8) -> bool {
        let expected = match self.producers.get(&write.by.id) {
            Some(known) if write.by.epoch < known.epoch => return false,
            Some(known) if write.by.epoch == known.epoch => {
                if known.last_sequence == Some(write.sequence) {
                    return true;
                }
                known.last_sequence.map_or(0, |last| last + 1)
            }
            _ => 0,
        };
        if write.sequence != expected || guard != self.markers {
            return false;
        }
        let producer = Producer { epoch: write.by.epoch, last_sequence: Some(write.sequence) };
        self.producers.insert(write.by.id, producer);
        let seen = self.ended.contains_key(&write.tag) || self.open.iter().any(|(tag, _)| *tag == write.tag);
        self.doubled = seen.then_some(write.tag).or(self.doubled);
        self.open.push((write.tag, write.by.id));
        true
    }

    /// Whether the marker is in the log now. With `bumped` its epoch has to be above those of the writes that it ends.
    pub(super) fn mark(&mut self, by: ProducerIdAndEpoch, commit: bool, bumped: bool) -> bool {
        let known = self.producers.get(&by.id).copied();
        let is_open = self.open.iter().any(|(_, id)| *id == by.id);
        if let Some(known) = known
            && (by.epoch < known.epoch || (bumped && by.epoch == known.epoch && is_open))
        {
            return false;
        }
        let last_sequence = known.filter(|known| known.epoch == by.epoch).and_then(|known| known.last_sequence);
        self.producers.insert(by.id, Producer { epoch: by.epoch, last_sequence });
        let ended = self.open.iter().filter(|(_, id)| *id == by.id).map(|(tag, _)| (*tag, commit));
        self.ended.extend(ended);
        self.open.retain(|(_, id)| *id != by.id);
        self.markers += u8::from(!bumped);
        true
    }
}
