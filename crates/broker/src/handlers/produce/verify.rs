//! Transactional batches before they are appended: is the transaction known to its coordinator?
//!
//! A partition that has an open transaction of the producer needs no look; the others are added to the transaction, or looked
//! for in it, with one request for all of them. The log gives a guard before the coordinator is asked and wants it back with
//! the batch: were the transaction ended in between, the batch would begin one that nobody ends.

use std::collections::{HashMap, HashSet};

use ottla_log::{ToVerify, Verification};
use ottla_records::BatchHeader;
use ottla_types::{Compression, ErrorCode, LeaderEpoch, PartitionIndex, ProducerIdAndEpoch, TopicPartition};
use ottla_wire::{
    Records,
    messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData},
};

use super::{Refused, ZSTD_FROM, hosted};
use crate::{
    durability::Place,
    handlers::enlist::{Support, enlist},
    node::Node,
    replicas::{Partition, producer_error_code},
};

/// Where the attributes stand in a batch, and the bit of them that says it is part of a transaction.
const ATTRIBUTES_LOW_AT: usize = 22;
const TRANSACTIONAL_BIT: u8 = 0x10;

/// How the batches may be appended, by their places in the request. A batch that is part of no transaction has no entry.
#[derive(Debug, Default)]
pub(super) struct Verdicts(HashMap<Place, Result<Verification, Refused>>);

/// A request whose partitions have been looked at.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) verdicts: Verdicts,
    support: Support,
    /// Whose transaction; none where no batch is part of one.
    producer: Option<ProducerIdAndEpoch>,
    /// The coordinator has to say about these.
    asking: Vec<(Place, TopicPartition)>,
}

/// Whether a batch says that it is part of a transaction; false for what is no batch.
pub(super) fn is_transactional(batch: &[u8]) -> bool {
    batch.get(ATTRIBUTES_LOW_AT).is_some_and(|attributes| attributes & TRANSACTIONAL_BIT != 0)
}

impl Verdicts {
    pub(super) fn of(&self, place: Place) -> Option<&Result<Verification, Refused>> {
        // Most requests are part of no transaction.
        if self.0.is_empty() { None } else { self.0.get(&place) }
    }
}

impl Begun {
    /// Looks at all partitions of a request with a transactional id.
    ///
    /// # Errors
    /// The batches are of more than one producer; nothing of the request is appended then.
    pub(super) fn of(node: &Node, version: i16, request: &ProduceRequest) -> Result<Self, Refused> {
        let mut this = Self {
            verdicts: Verdicts::default(),
            support: Support::of_produce(version),
            producer: None,
            asking: Vec::new(),
        };
        let mut producers = HashSet::new();
        let asks = this.support.asks(node);
        for (topic_at, topic) in request.topic_data.iter().enumerate() {
            for (at, data) in topic.partition_data.iter().enumerate() {
                let Some(header) = transactional(version, data) else { continue };
                producers.insert(header.producer());
                this.producer = Some(header.producer());
                if !asks {
                    this.verdicts.0.insert((topic_at, at), Ok(Verification::Off));
                } else if let Some(partition) = partition(node, version, topic, data) {
                    this.look(node, &partition, &header, (topic_at, at));
                }
            }
        }
        if producers.len() > 1 {
            let message = "The transactional batches are of more than one producer.";
            return Err(Refused::saying(ErrorCode::InvalidProducerIdMapping, message));
        }
        Ok(this)
    }

    fn look(&mut self, node: &Node, partition: &Partition, header: &BatchHeader, place: Place) {
        // Appending will say what is wrong with it.
        let Ok(log) = partition.leader_log(LeaderEpoch::UNKNOWN) else { return };
        let ask = ToVerify {
            producer: header.producer(),
            base_sequence: header.base_sequence,
            bumps_epochs: self.support.bumps_epochs(),
        };
        let verdict = log.verify(&ask, node.clock.now());
        if matches!(verdict, Ok(Verification::Guard(_))) {
            self.asking.push((place, partition.id.clone()));
        }
        self.verdicts.0.insert(place, verdict.map_err(|error| refusal(producer_error_code(&error), self.support)));
    }

    /// Whether the coordinator need not be asked.
    pub(super) fn is_over(&self) -> bool {
        self.asking.is_empty()
    }

