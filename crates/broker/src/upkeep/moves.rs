//! Moves of partitions between log directories, one chunk of one partition after the other.
//!
//! Invariant: the partition is served all the time; only appends to it wait while the copy takes its place.

use std::{sync::Arc, time::Duration};

use ottla_log::{MoveError, MoveState};
use ottla_types::TopicPartition;

use crate::node::Node;

/// How long a copy without room waits for some.
const AGAIN: Duration = Duration::from_secs(1);

/// What is left to do after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Nothing,
    /// All that is left waits for room.
    Waits,
    Something,
}

/// Never returns.
pub(crate) async fn run(node: Arc<Node>) {
    for (partition, to) in node.dirs.take_unfinished_moves() {
        match node.dirs.begin_move(&partition, &to, node.clock.now()) {
            Ok(_) => {}
            Err(error) => tracing::warn!(%partition, to = %to.display(), %error, "a move is not begun again"),
        }
    }
    loop {
        let worker = Arc::clone(&node);
        match tokio::task::spawn_blocking(move || round(&worker)).await {
            Ok(Left::Something) => {}
            Ok(Left::Waits) => tokio::time::sleep(AGAIN).await,
            Ok(Left::Nothing) => node.replicas.moves_asked().await,
            Err(error) => {
                tracing::error!(%error, "moving partitions failed");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn round(node: &Node) -> Left {
    node.dirs.moves().iter().map(|partition| advance(node, partition)).max().unwrap_or(Left::Nothing)
}

fn advance(node: &Node, partition: &TopicPartition) -> Left {
    match node.dirs.advance_move(partition, node.clock.now()) {
        Ok(MoveState::Goes) => Left::Something,
        Ok(MoveState::NoRoom) => Left::Waits,
        Ok(MoveState::CaughtUp) => match finish(node, partition) {
            Ok(()) => {
                tracing::info!(%partition, "moved to another log directory");
                node.replicas.look_at_directories();
                Left::Nothing
            }
            Err(error) => give_up(node, partition, &error),
        },
        Err(error) => give_up(node, partition, &error),
    }
}

fn finish(node: &Node, partition: &TopicPartition) -> Result<(), MoveError> {
    let hosted = node.replicas.by_name(partition.topic.as_str()).and_then(|topic| topic.partition(partition.partition));
    hosted.ok_or(MoveError::Nothing)?.finish_move()
}

fn give_up(node: &Node, partition: &TopicPartition, error: &MoveError) -> Left {
    tracing::error!(%partition, %error, "a move to another log directory was given up");
    node.dirs.give_up_move(partition, node.clock.now());
    Left::Nothing
}
