//! Classic groups from outside: requests and time in; replies and records out. Every step of every test checks the
//! laws.
#![allow(clippy::unwrap_used)] // a test may

mod joining;
mod leaving;
mod loading;
mod rejoining;
mod schedules;
mod sessions;
mod statics;
mod syncing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use ottla_config::{GroupSettings, MigrationPolicy, OffsetsSettings};
use ottla_controller::MetadataImage;
use ottla_coordinator::{Shard, Ticket};
use ottla_types::{Compression, ErrorCode, Millis, Offset, Uuid};
use ottla_wire::messages::{
    group_metadata_value::GroupMetadataValue,
    heartbeat_request::HeartbeatRequest,
    join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol},
    join_group_response::JoinGroupResponse,
    leave_group_request::{LeaveGroupRequest, MemberIdentity},
    leave_group_response::LeaveGroupResponse,
    sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment},
    sync_group_response::SyncGroupResponse,
};

use super::{ClassicGroup, Members, State, Timer};
use crate::{
    record::GroupRecord,
    request::{Client, GroupReply, GroupRequest},
    settings::Settings,
    shard::{self, Decided, Group, GroupShard},
};

const GROUP: &str = "g";
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const DELAY_MS: i64 = 3_000;
const OK: i16 = ErrorCode::None as i16;

fn settings() -> Settings {
    Settings {
        groups: GroupSettings {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: DELAY_MS as i32,
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
            retention_ms: 600_000,
            retention_check_interval_ms: 600_000,
            commit_timeout_ms: 5_000,
            metadata_max_bytes: 4_096,
        },
    }
}

