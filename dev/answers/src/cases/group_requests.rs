//! What cases about groups begin with: a coordinator that is there, members that are in, requests that differ in one thing.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ottla_wire::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_wire::messages::leave_group_request::MemberIdentity;
use ottla_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    ConsumerProtocolSubscription, DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
    SyncGroupRequestAssignment,
};
use ottla_wire::{Message, Writer};

use super::others::coordinator_there;
use super::requests::Topic;
use crate::session::{Pending, Session};

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";
/// How long a member may take for what a rebalance needs. No case waits that long.
pub(super) const TIMEOUT_MS: i32 = 10_000;
const SESSION_MS: i32 = 30_000;
/// What most members can do.
pub(super) const RANGE: &[Protocol<'_>] = &[("range", b"r")];

/// Newest versions of what is asked on the way.
pub(super) const JOIN: i16 = 9;
pub(super) const SYNC: i16 = 5;
pub(super) const HEARTBEAT: i16 = 4;
pub(super) const LEAVE: i16 = 5;
pub(super) const CONSUMER_HEARTBEAT: i16 = 1;
const COMMIT: i16 = 9;
const FETCH: i16 = 7;
/// The version before the one that calls an unknown group an error.
const DESCRIBE: i16 = 5;
/// The oldest version of JoinGroup that gives out a member id first.
const ID_FIRST: i16 = 4;

/// The epoch of a consumer that leaves.
pub(super) const GONE: i32 = -1;
const UNKNOWN_MEMBER_ID: i16 = 25;
const MEMBER_ID_REQUIRED: i16 = 79;

/// Name and metadata.
pub(super) type Protocol<'a> = (&'a str, &'a [u8]);

/// The real name of the group that the case calls `name`; its coordinator answers.
pub(super) fn group(s: &mut Session, name: &str) -> Result<String> {
    let group = s.topic(name);
    coordinator_there(s, 0)?;
    s.settle("the coordinator has loaded", |s| Ok(touched(s, &group)? == UNKNOWN_MEMBER_ID))?;
    Ok(group)
}

/// Returns when all that the group was asked before is visible to those who only read.
pub(super) fn touched(s: &mut Session, group: &str) -> Result<i16> {
    let nobody = HeartbeatRequest {
        group_id: group.to_owned(),
        generation_id: -1,
        member_id: "nobody".to_owned(),
        ..Default::default()
    };
    Ok(s.get(HEARTBEAT, &nobody)?.error_code)
}

/// A classic member that is in.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) generation: i32,
}

impl Member {
    /// The one that `joined` without an instance id.
    pub(super) fn of(group: &str, joined: &JoinGroupResponse) -> Member {
        let (group, id) = (group.to_owned(), joined.member_id.clone());
        Member { group, id, instance: None, generation: joined.generation_id }
    }

    /// In `generation`.
    pub(super) fn at(&self, generation: i32) -> Member {
        Member { generation, ..self.clone() }
    }

    /// Under another id.
    pub(super) fn called(&self, id: &str) -> Member {
        Member { id: id.to_owned(), ..self.clone() }
    }

    /// As the static member `instance`.
    pub(super) fn instance(&self, instance: &str) -> Member {
        Member { instance: Some(instance.to_owned()), ..self.clone() }
    }

    /// In another group.
    pub(super) fn in_group(&self, group: &str) -> Member {
        Member { group: group.to_owned(), ..self.clone() }
    }

    pub(super) fn rejoin(&self) -> JoinGroupRequest {
        JoinGroupRequest { group_instance_id: self.instance.clone(), ..join(&self.group, &self.id, RANGE) }
    }

