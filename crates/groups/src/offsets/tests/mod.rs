//! Offsets from outside: requests, records of groups, ends of transactions and time in; replies and records out. Every
//! step of every test checks the laws.
#![allow(clippy::unwrap_used)] // a test may

mod committing;
mod deleting;
mod expiring;
mod fetching;
mod schedules;
mod transacting;

use std::sync::Arc;

use bytes::Bytes;
use ottla_config::{GroupSettings, MigrationPolicy, OffsetsSettings};
use ottla_controller::{MetadataImage, MetadataRecord, Partition, PartitionState, RemoveTopic, Topic};
use ottla_coordinator::{Outcome, Shard, Ticket};
use ottla_types::{
    BrokerId, Compression, ErrorCode, LeaderEpoch, Millis, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch, TopicName, Uuid,
};
use ottla_wire::messages::{
    consumer_group_current_member_assignment_key::ConsumerGroupCurrentMemberAssignmentKey,
    consumer_group_current_member_assignment_value::{
        ConsumerGroupCurrentMemberAssignmentValue, TopicPartitions as HeldPartitions,
    },
    consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey,
    consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue,
    consumer_group_metadata_key::ConsumerGroupMetadataKey,
    consumer_group_metadata_value::ConsumerGroupMetadataValue,
    group_metadata_key::GroupMetadataKey,
    group_metadata_value::{GroupMetadataValue, MemberMetadata},
    join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol},
    offset_commit_key::OffsetCommitKey,
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_commit_response::OffsetCommitResponse,
    offset_commit_value::OffsetCommitValue,
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    offset_fetch_response::{OffsetFetchResponseGroup, OffsetFetchResponsePartitions},
};

use super::{CommittedOffset, Offsets};
use crate::{
    record::GroupRecord,
    request::{Client, GroupReply, GroupRequest},
    settings::Settings,
    shard::{Decided, GroupShard, Timer},
};

pub(crate) const RETENTION_MS: i64 = 600_000;
const NOW: Millis = Millis(1_000_000);
/// Last version with names.
const NAMES: i16 = 9;
/// First version with ids.
const IDS: i16 = 10;
const NONE: i16 = ErrorCode::None as i16;

/// What is in the log.
#[derive(Clone, Debug)]
enum Entry {
    Record(Option<ProducerIdAndEpoch>, Bytes, Option<Bytes>),
    End(ProducerIdAndEpoch, Outcome),
}

/// A shard, its log and the topics there are.
pub(crate) struct World {
    pub(crate) shard: GroupShard,
    pub(crate) image: MetadataImage,
    pub(crate) now: Millis,
    log: Vec<Entry>,
}

fn settings() -> Settings {
    Settings {
        groups: GroupSettings {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignment_interval_ms: 1_000,
            consumer_max_size: i32::MAX,
            consumer_assignors: vec!["uniform".into(), "range".into()],
            consumer_migration_policy: MigrationPolicy::Bidirectional,
            consumer_regex_refresh_interval_ms: 600_000,
        },
        offsets: OffsetsSettings {
            topic_num_partitions: 50,
            topic_replication_factor: 1,
            topic_segment_bytes: 1 << 20,
            topic_compression: Compression::None,
            retention_ms: RETENTION_MS,
            retention_check_interval_ms: 60_000,
            commit_timeout_ms: 5_000,
            metadata_max_bytes: 8,
        },
    }
}

