//! The group coordinator over a log in a directory of its own.
#![allow(clippy::unwrap_used)] // a test may

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ottla_config::BrokerConfig;
use ottla_controller::{
    Config, ConfigResource, MetadataImage, MetadataRecord, Partition, PartitionChange, PartitionState, Topic,
};
use ottla_disk::Clock;
use ottla_groups::{Client, GroupReply, GroupRequest, Settings};
use ottla_log::{Identity, LogConfig, LogDirs, LogDirsConfig, StdDisk};
use ottla_quorum::MetadataListener;
use ottla_types::{BrokerId, ErrorCode, PartitionIndex, TopicName, Uuid};
use ottla_wire::messages::{
    consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest,
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::OffsetFetchRequestGroup,
};
use tokio::sync::Semaphore;

use super::{Groups, TOPIC as OFFSETS_TOPIC};
use crate::{clock::SystemClock, metrics::Metrics, replicas::Replicas, waits::Waits};

const OFFSETS_ID: Uuid = Uuid([1; 16]);
const TOPIC_ID: Uuid = Uuid([2; 16]);
const US: BrokerId = BrokerId(1);

struct Coordinator {
    _dir: tempfile::TempDir,
    replicas: Arc<Replicas>,
    groups: Arc<Groups>,
    image: Arc<MetadataImage>,
}

fn partition(topic_id: Uuid, replicas: &[BrokerId]) -> MetadataRecord {
    let state = PartitionState::created(replicas.to_vec(), vec![Uuid::ZERO; replicas.len()], |_| true);
    MetadataRecord::Partition(Partition { topic_id, partition: PartitionIndex(0), state })
}

fn in_sync(isr: &[BrokerId]) -> MetadataRecord {
    let change = PartitionChange::of(OFFSETS_ID, PartitionIndex(0));
    MetadataRecord::PartitionChange(PartitionChange { isr: Some(isr.to_vec()), ..change })
}

fn topic(name: &str, id: Uuid) -> MetadataRecord {
    MetadataRecord::Topic(Topic { name: TopicName::new(name).unwrap(), id })
}

impl Coordinator {
    /// One partition of `__consumer_offsets` with these replicas, all in sync, of which at least two must be; a topic `a`.
    fn new(replicas: &[BrokerId]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = BrokerConfig::default();
        let settings = config.server_settings("localhost").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity =
            Identity { cluster_id: Uuid([9; 16]).to_string(), node_id: US, new_directory_ids: vec![Uuid([8; 16])] };
        let paths: Vec<PathBuf> = vec![dir.path().join("data")];
        let dirs = LogDirs::open(
            Arc::new(StdDisk),
            &paths,
            &identity,
            LogDirsConfig::default(),
            Arc::new(LogConfig::default()),
            clock.now(),
        );
        let (metrics, waits) = (Arc::new(Metrics::new(&[])), Arc::new(Waits::new(clock.now())));
        let replicas_here =
            Arc::new(Replicas::new(US, Arc::new(dirs.unwrap().0), metrics, waits, Arc::clone(&clock), config));
        let groups = Settings { groups: settings.groups.clone(), offsets: settings.offsets };
        let groups = Arc::new(Groups::of(US, Arc::clone(&replicas_here), clock, groups));
        let mut coordinator = Self { _dir: dir, replicas: replicas_here, groups, image: Arc::default() };
        coordinator.apply(&[
            topic("a", TOPIC_ID),
            partition(TOPIC_ID, &[US]),
            topic(OFFSETS_TOPIC, OFFSETS_ID),
            partition(OFFSETS_ID, replicas),
            MetadataRecord::Config(Config {
                resource: ConfigResource::topic(OFFSETS_TOPIC),
                name: "min.insync.replicas".to_owned(),
                value: Some("2".to_owned()),
            }),
        ]);
        coordinator
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        let (image, delta) = self.image.apply(records, self.image.version() + 1).unwrap();
        self.image = Arc::new(image);
        self.replicas.apply(&delta, &self.image);
        self.groups.apply(&self.image);
    }

    async fn ask(&self, group: &str, request: GroupRequest) -> Result<GroupReply, ErrorCode> {
        self.groups.ask(group, request).await
    }

