//! Classic members in the random schedules: they join with what they own, fetch, and join again when they are told to. Where
//! none of the others is left they are a classic group, and one of them assigns.

use bytes::Bytes;
use ottla_wire::messages::{
    join_group_response::{JoinGroupResponse, JoinGroupResponseMember},
    leave_group_request::MemberIdentity,
    sync_group_response::SyncGroupResponse,
};
use proptest::prelude::*;

use super::{
    migrating::{assignment, join_request},
    schedules::{Owned, Schedule, names},
    *,
};
use crate::consumer::protocol;

#[derive(Clone)]
pub(super) struct Old {
    /// Empty before it was given one.
    pub(super) id: String,
    topics: Vec<String>,
    /// Drops everything before it joins again; others only what they no longer get.
    is_eager: bool,
    generation: i32,
    pub(super) owned: Owned,
    must_join: bool,
    /// It joined, and works on with what it owns until it has fetched.
    must_sync: bool,
    /// Those whom it assigns to.
    leads: Vec<JoinGroupResponseMember>,
    /// A request that is parked.
    asked: Option<Ticket>,
}

#[derive(Clone, Debug)]
pub(super) enum OldOp {
    Join { topics: u8, is_eager: bool },
    Beat { who: usize, is_lost: bool },
    Leave { who: usize },
    Crash { who: usize },
}

pub(super) fn op() -> impl Strategy<Value = OldOp> {
    prop_oneof![
        1 => (1..8u8, any::<bool>()).prop_map(|(topics, is_eager)| OldOp::Join { topics, is_eager }),
        8 => (0..3usize, prop::bool::weighted(0.15)).prop_map(|(who, is_lost)| OldOp::Beat { who, is_lost }),
        1 => (0..3usize).prop_map(|who| OldOp::Leave { who }),
        1 => (0..3usize).prop_map(|who| OldOp::Crash { who }),
    ]
}

impl Old {
    pub(super) fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|name| name == topic)
    }
}

impl World {
    /// The partitions of topics that are there.
    pub(super) fn read(&self, assignment: &Bytes) -> Owned {
        let assignment = protocol::assignment(assignment).unwrap();
        let mut partitions = Owned::new();
        for of in assignment.assigned_partitions {
            let Some(topic) = self.image.topic(&of.topic) else { continue };
            partitions.extend(of.partitions.into_iter().map(|partition| (topic.id, partition)));
        }
        partitions
    }
}

impl Schedule {
    pub(super) fn run_old(&mut self, op: &OldOp) {
        let count = self.olds.len();
        match *op {
            OldOp::Join { topics, is_eager } if count < 3 => {
                let (topics, is_eager) = (names(topics), is_eager || self.may_go_down());
                self.olds.push(Old::new(topics, is_eager));
                self.beat_old(count, false);
            }
            OldOp::Beat { who, is_lost } if count > 0 => self.beat_old(who % count, is_lost),
            OldOp::Leave { who } if count > 0 => {
                let old = self.olds.remove(who % count);
                self.world.classic_leave(&[MemberIdentity { member_id: old.id, ..MemberIdentity::default() }]);
            }
            OldOp::Crash { who } if count > 0 => {
                self.olds.remove(who % count);
            }
            _ => {}
        }
    }

    pub(super) fn beat_old(&mut self, who: usize, is_lost: bool) {
        let group = self.world.shard.groups.get(GROUP);
        let may_join = match group {
            Some(Group::Consumer(group)) => !group.is_empty(),
            // A classic group that never was another one is another story.
            Some(Group::Classic(_)) => self.may_go_down(),
            None => false,
        };
        if !may_join {
            return self.olds[who].start_over();
        }
        if let Some(ticket) = self.olds[who].asked {
            return self.hear_old(who, ticket, is_lost);
        }
        if self.olds[who].must_join {
            return self.join_old(who, is_lost);
        }
        if self.olds[who].must_sync {
            return self.sync_old(who);
        }
        let (id, generation) = (self.olds[who].id.clone(), self.olds[who].generation);
        let error = self.world.classic_beat(&id, generation);
        match error {
            0 => {}
            27 => self.olds[who].must_join = true,
            _ => self.olds[who].start_over(),
        }
    }

    fn join_old(&mut self, who: usize, is_lost: bool) {
        let old = &mut self.olds[who];
        if old.is_eager {
            old.owned.clear();
        }
        let request = self.request_of(who);
        let ticket = self.world.classic_ask(request);
        self.hear_old(who, ticket, is_lost);
    }

