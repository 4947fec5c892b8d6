//! Random schedules. [`World::step`] checks the laws after each step; here are those that only show over time.

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Join {
        who: usize,
        version: i16,
        protocols: usize,
        rebalance_timeout_ms: i32,
    },
    Sync {
        who: usize,
    },
    Beat {
        who: usize,
    },
    Leave {
        who: usize,
    },
    /// The process dies; the next one knows nothing of it.
    Restart {
        who: usize,
    },
    Pass {
        millis: i64,
    },
    Crash,
    /// A crash before what was decided of all this is in the log: nobody was answered.
    Unwritten {
        ops: Vec<Op>,
    },
}

/// A client; it believes what it was last told.
#[derive(Clone, Default)]
struct Process {
    id: String,
    instance: Option<String>,
    generation: i32,
    asked: Option<Ticket>,
}

impl Process {
    fn listen(&mut self, world: &World) {
        let Some(GroupReply::Join(reply)) = self.asked.and_then(|ticket| world.replies.get(&ticket)) else { return };
        self.asked = None;
        match code(reply.error_code) {
            ErrorCode::None | ErrorCode::MemberIdRequired => {
                self.id.clone_from(&reply.member_id);
                self.generation = reply.generation_id;
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.id.clear(),
            _ => {}
        }
    }
}

fn ops(who: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        30 => op(who.clone()),
        1 => Just(Op::Crash),
        1 => vec(op(who), 1..5).prop_map(|ops| Op::Unwritten { ops }),
    ];
    vec(op, 1..80)
}

fn op(who: std::ops::Range<usize>) -> impl Strategy<Value = Op> {
    let who = move || who.clone();
    let versions = prop::sample::select(vec![0, 3, 4, 8, 9]);
    let timeouts = prop::sample::select(vec![-1, 0, 1_000, 20_000, 60_000, i32::MAX]);
    prop_oneof![
        8 => (who(), versions, 0..4usize, timeouts).prop_map(|(who, version, protocols, rebalance_timeout_ms)| {
            Op::Join { who, version, protocols, rebalance_timeout_ms }
        }),
        6 => who().prop_map(|who| Op::Sync { who }),
        4 => who().prop_map(|who| Op::Beat { who }),
        1 => who().prop_map(|who| Op::Leave { who }),
        1 => who().prop_map(|who| Op::Restart { who }),
        6 => prop_oneof![Just(0), Just(3_000), Just(6_000), 0..70_000i64].prop_map(|millis| Op::Pass { millis }),
    ]
}

/// Clients and their coordinator.
#[derive(Clone)]
struct Schedule {
    world: World,
    processes: Vec<Process>,
    /// How many of them are no instance; the others fight for one.
    dynamic: usize,
    /// Who syncs, in which generation.
    syncs: BTreeMap<Ticket, (String, i32)>,
    /// What each member was last told to work on, and in which generation.
    told: BTreeMap<String, (i32, Bytes)>,
}

impl Schedule {
    fn new(dynamic: usize, max_size: i32) -> Self {
        let mut processes: Vec<Process> = (0..6).map(|_| Process::default()).collect();
        for process in &mut processes[dynamic..] {
            process.instance = Some("i".to_owned());
        }
        let world = World::with(|settings| settings.max_size = max_size);
        Self { world, processes, dynamic, syncs: BTreeMap::new(), told: BTreeMap::new() }
    }