pub(crate) fn id(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn producer(id: i64) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

/// State without what is soft.
fn hard(shard: &GroupShard) -> Offsets {
    Offsets { gone: std::collections::BTreeMap::new(), ..shard.offsets.clone() }
}

impl World {
    /// Topics `a` with id 1 and three partitions, and `b` with id 2 and one.
    pub(crate) fn new() -> Self {
        let shard = GroupShard::new(Arc::new(settings()));
        let mut world = Self { shard, image: MetadataImage::default(), now: NOW, log: Vec::new() };
        world.create("a", id(1), 3);
        world.create("b", id(2), 1);
        world
    }

    pub(crate) fn create(&mut self, name: &str, id: Uuid, partitions: i32) {
        let topic = Topic { name: TopicName::new(name).unwrap(), id };
        let partition = |partition| Partition {
            topic_id: id,
            partition: PartitionIndex(partition),
            state: PartitionState::created(vec![BrokerId(1)], vec![Uuid::ZERO], |_| true),
        };
        let partitions = (0..partitions).map(|number| MetadataRecord::Partition(partition(number)));
        self.change(std::iter::once(MetadataRecord::Topic(topic)).chain(partitions).collect());
    }

    pub(crate) fn remove(&mut self, id: Uuid) {
        self.change(vec![MetadataRecord::RemoveTopic(RemoveTopic { id })]);
    }

    fn change(&mut self, records: Vec<MetadataRecord>) {
        self.image = self.image.apply(&records, self.image.version() + 1).unwrap().0;
    }

    pub(crate) fn ask(&mut self, request: GroupRequest) -> GroupReply {
        let mut replies = self.step(|shard, now, image| shard.decide(now, image, Ticket(7), request.clone())).replies;
        assert_eq!(replies.len(), 1, "answered at once");
        let (ticket, reply) = replies.remove(0);
        assert_eq!(ticket, Ticket(7));
        reply
    }

    /// The coordinator starts anew from its log.
    pub(crate) fn restart(&mut self) {
        self.shard = self.rebuilt();
        let (now, image) = (self.now, self.image.clone());
        assert_eq!(self.shard.loaded(now, &image), Decided::none());
    }

    /// An offset of a topic with too long a name to be there.
    pub(crate) fn commit_long(&mut self, group: &str, topic: &str) {
        let key = OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition: 0 };
        let record = GroupRecord::Offset(key, Some(OffsetCommitValue::default()));
        let (key, value) = record.encode().unwrap();
        let at = Offset(self.log.len() as i64);
        self.log.push(Entry::Record(None, key, value));
        self.shard.replay(at, None, record);
    }

    /// One decision as the runtime makes it.
    pub(crate) fn step(&mut self, decide: impl Fn(&mut GroupShard, Millis, &MetadataImage) -> Decided) -> Decided {
        let (mut twin, before) = (self.shard.clone(), hard(&self.shard));
        let decided = decide(&mut self.shard, self.now, &self.image);
        assert_eq!(decided, decide(&mut twin, self.now, &self.image), "the same decision twice");
        assert_eq!(hard(&self.shard), before, "a decision leaves the hard state alone");
        for record in decided.records.iter().cloned() {
            self.append(decided.transaction, record);
        }
        decided
    }

    /// A record is in the log, whoever decided it.
    pub(crate) fn append(&mut self, by: Option<ProducerIdAndEpoch>, record: GroupRecord) {
        let (key, value) = record.encode().unwrap();
        let at = Offset(self.log.len() as i64);
        self.log.push(Entry::Record(by, key, value));
        self.shard.replay(at, by, record);
        self.check();
    }

    fn end(&mut self, by: ProducerIdAndEpoch, outcome: Outcome) {
        self.log.push(Entry::End(by, outcome));
        self.shard.end_transaction(by, outcome);
        self.check();
    }

    fn check(&self) {
        assert!(self.shard.offsets.is_consistent(), "{:?}", self.shard.offsets);
        assert_eq!(hard(&self.rebuilt()), hard(&self.shard), "the log gives the hard state");
    }

    /// What the log alone says.
    fn rebuilt(&self) -> GroupShard {
        let mut shard = GroupShard::new(Arc::clone(&self.shard.settings));
        for (at, entry) in (0..).zip(&self.log) {
            match entry {
                Entry::Record(by, key, value) => {
                    let record = GroupRecord::decode(Some(key.clone()), value.clone()).unwrap();
                    shard.replay(Offset(at), *by, record);
                }
                Entry::End(by, outcome) => shard.end_transaction(*by, *outcome),
            }
        }
        shard
    }

    /// Commits as an admin client does.
    pub(crate) fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let response = self.commit_with(NAMES, request(group, &[(topic, &[(partition, offset)])]));
        assert_eq!(response.topics[0].partitions[0].error_code, NONE, "{response:?}");
    }

    fn commit_with(&mut self, version: i16, request: OffsetCommitRequest) -> OffsetCommitResponse {
        match self.ask(GroupRequest::CommitOffsets { version, request }) {
            GroupReply::CommitOffsets(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Topic, partition and error of a commit.
    fn commit_errors(&mut self, version: i16, request: OffsetCommitRequest) -> Vec<(String, i32, i16)> {
        let topics = self.commit_with(version, request).topics;
        let flat = |topic: ottla_wire::messages::offset_commit_response::OffsetCommitResponseTopic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |it| (name.clone(), it.partition_index, it.error_code))
        };
        topics.into_iter().flat_map(flat).collect()
    }

    fn fetch_with(&mut self, version: i16, stable: bool, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        match self.ask(GroupRequest::FetchOffsets { version, require_stable: stable, group }) {
            GroupReply::FetchOffsets(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Topic, partition and offset of all that a group has committed.
    pub(crate) fn committed(&mut self, group: &str) -> Vec<(String, i32, i64)> {
        let all = OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
        let topics = self.fetch_with(NAMES, false, all).topics;
        let flat = |topic: ottla_wire::messages::offset_fetch_response::OffsetFetchResponseTopics| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |it| (name.clone(), it.partition_index, it.committed_offset))
        };
        topics.into_iter().flat_map(flat).collect()
    }

    fn stored(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        let mut all = self.shard.committed();
        all.find(|(g, t, p, _)| (*g, *t, *p) == (group, topic, partition)).map(|(.., committed)| committed)
    }

    /// Looks for what expired; how many records that took.
    fn expire(&mut self) -> usize {
        self.step(|shard, now, _| super::expire(shard, now)).records.len()
    }

    /// A classic group without members, empty since `since`.
    pub(crate) fn empty_classic(&mut self, group: &str, protocol_type: &str, since: Millis) {
        self.classic(group, protocol_type, since, Vec::new());
    }

    /// A stable classic group of one member `m` in generation 3 that reads `topics`.
    pub(crate) fn stable_classic(&mut self, group: &str, protocol_type: &str, topics: &[&str]) {
        let member = MemberMetadata {
            member_id: "m".to_owned(),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout: 60_000,
            session_timeout: 10_000,
            subscription: subscription(topics),
            ..MemberMetadata::default()
        };
        self.classic(group, protocol_type, self.now, vec![member]);
    }

    fn classic(&mut self, group: &str, protocol_type: &str, since: Millis, members: Vec<MemberMetadata>) {
        let value = GroupMetadataValue {
            protocol_type: protocol_type.to_owned(),
            generation: 3,
            protocol: members.first().map(|_| "range".to_owned()),
            leader: members.first().map(|member| member.member_id.clone()),
            current_state_timestamp: since.0,
            members,
        };
        self.append(None, GroupRecord::Classic(GroupMetadataKey { group: group.to_owned() }, Some(value)));
    }

    /// The only member joins again, for generation 4, and has yet to sync.
    fn rejoin(&mut self, group: &str, topics: &[&str]) {
        let protocols = vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata: subscription(topics) }];
        let request = JoinGroupRequest {
            group_id: group.to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            member_id: "m".to_owned(),
            protocol_type: "consumer".to_owned(),
            protocols,
            ..JoinGroupRequest::default()
        };
        let (client, fresh) = (Client::default(), Uuid::ZERO);
        match self.ask(GroupRequest::Join { version: 9, client, fresh, request }) {
            GroupReply::Join(response) => assert_eq!((response.error_code, response.generation_id), (NONE, 4)),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn empty_consumer(&mut self, group: &str) {
        let key = ConsumerGroupMetadataKey { group_id: group.to_owned() };
        let value = ConsumerGroupMetadataValue { epoch: 5, ..ConsumerGroupMetadataValue::default() };
        self.append(None, GroupRecord::Epoch(key, Some(value)));
    }

    /// A consumer group of one member `m` in epoch 5 that reads `a` and has its first partition since epoch 4.
    pub(crate) fn joined_consumer(&mut self, group: &str) {
        self.empty_consumer(group);
        let (group_id, member_id) = (group.to_owned(), "m".to_owned());
        let key = ConsumerGroupMemberMetadataKey { group_id: group_id.clone(), member_id: member_id.clone() };
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: None,
            rack_id: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            subscribed_topic_names: vec!["a".to_owned()],
            subscribed_topic_regex: None,
            rebalance_timeout_ms: 60_000,
            server_assignor: None,
            classic_member_metadata: None,
        };
        self.append(None, GroupRecord::Member(key, Some(value)));
        let held = HeldPartitions { topic_id: id(1), partitions: vec![0], assignment_epochs: Some(vec![4]) };
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: 5,
            previous_member_epoch: 4,
            state: 1,
            assigned_partitions: vec![held],
            partitions_pending_revocation: Vec::new(),
        };
        let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
        self.append(None, GroupRecord::Current(key, Some(value)));
    }

    /// A transaction writes an offset.
    fn write(&mut self, by: ProducerIdAndEpoch, group: &str, topic: &str, offset: i64) {
        let key = OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition: 0 };
        let value = OffsetCommitValue { offset, commit_timestamp: self.now.0, ..OffsetCommitValue::default() };
        self.append(Some(by), GroupRecord::Offset(key, Some(value)));
    }
}

