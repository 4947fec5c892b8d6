//! Markers that cannot be written or reported at once, over logs in a directory of their own.
#![allow(clippy::unwrap_used)] // a test may

use std::{path::PathBuf, sync::Arc, time::Duration};

use ottla_config::BrokerConfig;
use ottla_controller::{
    Config, ConfigResource, MetadataImage, MetadataRecord, Partition, PartitionChange, PartitionState, RemoveTopic,
    Topic,
};
use ottla_coordinator::Outcome;
use ottla_disk::Clock;
use ottla_groups::Settings;
use ottla_log::{Identity, LogConfig, LogDirs, LogDirsConfig, StdDisk};
use ottla_quorum::MetadataListener;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{
    BrokerId, ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TopicName,
    TopicPartition, Uuid,
};

use super::Markers;
use crate::{
    clock::SystemClock,
    coordinators::{Groups, TRANSACTIONS_TOPIC, Transactions},
    metrics::Metrics,
    replicas::{Marker, Replicas},
    waits::Waits,
};

const STATE_ID: Uuid = Uuid([1; 16]);
const TOPIC_ID: Uuid = Uuid([2; 16]);
const US: BrokerId = BrokerId(1);
const OTHER: BrokerId = BrokerId(2);
const PATIENCE: Duration = Duration::from_secs(20);
const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch { id: ProducerId(7), epoch: ProducerEpoch(0) };
/// Version of `AddPartitionsToTxn` and `EndTxn` of producers whose epoch rises.
const BUMPS: i16 = 5;

/// A topic `a` with one partition; `__transaction_state` with one of two replicas, which both must be in sync.
struct Bed {
    _dir: tempfile::TempDir,
    replicas: Arc<Replicas>,
    groups: Arc<Groups>,
    transactions: Arc<Transactions>,
    markers: Arc<Markers>,
    image: Arc<MetadataImage>,
}

fn a() -> TopicPartition {
    TopicPartition { topic: TopicName::new("a").unwrap(), partition: PartitionIndex(0) }
}

fn partition(topic_id: Uuid, replicas: &[BrokerId]) -> MetadataRecord {
    let state = PartitionState::created(replicas.to_vec(), vec![Uuid::ZERO; replicas.len()], |_| true);
    MetadataRecord::Partition(Partition { topic_id, partition: PartitionIndex(0), state })
}

fn topic(name: &str, id: Uuid) -> MetadataRecord {
    MetadataRecord::Topic(Topic { name: TopicName::new(name).unwrap(), id })
}

/// Who leads the partition of `a`.
fn led_by(leader: Option<BrokerId>) -> MetadataRecord {
    let change = PartitionChange::of(TOPIC_ID, PartitionIndex(0));
    MetadataRecord::PartitionChange(PartitionChange { leader: Some(leader), ..change })
}

