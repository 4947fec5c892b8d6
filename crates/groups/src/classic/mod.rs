//! Classic groups: the broker gathers the members and elects a leader among them, the leader hands out the work.
//!
//! A rebalance has two phases. While it is prepared, joins are parked until all members came or time is up; then a
//! generation begins, and syncs are parked until the leader's brings the assignment.
//!
//! Hard state is [`ClassicGroup::stored`], the group's last record. All else is soft: a restart of the coordinator
//! takes the members up from that record, and whoever was in the middle of a rebalance comes again.
//!
//! Invariants: every ticket is answered, and once; the generation never falls; the members have a protocol in common;
//! while a rebalance is prepared [`Timer::Join`] is set, while it completes [`Timer::Sync`] is, and each member and
//! each promised member id has a [`Timer::Session`] unless it waits in one of the two phases: nobody is parked for
//! ever. Bytes that are kept are copied, so that they do not hold the frame they came in.

mod describe;
mod heartbeat;
mod join;
mod leave;
mod members;
mod rebalance;
mod replay;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ottla_config::GroupSettings;
use ottla_coordinator::{Decision, Ticket, Timers};
use ottla_types::{ErrorCode, Millis};
use ottla_wire::messages::{
    group_metadata_key::GroupMetadataKey, group_metadata_value::GroupMetadataValue,
    join_group_request::JoinGroupRequestProtocol,
};

pub(crate) use self::{
    heartbeat::{committed, heartbeat},
    join::join,
    leave::leave,
    members::{Member, Members, Parked},
    rebalance::expire,
    replay::{adopt, loaded, replay},
    sync::{refused as sync_refused, sync},
};
use crate::{
    record::GroupRecord,
    request::GroupReply,
    shard::{self, Decided, Group, GroupShard},
};

/// The protocol type of consumers: the broker can read what their members subscribe to.
pub(crate) const CONSUMER: &str = "consumer";

/// What time passes for in a classic group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Members that have not joined again by now are left out.
    Join,
    /// Members that have not synced by now are put out.
    Sync,
    /// A member, or a promised member id, was silent for too long.
    Session(String),
    /// The group came here from the consumer protocol and its members are to rejoin.
    Adopted,
}

/// Where a group stands. It is never Kafka's `Dead`: a group that is gone is not there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No members.
    Empty,
    /// Joins are gathered.
    PreparingRebalance {
        /// Of a group that was empty before.
        initial: Option<InitialDelay>,
    },
    /// The leader's assignment is awaited.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

/// How long the first rebalance of a group waits for more members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    /// The current wait.
    pub(crate) delay_ms: i64,
    /// What may be added to it: the rest of the rebalance timeout.
    pub(crate) left_ms: i64,
    /// Whether a member came during the current wait.
    pub(crate) joined: bool,
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClassicGroup {
    /// Hard state: the last record in the log.
    pub(crate) stored: Option<GroupMetadataValue>,
    /// A record that was decided from what stands below; its replay has nothing left to change there.
    pub(crate) decided: Option<GroupMetadataValue>,
    pub(crate) state: State,
    /// When the state began, where that is known.
    pub(crate) since: Option<Millis>,
    pub(crate) generation: i32,
    /// Empty before there was a member.
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: Members,
    /// Ids that were given out and whose owners have yet to join with them.
    pub(crate) pending_join: BTreeSet<String>,
    /// Members of this generation that have yet to sync.
    pub(crate) pending_sync: BTreeSet<String>,
    /// Topics of this generation's members; `None` where nobody can tell.
    pub(crate) subscribed: Option<BTreeSet<String>>,
}

