//! Topics and partitions as the image holds them.

use std::sync::Arc;

use ottla_types::{BrokerId, PartitionIndex, TopicName, Uuid};

use super::SharedMap;
use crate::record::{PartitionChange, PartitionState};

/// A topic: its id and its partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    /// Its name.
    pub name: TopicName,
    /// Its id; another topic of the same name later has another.
    pub id: Uuid,
    /// Its partitions by number; numbers have no gaps and start at 0.
    pub partitions: SharedMap<PartitionIndex, Arc<PartitionState>>,
}

impl TopicImage {
    pub(crate) fn new(name: TopicName, id: Uuid) -> Self {
        Self { name, id, partitions: SharedMap::default() }
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, partition: PartitionIndex) -> Option<&Arc<PartitionState>> {
        self.partitions.get(&partition)
    }
}

impl PartitionState {
    /// A partition that was just created on `replicas`; those of them that are `alive` form its ISR and the first of
    /// these leads.
    #[must_use]
    pub fn created(replicas: Vec<BrokerId>, directories: Vec<Uuid>, alive: impl Fn(BrokerId) -> bool) -> Self {
        let isr: Vec<_> = replicas.iter().copied().filter(|replica| alive(*replica)).collect();
        Self {
            leader: isr.first().copied(),
            replicas,
            directories,
            isr,
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader_recovering: false,
            leader_epoch: 0.into(),
            partition_epoch: 0.into(),
        }
    }

    /// The registration after `change`.
    #[must_use]
    pub fn changed(&self, change: &PartitionChange) -> Self {
        let or = |new: &Option<Vec<BrokerId>>, old: &Vec<BrokerId>| new.clone().unwrap_or_else(|| old.clone());
        let epochs_passed = i32::from(change.leader.is_some());
        Self {
            replicas: or(&change.replicas, &self.replicas),
            directories: change.directories.clone().unwrap_or_else(|| self.directories.clone()),
            isr: or(&change.isr, &self.isr),
            elr: or(&change.elr, &self.elr),
            last_known_elr: or(&change.last_known_elr, &self.last_known_elr),
            removing_replicas: or(&change.removing_replicas, &self.removing_replicas),
            adding_replicas: or(&change.adding_replicas, &self.adding_replicas),
            leader: change.leader.unwrap_or(self.leader),
            leader_recovering: change.leader_recovering.unwrap_or(self.leader_recovering),
            leader_epoch: (self.leader_epoch.0.saturating_add(epochs_passed)).into(),
            partition_epoch: (self.partition_epoch.0.saturating_add(1)).into(),
        }
    }

    /// The replica that leads when it can: the first one.
    #[must_use]
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// Log directory of one replica; none for a broker that holds no replica or has not named it.
    #[must_use]
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(at).copied().filter(|directory| !directory.is_zero())
    }
}
