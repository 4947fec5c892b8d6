//! Why a request is not granted.

use ottla_types::ErrorCode;

/// See the file's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// To be mended by the client's author.
    #[error("an empty transactional id")]
    EmptyId,
    /// To be mended by the client's settings.
    #[error("the timeout is none, or longer than allowed")]
    Timeout,
    /// Fatal for the producer.
    #[error("the transactional id has another producer id, or is not known")]
    ProducerId,
    /// Fatal for the producer, which another one succeeded.
    #[error("the epoch is not that of the producer")]
    Fenced,
    /// To be repeated.
    #[error("the end of a transaction is under way")]
    Concurrent,
    /// Fatal for the producer.
    #[error("the transaction is not in a state to be ended so")]
    State,
    /// The producer has to abort.
    #[error("the partition is not in the transaction")]
    NotInTransaction,
}

impl Refused {
    /// The code for a request of `version`; fenced producers have one of their own from `fenced_version` on.
    pub(crate) fn code(self, version: i16, fenced_version: i16) -> ErrorCode {
        match self {
            Self::EmptyId => ErrorCode::InvalidRequest,
            Self::Timeout => ErrorCode::InvalidTransactionTimeout,
            Self::ProducerId => ErrorCode::InvalidProducerIdMapping,
            Self::Fenced if version < fenced_version => ErrorCode::InvalidProducerEpoch,
            Self::Fenced => ErrorCode::ProducerFenced,
            Self::Concurrent => ErrorCode::ConcurrentTransactions,
            Self::State => ErrorCode::InvalidTxnState,
            Self::NotInTransaction => ErrorCode::TransactionAbortable,
        }
    }
}