/// Which replicas of `__transaction_state` are in sync.
fn in_sync(isr: &[BrokerId]) -> MetadataRecord {
    let change = PartitionChange::of(STATE_ID, PartitionIndex(0));
    MetadataRecord::PartitionChange(PartitionChange { isr: Some(isr.to_vec()), ..change })
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = BrokerConfig::default();
        let settings = config.server_settings("localhost").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity =
            Identity { cluster_id: Uuid([9; 16]).to_string(), node_id: US, new_directory_ids: vec![Uuid([8; 16])] };
        let paths: Vec<PathBuf> = vec![dir.path().join("data")];
        let (log, dirs) = (Arc::new(LogConfig::default()), LogDirsConfig::default());
        let dirs = LogDirs::open(Arc::new(StdDisk), &paths, &identity, dirs, log, clock.now()).unwrap().0;
        let (metrics, waits) = (Arc::new(Metrics::new(&[])), Arc::new(Waits::new(clock.now())));
        let replicas = Arc::new(Replicas::new(US, Arc::new(dirs), metrics, waits, Arc::clone(&clock), config));
        let groups = Settings { groups: settings.groups.clone(), offsets: settings.offsets };
        let groups = Arc::new(Groups::of(US, Arc::clone(&replicas), Arc::clone(&clock), groups));
        let transactions = Transactions::of(US, Arc::clone(&replicas), Arc::clone(&clock), settings.transactions);
        let transactions = Arc::new(transactions);
        let markers = Markers::new(Arc::clone(&transactions), Arc::clone(&groups), Arc::clone(&replicas), clock);
        let markers = Arc::new(markers);
        let mut bed = Self { _dir: dir, replicas, groups, transactions, markers, image: Arc::default() };
        bed.apply(&[
            topic("a", TOPIC_ID),
            partition(TOPIC_ID, &[US]),
            topic(TRANSACTIONS_TOPIC, STATE_ID),
            partition(STATE_ID, &[US, OTHER]),
            MetadataRecord::Config(Config {
                resource: ConfigResource::topic(TRANSACTIONS_TOPIC),
                name: "min.insync.replicas".to_owned(),
                value: Some("2".to_owned()),
            }),
        ]);
        tokio::spawn(Arc::clone(&bed.markers).run());
        bed
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        let (image, delta) = self.image.apply(records, self.image.version() + 1).unwrap();
        self.image = Arc::new(image);
        self.replicas.apply(&delta, &self.image);
        self.groups.apply(&self.image);
        self.transactions.apply(&self.image);
    }

    async fn ask(&self, request: TransactionRequest) -> Result<TransactionReply, ErrorCode> {
        self.transactions.ask("t", request).await
    }

    async fn enter(&self) -> Result<(), ErrorCode> {
        let request = TransactionRequest::Init {
            version: 5,
            transactional_id: "t".to_owned(),
            timeout_ms: 60_000,
            expected: None,
            fresh: Some(PRODUCER.id),
        };
        match self.ask(request).await? {
            TransactionReply::Init(entered) => entered.map(|producer| assert_eq!(producer, PRODUCER)),
            other => panic!("{other:?}"),
        }
    }

    /// Adds the partition, or only asks whether it is there.
    async fn add(&self, verify_only: bool) -> Result<Vec<ErrorCode>, ErrorCode> {
        let request = TransactionRequest::AddPartitions {
            version: BUMPS,
            transactional_id: "t".to_owned(),
            producer: PRODUCER,
            partitions: vec![a()],
            verify_only,
        };
        match self.ask(request).await? {
            TransactionReply::AddPartitions(codes) => Ok(codes),
            other => panic!("{other:?}"),
        }
    }

    async fn commit(&self) -> Result<(), ErrorCode> {
        let request = TransactionRequest::End {
            version: BUMPS,
            transactional_id: "t".to_owned(),
            producer: PRODUCER,
            outcome: Outcome::Commit,
            fresh: None,
        };
        match self.ask(request).await? {
            TransactionReply::End(ended) => ended.map(drop),
            other => panic!("{other:?}"),
        }
    }

    async fn state(&self) -> String {
        match self.ask(TransactionRequest::Describe { transactional_id: "t".to_owned() }).await.unwrap() {
            TransactionReply::Describe(described) => described.transaction_state,
            other => panic!("{other:?}"),
        }
    }

    /// A transaction whose end is decided, and whose partition has nobody to take the marker.
    async fn decided(&mut self) {
        self.apply(&[led_by(None)]);
        self.enter().await.unwrap();
        self.add(false).await.unwrap();
        self.commit().await.unwrap();
        self.until(|bed| bed.markers.waiting() == 1).await;
        // On this runtime, which has one thread, everybody has had a turn by then.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!((self.state().await.as_str(), self.markers()), ("PrepareCommit", 0));
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let waits = async {
            while !holds(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }

    /// How many there are in the partition.
    fn markers(&self) -> i64 {
        let partition = self.replicas.by_name("a").and_then(|topic| topic.partition(PartitionIndex(0))).unwrap();
        partition.opened_log().map_or(Offset::ZERO, |log| log.log_end()).0
    }
}

#[tokio::test]
async fn a_marker_is_tried_until_its_partition_takes_it() {
    let mut bed = Bed::new();
    bed.decided().await;
    let markers = Arc::clone(&bed.markers);
    let settled = markers.settled();
    bed.apply(&[led_by(Some(US))]);
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!((bed.state().await.as_str(), bed.markers(), bed.markers.waiting()), ("CompleteCommit", 1, 0));
}

#[tokio::test]
async fn a_partition_that_is_gone_needs_no_marker() {
    let mut bed = Bed::new();
    bed.decided().await;
    let markers = Arc::clone(&bed.markers);
    let settled = markers.settled();
    bed.apply(&[MetadataRecord::RemoveTopic(RemoveTopic { id: TOPIC_ID })]);
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!((bed.state().await.as_str(), bed.markers.waiting()), ("CompleteCommit", 0));
}

#[tokio::test]
async fn what_is_written_is_reported_until_the_coordinator_can_write_that_down() {
    let mut bed = Bed::new();
    bed.decided().await;
    let markers = Arc::clone(&bed.markers);
    let settled = markers.settled();
    bed.apply(&[in_sync(&[US]), led_by(Some(US))]);
    bed.until(|bed| bed.markers() == 1 && bed.markers.waiting() == 0).await;
    assert_eq!(bed.state().await, "PrepareCommit");
    bed.apply(&[in_sync(&[US, OTHER])]);
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!((bed.state().await.as_str(), bed.markers()), ("CompleteCommit", 1));
}

#[tokio::test]
async fn a_partition_with_a_newer_coordinator_is_left_alone() {
    let bed = Bed::new();
    let newer = Marker { producer: PRODUCER, outcome: Outcome::Abort, coordinator_epoch: 9, transaction_version: 0 };
    bed.markers.write(&a(), &newer).await.unwrap();
    bed.enter().await.unwrap();
    bed.add(false).await.unwrap();
    let markers = Arc::clone(&bed.markers);
    let settled = markers.settled();
    bed.commit().await.unwrap();
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!((bed.markers(), bed.markers.waiting()), (1, 0), "only that of the newer one");
    assert_eq!(bed.state().await, "PrepareCommit", "the newer one knows how it ended");
}

#[tokio::test]
async fn a_marker_that_does_not_know_its_version_is_refused() {
    let bed = Bed::new();
    let unknown = Marker { producer: PRODUCER, outcome: Outcome::Abort, coordinator_epoch: 0, transaction_version: -1 };
    assert_eq!(bed.markers.write(&a(), &unknown).await, Err(ErrorCode::UnknownServerError));
    assert_eq!(bed.markers(), 0);
}

/// As in Kafka the client is told to come again, and nothing that was known is lost.
#[tokio::test]
async fn nothing_begins_or_ends_while_too_few_replicas_are_in_sync() {
    let mut bed = Bed::new();
    let unavailable = ErrorCode::CoordinatorNotAvailable;
    bed.apply(&[in_sync(&[US])]);
    assert_eq!(bed.enter().await, Err(unavailable));
    bed.apply(&[in_sync(&[US, OTHER])]);
    bed.enter().await.unwrap();
    bed.add(false).await.unwrap();
    bed.apply(&[in_sync(&[US])]);
    assert_eq!(bed.commit().await, Err(unavailable));
    assert_eq!(bed.add(false).await, Err(unavailable));
    assert_eq!(bed.add(true).await, Ok(vec![ErrorCode::None]), "what is known can be asked");
    assert_eq!((bed.state().await.as_str(), bed.transactions.counts()), ("Ongoing", (1, 1)));
    let markers = Arc::clone(&bed.markers);
    let settled = markers.settled();
    bed.apply(&[in_sync(&[US, OTHER])]);
    bed.commit().await.unwrap();
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!(bed.state().await, "CompleteCommit");
}
