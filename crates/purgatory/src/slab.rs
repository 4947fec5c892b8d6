//! Slots reused through a free list, with keys that do not outlive what they were given for.

/// Marks the end of a list of slots.
pub(crate) const NIL: u32 = u32::MAX;

/// Names one occupation of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlabKey {
    pub(crate) index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Free { next: u32 },
    Used(T),
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NIL, len: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> SlabKey {
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let index = self.free;
            if let Content::Free { next } = std::mem::replace(&mut slot.content, Content::Used(value)) {
                self.free = next;
            }
            return SlabKey { index, generation: slot.generation };
        }
        assert!(self.slots.len() < NIL as usize, "more slots than an index can name");
        self.slots.push(Slot { generation: 0, content: Content::Used(value) });
        SlabKey { index: self.slots.len() as u32 - 1, generation: 0 }
    }

    pub(crate) fn remove(&mut self, key: SlabKey) -> Option<T> {
        self.get(key)?;
        let slot = &mut self.slots[key.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let content = std::mem::replace(&mut slot.content, Content::Free { next: self.free });
        self.free = key.index;
        self.len -= 1;
        match content {
            Content::Used(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    pub(crate) fn get(&self, key: SlabKey) -> Option<&T> {
        match self.slots.get(key.index as usize)? {
            Slot { generation, content: Content::Used(value) } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The key of what occupies a slot now; for indices that our own lists hold.
    pub(crate) fn key_at(&self, index: u32) -> SlabKey {
        SlabKey { index, generation: self.slots[index as usize].generation }
    }

    /// What occupies a slot; for indices that our own lists hold.
    pub(crate) fn peek(&self, index: u32) -> &T {
        match &self.slots[index as usize].content {
            Content::Used(value) => value,
            Content::Free { .. } => panic!("a list leads to the free slot {index}"),
        }
    }

    /// As [`peek`](Self::peek), to change it.
    pub(crate) fn at(&mut self, index: u32) -> &mut T {
        match &mut self.slots[index as usize].content {
            Content::Used(value) => value,
            Content::Free { .. } => panic!("a list leads to the free slot {index}"),
        }
    }
}
