//! What the metadata says of the log directories, kept true: which are online, and which partition lies where.
//!
//! Invariant: whatever fails is reported as often as it takes; where that is not possible, clients get the same answers, for
//! the partitions know by themselves.

use std::{sync::Arc, time::Duration};

use ottla_controller::{AssignReplicas, SetDirectories};
use ottla_quorum::SubmitError;

use crate::node::Node;

/// How long until what could not be reported is reported again.
const AGAIN: Duration = Duration::from_secs(1);
/// Partitions reported at once.
const ASSIGNMENTS_MAX: usize = 10_000;

/// Never returns.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        if let Err(error) = report(&node).await {
            tracing::warn!(%error, "the state of the log directories cannot be reported");
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        node.replicas.directories_changed().await;
    }
}

/// Says which directories are online, and where partitions lie of which the metadata says otherwise.
///
/// # Errors
/// The controller took nothing.
pub(crate) async fn report(node: &Arc<Node>) -> Result<(), SubmitError> {
    let online = node.dirs.online_directories();
    let image = node.quorum.image();
    if image.broker(node.broker_id).is_some_and(|broker| broker.directories != online) {
        node.quorum.submit(SetDirectories { broker: node.broker_id, online }).await?;
    }
    let assignments: Vec<_> = unassigned(node).collect();
    for some in assignments.chunks(ASSIGNMENTS_MAX) {
        node.quorum.submit(AssignReplicas { broker: node.broker_id, assignments: some.to_vec() }).await?;
    }
    Ok(())
}

fn unassigned(
    node: &Node,
) -> impl Iterator<Item = (ottla_types::Uuid, ottla_types::PartitionIndex, ottla_types::Uuid)> {
    let partitions = node.replicas.topics().into_iter().flat_map(|topic| topic.partitions());
    partitions.filter_map(|partition| {
        let directory = partition.unassigned_directory()?;
        Some((partition.topic_id, partition.id.partition, directory))
    })
}
