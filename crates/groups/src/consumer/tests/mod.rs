//! Consumer groups from outside: requests, topics and time in; replies and records out. Every step of every test checks the
//! laws.
#![allow(clippy::unwrap_used)] // a test may

mod described;
mod epochs;
mod joining;
mod leaving;
mod loading;
mod migrating;
mod olds;
mod patterns;
mod rebalancing;
mod refused;
mod schedules;
mod statics;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_config::{GroupSettings, MigrationPolicy, OffsetsSettings};
use ottla_controller::{MetadataImage, MetadataRecord, Partition, PartitionState, RemoveTopic, Topic};
use ottla_coordinator::{Shard, Ticket};
use ottla_types::{BrokerId, Compression, ErrorCode, Millis, Offset, PartitionIndex, TopicName, Uuid};
use ottla_wire::messages::{
    consumer_group_describe_response::DescribedGroup,
    consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions},
    consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse,
};

use super::{ConsumerGroup, Matching};
use crate::{
    record::GroupRecord,
    request::{Client, GroupReply, GroupRequest},
    settings::Settings,
    shard::{Decided, Group, GroupShard},
};

const GROUP: &str = "g";
const SESSION_MS: i64 = 45_000;
const REBALANCE_MS: i32 = 60_000;
const INTERVAL_MS: i64 = 1_000;

fn settings() -> Settings {
    Settings {
        groups: GroupSettings {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            consumer_session_timeout_ms: SESSION_MS as i32,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignment_interval_ms: INTERVAL_MS as i32,
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
            retention_ms: 600_000,
            retention_check_interval_ms: i64::MAX / 2,
            commit_timeout_ms: 5_000,
            metadata_max_bytes: 4_096,
        },
    }
}

/// A shard, its log, the topics there are, and who was answered what.
#[derive(Clone)]
struct World {
    shard: GroupShard,
    image: MetadataImage,
    now: Millis,
    log: Vec<GroupRecord>,
    asked: u64,
    topics_made: u8,
    replies: BTreeMap<Ticket, GroupReply>,
    /// Whether each step replays the whole log; long schedules do that at their end.
    replays_always: bool,
    /// Whether patterns are worked out as soon as somebody wants that.
    matches_at_once: bool,
}

