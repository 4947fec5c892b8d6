//! Classic members in the random schedules: they join with what they own, fetch, and join again when they are told to.

use ottla_wire::messages::leave_group_request::MemberIdentity;
use proptest::prelude::*;

use super::{
    migrating::join_request,
    schedules::{Owned, Schedule, names},
    *,
};
use crate::consumer::protocol;

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

impl Schedule {
    pub(super) fn run_old(&mut self, op: &OldOp) {
        let count = self.olds.len();
        match *op {
            OldOp::Join { topics, is_eager } if count < 3 => {
                let (id, owned) = (String::new(), Owned::new());
                let topics = names(topics);
                self.olds.push(Old { id, topics, is_eager, generation: 0, owned, must_join: true, must_sync: false });
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
        // With nobody there it would make a classic group, which is another story.
        if self.world.shard.consumer(GROUP).is_none_or(ConsumerGroup::is_empty) {
            self.olds[who].start_over();
            return;
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
        let joined = self.world.classic_join(request);
        self.sync();
        match joined.error_code {
            0 if is_lost => return,
            0 => {}
            79 => {
                self.olds[who].id = joined.member_id;
                return;
            }
            _ => return self.olds[who].start_over(),
        }
        let old = &mut self.olds[who];
        (old.id, old.generation) = (joined.member_id, joined.generation_id);
        (old.must_join, old.must_sync) = (false, true);
    }

    fn sync_old(&mut self, who: usize) {
        let (id, generation) = (self.olds[who].id.clone(), self.olds[who].generation);
        let synced = self.world.sync(&id, generation, &[]);
        match synced.error_code {
            0 => {}
            27 => {
                self.olds[who].must_join = true;
                return;
            }
            _ => return self.olds[who].start_over(),
        }
        let assignment = protocol::assignment(&synced.assignment).unwrap();
        let mut assigned = Owned::new();
        for topic in assignment.assigned_partitions {
            let id = self.world.id(&topic.topic);
            assigned.extend(topic.partitions.into_iter().map(|partition| (id, partition)));
        }
        let old = &mut self.olds[who];
        // What it dropped, it says by joining again.
        old.must_join = !old.owned.is_subset(&assigned);
        old.must_sync = false;
        old.owned = assigned;
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
    fn start_over(&mut self) {
        (self.id, self.generation, self.must_join, self.must_sync) = (String::new(), 0, true, false);
        self.owned.clear();
    }
}
