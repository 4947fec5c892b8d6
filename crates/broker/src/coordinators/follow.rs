//! Metadata, applied to the partitions first, then to the coordinators that live in them.

use std::sync::Arc;

use ottla_controller::{MetadataDelta, MetadataImage};
use ottla_quorum::MetadataListener;

use super::{Groups, Transactions};
use crate::replicas::Replicas;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct FollowMetadata {
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) transactions: Arc<Transactions>,
}

impl MetadataListener for FollowMetadata {
    fn apply(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.replicas.apply(delta, image);
        self.groups.apply(image);
        self.transactions.apply(image);
        let deleted: Vec<_> = delta.deleted.values().map(|topic| topic.name.as_str()).collect();
        if !deleted.is_empty() {
            self.groups.topics_deleted(&deleted);
        }
    }
}