    pub(super) fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        }
    }

    /// Hands out what each member gets, where it leads; protocol type and name are `consumer` and `range`.
    pub(super) fn sync(&self, assignments: &[(&Member, &str)]) -> SyncGroupRequest {
        let assignment = |(member, text): &(&Member, &str)| SyncGroupRequestAssignment {
            member_id: member.id.clone(),
            assignment: Bytes::copy_from_slice(text.as_bytes()),
        };
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some(CONSUMER.to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignments.iter().map(assignment).collect(),
        }
    }

    pub(super) fn leave(&self) -> LeaveGroupRequest {
        leave(&self.group, &[(&self.id, self.instance.as_deref())])
    }

    pub(super) fn commit(&self, topic: &Topic, offset: i64) -> OffsetCommitRequest {
        OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..commit(&self.group, topic, &[(0, offset)])
        }
    }
}

/// A request to join as a dynamic member that consumes.
pub(super) fn join(group: &str, member_id: &str, protocols: &[Protocol<'_>]) -> JoinGroupRequest {
    let protocol = |(name, metadata): &Protocol<'_>| JoinGroupRequestProtocol {
        name: (*name).to_owned(),
        metadata: Bytes::copy_from_slice(metadata),
    };
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: TIMEOUT_MS,
        member_id: member_id.to_owned(),
        protocol_type: CONSUMER.to_owned(),
        protocols: protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

/// Who leaves: member id and instance id. Versions that know of one member only take the first.
pub(super) fn leave(group: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let member = |(id, instance): &(&str, Option<&str>)| MemberIdentity {
        member_id: (*id).to_owned(),
        group_instance_id: instance.map(str::to_owned),
        reason: None,
    };
    LeaveGroupRequest {
        group_id: group.to_owned(),
        member_id: members.first().map(|(id, _)| (*id).to_owned()).unwrap_or_default(),
        members: members.iter().map(member).collect(),
    }
}

/// What a Java consumer says of the topics it wants.
pub(super) fn subscription(topics: &[&str]) -> Result<Bytes> {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    };
    let mut bytes = Writer::default();
    bytes.i16(ConsumerProtocolSubscription::VERSIONS.max);
    subscription.encode(&mut bytes, ConsumerProtocolSubscription::VERSIONS.max)?;
    Ok(bytes.finish().read()?)
}

/// Joins in version `v`, in the two steps that it takes since some version, and shows both.
pub(super) fn joins(s: &mut Session, v: i16, label: &str, request: &JoinGroupRequest) -> Result<Member> {
    let request = with_id(s, v, label, request)?;
    let joined = s.ask(label, v, &request)?.context("closed")?;
    Ok(Member { instance: request.group_instance_id, ..Member::of(&request.group_id, &joined) })
}

/// [`joins`] up to the point where others must do something.
pub(super) fn joining(
    s: &mut Session,
    v: i16,
    label: &str,
    request: &JoinGroupRequest,
) -> Result<Pending<JoinGroupRequest>> {
    let request = with_id(s, v, label, request)?;
    s.send(label, v, &request)
}

/// `request` with the id that the broker gives to a member without one; shows how it does.
fn with_id(s: &mut Session, v: i16, label: &str, request: &JoinGroupRequest) -> Result<JoinGroupRequest> {
    if v < ID_FIRST || !request.member_id.is_empty() || request.group_instance_id.is_some() {
        return Ok(request.clone());
    }
    let first = s.ask(&format!("{label}, without an id"), v, request)?.context("closed")?;
    Ok(JoinGroupRequest { member_id: first.member_id, ..request.clone() })
}

/// A member id that the group waits to be joined with.
pub(super) fn promised(s: &mut Session, group: &str) -> Result<String> {
    let response = s.get(JOIN, &join(group, "", RANGE))?;
    ensure!(response.error_code == MEMBER_ID_REQUIRED, "{response:?}");
    Ok(response.member_id)
}

/// The only member of a new generation; it has not synced.
pub(super) fn joined(s: &mut Session, request: &JoinGroupRequest) -> Result<Member> {
    let mut response = s.get(JOIN, request)?;
    if response.error_code == MEMBER_ID_REQUIRED {
        response = s.get(JOIN, &JoinGroupRequest { member_id: response.member_id, ..request.clone() })?;
    }
    ensure!(response.error_code == 0, "{response:?}");
    Ok(Member { instance: request.group_instance_id.clone(), ..Member::of(&request.group_id, &response) })
}

