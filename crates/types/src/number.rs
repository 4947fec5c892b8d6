//! Numbers that must not be mistaken for one another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// Position of a record in a partition, from 0.
    Offset(i64)
}
number! {
    /// How often the partition's leader changed; −1 where unknown.
    LeaderEpoch(i32)
}
number! {
    /// Version of a partition's registration in the metadata.
    PartitionEpoch(i32)
}
number! {
    /// Number of a partition within its topic, from 0.
    PartitionIndex(i32)
}
number! {
    /// Id of a node (`node.id`).
    BrokerId(i32)
}
number! {
    /// Incarnation of a broker, given at registration.
    BrokerEpoch(i64)
}
number! {
    /// Id that the cluster gave to a producer; −1 for none.
    ProducerId(i64)
}
number! {
    /// Epoch of a producer id; −1 for none.
    ProducerEpoch(i16)
}
number! {
    /// Milliseconds since 1970-01-01T00:00:00Z, or −1 for none.
    Millis(i64)
}

impl Offset {
    /// First offset of an empty, never truncated log.
    pub const ZERO: Self = Self(0);

    /// The offset `records` further on; saturates at the largest offset.
    #[must_use]
    pub fn plus(self, records: i64) -> Self {
        Self(self.0.saturating_add(records))
    }
}

impl LeaderEpoch {
    /// What a client sends when it does not know the epoch.
    pub const UNKNOWN: Self = Self(-1);
}

impl ProducerId {
    /// A record without an idempotent producer.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// A record without an idempotent producer.
    pub const NONE: Self = Self(-1);
}

impl Millis {
    /// No timestamp.
    pub const NONE: Self = Self(-1);

    /// `millis` later; saturates.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A producer incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerIdAndEpoch {
    /// The id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

impl ProducerIdAndEpoch {
    /// No idempotent producer.
    pub const NONE: Self = Self { id: ProducerId::NONE, epoch: ProducerEpoch::NONE };
}
