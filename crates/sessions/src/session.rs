//! One session: what is fetched, what the fetcher knows of it, and which request comes next.

use std::ops::ControlFlow;

use ottla_types::{PartitionIndex, TopicName, Uuid};

use crate::{
    partitions::{PartitionHandle, Partitions, Slot},
    types::{FetchRequest, Fetched, Known, Requested, SessionError, TopicKey, next_epoch},
};

#[derive(Debug)]
pub(crate) struct FetchSession {
    pub(crate) partitions: Partitions,
    /// Epoch of the next request.
    pub(crate) epoch: i32,
    pub(crate) uses_topic_ids: bool,
    pub(crate) privileged: bool,
}

/// One partition to be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// To give back with the result.
    pub handle: PartitionHandle,
    /// The topic as the request named it, and as the response must.
    pub topic: &'a TopicKey,
    /// The topic's name. For an id: the name it had when it was last known, so that the topic may be gone
    /// (`UNKNOWN_TOPIC_OR_PARTITION`) or have another id now (`INCONSISTENT_TOPIC_ID`). None for an id that was never
    /// known (`UNKNOWN_TOPIC_ID`) and for text that is no topic name (`UNKNOWN_TOPIC_OR_PARTITION`).
    pub name: Option<&'a TopicName>,
    /// Its number.
    pub partition: PartitionIndex,
    /// What is wanted.
    pub requested: &'a Requested,
    /// What the fetcher knows; none in a full fetch, where all is news.
    pub known: Option<&'a Known>,
}

impl Visit<'_> {
    /// Whether `fetched` would go into the response. What would not need not be given to `finish`.
    #[must_use]
    pub fn is_news(&self, fetched: &Fetched) -> bool {
        self.known.is_none_or(|known| known.is_news(fetched))
    }
}

impl FetchSession {
    /// Takes an incremental request. On an error nothing has changed.
    pub(crate) fn advance(
        &mut self,
        request: FetchRequest,
        name_of: &dyn Fn(Uuid) -> Option<TopicName>,
    ) -> Result<(), SessionError> {
        if self.epoch != request.epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if self.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::TopicIds);
        }
        self.partitions.resolve(name_of);
        for (key, requested) in request.partitions {
            self.partitions.put(key, requested, name_of);
        }
        for key in &request.forgotten {
            self.partitions.remove(key);
        }
        self.epoch = next_epoch(self.epoch);
        Ok(())
    }

    pub(crate) fn for_each(&self, full: bool, visit: &mut dyn FnMut(Visit<'_>) -> ControlFlow<()>) {
        let _ = self.partitions.iter().try_for_each(|(handle, slot)| visit(visit_of(handle, slot, full)));
    }

    /// Notes the results of a full fetch; all go into the response.
    pub(crate) fn note_all<R>(&mut self, results: impl Iterator<Item = (PartitionHandle, Fetched, R)>) -> Vec<R> {
        let note = |(handle, fetched, result)| {
            if let Some(slot) = self.partitions.get_mut(handle) {
                slot.known = Known::after(&fetched);
            }
            result
        };
        results.map(note).collect()
    }

    /// Notes the results of an incremental fetch; gives those that go into the response. A partition that sends records
    /// goes to the end, so that the next fetch serves the others first.
    pub(crate) fn note_news<R>(&mut self, results: impl Iterator<Item = (PartitionHandle, Fetched, R)>) -> Vec<R> {
        let mut news = Vec::new();
        for (handle, fetched, result) in results {
            let Some(slot) = self.partitions.get_mut(handle).filter(|slot| slot.known.is_news(&fetched)) else {
                continue;
            };
            slot.known = Known::after(&fetched);
            if fetched.record_bytes > 0 {
                self.partitions.move_to_end(handle);
            }
            news.push(result);
        }
        news
    }
}

fn visit_of(handle: PartitionHandle, slot: &Slot, full: bool) -> Visit<'_> {
    Visit {
        handle,
        topic: &slot.key.topic,
        name: slot.name.as_ref(),
        partition: slot.key.partition,
        requested: &slot.requested,
        known: (!full).then_some(&slot.known),
    }
}
