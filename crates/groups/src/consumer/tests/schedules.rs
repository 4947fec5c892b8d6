//! Random schedules of members that join, work, lose answers, crash and leave, while topics come, grow and go.
//!
//! A consumer here owns what it was told and has not dropped since; what it says that it owns is true when it says it.

use proptest::prelude::*;

use super::{
    olds::{Old, OldOp},
    *,
};

pub(super) const TOPICS: [&str; 3] = ["a", "b", "c"];
const ROUNDS_TO_CONVERGE: usize = 40;

pub(super) type Owned = BTreeSet<(Uuid, i32)>;

#[derive(Clone)]
struct Consumer {
    id: String,
    instance: Option<String>,
    topics: Vec<String>,
    pattern: Option<String>,
    assignor: Option<String>,
    epoch: i32,
    owned: Owned,
    assignment: Owned,
    /// The last answer was lost or an error: say everything.
    says_all: bool,
    /// What it sent and the coordinator took, by the epoch it was sent with.
    sent: Vec<ConsumerGroupHeartbeatRequest>,
}

#[derive(Clone, Debug)]
enum Op {
    Join {
        topics: u8,
        by_pattern: bool,
        is_static: bool,
        ranged: bool,
    },
    Beat {
        who: usize,
        reports: bool,
        is_lost: bool,
    },
    Drop {
        who: usize,
    },
    Subscribe {
        who: usize,
        topics: u8,
    },
    Leave {
        who: usize,
    },
    Crash {
        who: usize,
    },
    /// A static member goes and comes back as another process.
    Bounce {
        who: usize,
    },
    /// An old request arrives once more.
    Late {
        who: usize,
        which: usize,
    },
    Pass {
        millis: i64,
    },
    Create {
        topic: usize,
        partitions: i32,
    },
    Grow {
        topic: usize,
        by: i32,
    },
    Delete {
        topic: usize,
    },
    Restart,
    /// A restart before what was decided of all this is in the log: nobody was answered.
    Unwritten {
        ops: Vec<Op>,
    },
    Old(OldOp),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        60 => op(),
        1 => Just(Op::Restart),
        2 => prop::collection::vec(op(), 1..5).prop_map(|ops| Op::Unwritten { ops }),
    ];
    prop::collection::vec(op, 1..80)
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..6usize;
    let topic = 0..TOPICS.len();
    prop_oneof![
        3 => (1..8u8, prop::bool::weighted(0.2), prop::bool::weighted(0.3), any::<bool>())
            .prop_map(|(topics, by_pattern, is_static, ranged)| Op::Join { topics, by_pattern, is_static, ranged }),
        20 => (who.clone(), any::<bool>(), prop::bool::weighted(0.15))
            .prop_map(|(who, reports, is_lost)| Op::Beat { who, reports, is_lost }),
        8 => who.clone().prop_map(|who| Op::Drop { who }),
        2 => (who.clone(), 1..8u8).prop_map(|(who, topics)| Op::Subscribe { who, topics }),
        1 => who.clone().prop_map(|who| Op::Leave { who }),
        1 => who.clone().prop_map(|who| Op::Crash { who }),
        1 => who.clone().prop_map(|who| Op::Bounce { who }),
        3 => (who, any::<usize>()).prop_map(|(who, which)| Op::Late { who, which }),
        6 => prop_oneof![Just(300), Just(INTERVAL_MS), Just(10_000), Just(SESSION_MS)]
            .prop_map(|millis| Op::Pass { millis }),
        1 => (topic.clone(), 1..5).prop_map(|(topic, partitions)| Op::Create { topic, partitions }),
        1 => (topic.clone(), 1..3).prop_map(|(topic, by)| Op::Grow { topic, by }),
        1 => topic.prop_map(|topic| Op::Delete { topic }),
        20 => super::olds::op().prop_map(Op::Old),
    ]
}

#[derive(Clone)]
pub(super) struct Schedule {
    policy: MigrationPolicy,
    pub(super) world: World,
    consumers: Vec<Consumer>,
    pub(super) olds: Vec<Old>,
    made: usize,
    epochs: (i32, i32),
    member_epochs: BTreeMap<String, i32>,
    /// The epoch that each member was last told, and what it was then told to work on.
    pub(super) told: BTreeMap<String, (i32, Option<Owned>)>,
}

impl Schedule {
    fn new(policy: MigrationPolicy) -> Self {
        let mut world = World::with(|settings| settings.consumer_migration_policy = policy);
        world.replays_always = false;
        world.create("a", 4);
        world.create("b", 1);
        let (consumers, olds) = (Vec::new(), Vec::new());
        let (epochs, member_epochs, told) = ((0, 0), BTreeMap::new(), BTreeMap::new());
        let mut schedule = Self { policy, world, consumers, olds, made: 0, epochs, member_epochs, told };
        schedule.join(3, false, false, false);
        schedule.run_old(&OldOp::Join { topics: 3, is_eager: false });
        schedule
    }