/// What stands in the log of each group; nothing does of a classic group that has yet to begin a generation.
fn hard(shard: &GroupShard) -> BTreeMap<String, String> {
    let one = |group: &Group| match group {
        Group::Consumer(group) => Some(format!("{:?}", group.hard())),
        Group::Classic(group) => group.stored.as_ref().map(|stored| format!("{stored:?}")),
    };
    shard.groups.iter().filter_map(|(id, group)| Some((id.clone(), one(group)?))).collect()
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut GroupSettings)) -> Self {
        let mut settings = settings();
        change(&mut settings.groups);
        Self {
            shard: GroupShard::new(Arc::new(settings)),
            image: MetadataImage::default(),
            now: Millis(1_000_000),
            log: Vec::new(),
            asked: 0,
            topics_made: 0,
            replies: BTreeMap::new(),
            replays_always: true,
            matches_at_once: true,
        }
    }

    fn change_topics(&mut self, records: &[MetadataRecord]) {
        let version = self.image.version() + 1;
        self.image = self.image.apply(records, version).unwrap().0;
    }

    /// Creates a topic; one made later under the same name has another id.
    fn create(&mut self, name: &str, partitions: i32) {
        self.topics_made += 1;
        let id = Uuid([self.topics_made; 16]);
        self.change_topics(&[MetadataRecord::Topic(Topic { name: TopicName::new(name).unwrap(), id })]);
        self.grow(name, partitions);
    }

    /// Gives a topic more partitions.
    fn grow(&mut self, name: &str, partitions: i32) {
        let topic = Arc::clone(self.image.topic(name).unwrap());
        let more = topic.partitions.len() as i32..partitions;
        let state = PartitionState::created(vec![BrokerId(1)], Vec::new(), |_| true);
        let record = |number| {
            let partition = PartitionIndex(number);
            MetadataRecord::Partition(Partition { topic_id: topic.id, partition, state: state.clone() })
        };
        self.change_topics(&more.map(record).collect::<Vec<_>>());
    }

    fn delete(&mut self, name: &str) {
        let id = self.image.topic(name).unwrap().id;
        self.change_topics(&[MetadataRecord::RemoveTopic(RemoveTopic { id })]);
    }

    fn id(&self, topic: &str) -> Uuid {
        self.image.topic(topic).unwrap().id
    }

    fn ask(&mut self, request: GroupRequest) -> Ticket {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        self.step(|shard, now, image| shard.decide(now, image, ticket, request.clone()));
        if self.matches_at_once {
            self.match_all();
        }
        ticket
    }

    /// Works out all patterns that somebody wants to know of; how many times that took.
    fn match_all(&mut self) -> usize {
        let mut times = 0;
        while let Some(matching) = self.shard.next_matching() {
            self.feed(matching);
            times += 1;
        }
        times
    }

    fn feed(&mut self, matching: Matching) {
        let matched = matching.work_out(self.now, &self.image);
        self.step(|shard, now, image| shard.matched(now, image, matched.clone()));
        self.pass(0);
    }

    /// One decision as the runtime makes it: records first, then replies.
    fn step(&mut self, decide: impl Fn(&mut GroupShard, Millis, &MetadataImage) -> Decided) {
        let mut before = hard(&self.shard);
        let empty = |(_, group): &(&String, &Group)| matches!(group, Group::Consumer(group) if group.is_empty());
        let empty: Vec<_> = self.shard.groups.iter().filter(empty).map(|(id, _)| id.clone()).collect();
        let mut twin = self.shard.clone();
        let decided = decide(&mut self.shard, self.now, &self.image);
        assert_eq!(decided, decide(&mut twin, self.now, &self.image), "the same decision twice");
        assert_eq!(self.shard.groups, twin.groups, "the same soft state twice");
        assert_eq!(self.shard.matcher, twin.matcher, "the same patterns twice");
        // A group without members gives way at once to a classic one, which has no other place to wait for its record.
        for id in empty.iter().filter(|id| self.shard.classic(id).is_some()) {
            let mut records = decided.records.iter();
            assert!(records.any(|it| matches!(it, GroupRecord::Epoch(key, None) if key.group_id == *id)), "{id}");
            before.remove(id);
        }
        assert_eq!(hard(&self.shard), before, "a decision leaves the hard state alone");
        for record in decided.records {
            let (key, value) = record.encode().unwrap();
            assert_eq!(GroupRecord::decode(Some(key), value).unwrap(), record, "as it is read");
            self.shard.replay(Offset(self.log.len() as i64), None, record.clone());
            self.log.push(record);
        }
        for (ticket, reply) in decided.replies {
            assert!(self.replies.insert(ticket, reply).is_none(), "one answer");
        }
        if self.replays_always {
            self.check_replay();
        }
    }

    fn check_replay(&self) {
        assert_eq!(hard(&self.replayed()), hard(&self.shard), "the log gives the hard state");
    }

    fn replayed(&self) -> GroupShard {
        let mut shard = GroupShard::new(Arc::clone(&self.shard.settings));
        for (at, record) in self.log.iter().enumerate() {
            shard.replay(Offset(at as i64), None, record.clone());
        }
        shard
    }

    /// The coordinator starts anew from its log.
    fn restart(&mut self) {
        self.shard = self.replayed();
        let decided = self.shard.loaded(self.now, &self.image);
        assert_eq!(decided, Decided::none());
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

    fn send(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.send_as(1, request)
    }

    fn send_as(&mut self, version: i16, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let client = Client { id: "client".to_owned(), host: "/127.0.0.1".to_owned() };
        let fresh = Uuid([0xfe; 16]);
        let ticket = self.ask(GroupRequest::ConsumerHeartbeat { version, client, fresh, request });
        match self.replies.remove(&ticket) {
            Some(GroupReply::ConsumerHeartbeat(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// A member joins; what it was answered, in short.
    fn join(&mut self, member: &str, topics: &[&str]) -> String {
        let response = self.send(joining(member, topics));
        self.show(&response)
    }

    /// A member says that it is there and nothing else.
    fn beat(&mut self, member: &str, epoch: i32) -> String {
        let response = self.send(beating(member, epoch));
        self.show(&response)
    }

    /// A member says what it owns.
    fn own(&mut self, member: &str, epoch: i32, owned: &[(&str, &[i32])]) -> String {
        let request =
            ConsumerGroupHeartbeatRequest { topic_partitions: Some(self.owned(owned)), ..beating(member, epoch) };
        let response = self.send(request);
        self.show(&response)
    }

    fn owned(&self, owned: &[(&str, &[i32])]) -> Vec<TopicPartitions> {
        let topic = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
            topic_id: self.id(topic),
            partitions: partitions.to_vec(),
        };
        owned.iter().map(topic).collect()
    }

    /// A member leaves for good.
    fn leave(&mut self, member: &str) -> String {
        let response = self.send(beating(member, -1));
        self.show(&response)
    }

    /// `epoch` and, where there is one, the assignment: `3: a[0, 1] b[0]`; or an error.
    fn show(&self, response: &ConsumerGroupHeartbeatResponse) -> String {
        if response.error_code != 0 {
            return format!("error {}: {}", response.error_code, response.error_message.as_deref().unwrap_or("-"));
        }
        let epoch = response.member_epoch;
        let Some(assignment) = &response.assignment else { return format!("{epoch}") };
        let name = |id| self.image.topic_by_id(id).map_or("?".to_owned(), |topic| topic.name.to_string());
        let topics: Vec<String> = assignment
            .topic_partitions
            .iter()
            .map(|topic| format!("{}{:?}", name(topic.topic_id), topic.partitions))
            .collect();
        format!("{epoch}: {}", topics.join(" ")).trim_end().to_owned()
    }

    fn group(&self) -> &ConsumerGroup {
        self.shard.consumer(GROUP).unwrap()
    }

    fn state(&self) -> &'static str {
        self.group().state_name()
    }

    /// Group epoch and target epoch.
    fn epochs(&self) -> (i32, i32) {
        (self.group().epoch, self.group().target_epoch)
    }

    /// What `what` wrote, by kind: `Member(a) Epoch(2)`.
    fn written(&mut self, what: impl FnOnce(&mut Self)) -> String {
        let from = self.log.len();
        what(self);
        let shown: Vec<String> = self.log[from..].iter().map(show_record).collect();
        shown.join(" ")
    }

    fn describe(&mut self) -> DescribedGroup {
        let ticket = self.ask(GroupRequest::ConsumerDescribe { group_id: GROUP.to_owned() });
        match self.replies.remove(&ticket) {
            Some(GroupReply::ConsumerDescribe(described)) => described,
            other => panic!("{other:?}"),
        }
    }
}

fn show_record(record: &GroupRecord) -> String {
    let value = |is_there: bool| if is_there { "" } else { "-" };
    match record {
        GroupRecord::Epoch(_, Some(value)) => format!("Epoch({})", value.epoch),
        GroupRecord::Epoch(_, None) => "-Epoch".to_owned(),
        GroupRecord::TargetEpoch(_, Some(value)) => format!("TargetEpoch({})", value.assignment_epoch),
        GroupRecord::TargetEpoch(_, None) => "-TargetEpoch".to_owned(),
        GroupRecord::Member(key, said) => format!("{}Member({})", value(said.is_some()), key.member_id),
        GroupRecord::Target(key, said) => format!("{}Target({})", value(said.is_some()), key.member_id),
        GroupRecord::Current(key, said) => format!("{}Current({})", value(said.is_some()), key.member_id),
        GroupRecord::Regex(key, said) => format!("{}Regex({})", value(said.is_some()), key.regular_expression),
        GroupRecord::Classic(_, said) => format!("{}Classic", value(said.is_some())),
        other => format!("{other:?}"),
    }
}

fn beating(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn joining(member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: REBALANCE_MS,
        subscribed_topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..beating(member, 0)
    }
}
