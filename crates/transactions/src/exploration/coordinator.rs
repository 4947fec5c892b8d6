//! The machine under exploration: from what it holds and what it is asked, to what it holds then and what it answers.

use std::{collections::HashMap, sync::Arc};

use ottla_controller::MetadataImage;
use ottla_coordinator::{Outcome, Shard, Ticket};
use ottla_types::{
    ErrorCode, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TopicName, TopicPartition,
};

use super::network::Message;
use crate::{
    TransactionReply, TransactionRequest, TransactionShard, expire,
    shard::{Decided, Entry},
    state::Transaction,
};

const ID: &str = "t";
const NOW: Millis = Millis(1_000);
const TIMEOUT_MS: i32 = 60_000;
/// Who always waits for orders; all others are answered at once.
const MARKERS: Ticket = Ticket(0);
const ASKING: Ticket = Ticket(1);

/// What happens to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Init {
        expected: Option<ProducerIdAndEpoch>,
    },
    Add {
        by: ProducerIdAndEpoch,
        partition: u8,
    },
    End {
        by: ProducerIdAndEpoch,
        commit: bool,
    },
    Written {
        by: ProducerIdAndEpoch,
        decided: Millis,
        partition: u8,
    },
    /// What is open has been open for too long.
    TimeOut,
    /// It dies, and another one loads what it wrote.
    Crash,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) entry: Option<Entry>,
    pub(super) result: Result<ProducerIdAndEpoch, ErrorCode>,
    pub(super) markers: Vec<Message>,
}

/// Asks a shard that holds `entry`.
pub(super) struct Coordinator {
    image: MetadataImage,
    topic: TopicName,
    bumps: bool,
}

impl Coordinator {
    pub(super) fn new(bumps: bool) -> Self {
        Self { image: MetadataImage::default(), topic: TopicName::new("a").unwrap(), bumps }
    }

    pub(super) fn name(&self, partition: u8) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: PartitionIndex(i32::from(partition)) }
    }

    /// What it holds of a producer that had this epoch before all begins.
    pub(super) fn entry_at(&self, epoch: i16) -> Entry {
        let mut hard = Transaction::new(ProducerId(1), TIMEOUT_MS, NOW);
        hard.producer.epoch = ProducerEpoch(epoch);
        let mut shard = self.shard(None);
        shard.replay(Offset(0), None, hard.record(ID));
        shard.ids.remove(ID).unwrap()
    }

    pub(super) fn ask(&self, entry: Option<&Entry>, asked: Asked) -> Answer {
        let mut shard = self.shard(entry);
        let mut answer = Answer { entry: None, result: Err(ErrorCode::None), markers: Vec::new() };
        // Ids are given in order, so that one above all that are known is nobody's.
        let known = entry.map_or(0, |entry| entry.hard.producer.id.max(entry.hard.next).0);
        let fresh = Some(ProducerId(known + 1));
        let transactional_id = ID.to_owned();
        let request = match asked {
            Asked::Init { expected } => {
                TransactionRequest::Init { version: 5, transactional_id, timeout_ms: TIMEOUT_MS, expected, fresh }
            }
            Asked::Add { by, partition } => TransactionRequest::AddPartitions {
                version: if self.bumps { 5 } else { 3 },
                transactional_id,
                producer: by,
                partitions: vec![self.name(partition)],
                verify_only: false,
            },
            Asked::End { by, commit } => TransactionRequest::End {
                version: if self.bumps { 5 } else { 4 },
                transactional_id,
                producer: by,
                outcome: if commit { Outcome::Commit } else { Outcome::Abort },
                fresh,
            },
            Asked::Written { by, decided, partition } => {
                let partitions = vec![self.name(partition)];
                TransactionRequest::MarkersWritten { transactional_id, producer: by, decided, partitions }
            }
            Asked::TimeOut => {
                let decided = expire::expire(&mut shard, NOW, ID);
                return self.carry_out(shard, decided, answer);
            }
            Asked::Crash => {
                let record = shard.ids[ID].hard.record(ID);
                shard = self.shard(None);
                shard.replay(Offset(0), None, record);
                let mut decided = shard.loaded(NOW, &self.image);
                // Who waited is gone, and another one comes.
                shard.markers = Default::default();
                let reloaded = shard.loaded(NOW, &self.image);
                assert_eq!(decided, reloaded);
                decided.extend(shard.decide(NOW, &self.image, MARKERS, TransactionRequest::NextMarkers));
                return self.carry_out(shard, decided, answer);
            }
        };
        let decided = shard.decide(NOW, &self.image, ASKING, request);
        for (_, reply) in &decided.replies {
            match reply {
                TransactionReply::Init(result) | TransactionReply::End(result) => answer.result = *result,
                TransactionReply::AddPartitions(codes) if codes == &[ErrorCode::None] => {
                    answer.result = Ok(ProducerIdAndEpoch::NONE);
                }
                TransactionReply::AddPartitions(codes) => answer.result = Err(codes[0]),
                TransactionReply::NextMarkers(_) | TransactionReply::MarkersWritten => {}
                other => panic!("{other:?}"),
            }
        }
        self.carry_out(shard, decided, answer)
    }

    /// A shard with somebody who waits for orders.
    fn shard(&self, entry: Option<&Entry>) -> TransactionShard {
        let mut shard = TransactionShard::new(Arc::new(crate::tests::settings()));
        shard.ids = entry.map(|entry| HashMap::from([(ID.to_owned(), entry.clone())])).unwrap_or_default();
        let parked = shard.decide(NOW, &self.image, MARKERS, TransactionRequest::NextMarkers);
        assert_eq!(parked, Decided::none());
        shard
    }

    /// Orders go to the partitions at once.
    fn carry_out(&self, mut shard: TransactionShard, decided: Decided, mut answer: Answer) -> Answer {
        for record in decided.records {
            shard.replay(Offset(0), None, record);
        }
        for (_, reply) in decided.replies {
            let TransactionReply::NextMarkers(order) = reply else { continue };
            answer.markers.extend(order.partitions.iter().map(|partition| Message::Marker {
                by: order.producer,
                commit: order.outcome == Outcome::Commit,
                decided: order.decided,
                partition: partition.partition.0 as u8,
            }));
        }
        answer.entry = shard.ids.remove(ID);
        answer
    }
}