    /// Whether classic members may become a classic group.
    pub(super) fn may_go_down(&self) -> bool {
        self.policy == MigrationPolicy::Bidirectional
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Join { topics, by_pattern, is_static, ranged } => self.join(topics, by_pattern, is_static, ranged),
            Op::Pass { millis } => self.world.pass(millis),
            Op::Create { topic, partitions } if self.world.image.topic(TOPICS[topic]).is_none() => {
                self.world.create(TOPICS[topic], partitions);
            }
            Op::Grow { topic, by } => {
                let count = self.world.image.topic(TOPICS[topic]).map(|topic| topic.partitions.len() as i32);
                if let Some(count) = count {
                    self.world.grow(TOPICS[topic], count + by);
                }
            }
            Op::Delete { topic } if self.world.image.topic(TOPICS[topic]).is_some() => self.world.delete(TOPICS[topic]),
            Op::Create { .. } | Op::Delete { .. } => {}
            Op::Old(ref op) => self.run_old(op),
            Op::Restart => self.restart(),
            Op::Unwritten { ref ops } => {
                let mut before = self.clone();
                ops.iter().for_each(|op| self.run(op));
                let Self { made, world: World { now, asked, topics_made, .. }, .. } = *self;
                before.made = made;
                let image = self.world.image.clone();
                before.world = World { now, asked, topics_made, image, ..before.world };
                *self = before;
                self.restart();
            }
            Op::Beat { who, .. }
            | Op::Drop { who }
            | Op::Subscribe { who, .. }
            | Op::Leave { who }
            | Op::Crash { who }
            | Op::Bounce { who }
            | Op::Late { who, .. } => {
                if !self.consumers.is_empty() {
                    self.run_of(who % self.consumers.len(), op);
                }
            }
        }
        self.check();
    }

    /// The next coordinator says what members were told.
    fn restart(&mut self) {
        self.sync();
        self.world.restart();
        // Requests that were under way went down with the connections.
        self.world.replies.clear();
        self.consumers.iter_mut().for_each(|consumer| consumer.sent.clear());
        self.olds.iter_mut().for_each(Old::give_up);
        if let Some(Group::Classic(group)) = self.world.shard.groups.get(GROUP) {
            // A generation without its work is not in the log.
            self.epochs = (group.generation, group.generation);
        }
        for (id, (epoch, told)) in &self.told {
            let (now, assigned) = match &self.world.shard.groups[GROUP] {
                Group::Consumer(group) => {
                    let member = &group.members[id];
                    let of = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| {
                        partitions.keys().map(|partition| (*topic, *partition)).collect::<Vec<_>>()
                    };
                    assert_eq!(member.epoch, *epoch, "{id} in {group:#?}");
                    (member.epoch, member.assigned.iter().flat_map(of).collect())
                }
                Group::Classic(group) => {
                    let member = group.members.get(id).unwrap();
                    assert!(group.generation >= *epoch, "{id} was in {epoch} of {group:#?}");
                    (group.generation, self.world.read(&member.assignment))
                }
            };
            let is_there = |(topic, _): &(Uuid, i32)| self.world.image.topic_by_id(*topic).is_some();
            let told = told.as_ref().map(|told| told.iter().copied().filter(is_there).collect::<Owned>());
            let assigned: Owned = assigned.into_iter().filter(is_there).collect();
            assert!(now > *epoch || told.is_none_or(|told| told == assigned), "{id} was told of other partitions");
        }
    }

    /// A member was told where it is.
    pub(super) fn tell(&mut self, id: &str, epoch: i32, assignment: Option<Owned>) {
        if epoch < 0 {
            self.told.remove(id);
        } else {
            self.told.insert(id.to_owned(), (epoch, assignment));
        }
    }

    fn send(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let id = request.member_id.clone();
        let response = self.world.send(request);
        if response.error_code == 0 {
            let known = self.told.get(&id).and_then(|(_, known)| known.clone());
            self.tell(&id, response.member_epoch, assignment_of(&response).or(known));
        }
        response
    }

    fn run_of(&mut self, who: usize, op: &Op) {
        match *op {
            Op::Beat { reports, is_lost, .. } => self.beat(who, reports, is_lost),
            Op::Drop { .. } => self.consumers[who].drop_unassigned(),
            Op::Subscribe { topics, .. } => {
                self.consumers[who].topics = names(topics);
                self.consumers[who].says_all = true;
                self.beat(who, true, false);
            }
            Op::Leave { .. } => {
                let consumer = self.consumers.remove(who);
                self.send(consumer.request(-1));
            }
            Op::Crash { .. } => {
                self.consumers.remove(who);
            }
            Op::Bounce { .. } if self.consumers[who].instance.is_some() => {
                let consumer = self.consumers.remove(who);
                self.send(consumer.request(-2));
                self.made += 1;
                let id = format!("m{}", self.made);
                let (owned, assignment, sent) = (Owned::new(), Owned::new(), Vec::new());
                self.consumers.push(Consumer { id, epoch: 0, owned, assignment, sent, says_all: true, ..consumer });
                self.beat(self.consumers.len() - 1, true, false);
            }
            Op::Late { which, .. } => self.late(who, which),
            _ => {}
        }
    }

    fn join(&mut self, topics: u8, by_pattern: bool, is_static: bool, ranged: bool) {
        if self.consumers.len() >= 6 {
            return;
        }
        self.made += 1;
        self.consumers.push(Consumer {
            id: format!("m{}", self.made),
            instance: is_static.then(|| format!("i{}", self.made)),
            topics: if by_pattern { Vec::new() } else { names(topics) },
            pattern: by_pattern.then(|| format!("[{}]", names(topics).concat())),
            assignor: Some(if ranged { "range" } else { "uniform" }.to_owned()),
            epoch: 0,
            owned: Owned::new(),
            assignment: Owned::new(),
            says_all: true,
            sent: Vec::new(),
        });
        self.beat(self.consumers.len() - 1, true, false);
    }

    fn beat(&mut self, who: usize, reports: bool, is_lost: bool) {
        let consumer = &mut self.consumers[who];
        let mut request = consumer.request(consumer.epoch);
        if consumer.says_all || consumer.epoch == 0 {
            consumer.say_all(&mut request);
        } else if reports {
            request.topic_partitions = Some(to_partitions(&consumer.owned));
        }
        let response = self.send(request.clone());
        self.sync();
        let consumer = &mut self.consumers[who];
        if response.error_code == 0 {
            consumer.sent.push(request);
        }
        if is_lost {
            consumer.says_all = true;
        } else {
            consumer.hear(&response);
        }
    }

    /// An old request of a consumer that has used a newer epoch since.
    fn late(&mut self, who: usize, which: usize) {
        let consumer = &self.consumers[who];
        let newest = consumer.sent.iter().map(|sent| sent.member_epoch).max().unwrap_or(0);
        let old: Vec<_> =
            consumer.sent.iter().filter(|sent| (1..newest).contains(&sent.member_epoch)).cloned().collect();
        if newest == consumer.epoch && !old.is_empty() {
            self.send(old[which % old.len()].clone());
        }
    }

    /// Whoever was put out hears nothing of it, but its own session ends as well.
    pub(super) fn sync(&mut self) {
        let Some(group) = self.world.shard.groups.get(GROUP) else { return };
        let is_in = |id: &str| match group {
            Group::Consumer(group) => group.members.contains_key(id),
            Group::Classic(group) => group.members.contains(id),
        };
        self.told.retain(|id, _| is_in(id));
        for old in self.olds.iter_mut().filter(|old| !is_in(&old.id)) {
            old.owned.clear();
        }
        for consumer in self.consumers.iter_mut().filter(|consumer| !is_in(&consumer.id)) {
            consumer.owned.clear();
            consumer.assignment.clear();
        }
    }

    fn check(&mut self) {
        self.sync();
        let mut owned = Owned::new();
        for partition in self.owned() {
            assert!(owned.insert(partition), "{partition:?} is in the hands of two");
        }
        let group = match self.world.shard.groups.get(GROUP) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Classic(group)) => {
                let generation = group.generation;
                // Who has not joined the newest one has only an older one in the log.
                self.told.retain(|_, (epoch, _)| *epoch == generation);
                // An empty one gives way to a group that begins anew.
                if group.is_empty() {
                    self.epochs = (0, 0);
                    self.member_epochs.clear();
                } else {
                    assert!(generation >= self.epochs.0, "{generation} after {:?}", self.epochs);
                    self.epochs = (generation, generation);
                }
                return;
            }
            None => return,
        };
        let mut taken = Owned::new();
        for member in group.members.values() {
            for held in [&member.assigned, &member.revoking] {
                for (topic, partitions) in held.iter() {
                    for partition in partitions.keys() {
                        assert!(taken.insert((*topic, *partition)), "{partition} of {topic} has two holders");
                        assert_eq!(group.index.holder(*topic, *partition), Some(member.id.as_str()));
                    }
                }
            }
        }
        let epochs = (group.epoch, group.target_epoch);
        assert!(epochs.0 >= self.epochs.0 && epochs.1 >= self.epochs.1, "{epochs:?} after {:?}", self.epochs);
        self.epochs = epochs;
        for (id, member) in group.members.iter().filter(|(_, member)| member.epoch >= 0) {
            let before = self.member_epochs.insert(id.clone(), member.epoch).unwrap_or(0);
            assert!(member.epoch >= before, "{id} fell from {before} to {}", member.epoch);
        }
    }

    /// What is in anybody's hands.
    fn owned(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let consumers = self.consumers.iter().flat_map(|consumer| &consumer.owned);
        consumers.chain(self.olds.iter().flat_map(|old| &old.owned)).copied()
    }

    /// All consumers that are left behave well for a while.
    fn converge(&mut self) {
        if self.consumers.is_empty() {
            self.join(1, false, false, false);
        }
        for _ in 0..ROUNDS_TO_CONVERGE {
            self.world.pass(5_000);
            for who in 0..self.consumers.len() {
                self.beat(who, true, false);
                self.consumers[who].drop_unassigned();
                self.check();
            }
            for who in 0..self.olds.len() {
                // They join and fetch without waiting for the next beat.
                for _ in 0..3 {
                    self.beat_old(who, false);
                    self.check();
                }
            }
        }
        let Some(group) = self.world.shard.consumer(GROUP) else { return };
        assert!(matches!(group.state_name(), "Stable" | "Empty"), "{group:#?}");
        let mut expected = Owned::new();
        for topic in self.world.image.topics() {
            let name = topic.name.as_str();
            if self.consumers.iter().any(|consumer| consumer.wants(name)) || self.olds.iter().any(|old| old.wants(name))
            {
                expected.extend(topic.partitions.iter().map(|(partition, _)| (topic.id, partition.0)));
            }
        }
        let owned: Owned = self.owned().collect();
        assert_eq!(owned, expected, "everything is read");
        for consumer in &self.consumers {
            let topics = consumer.owned.iter().map(|(topic, _)| self.world.image.topic_by_id(*topic).unwrap());
            assert!(topics.into_iter().all(|topic| consumer.wants(topic.name.as_str())), "by who wants it");
        }
    }
}

