//! What was sent. A message stays for ever: it may be delivered late, in any order, any number of times, or never.

use ottla_types::{Millis, ProducerIdAndEpoch};

/// Transactions of a client at most.
pub(super) const TRANSACTIONS_MAX: u8 = 4;

/// A transaction as its client counts it: which client, which of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag {
    pub(super) client: u8,
    pub(super) transaction: u8,
}

/// A set of transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tags(u16);

impl Tags {
    fn bit(tag: Tag) -> u16 {
        1 << (tag.client * TRANSACTIONS_MAX + tag.transaction)
    }

    pub(super) fn insert(&mut self, tag: Tag) {
        self.0 |= Self::bit(tag);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub(super) fn contains(self, tag: Tag) -> bool {
        self.0 & Self::bit(tag) != 0
    }

    /// One of them that is not `tag`.
    pub(super) fn other_than(self, tag: Tag) -> Option<Tag> {
        let others = self.0 & !Self::bit(tag);
        let bit = others.trailing_zeros() as u8;
        let (client, transaction) = (bit / TRANSACTIONS_MAX, bit % TRANSACTIONS_MAX);
        (others != 0).then_some(Tag { client, transaction })
    }
}

/// One record, written to one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) tag: Tag,
    pub(super) by: ProducerIdAndEpoch,
    pub(super) partition: u8,
    pub(super) sequence: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Message {
    /// `InitProducerId`, expecting nothing.
    Enter { client: u8 },
    /// `InitProducerId`, expecting what the client has.
    GoOn { tag: Tag, by: ProducerIdAndEpoch },
    /// A produce request.
    Produce(Write),
    /// The same on its way into the log, after the coordinator was asked. Where epochs are not bumped it is void once the
    /// partition has another number of markers.
    Append(Write, u8),
    /// `EndTxn`.
    End { tag: Tag, by: ProducerIdAndEpoch, commit: bool },
    /// A marker, from the coordinator.
    Marker { by: ProducerIdAndEpoch, commit: bool, decided: Millis, partition: u8 },
    /// Word that it is written.
    Written { by: ProducerIdAndEpoch, decided: Millis, partition: u8 },
}

/// A set of messages, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Network([u64; 4]);

impl Network {
    pub(super) fn send(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn sent(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
        })
    }
}