/// What a consumer says that it reads, version 0.
fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

/// A commit of partitions and offsets by topic, from outside of the group.
fn request(group: &str, topics: &[(&str, &[(i32, i64)])]) -> OffsetCommitRequest {
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| OffsetCommitRequestTopic {
        name: (*name).to_owned(),
        topic_id: Uuid::ZERO,
        partitions: partitions.iter().map(|(partition, offset)| asked(*partition, *offset)).collect(),
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: topics.iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    }
}

fn asked(partition: i32, offset: i64) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition { partition_index: partition, committed_offset: offset, ..Default::default() }
}

/// A commit of the member `m`.
fn by_member(epoch: i32, request: OffsetCommitRequest) -> OffsetCommitRequest {
    OffsetCommitRequest { generation_id_or_member_epoch: epoch, member_id: "m".to_owned(), ..request }
}

/// A commit that gives topics by id.
fn by_id(group: &str, topic_id: Uuid, partitions: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions = partitions.iter().map(|(partition, offset)| asked(*partition, *offset)).collect();
    let topics = vec![OffsetCommitRequestTopic { name: String::new(), topic_id, partitions }];
    OffsetCommitRequest { group_id: group.to_owned(), topics, ..OffsetCommitRequest::default() }
}

/// A fetch of partitions by topic.
fn fetching(group: &str, topics: &[(&str, Uuid, &[i32])]) -> OffsetFetchRequestGroup {
    let topic = |(name, topic_id, partitions): &(&str, Uuid, &[i32])| OffsetFetchRequestTopics {
        name: (*name).to_owned(),
        topic_id: *topic_id,
        partition_indexes: partitions.to_vec(),
    };
    OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        topics: Some(topics.iter().map(topic).collect()),
        ..OffsetFetchRequestGroup::default()
    }
}

/// A partition without offset.
fn nothing(partition: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        committed_leader_epoch: LeaderEpoch::UNKNOWN.0,
        metadata: Some(String::new()),
        error_code: error.code(),
    }
}

/// Group, topic, partition and offset, for comparison.
fn committed(topics: &[(&str, i32, i64)]) -> Vec<(String, i32, i64)> {
    topics.iter().map(|(topic, partition, offset)| ((*topic).to_owned(), *partition, *offset)).collect()
}
