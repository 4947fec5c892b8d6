//! Where the replicas of new partitions go: striped over racks, and over the brokers of each rack.
//!
//! Invariants: no broker holds two replicas of a partition; the first replica is on a live broker; over many
//! partitions every broker of racks of one size holds as many replicas, and leads as many partitions, as the others
//! (give or take one); with as many racks as replicas, no two replicas share a rack.

use std::collections::BTreeMap;

use ottla_types::BrokerId;

use crate::image::MetadataImage;

/// Why replicas cannot be placed; Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// More replicas than brokers.
    #[error(
        "The target replication factor of {wanted} cannot be reached because only {registered} broker(s) are \
         registered or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers {
        /// Replicas asked for.
        wanted: i16,
        /// Brokers there are.
        registered: usize,
    },
    /// No broker can lead.
    #[error("All brokers are currently fenced or have all their log directories cordoned.")]
    AllFenced,
    /// No replica at all.
    #[error("Invalid replication factor {0}: the replication factor must be positive.")]
    NotPositive(i16),
}

/// Brokers of one rack, live ones and fenced ones, each taken in turn.
#[derive(Clone, Debug, Default)]
struct Rack {
    live: Vec<BrokerId>,
    fenced: Vec<BrokerId>,
    turn: usize,
}

impl Rack {
    /// The next broker of the rack that holds no replica yet; live ones first.
    fn pick(&self, chosen: &[BrokerId], live_only: bool) -> Option<BrokerId> {
        let from = |brokers: &[BrokerId]| {
            let count = brokers.len();
            (0..count).map(|step| brokers[(self.turn + step) % count]).find(|broker| !chosen.contains(broker))
        };
        from(&self.live).or_else(|| if live_only { None } else { from(&self.fenced) })
    }
}

/// Places partition after partition.
#[derive(Clone, Debug)]
pub struct ReplicaPlacement {
    racks: Vec<Rack>,
    /// Rack in which the next partition's first replica goes.
    turn: usize,
    live: usize,
    registered: usize,
}

impl ReplicaPlacement {
    /// Placement over the brokers of `image`, starting at `start`.
    #[must_use]
    pub fn new(image: &MetadataImage, start: u64) -> Self {
        let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        for (id, broker) in image.brokers() {
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            if image.is_active(*id) { rack.live.push(*id) } else { rack.fenced.push(*id) }
        }
        let mut racks: Vec<_> = racks.into_values().collect();
        let start = (start % (1 << 32)) as usize;
        let turn = if racks.is_empty() { 0 } else { start % racks.len() };
        let rack_turn = if racks.is_empty() { 0 } else { start / racks.len() };
        racks.iter_mut().for_each(|rack| rack.turn = rack_turn);
        let live = racks.iter().map(|rack| rack.live.len()).sum();
        let registered = image.brokers().len();
        Self { racks, turn, live, registered }
    }

    /// Brokers that can lead.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    /// Replicas of the next partition; the first is the preferred leader.
    ///
    /// # Errors
    /// As [`PlacementError`] says.
    pub fn place(&mut self, replication_factor: i16) -> Result<Vec<BrokerId>, PlacementError> {
        let wanted = usize::try_from(replication_factor).unwrap_or(0);
        if wanted == 0 {
            return Err(PlacementError::NotPositive(replication_factor));
        }
        if wanted > self.registered {
            return Err(PlacementError::TooFewBrokers { wanted: replication_factor, registered: self.registered });
        }
        if self.live == 0 {
            return Err(PlacementError::AllFenced);
        }
        let first = self.first_rack();
        let replicas = self.replicas(first, wanted);
        self.advance(first);
        Ok(replicas)
    }

    /// The first rack from `turn` on that can lead.
    fn first_rack(&self) -> usize {
        let count = self.racks.len();
        (0..count).map(|step| (self.turn + step) % count).find(|at| !self.racks[*at].live.is_empty()).unwrap_or(0)
    }

    fn replicas(&self, first: usize, wanted: usize) -> Vec<BrokerId> {
        let mut replicas = Vec::with_capacity(wanted);
        let mut at = first;
        while replicas.len() < wanted {
            // Some rack always has a broker left: `wanted` is at most the number of brokers.
            let live_only = replicas.is_empty();
            replicas.extend(self.racks[at].pick(&replicas, live_only));
            at = (at + 1) % self.racks.len();
        }
        replicas
    }

    fn advance(&mut self, first: usize) {
        self.turn = (first + 1) % self.racks.len();
        if self.turn <= first {
            // Once round: each rack starts with its next broker.
            self.racks.iter_mut().for_each(|rack| rack.turn += 1);
        }
    }
}
