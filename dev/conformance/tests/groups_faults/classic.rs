//! A member of the classic kind that does each step when it is told to, and the questions that need no member.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_types::ErrorCode;
use ottla_wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use ottla_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use ottla_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_wire::messages::describe_groups_response::DescribedGroup;
use ottla_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_wire::messages::join_group_response::JoinGroupResponse;
use ottla_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_wire::messages::sync_group_response::SyncGroupResponse;
use ottla_wire::{Message, Writer};

const FIND: i16 = 4;
const JOIN: i16 = 9;
const SYNC: i16 = 5;
const HEARTBEAT: i16 = 4;
const LEAVE: i16 = 5;
const COMMIT: i16 = 9;
const FETCH: i16 = 9;
const DESCRIBE: i16 = 5;

/// Its group waits for it as long as a case may need.
const REBALANCE_TIMEOUT_MS: i32 = 300_000;

/// See the file's head.
pub(crate) struct Classic {
    pub(crate) raw: Raw,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) instance: Option<String>,
    pub(crate) session_ms: i32,
    pub(crate) id: String,
    pub(crate) generation: i32,
}

impl Classic {
    pub(crate) fn new(bootstrap: &str, group: &str, topic: &str) -> Result<Classic> {
        Ok(Classic {
            raw: at_coordinator(bootstrap, group)?,
            group: group.to_owned(),
            topic: topic.to_owned(),
            instance: None,
            session_ms: 45_000,
            id: String::new(),
            generation: -1,
        })
    }

    /// Joins, with the id that the group gives where it has none; this waits for the other members.
    pub(crate) fn join(&mut self) -> Result<JoinGroupResponse> {
        self.ask_id()?;
        self.send_join()?;
        self.joined()
    }

    /// Takes the id that it is to join with, where it has none and needs one.
    pub(crate) fn ask_id(&mut self) -> Result<()> {
        if self.id.is_empty() && self.instance.is_none() {
            let answer = self.raw.ask(JOIN, &self.join_request())?;
            ensure!(answer.error_code == ErrorCode::MemberIdRequired.code(), "{answer:?}");
            self.id = answer.member_id;
        }
        Ok(())
    }

    pub(crate) fn send_join(&mut self) -> Result<()> {
        let request = self.join_request();
        self.raw.send(JOIN, &request)
    }

    pub(crate) fn joined(&mut self) -> Result<JoinGroupResponse> {
        let answer = self.raw.answer::<JoinGroupRequest>(JOIN)?;
        if answer.error_code == 0 {
            (self.id, self.generation) = (answer.member_id.clone(), answer.generation_id);
        }
        Ok(answer)
    }

    /// Asks to join and gives only the error.
    pub(crate) fn join_error(&mut self) -> Result<i16> {
        let request = self.join_request();
        Ok(self.raw.ask(JOIN, &request)?.error_code)
    }

    fn join_request(&self) -> JoinGroupRequest {
        let topics = vec![self.topic.clone()];
        let subscription = ConsumerProtocolSubscription { topics, ..ConsumerProtocolSubscription::default() };
        let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), metadata: embedded(&subscription).into() };
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![protocol],
            reason: None,
        }
    }

    /// Hands out partitions, by members' ids; nothing where it does not lead.
    pub(crate) fn sync(&mut self, shares: &BTreeMap<String, Vec<i32>>) -> Result<SyncGroupResponse> {
        let assignments = shares.iter().map(|(member, partitions)| {
            let topic = TopicPartition { topic: self.topic.clone(), partitions: partitions.clone() };
            let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data: None };
            SyncGroupRequestAssignment { member_id: member.clone(), assignment: embedded(&assignment).into() }
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignments.collect(),
        };
        self.raw.ask(SYNC, &request)
    }

    /// Takes all of `partitions` for itself.
    pub(crate) fn sync_alone(&mut self, partitions: &[i32]) -> Result<()> {
        let answer = self.sync(&BTreeMap::from([(self.id.clone(), partitions.to_vec())]))?;
        ensure!(answer.error_code == 0, "{answer:?}");
        Ok(())
    }

    pub(crate) fn heartbeat(&mut self) -> Result<i16> {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        };
        Ok(self.raw.ask(HEARTBEAT, &request)?.error_code)
    }

    pub(crate) fn leave(&mut self) -> Result<i16> {
        let identity = MemberIdentity { member_id: self.id.clone(), ..MemberIdentity::default() };
        let request =
            LeaveGroupRequest { group_id: self.group.clone(), members: vec![identity], ..LeaveGroupRequest::default() };
        let answer = self.raw.ask(LEAVE, &request)?;
        ensure!(answer.error_code == 0, "{answer:?}");
        Ok(answer.members.first().context("no member in the answer")?.error_code)
    }

    /// Commits an offset of partition 0.
    pub(crate) fn commit(&mut self, offset: i64) -> Result<i16> {
        let who = (self.id.as_str(), self.generation, self.instance.as_deref());
        commit(&mut self.raw, (&self.group, &self.topic), who, offset)
    }
}

