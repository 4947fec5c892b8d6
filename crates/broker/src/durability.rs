//! Produce answers that wait until what was appended is on the disk (`flush.messages`).
//!
//! Invariant: consumers see a record that has to be flushed only once it is, whether or not its producer still waits.

use std::sync::Arc;

use ottla_log::{FlushError, Log};
use ottla_types::{ErrorCode, Offset};
use ottla_wire::messages::produce_response::ProduceResponse;
use tokio::sync::oneshot;

use crate::replicas::Partition;

/// Where in the response a partition stands: number of its topic, then its number there.
pub(crate) type Place = (usize, usize);

/// Lets consumers see what lies below `to` once it is on the disk, and says so then.
pub(crate) fn flushed(
    partition: Arc<Partition>,
    log: &Arc<Log>,
    to: Offset,
) -> oneshot::Receiver<Result<Offset, FlushError>> {
    let (done, flushed) = oneshot::channel();
    let committed = Arc::clone(log);
    let on_flush = move |result: Result<Offset, FlushError>| {
        if result.is_ok() {
            partition.commit(&committed, to);
        }
        // Whoever asked may be gone.
        let _ = done.send(result);
    };
    log.when_flushed(to, Box::new(on_flush));
    flushed
}

/// What one produce request waits for.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    flushes: Vec<(Place, oneshot::Receiver<Result<Offset, FlushError>>)>,
}

impl Pending {
    /// The partition at `place` in the response must be durable up to `to`.
    pub(crate) fn add(&mut self, place: Place, partition: Arc<Partition>, log: &Arc<Log>, to: Offset) {
        self.flushes.push((place, flushed(partition, log, to)));
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.flushes.is_empty()
    }

    /// Waits, and marks in `response` what could not be made durable.
    pub(crate) async fn settle(self, mut response: ProduceResponse) -> ProduceResponse {
        for ((topic, partition), flushed) in self.flushes {
            if matches!(flushed.await, Ok(Ok(_))) {
                continue;
            }
            if let Some(partition) =
                response.responses.get_mut(topic).and_then(|topic| topic.partition_responses.get_mut(partition))
            {
                partition.error_code = ErrorCode::KafkaStorageError.code();
                partition.base_offset = -1;
            }
        }
        response
    }
}
