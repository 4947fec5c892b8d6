//! Both coordinators over a disk that is full, or that lost a bit.

use std::{
    io::IoSlice,
    ops::Range,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use ottla_config::BrokerConfig;
use ottla_controller::{Config, ConfigResource, MetadataImage, MetadataRecord, Partition, PartitionState, Topic};
use ottla_disk::{Clock, Disk, OpenMode};
use ottla_groups::{GroupReply, GroupRequest, Settings};
use ottla_log::{Identity, Log, LogConfig, LogDirs, LogDirsConfig, Origin};
use ottla_quorum::MetadataListener;
use ottla_records::{BatchBuilder, Batches, HEADER_LEN};
use ottla_testkit::SimDisk;
use ottla_transactions::{TransactionReply, TransactionRequest};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, ProducerId, TopicName, Uuid};
use ottla_wire::messages::{
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::OffsetFetchRequestGroup,
};

use super::{NOW, Stopped};
use crate::{
    coordinators::{Groups, OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Transactions},
    metrics::Metrics,
    replicas::Replicas,
    upkeep::look_after_space,
    waits::Waits,
};

const US: BrokerId = BrokerId(1);
const TOPICS: [(&str, Uuid); 3] =
    [("a", Uuid([1; 16])), (OFFSETS_TOPIC, Uuid([2; 16])), (TRANSACTIONS_TOPIC, Uuid([3; 16]))];
/// Of each topic.
const PARTITIONS: i32 = 2;
/// A group, or transactional id, of partition 0 and one of partition 1.
const ID: &str = "x";
const OTHER: &str = "y";
/// What a simulated disk has.
const SPACE: u64 = 1 << 40;
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the magic byte of a batch stands.
const MAGIC_AT: usize = 16;

struct Bed {
    disk: SimDisk,
    dirs: Arc<LogDirs>,
    replicas: Arc<Replicas>,
    groups: Arc<Groups>,
    transactions: Arc<Transactions>,
}

/// Which coordinator, and so which topic.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Groups,
    Transactions,
}

const BOTH: [Of; 2] = [Of::Groups, Of::Transactions];

fn records() -> Vec<MetadataRecord> {
    let topics = TOPICS.map(|(name, id)| MetadataRecord::Topic(Topic { name: TopicName::new(name).unwrap(), id }));
    let partitions = TOPICS.iter().flat_map(|(_, id)| (0..PARTITIONS).map(|index| (*id, PartitionIndex(index))));
    let partitions = partitions.map(|(topic_id, partition)| {
        let state = PartitionState::created(vec![US], vec![Uuid::ZERO], |_| true);
        MetadataRecord::Partition(Partition { topic_id, partition, state })
    });
    let compacted = [OFFSETS_TOPIC, TRANSACTIONS_TOPIC].map(|topic| {
        let (name, value) = ("cleanup.policy".to_owned(), Some("compact".to_owned()));
        MetadataRecord::Config(Config { resource: ConfigResource::topic(topic), name, value })
    });
    topics.into_iter().chain(partitions).chain(compacted).collect()
}