    /// Asks the coordinator.
    pub(super) async fn finish(mut self, node: &Node, transactional_id: &str) -> Verdicts {
        let Some(producer) = self.producer else { return self.verdicts };
        let partitions = self.asking.iter().map(|(_, partition)| partition.clone()).collect();
        let codes = enlist(node, self.support, transactional_id, producer, partitions).await;
        for ((place, _), code) in self.asking.into_iter().zip(codes) {
            if code != ErrorCode::None {
                self.verdicts.0.insert(place, Err(refusal(code, self.support)));
            }
        }
        self.verdicts
    }
}

/// The batch's header where it is part of a transaction and so well formed that appending looks at its producer.
fn transactional(version: i16, data: &PartitionProduceData) -> Option<BatchHeader> {
    let Some(Records::Bytes(bytes)) = &data.records else { return None };
    let header = BatchHeader::parse(bytes).ok()?;
    let alone = header.size_in_bytes() == bytes.len();
    let readable = version >= ZSTD_FROM || header.attributes.compression() != Ok(Compression::Zstd);
    let counts = header.attributes.is_transactional() && header.has_producer_id() && alone && readable;
    counts.then_some(header)
}

fn partition(
    node: &Node,
    version: i16,
    topic: &TopicProduceData,
    data: &PartitionProduceData,
) -> Option<std::sync::Arc<Partition>> {
    hosted(node, version, topic).ok()?.partition(PartitionIndex(data.index))
}

/// What the producer is told. Errors that pass are told in words that every producer takes as such, without asking for
/// metadata anew.
fn refusal(error: ErrorCode, support: Support) -> Refused {
    let unable = || {
        let reason = error.name();
        Refused::saying(
            ErrorCode::NotEnoughReplicas,
            format!("The partition could not be found in the transaction yet: {reason}"),
        )
    };
    match error {
        ErrorCode::InvalidTxnState => Refused::saying(error, "The partition is not part of the transaction."),
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => unable(),
        // Common between two transactions of version 2, whose producers know it.
        ErrorCode::ConcurrentTransactions if !support.bumps_epochs() => unable(),
        error => Refused::because(error),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ottla_records::BatchBuilder;
    use ottla_types::{Millis, ProducerEpoch, ProducerId};

    use super::*;

    fn batch(transactional: bool) -> Bytes {
        let producer = ProducerIdAndEpoch { id: ProducerId(7), epoch: ProducerEpoch(1) };
        let mut builder = BatchBuilder::new().producer(producer, 0).transactional(transactional);
        builder.append(Millis(1), None, Some(b"value"));
        builder.build().unwrap()
    }

    fn header(version: i16, bytes: Bytes) -> Option<BatchHeader> {
        transactional(version, &PartitionProduceData { index: 0, records: Some(bytes.into()) })
    }

    #[test]
    fn a_look_at_one_byte_tells_what_the_header_says() {
        for is in [false, true] {
            let bytes = batch(is);
            assert_eq!(is_transactional(&bytes), is);
            assert_eq!(BatchHeader::parse(&bytes).unwrap().attributes.is_transactional(), is);
            assert_eq!(header(12, bytes).is_some(), is);
        }
        assert!(!is_transactional(b"short"));
    }

    #[test]
    fn what_is_refused_anyway_is_not_asked_about() {
        let two = [&batch(true)[..], &batch(true)[..]].concat();
        let half = batch(true).slice(..70);
        for bytes in [two.into(), half, Bytes::new()] {
            assert_eq!(header(12, bytes), None);
        }
    }

    #[test]
    fn errors_that_pass_look_so_to_every_producer() {
        let code = |error, version| refusal(error, Support::of_produce(version)).error;
        for error in
            [ErrorCode::NotCoordinator, ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable]
        {
            assert_eq!(
                (code(error, 11), code(error, 12)),
                (ErrorCode::NotEnoughReplicas, ErrorCode::NotEnoughReplicas)
            );
        }
        assert_eq!(code(ErrorCode::ConcurrentTransactions, 11), ErrorCode::NotEnoughReplicas);
        assert_eq!(code(ErrorCode::ConcurrentTransactions, 12), ErrorCode::ConcurrentTransactions);
        assert_eq!(code(ErrorCode::TransactionAbortable, 12), ErrorCode::TransactionAbortable);
    }
}