    fn sync_old(&mut self, who: usize) {
        let old = &self.olds[who];
        let given = self.distribute(&old.leads);
        let given: Vec<_> = given.iter().map(|(id, given)| (id.as_str(), given.clone())).collect();
        let (id, generation) = (old.id.clone(), old.generation);
        let ticket = self.world.sync_ask(&id, generation, &given);
        self.hear_old(who, ticket, false);
    }

    /// The answer, or that there is none yet.
    fn hear_old(&mut self, who: usize, ticket: Ticket, is_lost: bool) {
        self.sync();
        let reply = self.world.replies.remove(&ticket);
        self.olds[who].asked = reply.is_none().then_some(ticket);
        match reply {
            Some(GroupReply::Join(joined)) => self.hear_join(who, joined, is_lost),
            Some(GroupReply::Sync(synced)) => self.hear_sync(who, &synced),
            None => {}
            other => panic!("{other:?}"),
        }
    }

    fn hear_join(&mut self, who: usize, joined: JoinGroupResponse, is_lost: bool) {
        match joined.error_code {
            0 => {}
            27 => return,
            79 => {
                self.olds[who].id = joined.member_id;
                return;
            }
            _ => return self.olds[who].start_over(),
        }
        // The generation of a classic group is in the log once its work is.
        if self.world.shard.consumer(GROUP).is_some() {
            self.tell(&joined.member_id, joined.generation_id, None);
        } else {
            self.told.remove(&joined.member_id);
        }
        if is_lost {
            return;
        }
        let old = &mut self.olds[who];
        (old.id, old.generation, old.leads) = (joined.member_id, joined.generation_id, joined.members);
        (old.must_join, old.must_sync) = (false, true);
    }

    fn hear_sync(&mut self, who: usize, synced: &SyncGroupResponse) {
        match synced.error_code {
            0 => {}
            27 => {
                self.olds[who].must_join = true;
                return;
            }
            _ => return self.olds[who].start_over(),
        }
        let assigned = self.world.read(&synced.assignment);
        let (id, generation) = (self.olds[who].id.clone(), self.olds[who].generation);
        self.tell(&id, generation, Some(assigned.clone()));
        let old = &mut self.olds[who];
        // What it dropped, it says by joining again.
        old.must_join = !old.owned.is_subset(&assigned);
        old.must_sync = false;
        old.owned = assigned;
    }

    /// What a leader gives to whom: each partition to one of those who want its topic.
    fn distribute(&self, members: &[JoinGroupResponseMember]) -> Vec<(String, Bytes)> {
        let mut given: BTreeMap<&str, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for topic in self.world.image.topics() {
            let wants = |member: &&JoinGroupResponseMember| {
                let subscription = protocol::subscription(&member.metadata).unwrap();
                subscription.topics.iter().any(|name| name == topic.name.as_str())
            };
            let wanting: Vec<_> = members.iter().filter(wants).collect();
            for (at, (partition, _)) in topic.partitions.iter().enumerate().filter(|_| !wanting.is_empty()) {
                let member = wanting[at % wanting.len()];
                given.entry(&member.member_id).or_default().entry(topic.name.as_str()).or_default().push(partition.0);
            }
        }
        let as_sent = |(id, topics): (&str, BTreeMap<&str, Vec<i32>>)| {
            let topics: Vec<_> = topics.iter().map(|(topic, partitions)| (*topic, partitions.as_slice())).collect();
            (id.to_owned(), assignment(&topics, None))
        };
        given.into_iter().map(as_sent).collect()
    }

    fn request_of(&self, who: usize) -> ottla_wire::messages::join_group_request::JoinGroupRequest {
        let old = &self.olds[who];
        let mut by_topic: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &old.owned {
            // Of a topic that is gone there is no name to say.
            if let Some(topic) = self.world.image.topic_by_id(*topic) {
                by_topic.entry(topic.name.to_string()).or_default().push(*partition);
            }
        }
        let owned: Vec<(&str, &[i32])> =
            by_topic.iter().map(|(topic, partitions)| (topic.as_str(), partitions.as_slice())).collect();
        let topics: Vec<&str> = old.topics.iter().map(String::as_str).collect();
        join_request(&old.id, &topics, &owned)
    }
}

impl Old {
    fn new(topics: Vec<String>, is_eager: bool) -> Self {
        Self {
            id: String::new(),
            topics,
            is_eager,
            generation: 0,
            owned: Owned::new(),
            must_join: true,
            must_sync: false,
            leads: Vec::new(),
            asked: None,
        }
    }

    fn start_over(&mut self) {
        (self.id, self.generation, self.must_join, self.must_sync) = (String::new(), 0, true, false);
        (self.leads, self.asked) = (Vec::new(), None);
        self.owned.clear();
    }

    /// Its connection broke.
    pub(super) fn give_up(&mut self) {
        self.asked = None;
    }
}