    /// Commits an offset of `a`; the error of its partition or of all.
    async fn commit(&self, offset: i64) -> Result<i16, ErrorCode> {
        let partition =
            OffsetCommitRequestPartition { partition_index: 0, committed_offset: offset, ..Default::default() };
        let topic =
            OffsetCommitRequestTopic { name: "a".to_owned(), partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: "g".to_owned(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        match self.ask("g", GroupRequest::CommitOffsets { version: 9, request }).await? {
            GroupReply::CommitOffsets(response) => Ok(response.topics[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    async fn try_committed(&self) -> Result<i64, ErrorCode> {
        let group = OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: None, ..Default::default() };
        match self.ask("g", GroupRequest::FetchOffsets { version: 9, require_stable: false, group }).await? {
            GroupReply::FetchOffsets(group) => Ok(group.topics[0].partitions[0].committed_offset),
            other => panic!("{other:?}"),
        }
    }

    async fn committed(&self) -> i64 {
        self.try_committed().await.unwrap()
    }
}

fn joins(group: &str, pattern: Option<&str>) -> GroupRequest {
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: "m".to_owned(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: pattern.is_none().then(|| vec!["a".to_owned()]),
        subscribed_topic_regex: pattern.map(str::to_owned),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    GroupRequest::ConsumerHeartbeat { version: 1, client: Client::default(), fresh: Uuid([7; 16]), request }
}

fn assigned(reply: GroupReply) -> usize {
    match reply {
        GroupReply::ConsumerHeartbeat(response) => response.assignment.unwrap().topic_partitions.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pattern_that_takes_long_holds_up_nobody_of_its_shard() {
    let coordinator = Coordinator::new(&[US]);
    let turns = Arc::new(Semaphore::new(1));
    let groups = &coordinator.groups;
    // Somebody's pattern takes its time.
    let busy = turns.clone().acquire_owned().await.unwrap();
    let mut costly = Box::pin(groups.ask("costly", joins("costly", Some("a.*|a"))));
    groups.work_out_patterns("costly", &turns);
    assert_eq!(assigned(coordinator.ask("other", joins("other", None)).await.unwrap()), 1);
    assert_eq!(coordinator.commit(5).await, Ok(0));
    // Long enough for so small a pattern, had it not to wait.
    for _ in 0..100 {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    let waits = std::future::poll_fn(|context| std::task::Poll::Ready(costly.as_mut().poll(context).is_pending()));
    assert!(waits.await, "it waits for its turn");
    drop(busy);
    assert_eq!(assigned(costly.await.unwrap()), 1);
}

#[tokio::test]
async fn nothing_is_written_while_too_few_replicas_are_in_sync() {
    let other = BrokerId(2);
    let mut coordinator = Coordinator::new(&[US, other]);
    assert_eq!(coordinator.commit(5).await, Ok(0));
    coordinator.apply(&[in_sync(&[US])]);
    assert_eq!(coordinator.commit(6).await, Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(coordinator.committed().await, 5, "what was committed can be read");
    coordinator.apply(&[in_sync(&[US, other])]);
    assert_eq!(coordinator.commit(7).await, Ok(0));
    assert_eq!(coordinator.committed().await, 7);
}

#[tokio::test]
async fn more_replicas_than_there_are_are_never_asked_for() {
    let coordinator = Coordinator::new(&[US]);
    assert_eq!(coordinator.commit(5).await, Ok(0));
}

#[tokio::test]
async fn a_log_that_takes_nothing_sends_clients_to_look_for_the_coordinator() {
    let coordinator = Coordinator::new(&[US]);
    let timers = tokio::spawn(Arc::clone(&coordinator.groups).run_timers());
    assert_eq!(coordinator.commit(5).await, Ok(0));
    let offsets = coordinator.replicas.by_name(OFFSETS_TOPIC).unwrap().partition(PartitionIndex(0)).unwrap();
    let epoch = offsets.leader_epoch();
    offsets.lead(false, epoch);
    assert_eq!(coordinator.commit(6).await, Err(ErrorCode::NotCoordinator));
    offsets.lead(true, epoch);
    // The shard is built again from the log, which does not have what was refused.
    while coordinator.try_committed().await == Err(ErrorCode::CoordinatorLoadInProgress) {
        tokio::task::yield_now().await;
    }
    assert_eq!(coordinator.committed().await, 5);
    assert_eq!(coordinator.commit(7).await, Ok(0));
    timers.abort();
}

#[tokio::test]
async fn what_no_segment_can_hold_is_an_error_that_repeating_does_not_mend() {
    let coordinator = Coordinator::new(&[US]);
    let timers = tokio::spawn(Arc::clone(&coordinator.groups).run_timers());
    assert_eq!(coordinator.commit(5).await, Ok(0));
    let offsets = coordinator.replicas.by_name(OFFSETS_TOPIC).unwrap().partition(PartitionIndex(0)).unwrap();
    offsets.log().unwrap().set_config(LogConfig { segment_bytes: 60, ..LogConfig::default() });
    assert_eq!(coordinator.commit(6).await, Err(ErrorCode::RecordListTooLarge));
    offsets.log().unwrap().set_config(LogConfig::default());
    while coordinator.try_committed().await == Err(ErrorCode::CoordinatorLoadInProgress) {
        tokio::task::yield_now().await;
    }
    assert_eq!(coordinator.committed().await, 5);
    assert_eq!(coordinator.commit(7).await, Ok(0));
    timers.abort();
}

/// Partitions of the topic that a large group reads: none of them is on this broker, which only keeps their offsets.
const MANY: i32 = 200_000;
/// Offsets of one commit.
const AT_ONCE: i32 = 2_000;

/// A group of [`MANY`] offsets is deleted while another one commits all the time: nobody waits for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_many_offsets_is_deleted_while_others_are_served() {
    let mut coordinator = Coordinator::new(&[US]);
    let wide = Uuid([3; 16]);
    let elsewhere = |partition| {
        let state = PartitionState::created(vec![BrokerId(2)], vec![Uuid::ZERO], |_| true);
        MetadataRecord::Partition(Partition { topic_id: wide, partition: PartitionIndex(partition), state })
    };
    let mut records = vec![topic("wide", wide)];
    records.extend((0..MANY).map(elsewhere));
    coordinator.apply(&records);
    let coordinator = Arc::new(coordinator);
    let timers = tokio::spawn(Arc::clone(&coordinator.groups).run_timers());
    for first in (0..MANY).step_by(AT_ONCE as usize) {
        let partitions = (first..first + AT_ONCE).map(|partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 1,
            ..Default::default()
        });
        let request = OffsetCommitRequest {
            group_id: "large".to_owned(),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "wide".to_owned(),
                partitions: partitions.collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let reply = coordinator.ask("large", GroupRequest::CommitOffsets { version: 9, request }).await.unwrap();
        let GroupReply::CommitOffsets(response) = reply else { panic!("{reply:?}") };
        assert!(response.topics[0].partitions.iter().all(|partition| partition.error_code == 0));
    }
    assert_eq!(coordinator.groups.counts().offsets, i64::from(MANY));

    let deleting = Arc::clone(&coordinator);
    let begun = Instant::now();
    let deletion =
        tokio::spawn(async move { deleting.ask("large", GroupRequest::Delete { group_id: "large".to_owned() }).await });
    let (mut commits, mut longest) = (0, Duration::ZERO);
    while !deletion.is_finished() {
        let asked = Instant::now();
        assert_eq!(coordinator.commit(commits).await, Ok(0));
        longest = longest.max(asked.elapsed());
        commits += 1;
    }
    let took = begun.elapsed();
    assert!(matches!(deletion.await.unwrap(), Ok(GroupReply::Delete(ErrorCode::None))));
    println!(
        "{MANY} offsets deleted in {took:?}; meanwhile {commits} commits of another group, the slowest {longest:?}"
    );
    assert_eq!(coordinator.groups.counts().offsets, 1, "the other group's");
    assert!(commits > 5, "only {commits} commits in {took:?}");
    assert!(longest * 2 < took, "one commit took {longest:?} of {took:?}");
    timers.abort();
}
