//! What raft carries in this cluster.

use std::{collections::BTreeSet, fmt, sync::Arc};

use openraft::{impls::BasicNode, vote::RaftLeaderId};
use ottla_controller::MetadataRecord;

#[allow(deprecated)] // the macro names the runtime by its old path
mod declared {
    openraft::declare_raft_types!(
        /// Types of the metadata quorum.
        pub(crate) Types:
            D = super::Changes,
            R = (),
            NodeId = u64,
            Node = openraft::impls::BasicNode,
            LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
    );
}
pub(crate) use declared::Types;

/// Who leads, or wants to.
pub(crate) type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
/// Entry of the log.
pub(crate) type Entry = openraft::Entry<<LeaderId as RaftLeaderId>::Committed, Payload>;
/// What an entry carries.
pub(crate) type Payload = openraft::EntryPayload<Changes, u64, BasicNode>;
/// Place of an entry in the log.
pub(crate) type LogId = openraft::LogId<<LeaderId as RaftLeaderId>::Committed>;
/// A vote.
pub(crate) type Vote = openraft::impls::Vote<LeaderId>;
/// Voters and learners.
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
/// Voters and learners with the entry that made them so.
pub(crate) type StoredMembership = openraft::StoredMembership<<LeaderId as RaftLeaderId>::Committed, u64, BasicNode>;

/// Records of one or more decisions: one entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changes(pub(crate) Arc<Vec<MetadataRecord>>);

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.0.len())
    }
}

/// The place of entry `index` of the leader of `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new(term, 0).to_committed(), index)
}

/// The term of an entry's leader.
pub(crate) fn term_of(id: &LogId) -> u64 {
    *id.leader_id
}

/// A membership of these joint sets of voters and these nodes; none where a voter is no node.
pub(crate) fn membership(
    voters: Vec<BTreeSet<u64>>,
    nodes: impl IntoIterator<Item = (u64, BasicNode)>,
) -> Option<Membership> {
    let nodes: std::collections::BTreeMap<_, _> = nodes.into_iter().collect();
    Membership::new(voters, nodes).ok()
}