    fn run(&mut self, op: Op) {
        let Self { world, processes, .. } = self;
        processes.iter_mut().for_each(|process| process.listen(world));
        match op {
            Op::Join { who, version, protocols, rebalance_timeout_ms } => {
                let process = &mut processes[who];
                let names: &[&str] =
                    [&["range"][..], &["range", "sticky"], &["sticky", "range"], &["sticky"]][protocols];
                process.asked = Some(world.join_as(version, "c", |request| {
                    request.member_id.clone_from(&process.id);
                    request.group_instance_id.clone_from(&process.instance);
                    request.rebalance_timeout_ms = rebalance_timeout_ms;
                    request.protocols = names.iter().map(|name| protocol(name, "t")).collect();
                }));
            }
            Op::Sync { who } => {
                let ids: Vec<_> = processes.iter().map(|process| process.id.clone()).collect();
                let Process { id, instance, generation, .. } = &processes[who];
                let ticket = world.sync_as(4, id, |request| {
                    request.generation_id = *generation;
                    request.group_instance_id.clone_from(instance);
                    // A generation's own, so that an older one shows.
                    request.assignments = assignments(&ids);
                    for it in &mut request.assignments {
                        it.assignment = Bytes::from(format!("{:?} in {generation}", it.assignment));
                    }
                    (request.protocol_type, request.protocol_name) = (None, None);
                });
                self.syncs.insert(ticket, (id.clone(), *generation));
            }
            Op::Beat { who } => {
                let Process { id, instance, generation, .. } = &processes[who];
                world.beat_as(id, |request| {
                    request.generation_id = *generation;
                    request.group_instance_id.clone_from(instance);
                });
            }
            Op::Leave { who } => {
                let Process { id, instance, .. } = &processes[who];
                world.leave(vec![identity(id, instance.as_deref())]);
            }
            Op::Restart { who } => {
                let instance = processes[who].instance.take();
                processes[who] = Process { instance, ..Process::default() };
            }
            Op::Pass { millis } => world.pass(millis),
            Op::Crash => self.crash(),
            Op::Unwritten { ops } => {
                let mut before = self.clone();
                ops.into_iter().for_each(|op| self.run(op));
                (before.world.now, before.world.asked) = (self.world.now, self.world.asked);
                *self = before;
                self.crash();
            }
        }
        self.hear_syncs();
    }

    fn hear_syncs(&mut self) {
        let replies = &self.world.replies;
        self.syncs.retain(|ticket, (id, generation)| match replies.get(ticket) {
            Some(GroupReply::Sync(reply)) => {
                if reply.error_code == OK {
                    self.told.insert(id.clone(), (*generation, reply.assignment.clone()));
                }
                false
            }
            _ => true,
        });
        let members = self.world.group().map(|group| &group.members);
        self.told.retain(|id, _| members.is_some_and(|members| members.contains(id)));
    }

    /// What members were told of their work, the coordinator that follows says as well.
    fn crash(&mut self) {
        self.hear_syncs();
        agree(&self.world, self.dynamic == self.processes.len());
        self.world.replies.clear();
        self.syncs.clear();
        let max = usize::try_from(self.world.shard.settings.groups.max_size).unwrap();
        self.world.crash();
        for (id, (generation, assignment)) in &self.told {
            let group = self.world.group().unwrap();
            let member = group.members.get(id);
            assert!(group.generation >= *generation, "{id} was in generation {generation} of {group:?}");
            assert!(member.is_some() || group.members.len() > max, "{id} is gone from {group:?}");
            assert!(
                group.generation > *generation || member.is_none_or(|member| member.assignment == *assignment),
                "{id} was told {assignment:?} by {group:?}"
            );
        }
    }
}

fn play(ops: Vec<Op>, dynamic: usize, max_size: i32) {
    let mut schedule = Schedule::new(dynamic, max_size);
    ops.into_iter().for_each(|op| schedule.run(op));
    let Schedule { mut world, processes, .. } = schedule;
    agree(&world, dynamic == processes.len());
    // Longer than any timeout but that of a client who is ready to wait for weeks.
    world.pass(i64::from(i32::MAX) + 3_600_000);
    assert!(world.open.is_empty(), "parked for ever: {:?} in {:?}", world.open, world.group());
    assert!(world.group().is_none_or(ClassicGroup::is_empty));
    assert_eq!(world.shard.next_deadline(), None);
}

/// All that was said of a generation fits together. Where processes take over from others, a generation's leader may
/// change.
fn agree(world: &World, one_leader: bool) {
    let mut generations: BTreeMap<i32, &JoinGroupResponse> = BTreeMap::new();
    for reply in world.replies.values() {
        if let GroupReply::Join(said) = reply
            && said.error_code == OK
        {
            let before = generations.entry(said.generation_id).or_insert(said);
            assert_eq!((&before.protocol_type, &before.protocol_name), (&said.protocol_type, &said.protocol_name));
            assert!(!one_leader || before.leader == said.leader, "{before:?} {said:?}");
            assert!(one_leader || said.members.is_empty() || said.leader == said.member_id);
        }
    }
}

proptest! {
    #![proptest_config(crate::schedules(300))]

    #[test]
    fn dynamic_members(ops in ops(0..6), max_size in prop::sample::select(vec![2, i32::MAX])) {
        play(ops, 6, max_size);
    }

    #[test]
    fn processes_that_fight_for_an_instance(ops in ops(0..6), max_size in prop::sample::select(vec![3, i32::MAX])) {
        play(ops, 3, max_size);
    }
}
