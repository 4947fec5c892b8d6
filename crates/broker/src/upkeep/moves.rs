//! Moves of partitions between log directories, one chunk of one partition after the other.
//!
//! Invariants: the partition is served all the time; only appends to it wait while the copy takes its place. No more is copied
//! than `replica.alter.log.dirs.io.max.bytes.per.second` allows, a chunk at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ottla_log::{MoveError, MoveState};
use ottla_types::TopicPartition;

use super::throttle::Throttle;
use crate::node::Node;

/// How long a copy without room waits for some, and how often there is a look at the rate.
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
    let mut mover = Mover { node, throttle: Throttle::default(), began: Instant::now() };
    loop {
        match mover.round().await {
            Left::Something => {}
            Left::Waits => tokio::time::sleep(AGAIN).await,
            Left::Nothing => mover.node.replicas.moves_asked().await,
        }
    }
}

struct Mover {
    node: Arc<Node>,
    throttle: Throttle,
    began: Instant,
}

impl Mover {
    /// A chunk of each partition that is on its way.
    async fn round(&mut self) -> Left {
        let mut left = Left::Nothing;
        for partition in self.node.dirs.moves() {
            self.pay().await;
            let worker = Arc::clone(&self.node);
            match tokio::task::spawn_blocking(move || advance(&worker, &partition)).await {
                Ok((more, bytes)) => {
                    self.throttle.spend(bytes);
                    left = left.max(more);
                }
                Err(error) => {
                    tracing::error!(%error, "moving a partition failed");
                    left = left.max(Left::Waits);
                }
            }
        }
        left
    }

    /// Waits until what was copied is paid for. The rate may change meanwhile.
    async fn pay(&mut self) {
        loop {
            let rate = self.node.replicas.config().alter_log_dirs_bytes_per_second();
            let wait = self.throttle.pay(self.began.elapsed(), rate as f64);
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait.min(AGAIN)).await;
        }
    }
}

/// What is left to do, and how many bytes were copied.
fn advance(node: &Node, partition: &TopicPartition) -> (Left, u64) {
    let (state, bytes) = match node.dirs.advance_move(partition, node.clock.now()) {
        Ok(progress) => (progress.state, progress.bytes),
        // It was given up while this waited for its turn.
        Err(MoveError::Nothing) if !node.dirs.moves().contains(partition) => return (Left::Nothing, 0),
        Err(error) => return (give_up(node, partition, &error), 0),
    };
    let left = match state {
        MoveState::Goes => Left::Something,
        MoveState::NoRoom => Left::Waits,
        MoveState::CaughtUp => match finish(node, partition) {
            Ok(()) => {
                tracing::info!(%partition, "moved to another log directory");
                node.replicas.look_at_directories();
                Left::Nothing
            }
            Err(error) => give_up(node, partition, &error),
        },
    };
    (left, bytes)
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