impl Bed {
    fn open(disk: &SimDisk) -> Self {
        let config = BrokerConfig::default();
        let settings = config.server_settings("localhost").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        let identity = Identity { cluster_id: "c".to_owned(), node_id: US, new_directory_ids: vec![Uuid([8; 16])] };
        let dirs_config = LogDirsConfig { flush_threads: 0, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
        let (log, paths) = (Arc::new(LogConfig::default()), [PathBuf::from("/data")]);
        let opened = LogDirs::open(Arc::new(disk.clone()), &paths, &identity, dirs_config, log, clock.now());
        let dirs = Arc::new(opened.unwrap().0);
        let (metrics, waits) = (Arc::new(Metrics::new(&[])), Arc::new(Waits::new(clock.now())));
        let replicas = Replicas::new(US, Arc::clone(&dirs), metrics, waits, Arc::clone(&clock), config);
        let replicas = Arc::new(replicas);
        let groups = Settings { groups: settings.groups.clone(), offsets: settings.offsets };
        let groups = Arc::new(Groups::of(US, Arc::clone(&replicas), Arc::clone(&clock), groups));
        let transactions = Transactions::of(US, Arc::clone(&replicas), clock, settings.transactions);
        let transactions = Arc::new(transactions);
        let (image, delta) = MetadataImage::default().apply(&records(), 1).unwrap();
        let image = Arc::new(image);
        replicas.apply(&delta, &image);
        groups.apply(&image);
        transactions.apply(&image);
        Self { disk: disk.clone(), dirs, replicas, groups, transactions }
    }
    /// Writes something for `id`: commits this offset, or enters, with the next epoch.
    async fn write(&self, of: Of, id: &str, offset: i64) -> Result<(), ErrorCode> {
        match of {
            Of::Groups => {
                let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
                let topic = OffsetCommitRequestTopic {
                    name: "a".to_owned(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let request = OffsetCommitRequest {
                    group_id: id.to_owned(),
                    generation_id_or_member_epoch: -1,
                    topics: vec![topic],
                    ..Default::default()
                };
                let reply = self.groups.ask(id, GroupRequest::CommitOffsets { version: 9, request }).await?;
                let GroupReply::CommitOffsets(response) = reply else { panic!("{reply:?}") };
                assert_eq!(response.topics[0].partitions[0].error_code, 0);
            }
            Of::Transactions => {
                let request = TransactionRequest::Init {
                    version: 5,
                    transactional_id: id.to_owned(),
                    timeout_ms: 60_000,
                    expected: None,
                    fresh: Some(ProducerId(7)),
                };
                let reply = self.transactions.ask(id, request).await?;
                let TransactionReply::Init(Ok(_)) = reply else { panic!("{reply:?}") };
            }
        }
        Ok(())
    }

    /// What the coordinator knows of `id`: the committed offset, or the epoch.
    async fn read(&self, of: Of, id: &str) -> Result<i64, ErrorCode> {
        let waits = async {
            loop {
                let read = self.try_read(of, id).await;
                if read != Err(ErrorCode::CoordinatorLoadInProgress) {
                    return read;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap()
    }

    async fn try_read(&self, of: Of, id: &str) -> Result<i64, ErrorCode> {
        match of {
            Of::Groups => {
                let group = OffsetFetchRequestGroup { group_id: id.to_owned(), topics: None, ..Default::default() };
                let request = GroupRequest::FetchOffsets { version: 9, require_stable: false, group };
                let reply = self.groups.ask(id, request).await?;
                let GroupReply::FetchOffsets(group) = reply else { panic!("{reply:?}") };
                Ok(group.topics.first().map_or(-1, |topic| topic.partitions[0].committed_offset))
            }
            Of::Transactions => {
                let request = TransactionRequest::Describe { transactional_id: id.to_owned() };
                let reply = self.transactions.ask(id, request).await?;
                let TransactionReply::Describe(described) = reply else { panic!("{reply:?}") };
                Ok(described.producer_epoch.into())
            }
        }
    }

    /// The log of partition 0.
    fn log(&self, of: Of) -> Arc<Log> {
        let topic = self.replicas.by_name(topic_of(of)).unwrap();
        topic.partition(PartitionIndex(0)).unwrap().log().unwrap()
    }

    fn found(&self) -> u64 {
        self.dirs.damage_counts().found.iter().map(|(_, count)| count).sum()
    }
}

fn topic_of(of: Of) -> &'static str {
    match of {
        Of::Groups => OFFSETS_TOPIC,
        Of::Transactions => TRANSACTIONS_TOPIC,
    }
}

/// Counts how often whoever waits is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// On this runtime, which has one thread.
async fn everybody_has_a_turn() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn on_a_full_disk_clients_are_told_to_come_again_and_what_is_committed_is_read() {
    for of in BOTH {
        let bed = Bed::open(&SimDisk::new(1));
        let timers = [
            tokio::spawn(Arc::clone(&bed.groups).run_timers()),
            tokio::spawn(Arc::clone(&bed.transactions).run_timers()),
        ];
        bed.write(of, ID, 0).await.unwrap();
        everybody_has_a_turn().await;
        bed.disk.set_space(SPACE - bed.disk.space(Path::new("/data")).unwrap().usable);
        let mut written = 1;
        let code = loop {
            match bed.write(of, ID, written).await {
                Ok(()) => written += 1, // in what is left of the last page
                Err(code) => break code,
            }
        };
        assert_eq!(code, ErrorCode::NotCoordinator, "{of:?}: the one that found out, as with Kafka");
        assert_eq!(bed.write(of, ID, written).await, Err(ErrorCode::CoordinatorNotAvailable), "{of:?}");
        everybody_has_a_turn().await;
        let lost = match of {
            Of::Groups => bed.groups.all()[0].take_lost(),
            Of::Transactions => bed.transactions.all()[0].take_lost(),
        };
        assert!(!lost, "{of:?}: somebody loads it, full or not");
        assert_eq!(bed.read(of, ID).await, Ok(written - 1), "{of:?}: what was committed can be read");
        bed.disk.set_space(SPACE);
        look_after_space(&bed.dirs, &bed.groups, &bed.transactions);
        assert_eq!(bed.write(of, ID, written).await, Ok(()), "{of:?}");
        assert_eq!(bed.read(of, ID).await, Ok(written), "{of:?}");
        timers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn coordinators_go_on_as_soon_as_there_is_room() {
    let bed = Bed::open(&SimDisk::new(1));
    for of in BOTH {
        bed.write(of, ID, 1).await.unwrap();
    }
    bed.disk.set_space(0);
    // Somebody else finds out, so that no shard is lost over it.
    let mut filler = BatchBuilder::new();
    filler.append(NOW, None, Some(&[0; 4096]));
    let filler = filler.build_checked().unwrap();
    let topic = bed.replicas.by_name("a").unwrap();
    let log = topic.partition(PartitionIndex(0)).unwrap().log().unwrap();
    while log.append(&filler, LeaderEpoch(0), Origin::Client, NOW).is_ok() {}
    let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
    let wakers = woken.clone().map(Waker::from);
    let mut groups = pin!(Arc::clone(&bed.groups).run_timers());
    let mut transactions = pin!(Arc::clone(&bed.transactions).run_timers());
    let mut poll = || {
        assert!(groups.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
        assert!(transactions.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
        woken.each_ref().map(|woken| woken.0.load(Ordering::Relaxed))
    };
    poll(); // a word of before may wait for them
    let before = poll();
    assert_eq!(poll(), before, "they wait");
    bed.disk.set_space(SPACE);
    look_after_space(&bed.dirs, &bed.groups, &bed.transactions);
    assert_eq!(poll(), before.map(|times| times + 1));
}

fn segment_path(of: Of, segment: i64, suffix: &str) -> PathBuf {
    PathBuf::from(format!("/data/{}-0/{segment:020}{suffix}", topic_of(of)))
}

/// The bytes of a segment of partition 0, and where its batch with number `index` begins and ends.
fn batch_in(disk: &SimDisk, of: Of, segment: i64, index: usize) -> (Vec<u8>, Range<usize>) {
    let file = disk.open(&segment_path(of, segment, ".log"), OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let mut ends = Batches::new(&bytes).scan(0, |end, batch| {
        *end += batch.unwrap().bytes().len();
        Some(*end)
    });
    let begin = if index == 0 { 0 } else { ends.nth(index - 1).unwrap() };
    let end = ends.next().unwrap();
    (bytes, begin..end)
}

/// Flips a bit of byte `at` of a batch.
fn flip(disk: &SimDisk, of: Of, segment: i64, batch: &Range<usize>, at: usize) {
    let file = disk.open(&segment_path(of, segment, ".log"), OpenMode::Write).unwrap();
    let (mut byte, position) = ([0], (batch.start + at) as u64);
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&mut [IoSlice::new(&[byte[0] ^ 4])], position).unwrap();
}

fn forget_damage(disk: &SimDisk, of: Of) {
    disk.remove_file(Path::new(&format!("/data/{}-0/ottla-damage", topic_of(of)))).unwrap();
}

/// Three batches in a closed segment and three in the active one; then a clean stop.
async fn written(of: Of) -> SimDisk {
    let bed = Bed::open(&SimDisk::new(1));
    for offset in 0..6 {
        bed.write(of, ID, offset).await.unwrap();
        bed.write(of, OTHER, offset).await.unwrap();
        if offset == 2 {
            bed.log(of).roll(NOW).unwrap();
        }
    }
    bed.dirs.close(BrokerEpoch(1)).unwrap();
    bed.disk.kill()
}

#[tokio::test]
async fn a_flipped_bit_takes_its_shard_out_of_service_and_no_other() {
    for of in BOTH {
        for (segment, index) in [(0, 1), (0, 2), (3, 0), (3, 2)] {
            for at in [MAGIC_AT, HEADER_LEN + 5] {
                let what = format!("{of:?}: byte {at} of batch {index} of segment {segment}");
                let disk = written(of).await;
                let batch = batch_in(&disk, of, segment, index).1;
                flip(&disk, of, segment, &batch, at);
                let bed = Bed::open(&disk);
                assert_eq!(bed.read(of, ID).await, Err(ErrorCode::NotCoordinator), "{what}");
                assert_eq!(bed.write(of, ID, 7).await, Err(ErrorCode::NotCoordinator), "{what}");
                assert_eq!((bed.found(), bed.log(of).damaged_places()), (1, 1), "{what}");
                assert_eq!(bed.read(of, OTHER).await, Ok(5), "{what}");
                bed.write(of, OTHER, 6).await.unwrap();
                let untouched = if of == Of::Groups { Of::Transactions } else { Of::Groups };
                assert!(bed.read(untouched, ID).await.is_ok(), "{what}");
                bed.write(untouched, ID, 1).await.unwrap();
                bed.dirs.close(BrokerEpoch(2)).unwrap();
                // What is remembered is found at once.
                let bed = Bed::open(&disk.kill());
                assert_eq!(bed.read(of, ID).await, Err(ErrorCode::NotCoordinator), "{what}");
                assert_eq!(bed.found(), 0, "{what}");
                bed.dirs.close(BrokerEpoch(3)).unwrap();
                // Put back.
                let disk = bed.disk.kill();
                flip(&disk, of, segment, &batch, at);
                forget_damage(&disk, of);
                let bed = Bed::open(&disk);
                assert_eq!(bed.read(of, ID).await, Ok(5), "{what}");
                bed.write(of, ID, 6).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_place_is_given_up_by_cutting_it_out() {
    for of in BOTH {
        for (segment, index, left) in [(0, 1, 5), (3, 0, 5), (3, 2, 4)] {
            let what = format!("{of:?}: batch {index} of segment {segment}");
            let disk = written(of).await;
            let (mut bytes, batch) = batch_in(&disk, of, segment, index);
            flip(&disk, of, segment, &batch, HEADER_LEN + 5);
            let bed = Bed::open(&disk);
            assert_eq!(bed.read(of, ID).await, Err(ErrorCode::NotCoordinator), "{what}");
            bed.dirs.close(BrokerEpoch(2)).unwrap();
            let disk = disk.kill();
            bytes.drain(batch);
            let file = disk.open(&segment_path(of, segment, ".log"), OpenMode::Write).unwrap();
            file.set_len(0).unwrap();
            file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
            for suffix in [".index", ".timeindex"] {
                let _ = disk.remove_file(&segment_path(of, segment, suffix));
            }
            forget_damage(&disk, of);
            let mut bed = Bed::open(&disk);
            if left < 5 {
                // The end is missed: a new segment begins behind it. That gives the place to be a gap, as compaction leaves them.
                assert_eq!((bed.read(of, ID).await, bed.found()), (Err(ErrorCode::NotCoordinator), 1), "{what}");
                bed.dirs.close(BrokerEpoch(3)).unwrap();
                let disk = bed.disk.kill();
                forget_damage(&disk, of);
                bed = Bed::open(&disk);
            }
            assert_eq!((bed.read(of, ID).await, bed.found()), (Ok(left), 0), "{what}");
            bed.write(of, ID, left + 1).await.unwrap();
            assert_eq!(bed.read(of, ID).await, Ok(left + 1), "{what}");
            assert_eq!(bed.log(of).log_end().0, 7, "{what}: no offset is given twice");
        }
    }
}
