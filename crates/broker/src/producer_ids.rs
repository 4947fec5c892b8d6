//! Producer ids, taken from the cluster in blocks.
//!
//! Invariant: an id is given out once, over all brokers and restarts: blocks are committed before they are used.

use std::ops::Range;

use ottla_quorum::{Quorum, SubmitError};
use ottla_types::ProducerId;
use tokio::sync::Mutex;

/// What is left of this broker's block.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    left: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// An id that nobody else has.
    ///
    /// # Errors
    /// The cluster gave no block.
    pub(crate) async fn next(&self, quorum: &Quorum) -> Result<ProducerId, SubmitError> {
        let mut left = self.left.lock().await;
        if left.is_empty() {
            *left = quorum.allocate_producer_ids().await?;
        }
        let id = left.start;
        left.start += 1;
        Ok(ProducerId(id))
    }
}
