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
}

/// A client; it believes what it was last told.
#[derive(Default)]
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
    let who = move || who.clone();
    let versions = prop::sample::select(vec![0, 3, 4, 8, 9]);
    let timeouts = prop::sample::select(vec![-1, 0, 1_000, 20_000, 60_000, i32::MAX]);
    let op = prop_oneof![
        8 => (who(), versions, 0..4usize, timeouts).prop_map(|(who, version, protocols, rebalance_timeout_ms)| {
            Op::Join { who, version, protocols, rebalance_timeout_ms }
        }),
        6 => who().prop_map(|who| Op::Sync { who }),
        4 => who().prop_map(|who| Op::Beat { who }),
        1 => who().prop_map(|who| Op::Leave { who }),
        1 => who().prop_map(|who| Op::Restart { who }),
        6 => prop_oneof![Just(0), Just(3_000), Just(6_000), 0..70_000i64].prop_map(|millis| Op::Pass { millis }),
        1 => Just(Op::Crash),
    ];
    vec(op, 1..80)
}

fn play(ops: Vec<Op>, dynamic: usize, max_size: i32) {
    let mut world = World::with(|settings| settings.max_size = max_size);
    let mut processes: Vec<Process> = (0..6).map(|_| Process::default()).collect();
    for process in &mut processes[dynamic..] {
        process.instance = Some("i".to_owned());
    }
    for op in ops {
        processes.iter_mut().for_each(|process| process.listen(&world));
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
                world.sync_as(4, id, |request| {
                    request.generation_id = *generation;
                    request.group_instance_id.clone_from(instance);
                    request.assignments = assignments(&ids);
                    (request.protocol_type, request.protocol_name) = (None, None);
                });
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
            Op::Crash => {
                agree(&world, dynamic == processes.len());
                world.replies.clear();
                world.crash();
            }
        }
    }
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