/// A connection to the group's coordinator, which is ready.
pub(crate) fn at_coordinator(bootstrap: &str, group: &str) -> Result<Raw> {
    let mut raw = Raw::connect(bootstrap)?;
    let request = FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() };
    settled(|| {
        let answer = raw.ask(FIND, &request)?;
        let found = answer.coordinators.first().context("no coordinator in the answer")?.error_code;
        if found != 0 {
            return Ok(found);
        }
        // Found is not loaded: only a question about the group tells.
        Ok(committed(&mut raw, (group, "any"), None)?.err().unwrap_or(0))
    })?;
    Ok(raw)
}

/// Asks until the answer is not that the coordinator is still on its way.
pub(crate) fn settled(mut ask: impl FnMut() -> Result<i16>) -> Result<i16> {
    let early = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
    let mut answer = 0;
    let asked = || {
        answer = ask()?;
        Ok(early.iter().all(|code| code.code() != answer))
    };
    wait("the coordinator", asked, String::new)?;
    Ok(answer)
}

/// Commits an offset of partition 0 as the member `who`, (id, generation or epoch, name); the error.
pub(crate) fn commit(raw: &mut Raw, of: (&str, &str), who: (&str, i32, Option<&str>), offset: i64) -> Result<i16> {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic { name: of.1.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: of.0.to_owned(),
        generation_id_or_member_epoch: who.1,
        member_id: who.0.to_owned(),
        group_instance_id: who.2.map(str::to_owned),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = raw.ask(COMMIT, &request)?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    Ok(partition.context("no partition in the answer")?.error_code)
}

/// The committed offset of partition 0, -1 where there is none, or the group's error; `who` asks, if anybody.
pub(crate) fn committed(raw: &mut Raw, of: (&str, &str), who: Option<(&str, i32)>) -> Result<Result<i64, i16>> {
    let topic = OffsetFetchRequestTopics { name: of.1.to_owned(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: of.0.to_owned(),
        member_id: who.map(|(id, _)| id.to_owned()),
        member_epoch: who.map_or(-1, |(_, epoch)| epoch),
        topics: Some(vec![topic]),
    };
    let answer = raw.ask(FETCH, &OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() })?;
    let group = answer.groups.first().context("no group in the answer")?;
    if group.error_code != 0 {
        return Ok(Err(group.error_code));
    }
    let partition = group.topics.first().and_then(|topic| topic.partitions.first());
    Ok(Ok(partition.context("no partition in the answer")?.committed_offset))
}

/// The group as `DescribeGroups` shows it.
pub(crate) fn describe(raw: &mut Raw, group: &str) -> Result<DescribedGroup> {
    let request = DescribeGroupsRequest { groups: vec![group.to_owned()], ..DescribeGroupsRequest::default() };
    raw.ask(DESCRIBE, &request)?.groups.into_iter().next().context("no group in the answer")
}

/// Waits until the group is in this state with so many members.
pub(crate) fn await_state(bootstrap: &str, group: &str, state: &str, members: usize) -> Result<()> {
    let mut raw = Raw::connect(bootstrap)?;
    let mut last = String::new();
    let reached = || {
        let described = describe(&mut raw, group)?;
        last = format!("{described:?}");
        Ok(described.group_state == state && described.members.len() == members)
    };
    let waited = wait(&format!("{group} to be {state}"), reached, String::new);
    waited.with_context(|| last.clone())
}

/// A version of the consumer protocol's own messages, then the message.
fn embedded<M: Message>(message: &M) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    writer.i16(0);
    let encoded = message.encode(&mut writer, 0).ok().and_then(|()| writer.finish().read().ok());
    encoded.map(|bytes| bytes.to_vec()).unwrap_or_default()
}