/// A stable group of one member.
pub(super) fn one_member(s: &mut Session, group: &str) -> Result<Member> {
    stable(s, &join(group, "", RANGE))
}

/// A stable group of one member that joins with `request`.
pub(super) fn stable(s: &mut Session, request: &JoinGroupRequest) -> Result<Member> {
    let member = joined(s, request)?;
    synced(s, &member, request, &[(&member, "all")])?;
    Ok(member)
}

/// A stable group of two members; the first one leads.
pub(super) fn two_members(s: &mut Session, group: &str) -> Result<(Member, Member)> {
    let first = one_member(s, group)?;
    let id = promised(s, group)?;
    let pending = s.send("", JOIN, &join(group, &id, RANGE))?;
    wait_for(s, group, "PreparingRebalance")?;
    let first = joined(s, &first.rejoin())?;
    let second = Member::of(group, &s.receive_unkept(pending)?);
    synced(s, &first, &first.rejoin(), &[(&first, "half"), (&second, "other half")])?;
    synced(s, &second, &second.rejoin(), &[])?;
    Ok((first, second))
}

fn synced(s: &mut Session, member: &Member, how: &JoinGroupRequest, assignments: &[(&Member, &str)]) -> Result<()> {
    let request = SyncGroupRequest {
        protocol_type: Some(how.protocol_type.clone()),
        protocol_name: how.protocols.first().map(|protocol| protocol.name.clone()),
        ..member.sync(assignments)
    };
    let response = s.get(SYNC, &request)?;
    ensure!(response.error_code == 0, "{response:?}");
    Ok(())
}

/// Waits until a classic group is in `state`.
pub(super) fn wait_for(s: &mut Session, group: &str, state: &str) -> Result<()> {
    s.settle(&format!("the group is {state}"), |s| {
        let response = s.get(DESCRIBE, &describe(&[group]))?;
        Ok(response.groups.iter().all(|group| group.group_state == state))
    })
}

pub(super) fn describe(groups: &[&str]) -> DescribeGroupsRequest {
    DescribeGroupsRequest { groups: owned(groups), ..Default::default() }
}

/// Shows what is left of a classic group.
pub(super) fn show(s: &mut Session, label: &str, group: &str) -> Result<()> {
    touched(s, group)?;
    s.ask(label, DESCRIBE, &describe(&[group])).map(drop)
}

/// A member of the consumer protocol that is in.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) epoch: i32,
}

impl Consumer {
    pub(super) fn of(group: &str, response: &ConsumerGroupHeartbeatResponse) -> Consumer {
        let (group, id) = (group.to_owned(), response.member_id.clone().unwrap_or_default());
        Consumer { group, id, epoch: response.member_epoch }
    }

    /// In `epoch`.
    pub(super) fn at(&self, epoch: i32) -> Consumer {
        Consumer { epoch, ..self.clone() }
    }

    /// Under another id.
    pub(super) fn called(&self, id: &str) -> Consumer {
        Consumer { id: id.to_owned(), ..self.clone() }
    }

    /// Nothing has changed.
    pub(super) fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: -1,
            ..Default::default()
        }
    }

    /// As a classic member, for the APIs that know no other.
    pub(super) fn classic(&self) -> Member {
        Member { group: self.group.clone(), id: self.id.clone(), instance: None, generation: self.epoch }
    }
}

/// A first heartbeat, for `topics`.
pub(super) fn consume(group: &str, member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member_id.to_owned(),
        member_epoch: 0,
        rebalance_timeout_ms: TIMEOUT_MS,
        subscribed_topic_names: Some(owned(topics)),
        topic_partitions: Some(vec![]),
        ..Default::default()
    }
}

