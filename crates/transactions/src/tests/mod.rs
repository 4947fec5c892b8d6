//! The machine from outside: requests and time in; replies and records out. Every step of every test checks the laws.
#![allow(clippy::unwrap_used)] // a test may

mod adding;
mod entering;
mod expiring;
mod fenced;
mod keeping;
mod loading;
mod marking;
mod records;
mod schedules;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_config::TransactionSettings;
use ottla_controller::MetadataImage;
use ottla_coordinator::{Outcome, Shard, Ticket};
use ottla_types::{
    ErrorCode, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TopicName, TopicPartition,
};

use crate::{
    MarkerOrder, TransactionRecord, TransactionReply, TransactionRequest, TransactionShard,
    shard::Decided,
    state::{State, Transaction},
};

const ID: &str = "t";
const TIMEOUT_MS: i32 = 60_000;
const TIMEOUT_MAX_MS: i32 = 900_000;
const ABORT_EVERY_MS: i32 = 10_000;
const FORGET_AFTER_MS: i32 = 604_800_000;
const FORGET_EVERY_MS: i32 = 3_600_000;
/// Version of `InitProducerId`.
const INIT: i16 = 5;
/// Versions of `EndTxn` and `AddPartitionsToTxn` whose clients keep the epoch, and whose clients bump it.
const KEEPS: i16 = 4;
const BUMPS: i16 = 5;
const ADDS_KEEPING: i16 = 3;

pub(crate) fn settings() -> TransactionSettings {
    TransactionSettings {
        state_log_num_partitions: 50,
        state_log_replication_factor: 1,
        state_log_min_isr: 1,
        state_log_segment_bytes: 1 << 20,
        max_timeout_ms: TIMEOUT_MAX_MS,
        transactional_id_expiration_ms: FORGET_AFTER_MS,
        abort_timed_out_interval_ms: ABORT_EVERY_MS,
        remove_expired_interval_ms: FORGET_EVERY_MS,
        partition_verification_enable: true,
        producer_id_expiration_ms: 86_400_000,
        producer_id_expiration_check_interval_ms: 600_000,
        add_partitions_retry_backoff_ms: 20,
        add_partitions_retry_backoff_max_ms: 100,
    }
}

fn producer(id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}

fn partition(name: &str) -> TopicPartition {
    let (topic, index) = name.split_once('-').unwrap();
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(index.parse().unwrap()) }
}

fn partitions(names: &[&str]) -> Vec<TopicPartition> {
    names.iter().map(|name| partition(name)).collect()
}

/// A shard, its log, and who asked it what.
#[derive(Clone)]
struct World {
    shard: TransactionShard,
    now: Millis,
    log: Vec<TransactionRecord>,
    asked: u64,
    open: BTreeSet<Ticket>,
    replies: BTreeMap<Ticket, TransactionReply>,
    /// The next id that the cluster gives to a producer.
    fresh: i64,
}

impl World {
    fn new() -> Self {
        Self {
            shard: TransactionShard::new(Arc::new(settings())),
            now: Millis(1_000_000),
            log: Vec::new(),
            asked: 0,
            open: BTreeSet::new(),
            replies: BTreeMap::new(),
            fresh: 1_000,
        }
    }

    /// With one producer, 1000 at epoch 0.
    fn entered() -> Self {
        let mut world = Self::new();
        assert_eq!(world.init(None), Ok(producer(1_000, 0)));
        world
    }

    fn ask(&mut self, request: TransactionRequest) -> Ticket {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        self.open.insert(ticket);
        self.step(|shard, now, image| shard.decide(now, image, ticket, request.clone()));
        ticket
    }

