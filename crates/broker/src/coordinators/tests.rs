//! Transactions in a coordinator's log: what is pending, settled and told over crashes, refusals and flushes.

#![allow(clippy::unwrap_used)] // a test may

mod disks;

use std::{path::PathBuf, sync::Arc};

use ottla_config::{BrokerConfig, TopicConfig};
use ottla_controller::{
    MetadataImage, MetadataRecord, Partition as PartitionRecord, PartitionState, Topic as TopicRecord,
};
use ottla_coordinator::Outcome;
use ottla_disk::Clock;
use ottla_groups::{GroupReply, GroupRequest, GroupShard, Settings};
use ottla_log::{Assigned, Identity, LogConfig, LogDirs, LogDirsConfig, ToVerify, Verification};
use ottla_testkit::SimDisk;
use ottla_types::{
    BrokerId, Compression, ErrorCode, LeaderEpoch, Millis, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch, TopicName, Uuid,
};
use ottla_wire::messages::{
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    offset_fetch_response::OffsetFetchResponsePartitions,
    txn_offset_commit_request::{TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::running::Running;
use crate::{
    metrics::TopicMetrics,
    replicas::{Marker, Partition, Topic},
    waits::Waits,
};

const NOW: Millis = Millis(1_700_000_000_000);
const NONE: i16 = ErrorCode::None as i16;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Millis {
        NOW
    }
}

/// One shard of groups on a simulated disk, and a topic `a` to commit offsets of.
struct Bed {
    dirs: Arc<LogDirs>,
    running: Arc<Running<GroupShard>>,
    image: MetadataImage,
}

fn image() -> MetadataImage {
    let id = Uuid([9; 16]);
    let state = PartitionState::created(vec![BrokerId(1)], vec![Uuid::ZERO], |_| true);
    let records = [
        MetadataRecord::Topic(TopicRecord { name: TopicName::new("a").unwrap(), id }),
        MetadataRecord::Partition(PartitionRecord { topic_id: id, partition: PartitionIndex(0), state }),
    ];
    MetadataImage::default().apply(&records, 1).unwrap().0
}

fn shard() -> GroupShard {
    let settings = BrokerConfig::default().server_settings("localhost").unwrap();
    GroupShard::new(Arc::new(Settings { groups: settings.groups.clone(), offsets: settings.offsets }))
}

impl Bed {
    /// The shard is not loaded yet; with `flush_messages` 1 every append waits for its flush.
    fn open(disk: &SimDisk, flush_messages: i64) -> Self {
        let identity =
            Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
        let settings = LogDirsConfig {
            flush_threads: 0,
            open_files_max: 8,
            recovery_threads_per_dir: 1,
            ..LogDirsConfig::default()
        };
        let config = Arc::new(LogConfig { flush_messages, ..LogConfig::default() });
        let paths = [PathBuf::from("/data")];
        let dirs = LogDirs::open(Arc::new(disk.clone()), &paths, &identity, settings, config, NOW).unwrap().0;
        let dirs = Arc::new(dirs);
        let config = Arc::new(TopicConfig { flush_messages, ..TopicConfig::default() });
        let name = TopicName::new(super::OFFSETS_TOPIC).unwrap();
        let topic = Topic::new(name, Uuid([2; 16]), config, TopicMetrics::default());
        let waits = Arc::new(Waits::new(NOW));
        let partition =
            Partition::new(&topic, PartitionIndex(0), Assigned::NEW, Arc::clone(&dirs), waits, Arc::new(Stopped));
        partition.lead(true, LeaderEpoch(0));
        let running = Arc::new(Running::new(Arc::new(partition), Compression::None));
        Self { dirs, running, image: image() }
    }

    fn loaded(disk: &SimDisk) -> Self {
        let bed = Self::open(disk, i64::MAX);
        bed.load();
        bed
    }

    fn load(&self) {
        self.running.load(shard(), NOW, &self.image).unwrap();
    }

    /// Commits offset 7 of `a-0` for group `g` in a transaction of this epoch.
    fn commit(
        &self,
        epoch: i16,
        verification: Verification,
    ) -> Result<Receiver<Result<GroupReply, ErrorCode>>, ErrorCode> {
        let partition = TxnOffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
        let request = TxnOffsetCommitRequest {
            group_id: "g".to_owned(),
            producer_id: 5,
            producer_epoch: epoch,
            topics: vec![TxnOffsetCommitRequestTopic { name: "a".to_owned(), partitions: vec![partition] }],
            ..TxnOffsetCommitRequest::default()
        };
        self.running.ask(NOW, &self.image, GroupRequest::CommitTransactionalOffsets { request }, verification)
    }

    /// Whether the commit was answered without an error.
    fn commits(&self, epoch: i16) -> bool {
        match self.commit(epoch, Verification::Off).map(|mut reply| reply.try_recv()) {
            Ok(Ok(Ok(GroupReply::CommitTransactionalOffsets(response)))) => {
                assert_eq!(response.topics[0].partitions[0].error_code, NONE);
                true
            }
            _ => false,
        }
    }

    fn ends(&self, marker: Marker) -> bool {
        self.running.end_transaction(NOW, &marker).is_ok_and(|mut ended| ended.try_recv().is_ok())
    }

    /// What a group with `require_stable` is told of `a-0`.
    fn fetch(&self) -> OffsetFetchResponsePartitions {
        let topic = OffsetFetchRequestTopics { name: "a".to_owned(), partition_indexes: vec![0], ..Default::default() };
        let group =
            OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: Some(vec![topic]), ..Default::default() };
        let request = GroupRequest::FetchOffsets { version: 9, require_stable: true, group };
        let mut reply = self.running.ask(NOW, &self.image, request, Verification::Off).unwrap();
        match reply.try_recv().unwrap().unwrap() {
            GroupReply::FetchOffsets(response) => response.topics[0].partitions[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    fn is_pending(&self) -> bool {
        self.fetch().error_code == ErrorCode::UnstableOffsetCommit.code()
    }

    fn has_committed(&self) -> bool {
        let found = self.fetch();
        (found.error_code, found.committed_offset) == (NONE, 7)
    }
}

fn producer(epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(5), epoch: ProducerEpoch(epoch) }
}

fn marker(epoch: i16, outcome: Outcome) -> Marker {
    Marker { producer: producer(epoch), outcome, coordinator_epoch: 3, transaction_version: 2 }
}

/// How many changes of the disk a commit and its marker take at most.
const CRASHES: u64 = 12;

#[test]
fn wherever_the_machine_stops_a_commit_is_settled_by_the_marker_that_comes_later() {
    let mut pending = 0;
    for at in 0..CRASHES {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            let disk = SimDisk::new(1);
            let bed = Bed::loaded(&disk);
            disk.crash_at(disk.mutations() + at);
            let committed = bed.commits(0);
            let ended = committed && bed.ends(marker(1, outcome));
            drop(bed);

            let bed = Bed::loaded(&disk.kill());
            // A marker may be in the log although nobody was told.
            let there = bed.is_pending() || bed.has_committed() || outcome == Outcome::Abort;
            assert!(!committed || there, "what was answered is there, crash {at}");
            assert!(!ended || !bed.is_pending(), "what was ended is settled, crash {at}");
            let was_pending = bed.is_pending();
            pending += usize::from(was_pending);
            // Nobody was told, so the coordinator sends it again.
            assert!(bed.ends(marker(1, outcome)), "crash {at}");
            let holds = outcome == Outcome::Commit && (was_pending || committed);
            assert!(!bed.is_pending() && (!holds || bed.has_committed()), "crash {at}");
            assert!(outcome == Outcome::Commit || !bed.has_committed(), "crash {at}");
        }
    }
    assert!(pending > 0, "no crash fell between a batch and its marker");
}

#[test]
fn a_batch_that_no_shard_has_replayed_is_pending_once_one_is_loaded() {
    let disk = SimDisk::new(1);
    let bed = Bed::loaded(&disk);
    assert!(bed.commits(0));
    bed.running.unload();
    assert_eq!(
        bed.running.end_transaction(NOW, &marker(1, Outcome::Commit)).err(),
        Some(ErrorCode::CoordinatorLoadInProgress)
    );
    bed.load();
    assert!(bed.is_pending(), "the marker was not written");
    assert!(bed.ends(marker(1, Outcome::Commit)));
    assert!(bed.has_committed());
    bed.running.unload();
    bed.load();
    assert!(bed.has_committed());
}

#[test]
fn a_commit_of_no_verified_transaction_is_refused_and_harms_nobody() {
    let disk = SimDisk::new(1);
    let bed = Bed::loaded(&disk);
    let ask = ToVerify { producer: producer(0), base_sequence: -1, bumps_epochs: false };
    assert_eq!(bed.commit(0, Verification::Ongoing).err(), Some(ErrorCode::InvalidTxnState));
    let voided = bed.running.verify(&ask, NOW).unwrap();
    assert!(bed.ends(marker(0, Outcome::Abort)), "the coordinator ended it before");
    assert_eq!(bed.commit(0, voided).err(), Some(ErrorCode::InvalidTxnState));
    assert!(bed.running.is_loaded() && !bed.is_pending());
    let verified = bed.running.verify(&ask, NOW).unwrap();
    assert!(bed.commit(0, verified).is_ok());
    assert_eq!(bed.running.verify(&ask, NOW), Ok(Verification::Ongoing));
    assert!(bed.commit(0, Verification::Ongoing).is_ok());
    assert!(bed.ends(marker(1, Outcome::Commit)));
    assert_eq!(bed.commit(0, Verification::Ongoing).err(), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(bed.running.verify(&ask, NOW), Err(ErrorCode::InvalidProducerEpoch));
    assert!(bed.running.is_loaded() && bed.has_committed());
}

#[test]
fn a_marker_that_is_refused_changes_nothing() {
    let disk = SimDisk::new(1);
    let bed = Bed::loaded(&disk);
    assert!(bed.commits(4));
    let refused = |marker| bed.running.end_transaction(NOW, &marker).err();
    assert_eq!(refused(marker(4, Outcome::Abort)), Some(ErrorCode::InvalidProducerEpoch), "it is late");
    assert_eq!(refused(marker(3, Outcome::Abort)), Some(ErrorCode::InvalidProducerEpoch));
    assert!(bed.is_pending());
    assert!(bed.ends(marker(5, Outcome::Commit)));
    let zombie = Marker { coordinator_epoch: 2, ..marker(6, Outcome::Abort) };
    assert_eq!(refused(zombie), Some(ErrorCode::TransactionCoordinatorFenced));
    assert!(bed.running.is_loaded() && bed.has_committed());
}

#[test]
fn commit_and_marker_are_answered_once_they_are_durable() {
    let disk = SimDisk::new(1);
    let bed = Bed::open(&disk, 1);
    bed.load();
    let mut reply = bed.commit(0, Verification::Off).unwrap();
    let mut ended = bed.running.end_transaction(NOW, &marker(1, Outcome::Commit)).unwrap();
    assert_eq!(reply.try_recv().err(), Some(TryRecvError::Empty));
    assert_eq!(ended.try_recv().err(), Some(TryRecvError::Empty));
    bed.dirs.run_queued_flushes();
    assert!(reply.try_recv().is_ok());
    assert_eq!(ended.try_recv(), Ok(()));
    let log = bed.running.partition().opened_log().unwrap();
    assert_eq!(log.last_stable(), log.log_end());
    drop(bed);
    let bed = Bed::loaded(&disk.power_cut());
    assert!(bed.has_committed());
}
