//! The members of a classic group, with what follows from them at hand.
//!
//! Invariants: `supported` counts for each protocol name the members that know it, a member once; `joining` counts
//! those with a parked join; `statics` holds the static members by instance id. Only [`Members::insert`] and
//! [`Members::remove`] change them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use ottla_coordinator::Ticket;
use ottla_wire::messages::{
    join_group_request::JoinGroupRequestProtocol, join_group_response::JoinGroupResponseMember,
};

/// A join that waits for the rebalance. Versions differ in how they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) ticket: Ticket,
    pub(crate) version: i16,
}

/// One member; its id is the key it is kept under.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Member {
    /// Of a static member.
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// What it can, the favourite first.
    pub(crate) protocols: Vec<JoinGroupRequestProtocol>,
    pub(crate) assignment: Bytes,
    /// It has not been told its id or its generation yet, so it cannot send heartbeats.
    pub(crate) is_new: bool,
    pub(crate) joining: Option<Parked>,
    pub(crate) syncing: Option<Ticket>,
}

impl Member {
    /// What it says under `protocol`; empty where it does not know that.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|known| known.name == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// Whether it needs no heartbeat: whoever waits here is alive, unless it cannot be told apart from its own retries.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}

/// See the file's head. In the order of their ids, so that what is made of them is always the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    by_id: BTreeMap<String, Member>,
    statics: BTreeMap<String, String>,
    supported: BTreeMap<String, usize>,
    joining: usize,
}

impl Members {
    /// Takes a member in, in place of one with that id.
    pub(crate) fn insert(&mut self, id: String, member: Member) {
        self.remove(&id);
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), id.clone());
        }
        for name in names(&member) {
            *self.supported.entry(name.to_owned()).or_default() += 1;
        }
        self.joining += usize::from(member.joining.is_some());
        self.by_id.insert(id, member);
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id
            && self.statics.get(instance_id).is_some_and(|newest| newest == id)
        {
            self.statics.remove(instance_id);
        }
        for name in names(&member) {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
        self.joining -= usize::from(member.joining.is_some());
        Some(member)
    }

    /// Changes a member.
    pub(crate) fn edit<R>(&mut self, id: &str, change: impl FnOnce(&mut Member) -> R) -> Option<R> {
        let mut member = self.remove(id)?;
        let changed = change(&mut member);
        self.insert(id.to_owned(), member);
        Some(changed)
    }

    pub(crate) fn take_join(&mut self, id: &str) -> Option<Parked> {
        self.get(id)?.joining?;
        self.edit(id, |member| member.joining.take())?
    }

    /// The member's parked sync; it counts for nothing else, so the member stays where it is.
    pub(crate) fn take_sync(&mut self, id: &str) -> Option<Ticket> {
        self.by_id.get_mut(id)?.syncing.take()
    }

    /// Parks a sync; the one that was parked before.
    pub(super) fn park_sync(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        self.by_id.get_mut(id)?.syncing.replace(ticket)
    }

    pub(super) fn assign(&mut self, id: &str, assignment: Bytes) {
        if let Some(member) = self.by_id.get_mut(id) {
            member.assignment = assignment;
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.by_id.iter()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.by_id.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The member that speaks for an instance.
    pub(crate) fn static_id(&self, instance_id: &str) -> Option<&str> {
        self.statics.get(instance_id).map(String::as_str)
    }

    /// Members with a parked join.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    /// The longest that a member wants to be waited for.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let longest = self.by_id.values().map(|member| member.rebalance_timeout_ms).max();
        i64::from(longest.unwrap_or(0).max(0))
    }

    /// Whether all members know one of `protocols`. No members know anything.
    pub(super) fn share_one_of(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        protocols.iter().any(|protocol| self.share(&protocol.name))
    }

    fn share(&self, name: &str) -> bool {
        self.supported.get(name).copied().unwrap_or(0) == self.len()
    }

    /// The protocol that most members like best among those that all know. Of equals it is the one that Kafka's table
    /// of votes names first, so that a group that comes from there elects the same.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.by_id.values() {
            if let Some(favourite) = member.protocols.iter().find(|protocol| self.share(&protocol.name)) {
                *votes.entry(&favourite.name).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(name, votes)| (*votes, Reverse(bucket(name)), Reverse(*name)));
        most.map(|(name, _)| name.to_owned())
    }

    /// What the leader is told of everybody.
    pub(super) fn for_leader(&self, protocol: &str) -> Vec<JoinGroupResponseMember> {
        let told = |(id, member): (&String, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        self.by_id.iter().map(told).collect()
    }
}

fn names(member: &Member) -> BTreeSet<&str> {
    member.protocols.iter().map(|protocol| protocol.name.as_str()).collect()
}

/// Where Java's `HashMap` of up to twelve entries keeps a name.
fn bucket(name: &str) -> u32 {
    let hash = name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) & 15
}