    fn answer(&mut self, request: TransactionRequest) -> TransactionReply {
        let ticket = self.ask(request);
        self.replies.remove(&ticket).unwrap()
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, millis: i64) {
        let until = self.now.plus(millis);
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.step(|shard, now, image| shard.expire(now, image));
        }
        self.now = until;
    }

    /// One decision as the runtime makes it: records first, then replies.
    fn step(&mut self, decide: impl Fn(&mut TransactionShard, Millis, &MetadataImage) -> Decided) {
        let (image, before) = (MetadataImage::default(), hard(&self.shard));
        let mut twin = self.shard.clone();
        let decided = decide(&mut self.shard, self.now, &image);
        assert_eq!(decided, decide(&mut twin, self.now, &image), "the same decision twice");
        assert_eq!((&self.shard.ids, &self.shard.markers), (&twin.ids, &twin.markers), "the same soft state twice");
        assert_eq!(hard(&self.shard), before, "a decision leaves the hard state alone");
        for record in decided.records {
            let (key, value) = record.encode().unwrap();
            assert_eq!(TransactionRecord::decode(Some(key), value).unwrap(), record, "records survive the log");
            self.log.push(record.clone());
            let before = hard(&self.shard);
            self.shard.replay(Offset(self.log.len() as i64), None, record);
            check_step(&before, &hard(&self.shard));
        }
        for (ticket, reply) in decided.replies {
            assert!(self.open.remove(&ticket), "{ticket:?} was never asked, or answered before: {reply:?}");
            self.replies.insert(ticket, reply);
        }
        let rebuilt = self.rebuilt();
        assert_eq!(hard(&rebuilt), hard(&self.shard), "the log gives the hard state");
        assert_eq!(rebuilt.timers, self.shard.timers, "and the deadlines");
        for entry in self.shard.ids.values() {
            assert_eq!(entry.unmarked.is_empty(), entry.hard.state.prepared().is_none(), "{entry:?}");
        }
    }

    /// What the log alone says.
    fn rebuilt(&self) -> TransactionShard {
        let mut shard = TransactionShard::new(self.shard.settings.clone());
        for (at, record) in self.log.iter().enumerate() {
            shard.replay(Offset(at as i64), None, record.clone());
        }
        shard
    }

    /// The coordinator dies and another one takes over.
    fn crash(&mut self) {
        self.shard = self.rebuilt();
        self.open.clear();
        self.step(|shard, now, image| shard.loaded(now, image));
    }

    fn id(&self) -> &Transaction {
        &self.shard.ids[ID].hard
    }

    fn state(&self) -> State {
        self.id().state
    }

    // Requests; a fresh producer id is given where one is needed.

    fn init(&mut self, expected: Option<ProducerIdAndEpoch>) -> Result<ProducerIdAndEpoch, ErrorCode> {
        self.init_as(INIT, ID, TIMEOUT_MS, expected)
    }

    fn init_as(
        &mut self,
        version: i16,
        id: &str,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let request =
            |fresh| TransactionRequest::Init { version, transactional_id: id.to_owned(), timeout_ms, expected, fresh };
        match self.with_fresh(request) {
            TransactionReply::Init(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn with_fresh(&mut self, request: impl Fn(Option<ProducerId>) -> TransactionRequest) -> TransactionReply {
        let (before, written) = (self.shard.ids.clone(), self.log.len());
        let reply = self.answer(request(None));
        if reply != TransactionReply::NeedsProducerId {
            return reply;
        }
        assert_eq!((&before, written), (&self.shard.ids, self.log.len()), "nothing happens until there is an id");
        let fresh = ProducerId(self.fresh);
        self.fresh += 1;
        self.answer(request(Some(fresh)))
    }

    fn add(&mut self, version: i16, by: ProducerIdAndEpoch, names: &[&str]) -> Vec<ErrorCode> {
        self.add_or_verify(version, by, names, false)
    }

    fn add_or_verify(
        &mut self,
        version: i16,
        producer: ProducerIdAndEpoch,
        names: &[&str],
        verify_only: bool,
    ) -> Vec<ErrorCode> {
        let partitions = partitions(names);
        let transactional_id = ID.to_owned();
        let request =
            TransactionRequest::AddPartitions { version, transactional_id, producer, partitions, verify_only };
        match self.answer(request) {
            TransactionReply::AddPartitions(codes) => codes,
            other => panic!("{other:?}"),
        }
    }

    fn end(
        &mut self,
        version: i16,
        producer: ProducerIdAndEpoch,
        outcome: Outcome,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let transactional_id = ID.to_owned();
        let request = |fresh| TransactionRequest::End {
            version,
            transactional_id: transactional_id.clone(),
            producer,
            outcome,
            fresh,
        };
        match self.with_fresh(request) {
            TransactionReply::End(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// The order that is there to be taken.
    fn order(&mut self) -> MarkerOrder {
        match self.answer(TransactionRequest::NextMarkers) {
            TransactionReply::NextMarkers(order) => order,
            other => panic!("{other:?}"),
        }
    }

    fn written(&mut self, order: &MarkerOrder, partitions: &[TopicPartition]) {
        let reply = self.answer(TransactionRequest::MarkersWritten {
            transactional_id: order.transactional_id.clone(),
            producer: order.producer,
            decided: order.decided,
            partitions: partitions.to_vec(),
        });
        assert_eq!(reply, TransactionReply::MarkersWritten);
    }

    /// Takes the order and has all markers written.
    fn complete(&mut self) {
        let order = self.order();
        self.written(&order, &order.partitions.clone());
    }

    /// A transaction of one partition from begin to end; who goes on.
    fn transact(&mut self, version: i16, by: ProducerIdAndEpoch, outcome: Outcome) -> ProducerIdAndEpoch {
        let adds = if version == KEEPS { ADDS_KEEPING } else { BUMPS };
        assert_eq!(self.add(adds, by, &["a-0"]), [ErrorCode::None]);
        let next = self.end(version, by, outcome).unwrap();
        self.complete();
        next
    }

    /// Puts the epoch of the only producer where a test wants it.
    fn at_epoch(&mut self, epoch: i16) -> ProducerIdAndEpoch {
        let mut hard = self.id().clone();
        hard.producer.epoch = ProducerEpoch(epoch);
        let record = hard.record(ID);
        self.log.push(record.clone());
        self.shard.replay(Offset(self.log.len() as i64), None, record);
        hard.producer
    }
}

fn hard(shard: &TransactionShard) -> BTreeMap<String, Transaction> {
    shard.ids.iter().map(|(id, entry)| (id.clone(), entry.hard.clone())).collect()
}

/// What every record keeps to, whatever asked for it.
fn check_step(before: &BTreeMap<String, Transaction>, after: &BTreeMap<String, Transaction>) {
    for (id, now) in after {
        let Some(was) = before.get(id).filter(|was| *was != now) else { continue };
        let allowed: &[State] = match was.state {
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                &[State::Empty, State::Ongoing, State::PrepareAbort]
            }
            State::Ongoing => &[State::Ongoing, State::PrepareCommit, State::PrepareAbort],
            State::PrepareCommit => &[State::CompleteCommit],
            State::PrepareAbort => &[State::CompleteAbort],
            State::Dead | State::PrepareEpochFence => panic!("{was:?} was written"),
        };
        let rotated = now.state == was.state && now.producer.id != was.producer.id;
        assert!(allowed.contains(&now.state) || rotated, "{was:?} to {now:?}");
        assert!(now.producer.id != was.producer.id || now.producer.epoch >= was.producer.epoch, "{was:?} to {now:?}");
        assert!(now.updated >= was.updated, "time runs forward");
        assert!(now.producer.epoch.0 >= 0);
    }
}
