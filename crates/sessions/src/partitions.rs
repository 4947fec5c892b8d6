//! The partitions of one fetch in the order in which they are served.
//!
//! Invariant: the links run through exactly the used slots, the index (where there is one) leads to exactly those too.

use std::collections::{BTreeSet, HashMap};

use ottla_types::{TopicName, Uuid};

use crate::types::{Known, PartitionKey, Requested, TopicKey};

const NIL: u32 = u32::MAX;

/// Names a partition within one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartitionHandle(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: PartitionKey,
    /// What the topic's name is, or was when its id was last known.
    pub(crate) name: Option<TopicName>,
    pub(crate) requested: Requested,
    pub(crate) known: Known,
    previous: u32,
    next: u32,
}

/// Slots in a linked order, found by key.
#[derive(Debug)]
pub(crate) struct Partitions {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_key: HashMap<PartitionKey, u32>,
    head: u32,
    tail: u32,
    /// Slots whose topic id nobody knew yet.
    unresolved: BTreeSet<u32>,
}

impl Default for Partitions {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            head: NIL,
            tail: NIL,
            unresolved: BTreeSet::new(),
        }
    }
}

impl Partitions {
    /// A list that will not be changed: partitions are not found by key, and one named twice is there twice.
    pub(crate) fn fixed(wanted: Vec<(PartitionKey, Requested)>, name_of: &dyn Fn(Uuid) -> Option<TopicName>) -> Self {
        let mut partitions = Self { slots: Vec::with_capacity(wanted.len()), ..Self::default() };
        for (key, requested) in wanted {
            partitions.push(key, requested, name_of);
        }
        partitions
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a partition at the end, or changes what is wanted of it where it stands.
    pub(crate) fn put(&mut self, key: PartitionKey, requested: Requested, name_of: &dyn Fn(Uuid) -> Option<TopicName>) {
        let found = self.by_key.get(&key).and_then(|index| self.slots[*index as usize].as_mut());
        if let Some(slot) = found {
            slot.requested = requested;
            return;
        }
        let index = self.push(key.clone(), requested, name_of);
        self.by_key.insert(key, index);
    }

    /// Takes a partition out, if it is there.
    pub(crate) fn remove(&mut self, key: &PartitionKey) {
        let Some(index) = self.by_key.remove(key) else { return };
        self.unlink(index);
        self.slots[index as usize] = None;
        self.free.push(index);
        self.unresolved.remove(&index);
    }

    /// Moves a partition to the end, if it is there.
    pub(crate) fn move_to_end(&mut self, handle: PartitionHandle) {
        if self.get_mut(handle).is_some() {
            self.unlink(handle.0);
            self.link_at_end(handle.0);
        }
    }

    pub(crate) fn get_mut(&mut self, handle: PartitionHandle) -> Option<&mut Slot> {
        self.slots.get_mut(handle.0 as usize)?.as_mut()
    }

    /// In the order in which they are served.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PartitionHandle, &Slot)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?.as_ref()?;
            let handle = PartitionHandle(std::mem::replace(&mut at, slot.next));
            Some((handle, slot))
        })
    }

    /// Asks again for the names of topics whose ids were unknown.
    pub(crate) fn resolve(&mut self, name_of: &dyn Fn(Uuid) -> Option<TopicName>) {
        let slots = &mut self.slots;
        self.unresolved.retain(|index| {
            let Some(slot) = &mut slots[*index as usize] else { return false };
            slot.name = name(&slot.key.topic, name_of);
            slot.name.is_none()
        });
    }

    fn push(&mut self, key: PartitionKey, requested: Requested, name_of: &dyn Fn(Uuid) -> Option<TopicName>) -> u32 {
        let name = name(&key.topic, name_of);
        let unresolved = name.is_none() && matches!(key.topic, TopicKey::Id(_));
        let slot = Slot { key, name, requested, known: Known::NOTHING, previous: NIL, next: NIL };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = Some(slot);
                index
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() as u32 - 1
            }
        };
        if unresolved {
            self.unresolved.insert(index);
        }
        self.link_at_end(index);
        index
    }

    fn link_at_end(&mut self, index: u32) {
        let tail = std::mem::replace(&mut self.tail, index);
        if let Some(slot) = &mut self.slots[index as usize] {
            (slot.previous, slot.next) = (tail, NIL);
        }
        match self.get_mut(PartitionHandle(tail)) {
            Some(last) => last.next = index,
            None => self.head = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(slot) = &self.slots[index as usize] else { return };
        let (previous, next) = (slot.previous, slot.next);
        match self.get_mut(PartitionHandle(previous)) {
            Some(slot) => slot.next = next,
            None => self.head = next,
        }
        match self.get_mut(PartitionHandle(next)) {
            Some(slot) => slot.previous = previous,
            None => self.tail = previous,
        }
    }
}

/// The name that a request means, if it is one.
fn name(topic: &TopicKey, name_of: &dyn Fn(Uuid) -> Option<TopicName>) -> Option<TopicName> {
    match topic {
        TopicKey::Id(id) => name_of(*id),
        TopicKey::Name(name) => TopicName::new(name).ok(),
    }
}
