//! Partitions on their way into a transaction: before a first batch is appended, its partition is added, or found there.
//!
//! With version 2 of transactions the write itself adds the partition; before, the client has added it and is taken at its
//! word only where `transaction.partition.verification.enable` is off. Codes are what clients of each version know how to
//! take.

use std::time::{Duration, Instant};

use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{ErrorCode, ProducerIdAndEpoch, TopicPartition};

use super::transactions::ask;
use crate::node::Node;

/// Version of `AddPartitionsToTxn` that verifies.
const VERIFIES: i16 = 4;
/// Version of `AddPartitionsToTxn` of producers that run version 2 of transactions.
const ADDS: i16 = 5;

/// What a client takes part in, by the version of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// Version 1 of transactions, without the code TRANSACTION_ABORTABLE.
    Early,
    /// Version 1 of transactions.
    Abortable,
    /// Version 2 of transactions.
    EpochBump,
}

impl Support {
    /// Of a produce request.
    pub(super) fn of_produce(version: i16) -> Self {
        Self::by(version, 11, 12)
    }

    /// Of `TxnOffsetCommit`.
    pub(super) fn of_offset_commit(version: i16) -> Self {
        Self::by(version, 4, 5)
    }

    fn by(version: i16, abortable: i16, epoch_bump: i16) -> Self {
        match version {
            version if version >= epoch_bump => Self::EpochBump,
            version if version >= abortable => Self::Abortable,
            _ => Self::Early,
        }
    }

    pub(super) fn bumps_epochs(self) -> bool {
        self == Self::EpochBump
    }

    /// Whether the coordinator is to be asked at all.
    pub(super) fn asks(self, node: &Node) -> bool {
        let key = "transaction.partition.verification.enable";
        self.bumps_epochs() || node.replicas.config().effective(key).is_none_or(|value| value.boolean())
    }

    fn code(self, error: ErrorCode) -> ErrorCode {
        match error {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if self == Self::Early => ErrorCode::InvalidTxnState,
            error => error,
        }
    }
}

/// Adds `partitions`, or looks whether they are there; a code for each. While the transaction before is being ended, the
/// addition is tried again for a while: that is the normal course between two transactions, not worth the client's pause.
pub(super) async fn enlist(
    node: &Node,
    support: Support,
    transactional_id: &str,
    producer: ProducerIdAndEpoch,
    partitions: Vec<TopicPartition>,
) -> Vec<ErrorCode> {
    let settings = &node.settings.transactions;
    let patience_ms = settings.add_partitions_retry_backoff_max_ms.min(node.settings.request_timeout_ms);
    let until = node.clock.now().plus(i64::from(patience_ms));
    let pause = Duration::from_millis(u64::try_from(settings.add_partitions_retry_backoff_ms).unwrap_or(0));
    let asked = Instant::now();
    loop {
        // Registered before the coordinator is asked, so that no end is missed in between.
        let settled = node.markers.settled();
        let codes = once(node, support, transactional_id, producer, &partitions).await;
        let again = support.bumps_epochs() && codes.contains(&ErrorCode::ConcurrentTransactions);
        if !again || node.clock.now() >= until {
            let refused = codes.iter().filter(|code| **code != ErrorCode::None).count();
            node.metrics.verification.failures.inc_by(refused as u64);
            node.metrics.verification.time.observe(asked.elapsed().as_secs_f64());
            return codes;
        }
        let _ = tokio::time::timeout(pause, settled).await;
    }
}

async fn once(
    node: &Node,
    support: Support,
    transactional_id: &str,
    producer: ProducerIdAndEpoch,
    partitions: &[TopicPartition],
) -> Vec<ErrorCode> {
    let request = TransactionRequest::AddPartitions {
        version: if support.bumps_epochs() { ADDS } else { VERIFIES },
        transactional_id: transactional_id.to_owned(),
        producer,
        partitions: partitions.to_vec(),
        verify_only: !support.bumps_epochs(),
    };
    let codes = match ask(node, transactional_id, request).await {
        Ok(TransactionReply::AddPartitions(codes)) if codes.len() == partitions.len() => codes,
        Ok(_) => vec![ErrorCode::CoordinatorNotAvailable; partitions.len()],
        Err(error) => vec![error; partitions.len()],
    };
    codes.into_iter().map(|code| support.code(code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_the_version_knows() {
        let of = |support: Support| {
            [ErrorCode::ProducerFenced, ErrorCode::TransactionAbortable, ErrorCode::ConcurrentTransactions]
                .map(|code| support.code(code))
        };
        let fenced = ErrorCode::InvalidProducerEpoch;
        let concurrent = ErrorCode::ConcurrentTransactions;
        for (support, expected) in [
            (Support::of_produce(10), [fenced, ErrorCode::InvalidTxnState, concurrent]),
            (Support::of_produce(11), [fenced, ErrorCode::TransactionAbortable, concurrent]),
            (Support::of_produce(13), [fenced, ErrorCode::TransactionAbortable, concurrent]),
            (Support::of_offset_commit(3), [fenced, ErrorCode::InvalidTxnState, concurrent]),
            (Support::of_offset_commit(4), [fenced, ErrorCode::TransactionAbortable, concurrent]),
        ] {
            assert_eq!(of(support), expected, "{support:?}");
        }
    }

    #[test]
    fn only_producers_of_version_2_add_as_they_write() {
        assert!(!Support::of_produce(11).bumps_epochs() && Support::of_produce(12).bumps_epochs());
        assert!(!Support::of_offset_commit(4).bumps_epochs() && Support::of_offset_commit(5).bumps_epochs());
    }
}