impl Consumer {
    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest { instance_id: self.instance.clone(), ..beating(&self.id, epoch) }
    }

    fn say_all(&self, request: &mut ConsumerGroupHeartbeatRequest) {
        request.rebalance_timeout_ms = REBALANCE_MS;
        request.subscribed_topic_names = Some(self.topics.clone());
        request.subscribed_topic_regex = Some(self.pattern.clone().unwrap_or_default());
        request.server_assignor = self.assignor.clone();
        request.topic_partitions = Some(to_partitions(&self.owned));
    }

    fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        if response.error_code != 0 {
            self.owned.clear();
            self.assignment.clear();
            (self.epoch, self.says_all) = (0, true);
            return;
        }
        self.says_all = false;
        self.epoch = response.member_epoch;
        if let Some(assignment) = assignment_of(response) {
            self.owned.extend(assignment.iter().copied());
            self.assignment = assignment;
        }
    }

    fn drop_unassigned(&mut self) {
        self.owned = self.owned.intersection(&self.assignment).copied().collect();
    }

    fn wants(&self, topic: &str) -> bool {
        let matched = |pattern: &String| pattern.contains(topic);
        self.topics.iter().any(|name| name == topic) || self.pattern.as_ref().is_some_and(matched)
    }
}

fn assignment_of(response: &ConsumerGroupHeartbeatResponse) -> Option<Owned> {
    let topics = &response.assignment.as_ref()?.topic_partitions;
    let mut assignment = Owned::new();
    for topic in topics {
        assignment.extend(topic.partitions.iter().map(|partition| (topic.topic_id, *partition)));
    }
    Some(assignment)
}

pub(super) fn names(mask: u8) -> Vec<String> {
    let chosen = TOPICS.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
    chosen.map(|(_, name)| (*name).to_owned()).collect()
}

fn to_partitions(owned: &Owned) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in owned {
        topics.entry(*topic).or_default().push(*partition);
    }
    topics.into_iter().map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
}

fn play(policy: MigrationPolicy, ops: &[Op]) {
    let mut schedule = Schedule::new(policy);
    ops.iter().for_each(|op| schedule.run(op));
    schedule.converge();
    schedule.world.check_replay();
}

proptest! {
    #![proptest_config(crate::schedules(600))]

    /// Classic members stay in the consumer group once they are there.
    #[test]
    fn nobody_gets_what_another_has_and_all_is_read_in_the_end(ops in ops()) {
        play(MigrationPolicy::Upgrade, &ops);
    }
}

proptest! {
    #![proptest_config(crate::schedules(300))]

    /// The group becomes a classic one when only classic members are left, and a consumer group again when another comes.
    #[test]
    fn up_and_down_nobody_gets_what_another_has(ops in ops()) {
        play(MigrationPolicy::Bidirectional, &ops);
    }
}
