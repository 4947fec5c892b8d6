//! What the coordinator of transactions is asked and what it answers, one transactional id at a time.

use ottla_coordinator::Outcome;
use ottla_types::{ErrorCode, Millis, ProducerId, ProducerIdAndEpoch, TopicPartition};
use ottla_wire::messages::{describe_transactions_response, list_transactions_response};

/// See the file's head. `version` is the request's.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields carry the request of the variant's name
pub enum TransactionRequest {
    /// `InitProducerId`: enter, fencing who has the id. `expected` is what the producer had before, if it says so. `fresh` is an id
    /// that nobody has; without one [`TransactionReply::NeedsProducerId`] is the answer where one is needed.
    Init {
        version: i16,
        transactional_id: String,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
        fresh: Option<ProducerId>,
    },
    /// `AddPartitionsToTxn`, also for `AddOffsetsToTxn` (as version 3 at most, which is a client of version 1 of transactions) and
    /// for what a produce request or an offset commit adds on its way (as version 4 or 5). With `verify_only` nothing is added:
    /// the partitions must be in the transaction.
    AddPartitions {
        version: i16,
        transactional_id: String,
        producer: ProducerIdAndEpoch,
        partitions: Vec<TopicPartition>,
        verify_only: bool,
    },
    /// `EndTxn`. `fresh` as with `Init`: a producer whose epochs are used up goes on under a new id.
    End {
        version: i16,
        transactional_id: String,
        producer: ProducerIdAndEpoch,
        outcome: Outcome,
        fresh: Option<ProducerId>,
    },
    /// `DescribeTransactions` of one id.
    Describe { transactional_id: String },
    /// `ListTransactions`, with those filters that cost little: they let everything through where they are empty, or negative.
    List { states: Vec<String>, producers: Vec<ProducerId>, duration_ms: i64 },
    /// Parked until a transaction is decided whose markers nobody has taken yet.
    NextMarkers,
    /// The markers of these partitions are in their logs, or the partitions are gone. The other fields are those of the order.
    MarkersWritten {
        transactional_id: String,
        producer: ProducerIdAndEpoch,
        decided: Millis,
        partitions: Vec<TopicPartition>,
    },
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named as the requests
pub enum TransactionReply {
    Init(Result<ProducerIdAndEpoch, ErrorCode>),
    /// One code per partition, in the order of the request.
    AddPartitions(Vec<ErrorCode>),
    /// With version 2 of transactions, what the producer goes on with.
    End(Result<ProducerIdAndEpoch, ErrorCode>),
    Describe(describe_transactions_response::TransactionState),
    List {
        unknown_states: Vec<String>,
        listed: Vec<list_transactions_response::TransactionState>,
    },
    NextMarkers(MarkerOrder),
    MarkersWritten,
    /// Ask again with a fresh producer id.
    NeedsProducerId,
}

/// Markers to be written, and told of by [`TransactionRequest::MarkersWritten`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerOrder {
    /// Whose transaction.
    pub transactional_id: String,
    /// Id and epoch that the markers carry.
    pub producer: ProducerIdAndEpoch,
    /// How it ended.
    pub outcome: Outcome,
    /// When: no two transactions of a transactional id have the same. With it, a late word of markers cannot be taken for one of a
    /// later transaction, which with versions 0 and 1 has the same producer.
    pub decided: Millis,
    /// Version of transactions (0, 1 or 2) that it ran under.
    pub transaction_version: i8,
    /// Where the markers go; never empty.
    pub partitions: Vec<TopicPartition>,
}
