//! Classic groups in the log: what is written, and what becomes of it.

use bytes::Bytes;
use ottla_coordinator::Decision;
use ottla_types::Millis;
use ottla_wire::messages::{
    group_metadata_key::GroupMetadataKey,
    group_metadata_value::{GroupMetadataValue, MemberMetadata},
    join_group_request::JoinGroupRequestProtocol,
};

use super::{ClassicGroup, Member, Members, State, Timer, Turn, key};
use crate::{
    record::GroupRecord,
    shard::{self, Decided, Group, GroupShard},
};

/// What a record that does not know a time or a timeout says.
const UNKNOWN: i64 = -1;

/// A record is in the log. One that was decided from the group as it stands changes nothing but the hard state; any
/// other one is the group.
pub(crate) fn replay(shard: &mut GroupShard, key: GroupMetadataKey, value: Option<GroupMetadataValue>) {
    let Some(value) = value else { return forget(shard, key.group) };
    match shard.groups.get_mut(&key.group) {
        Some(Group::Classic(group)) if group.decided.as_ref() == Some(&value) => group.stored = group.decided.take(),
        _ => {
            shard.groups.insert(key.group, Group::Classic(ClassicGroup::from_value(&value)));
        }
    }
}

/// The log was read: the members' sessions begin. A group that is larger than is allowed by now forms anew.
pub(crate) fn loaded(shard: &mut GroupShard, now: Millis, group_id: &str) -> Decided {
    let Some(mut turn) = Turn::of(shard, now, group_id) else { return Decision::none() };
    let ids: Vec<_> = turn.group.members.ids().cloned().collect();
    for id in &ids {
        turn.keep_alive(id);
    }
    if turn.group.state == State::Stable && i64::try_from(ids.len()).unwrap_or(i64::MAX) > turn.settings.max_size.into()
    {
        turn.prepare();
    }
    turn.decided
}

/// Makes a classic group of what was a consumer group: `group` is stable, with members and assignments. The record
/// belongs after the tombstones of the consumer group. The members' sessions begin, and where `rebalance` is asked for
/// they are to join again as soon as the records are replayed.
pub(crate) fn adopt(
    shard: &mut GroupShard,
    now: Millis,
    group_id: &str,
    group: &ClassicGroup,
    rebalance: bool,
) -> GroupRecord {
    let mut set = |timer, at| shard.timers.set(shard::Timer::Classic(group_id.to_owned(), timer), at);
    for (id, member) in group.members.iter() {
        set(Timer::Session(id.clone()), now.plus(member.session_timeout_ms.into()));
    }
    if rebalance {
        set(Timer::Adopted, now);
    }
    GroupRecord::Classic(key(group_id), Some(group.to_value()))
}

/// The group is gone, to nothing or to a consumer group. Nobody is parked in it.
fn forget(shard: &mut GroupShard, group_id: String) {
    let Some(group) = shard.classic(&group_id) else { return };
    let sessions = group.members.ids().chain(&group.pending_join).cloned().map(Timer::Session);
    let timers: Vec<_> = sessions.chain([Timer::Join, Timer::Sync, Timer::Adopted]).collect();
    for timer in timers {
        shard.timers.cancel(&shard::Timer::Classic(group_id.clone(), timer));
    }
    shard.groups.remove(&group_id);
}

impl ClassicGroup {
    /// The group as a record.
    pub(crate) fn to_value(&self) -> GroupMetadataValue {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since.map_or(UNKNOWN, |since| since.0),
            members: self.members.iter().map(|(id, member)| member_value(id, member, protocol)).collect(),
        }
    }

    /// The record of a group that has no generation yet: whoever joins it now is none of the log's business.
    pub(super) fn to_first_value(&self) -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: self.since.map_or(UNKNOWN, |since| since.0),
            members: Vec::new(),
        }
    }

    /// The group that a record tells of: everybody in it has an assignment.
    pub(crate) fn from_value(value: &GroupMetadataValue) -> Self {
        let stored = owned(value);
        let mut members = Members::default();
        for member in &stored.members {
            members.insert(member.member_id.clone(), member_of(member, stored.protocol.as_deref().unwrap_or_default()));
        }
        let leader = stored.leader.clone().filter(|leader| members.contains(leader));
        let mut group = Self {
            state: if members.is_empty() { State::Empty } else { State::Stable },
            since: Some(Millis(stored.current_state_timestamp)).filter(|since| since.0 != UNKNOWN),
            generation: stored.generation,
            protocol_type: stored.protocol_type.clone(),
            protocol: stored.protocol.clone(),
            leader: leader.or_else(|| members.ids().next().cloned()),
            members,
            stored: Some(stored),
            ..Self::new(Millis::NONE)
        };
        group.subscribed = group.compute_subscribed();
        group
    }

    /// What kind of group it is, once that is known.
    pub(super) fn known_protocol_type(&self) -> Option<String> {
        Some(self.protocol_type.clone()).filter(|known| !known.is_empty())
    }
}

fn member_value(id: &str, member: &Member, protocol: &str) -> MemberMetadata {
    MemberMetadata {
        member_id: id.to_owned(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.metadata(protocol),
        assignment: member.assignment.clone(),
    }
}

fn member_of(value: &MemberMetadata, protocol: &str) -> Member {
    let timeouts = [value.rebalance_timeout, value.session_timeout];
    let rebalance_timeout_ms = timeouts.into_iter().find(|timeout| i64::from(*timeout) != UNKNOWN);
    Member {
        instance_id: value.group_instance_id.clone(),
        client_id: value.client_id.clone(),
        client_host: value.client_host.clone(),
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(value.session_timeout),
        session_timeout_ms: value.session_timeout,
        protocols: vec![JoinGroupRequestProtocol { name: protocol.to_owned(), metadata: value.subscription.clone() }],
        assignment: value.assignment.clone(),
        ..Member::default()
    }
}

/// A record without the batch it was read from.
fn owned(value: &GroupMetadataValue) -> GroupMetadataValue {
    let mut value = value.clone();
    for member in &mut value.members {
        member.subscription = Bytes::copy_from_slice(&member.subscription);
        member.assignment = Bytes::copy_from_slice(&member.assignment);
    }
    value
}
