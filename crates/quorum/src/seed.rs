//! The metadata log of a cluster that begins with metadata from elsewhere.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use openraft::{impls::BasicNode, vote::RaftVote};
use ottla_controller::MetadataImage;
use ottla_disk::Disk;
use ottla_types::BrokerId;

use crate::{
    raft::{LeaderId, StoredMembership, Vote, log_id, membership},
    store::{HardState, Snapshot},
};

/// Term of the leader that never was: elections go on from it.
const TERM: u64 = 1;

/// Writes a metadata log into `dir`, which is made: a quorum of `node` alone, whose log so far is a snapshot of `image`. All of it
/// is durable on return.
///
/// # Errors
/// As the file system says; `dir` then holds no log that opens.
pub fn seed(disk: &Arc<dyn Disk>, dir: &Path, node: BrokerId, image: &MetadataImage) -> io::Result<()> {
    let node = u64::try_from(node.0).map_err(io::Error::other)?;
    disk.create_dir_all(dir)?;
    let last = log_id(TERM, image.version());
    let members = membership(vec![BTreeSet::from([node])], [(node, BasicNode::new(""))]);
    let members = StoredMembership::new(Some(log_id(TERM, 0)), members.unwrap_or_default());
    Snapshot { last, membership: members, image: Arc::new(image.clone()) }.save(disk, dir)?;
    let vote = Vote::from_leader_id(LeaderId { term: TERM, voted_for: node }, true);
    HardState { node, vote: Some(vote), purged: Some(last), durable: Some(last) }.save(disk, dir)
}