/// A member of the consumer protocol that is in; it has what it gets at once.
pub(super) fn consuming(s: &mut Session, request: &ConsumerGroupHeartbeatRequest) -> Result<Consumer> {
    let response = s.get(CONSUMER_HEARTBEAT, request)?;
    ensure!(response.error_code == 0, "{response:?}");
    Ok(Consumer::of(&request.group_id, &response))
}

/// Returns when the coordinator knows of `topics`, which other parts of a broker may do earlier.
pub(super) fn known(s: &mut Session, topics: &[&Topic]) -> Result<()> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let probe = consume(&s.topic("probe"), "probe", &names);
    s.settle("the coordinator knows of the topics", |s| {
        let response = s.get(CONSUMER_HEARTBEAT, &probe)?;
        Ok(response.assignment.is_some_and(|assignment| assignment.topic_partitions.len() == names.len()))
    })?;
    let (group_id, member_id) = (probe.group_id.clone(), probe.member_id);
    let leaves = ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch: GONE, ..Default::default() };
    s.get(CONSUMER_HEARTBEAT, &leaves)?;
    s.get(2, &DeleteGroupsRequest { groups_names: vec![probe.group_id] })?;
    Ok(())
}

pub(super) fn describe_consumers(groups: &[&str]) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest { group_ids: owned(groups), include_authorized_operations: false }
}

/// Commits `(partition, offset)` of one topic as nobody's member.
pub(super) fn commit(group: &str, topic: &Topic, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition = |(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
        partition_index: *partition_index,
        committed_offset: *committed_offset,
        ..Default::default()
    };
    commit_topics(group, vec![commit_topic(topic, offsets.iter().map(partition).collect())])
}

pub(super) fn commit_topics(group: &str, topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
    OffsetCommitRequest { group_id: group.to_owned(), generation_id_or_member_epoch: -1, topics, ..Default::default() }
}

pub(super) fn commit_topic(topic: &Topic, partitions: Vec<OffsetCommitRequestPartition>) -> OffsetCommitRequestTopic {
    OffsetCommitRequestTopic { name: topic.name.clone(), topic_id: topic.id, partitions }
}

/// Commits without showing it.
pub(super) fn committed(s: &mut Session, group: &str, topic: &Topic, offsets: &[(i32, i64)]) -> Result<()> {
    let response = s.get(COMMIT, &commit(group, topic, offsets))?;
    let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    ensure!(partitions.all(|partition| partition.error_code == 0), "{response:?}");
    Ok(())
}

/// Asks for partitions of topics, or for everything, in any version; several groups only where it knows of several.
pub(super) fn fetch_offsets(groups: &[&str], topics: Option<&[(&Topic, &[i32])]>) -> OffsetFetchRequest {
    let of_group = |group: &&str| OffsetFetchRequestGroup {
        group_id: (*group).to_owned(),
        topics: topics.map(|topics| {
            let topic = |(topic, partitions): &(&Topic, &[i32])| OffsetFetchRequestTopics {
                name: topic.name.clone(),
                topic_id: topic.id,
                partition_indexes: partitions.to_vec(),
            };
            topics.iter().map(topic).collect()
        }),
        ..Default::default()
    };
    let topic = |(topic, partitions): &(&Topic, &[i32])| OffsetFetchRequestTopic {
        name: topic.name.clone(),
        partition_indexes: partitions.to_vec(),
    };
    OffsetFetchRequest {
        group_id: groups.first().map(|group| (*group).to_owned()).unwrap_or_default(),
        topics: topics.map(|topics| topics.iter().map(topic).collect()),
        groups: groups.iter().map(of_group).collect(),
        require_stable: false,
    }
}

/// Shows all that a group has committed.
pub(super) fn show_offsets(s: &mut Session, label: &str, group: &str) -> Result<()> {
    s.ask(label, FETCH, &fetch_offsets(&[group], None)).map(drop)
}

pub(super) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
