//! The narrow face of a replicated log of metadata records.

use std::{future::Future, sync::Arc};

use ottla_controller::MetadataRecord;

/// Why records were not committed, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposeError {
    /// Another node leads; nothing was written.
    #[error("this node does not lead the metadata quorum")]
    NotLeader,
    /// The log stopped, by order or because its disk failed; the records may or may not be committed.
    #[error("the metadata log has stopped")]
    Stopped,
}

/// A log of metadata records that a quorum commits.
pub(crate) trait MetadataLog: Send + Sync + 'static {
    /// Commits `records` as one entry, all or nothing; gives its index once it is durable on a quorum and applied here.
    ///
    /// # Errors
    /// As [`ProposeError`] says.
    fn propose(&self, records: Arc<Vec<MetadataRecord>>) -> impl Future<Output = Result<u64, ProposeError>> + Send;

    /// Whether this node may propose.
    fn is_leader(&self) -> bool;

    /// Stops; what was proposed before is committed or refused.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}