impl ClassicGroup {
    /// Without members, and without a record yet.
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            stored: None,
            decided: None,
            state: State::Empty,
            since: Some(now),
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: Members::default(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed: None,
        }
    }

    pub(crate) fn state_name(&self) -> &'static str {
        match self.state {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Since when there are no members, where that is known.
    pub(crate) fn empty_since(&self) -> Option<Millis> {
        if self.is_empty() { self.since } else { None }
    }

    /// Whether the members may want `topic`: those of this generation, or anything where nobody can tell.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => !self.members.is_empty(),
        }
    }

    /// Whether a member may commit offsets, or somebody outside any group.
    pub(crate) fn check_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        transactional: bool,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.check_member(member_id, instance_id)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !transactional {
            return Err(ErrorCode::UnknownMemberId);
        }
        if !transactional && self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// What deletes the group.
    pub(crate) fn tombstones(&self, group_id: &str) -> Vec<GroupRecord> {
        vec![GroupRecord::Classic(key(group_id), None)]
    }

    /// Answers all parked requests with `code` and forgets them; for when the group ends with members in it.
    pub(crate) fn refuse_parked(&mut self, code: ErrorCode) -> Decided {
        let mut decided = Decision::none();
        let ids: Vec<_> = self.members.ids().cloned().collect();
        for id in ids {
            if let Some(parked) = self.members.take_join(&id) {
                let reply = join::refused(parked.version, id.clone(), code);
                decided.replies.push((parked.ticket, reply));
            }
            if let Some(ticket) = self.members.take_sync(&id) {
                decided.replies.push((ticket, sync::refused(code)));
            }
        }
        decided
    }

    /// Whether a request comes from a member; from the newest one where it names an instance.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.members.static_id(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(newest) if newest != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether somebody with these protocols fits into the group.
    fn supports(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.is_empty() {
            !protocol_type.is_empty() && !protocols.is_empty()
        } else {
            self.protocol_type == protocol_type && self.members.share_one_of(protocols)
        }
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Takes a member in; the first one says what kind of group it is, and leads it.
    pub(crate) fn add(&mut self, id: String, protocol_type: String, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = protocol_type;
        }
        self.pending_join.remove(&id);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
    }

    /// Takes a member or a promised id out; another member leads where the leader goes.
    fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id);
        self.pending_join.remove(id);
        self.pending_sync.remove(id);
        if self.is_leader(id) {
            self.leader = self.members.ids().next().cloned();
        }
        member
    }

    /// The topics of this generation's members.
    fn compute_subscribed(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type != CONSUMER {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for (_, member) in self.members.iter() {
            topics.extend(subscription::topics(member.metadata(protocol))?);
        }
        Some(topics)
    }
}

fn key(group_id: &str) -> GroupMetadataKey {
    GroupMetadataKey { group: group_id.to_owned() }
}

/// One call's hold on a group: the group, its deadlines, and what was decided so far.
struct Turn<'a> {
    id: &'a str,
    group: &'a mut ClassicGroup,
    timers: &'a mut Timers<shard::Timer>,
    settings: &'a GroupSettings,
    now: Millis,
    decided: Decided,
}

impl<'a> Turn<'a> {
    fn of(shard: &'a mut GroupShard, now: Millis, id: &'a str) -> Option<Self> {
        let Some(Group::Classic(group)) = shard.groups.get_mut(id) else { return None };
        let (timers, settings) = (&mut shard.timers, &shard.settings.groups);
        Some(Self { id, group, timers, settings, now, decided: Decision::none() })
    }

    fn reply(&mut self, to: Ticket, reply: GroupReply) {
        self.decided.replies.push((to, reply));
    }

    fn set(&mut self, timer: Timer, after_ms: i64) {
        self.timers.set(shard::Timer::Classic(self.id.to_owned(), timer), self.now.plus(after_ms));
    }

    fn cancel(&mut self, timer: Timer) {
        self.timers.cancel(&shard::Timer::Classic(self.id.to_owned(), timer));
    }

    fn become_state(&mut self, state: State) {
        self.group.state = state;
        self.group.since = Some(self.now);
    }

    /// A sign of life: the member's session begins anew.
    fn keep_alive(&mut self, member_id: &str) {
        if let Some(member) = self.group.members.get(member_id) {
            let timeout_ms = i64::from(member.session_timeout_ms);
            self.set(Timer::Session(member_id.to_owned()), timeout_ms);
        }
    }

    /// Takes a member or a promised id out, for good. What it has parked is answered with "unknown member", so that a
    /// client that is still there starts over.
    fn remove(&mut self, member_id: &str) {
        self.cancel(Timer::Session(member_id.to_owned()));
        if let Some(member) = self.group.remove(member_id) {
            self.dismiss(member, "", ErrorCode::UnknownMemberId);
        }
    }

    /// Answers what a member that is no longer one has parked.
    fn dismiss(&mut self, member: Member, member_id: &str, code: ErrorCode) {
        if let Some(parked) = member.joining {
            self.reply(parked.ticket, join::refused(parked.version, member_id.to_owned(), code));
        }
        if let Some(ticket) = member.syncing {
            self.reply(ticket, sync::refused(code));
        }
    }

    /// Has `value` written; it says what the group already is.
    fn write(&mut self, value: GroupMetadataValue) {
        self.group.decided = Some(value.clone());
        self.decided.records.push(GroupRecord::Classic(key(self.id), Some(value)));
    }
}
