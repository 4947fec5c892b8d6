//! Producer ids, taken from the cluster in blocks.
//!
//! Invariant: an id is given out once, over all brokers and restarts: blocks are committed before they are used.

use std::ops::Range;

use ottla_controller::{AllocateProducerIds, ProducerIdsError};
use ottla_quorum::{Quorum, SubmitError};
use ottla_types::{BrokerEpoch, BrokerId, ProducerId};
use tokio::sync::Mutex;

/// What is left of this broker's block.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    left: Mutex<Range<i64>>,
}

/// Why there is no producer id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoProducerId {
    /// The quorum does not answer.
    #[error(transparent)]
    Quorum(#[from] SubmitError),
    /// The controller refuses.
    #[error(transparent)]
    Refused(#[from] ProducerIdsError),
}

impl ProducerIds {
    /// An id that nobody else has.
    ///
    /// # Errors
    /// The cluster gave no block.
    pub(crate) async fn next(
        &self,
        quorum: &Quorum,
        broker: BrokerId,
        broker_epoch: BrokerEpoch,
    ) -> Result<ProducerId, NoProducerId> {
        let mut left = self.left.lock().await;
        if left.is_empty() {
            let block = quorum.submit(AllocateProducerIds { broker, broker_epoch }).await??;
            *left = block.first..block.first + i64::from(block.len);
        }
        let id = left.start;
        left.start += 1;
        Ok(ProducerId(id))
    }
}