/// A shard, its log, and who asked it what.
#[derive(Clone)]
struct World {
    shard: GroupShard,
    now: Millis,
    log: Vec<GroupRecord>,
    asked: u64,
    open: BTreeSet<Ticket>,
    replies: BTreeMap<Ticket, GroupReply>,
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
            now: Millis(1_000_000),
            log: Vec::new(),
            asked: 0,
            open: BTreeSet::new(),
            replies: BTreeMap::new(),
        }
    }

    fn ask(&mut self, request: GroupRequest) -> Ticket {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        self.open.insert(ticket);
        self.step(|shard, now, image| shard.decide(now, image, ticket, request.clone()));
        ticket
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

    /// Lets time pass until the generation begins, and no longer.
    fn begin(&mut self) {
        while self.state() == "PreparingRebalance" {
            let deadline = self.shard.next_deadline().unwrap();
            self.pass(deadline.since(self.now));
        }
    }

    /// One decision as the runtime makes it: records first, then replies.
    fn step(&mut self, decide: impl Fn(&mut GroupShard, Millis, &MetadataImage) -> Decided) {
        let (image, before) = (MetadataImage::default(), hard(&self.shard));
        let generation_before = self.group().map_or(0, |group| group.generation);
        let mut twin = self.shard.clone();
        let decided = decide(&mut self.shard, self.now, &image);
        assert_eq!(decided, decide(&mut twin, self.now, &image), "the same decision twice");
        assert_eq!(self.shard.groups, twin.groups, "the same soft state twice");
        assert_eq!(hard(&self.shard), before, "a decision leaves the hard state alone");
        for record in decided.records {
            let (key, value) = record.encode().unwrap();
            assert_eq!(GroupRecord::decode(Some(key), value).unwrap(), record, "records survive the log");
            self.log.push(record.clone());
            self.shard.replay(Offset(self.log.len() as i64), None, record);
        }
        for (ticket, reply) in decided.replies {
            assert!(self.open.remove(&ticket), "{ticket:?} was never asked, or answered before: {reply:?}");
            self.replies.insert(ticket, reply);
        }
        assert_eq!(hard(&self.rebuilt()), hard(&self.shard), "the log gives the hard state");
        if let Some(group) = self.group() {
            assert!(group.generation >= generation_before, "the generation never falls");
            self.check_group(group);
        }
    }

    fn check_group(&self, group: &ClassicGroup) {
        let has = |timer: Timer| self.shard.timers.get(&shard::Timer::Classic(GROUP.to_owned(), timer)).is_some();
        let mut again = Members::default();
        for (id, member) in group.members.iter() {
            again.insert(id.clone(), member.clone());
            assert!(member.is_excused() || has(Timer::Session(id.clone())), "{id} has no session: {group:?}");
        }
        assert_eq!(group.members, again, "counts are kept");
        assert!(group.pending_join.iter().all(|id| has(Timer::Session(id.clone()))), "promises end");
        assert!(group.members.is_empty() || group.members.select_protocol().is_some(), "a common protocol");
        assert_eq!(group.leader.is_some(), !group.members.is_empty());
        assert!(group.pending_sync.iter().all(|id| group.members.contains(id)));
        assert_eq!(has(Timer::Sync), !group.pending_sync.is_empty());
        assert_eq!(has(Timer::Join), matches!(group.state, State::PreparingRebalance { .. }));
        assert_eq!(group.is_empty(), group.members.is_empty() && !has(Timer::Join));
        assert!(
            group.state != State::CompletingRebalance || group.pending_sync.contains(group.leader.as_ref().unwrap())
        );
        let parked: BTreeSet<_> =
            group.members.iter().flat_map(|(_, m)| m.joining.map(|p| p.ticket).or(m.syncing)).collect();
        assert_eq!(parked, self.open, "exactly the open tickets are parked");
        assert_eq!(group.decided, None);
    }

    /// What the log alone says.
    fn rebuilt(&self) -> GroupShard {
        let mut shard = GroupShard::new(self.shard.settings.clone());
        for (at, record) in self.log.iter().enumerate() {
            shard.replay(Offset(at as i64), None, record.clone());
        }
        shard
    }

    /// The coordinator dies and another one takes over.
    fn crash(&mut self) {
        self.shard = self.rebuilt();
        self.open.clear();
        if self.group().is_some() {
            self.step(|shard, now, _| super::loaded(shard, now, GROUP));
        }
    }

    fn group(&self) -> Option<&ClassicGroup> {
        self.shard.classic(GROUP)
    }

    fn state(&self) -> &'static str {
        self.group().unwrap().state_name()
    }

    fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains(&ticket)
    }

    fn last_record(&self) -> &GroupMetadataValue {
        match self.log.last() {
            Some(GroupRecord::Classic(_, Some(value))) => value,
            other => panic!("no group's record: {other:?}"),
        }
    }

    fn join_as(&mut self, version: i16, client: &str, change: impl FnOnce(&mut JoinGroupRequest)) -> Ticket {
        let mut request = JoinGroupRequest {
            group_id: GROUP.to_owned(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".to_owned(),
            protocols: vec![protocol("range", "t")],
            ..JoinGroupRequest::default()
        };
        change(&mut request);
        let client = Client { id: client.to_owned(), host: "/127.0.0.1".to_owned() };
        let fresh = Uuid(u128::from(self.asked + 1).to_be_bytes());
        self.ask(GroupRequest::Join { version, client, fresh, request })
    }

    fn join(&mut self, client: &str, change: impl FnOnce(&mut JoinGroupRequest)) -> Ticket {
        self.join_as(9, client, change)
    }

    fn rejoin(&mut self, id: &str) -> Ticket {
        self.join("c", |request| request.member_id = id.to_owned())
    }

    /// A new member joins for its id and then with it, which is parked.
    fn enter(&mut self, client: &str) -> (String, Ticket) {
        let ticket = self.join(client, |_| {});
        let id = self.joined(ticket).member_id.clone();
        (id.clone(), self.rejoin(&id))
    }

    /// A stable group with these many dynamic members, the leader first.
    fn stable(&mut self, members: usize) -> Vec<String> {
        let entered: Vec<_> = (0..members).map(|n| self.enter(&format!("c{n}"))).collect();
        self.begin();
        let leader = self.joined(entered[0].1).leader.clone();
        let mut ids: Vec<_> = entered.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| *id != leader);
        self.sync_all(&ids);
        ids
    }

    /// Everybody syncs, the leader first.
    fn sync_all(&mut self, ids: &[String]) {
        for id in ids {
            let ticket = self.sync(id, &assignments(ids));
            assert_eq!(self.synced(ticket).assignment, format!("work of {id}"));
        }
        assert_eq!(self.state(), "Stable");
    }

    fn joined(&self, ticket: Ticket) -> &JoinGroupResponse {
        match self.replies.get(&ticket) {
            Some(GroupReply::Join(response)) => response,
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    fn join_error(&self, ticket: Ticket) -> ErrorCode {
        code(self.joined(ticket).error_code)
    }

    fn sync_as(&mut self, version: i16, id: &str, change: impl FnOnce(&mut SyncGroupRequest)) -> Ticket {
        let mut request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.group().map_or(0, |group| group.generation),
            member_id: id.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            ..SyncGroupRequest::default()
        };
        change(&mut request);
        self.ask(GroupRequest::Sync { version, request })
    }

    fn sync(&mut self, id: &str, assignments: &[SyncGroupRequestAssignment]) -> Ticket {
        self.sync_as(5, id, |request| request.assignments = assignments.to_vec())
    }

    fn synced(&self, ticket: Ticket) -> &SyncGroupResponse {
        match self.replies.get(&ticket) {
            Some(GroupReply::Sync(response)) => response,
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    fn sync_error(&self, ticket: Ticket) -> ErrorCode {
        code(self.synced(ticket).error_code)
    }

    fn beat_as(&mut self, id: &str, change: impl FnOnce(&mut HeartbeatRequest)) -> ErrorCode {
        let mut request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.group().map_or(0, |group| group.generation),
            member_id: id.to_owned(),
            group_instance_id: None,
        };
        change(&mut request);
        let ticket = self.ask(GroupRequest::Heartbeat { version: 4, request });
        match self.replies.get(&ticket) {
            Some(GroupReply::Heartbeat(response)) => code(response.error_code),
            other => panic!("no answer to a heartbeat: {other:?}"),
        }
    }

    fn beat(&mut self, id: &str) -> ErrorCode {
        self.beat_as(id, |_| {})
    }

    fn leave(&mut self, members: Vec<MemberIdentity>) -> LeaveGroupResponse {
        let request = LeaveGroupRequest { group_id: GROUP.to_owned(), members, ..LeaveGroupRequest::default() };
        self.leave_as(5, request)
    }

    fn leave_as(&mut self, version: i16, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let ticket = self.ask(GroupRequest::Leave { version, request });
        match self.replies.get(&ticket) {
            Some(GroupReply::Leave(response)) => response.clone(),
            other => panic!("no answer to a leave: {other:?}"),
        }
    }
}

fn hard(shard: &GroupShard) -> BTreeMap<String, GroupMetadataValue> {
    let stored = |(id, group): (&String, &Group)| match group {
        Group::Classic(group) => Some((id.clone(), group.stored.clone()?)),
        Group::Consumer(_) => None,
    };
    shard.groups.iter().filter_map(stored).collect()
}

/// The name of a code, if it is one that classic groups use.
fn code(code: i16) -> ErrorCode {
    let known = [
        ErrorCode::None,
        ErrorCode::UnknownServerError,
        ErrorCode::IllegalGeneration,
        ErrorCode::InconsistentGroupProtocol,
        ErrorCode::InvalidGroupId,
        ErrorCode::UnknownMemberId,
        ErrorCode::InvalidSessionTimeout,
        ErrorCode::RebalanceInProgress,
        ErrorCode::MemberIdRequired,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::FencedInstanceId,
    ];
    known.into_iter().find(|known| known.code() == code).unwrap()
}

/// A protocol whose metadata subscribes to one topic.
fn protocol(name: &str, topic: &str) -> JoinGroupRequestProtocol {
    let mut metadata = vec![0, 1, 0, 0, 0, 1, 0, topic.len() as u8];
    metadata.extend(topic.as_bytes());
    metadata.extend([0xff; 4]);
    JoinGroupRequestProtocol { name: name.to_owned(), metadata: metadata.into() }
}

fn assignments(ids: &[String]) -> Vec<SyncGroupRequestAssignment> {
    let work = |id: &String| SyncGroupRequestAssignment {
        member_id: id.clone(),
        assignment: Bytes::from(format!("work of {id}")),
    };
    ids.iter().map(work).collect()
}

fn identity(member_id: &str, instance_id: Option<&str>) -> MemberIdentity {
    let group_instance_id = instance_id.map(str::to_owned);
    MemberIdentity { member_id: member_id.to_owned(), group_instance_id, reason: None }
}
