//! Whatever happens, in whatever order: the laws hold (each step checks them), a transaction ends once, and whoever is told to go
//! on has a producer that nobody had.

use proptest::{collection::vec, prelude::*};

use super::*;

const IDS: [&str; 2] = ["t", "u"];

#[derive(Clone, Debug)]
enum Event {
    Init {
        id: usize,
        expects: bool,
    },
    Add {
        id: usize,
        late: usize,
        version: i16,
        partition: u8,
        verify: bool,
    },
    End {
        id: usize,
        late: usize,
        version: i16,
        commit: bool,
    },
    Take,
    Written {
        late: usize,
        part: bool,
    },
    Pass {
        millis: i64,
    },
    Exhaust {
        id: usize,
    },
    Crash,
    /// A crash before what was decided of all this is in the log: nobody was answered.
    Unwritten {
        events: Vec<Event>,
    },
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => event(),
        1 => Just(Event::Crash),
        1 => vec(event(), 1..5).prop_map(|events| Event::Unwritten { events }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let id = 0..IDS.len();
    let late = prop_oneof![5 => Just(0_usize), 1 => 1..4_usize];
    prop_oneof![
        2 => (id.clone(), any::<bool>()).prop_map(|(id, expects)| Event::Init { id, expects }),
        5 => (id.clone(), late.clone(), 0..6_i16, 0..3_u8, any::<bool>())
            .prop_map(|(id, late, version, partition, verify)| Event::Add { id, late, version, partition, verify }),
        4 => (id.clone(), late.clone(), 0..6_i16, any::<bool>())
            .prop_map(|(id, late, version, commit)| Event::End { id, late, version, commit }),
        4 => Just(Event::Take),
        4 => (late, any::<bool>()).prop_map(|(late, part)| Event::Written { late, part }),
        1 => (1..200_000_i64).prop_map(|millis| Event::Pass { millis }),
        1 => Just(Event::Pass { millis: i64::from(FORGET_AFTER_MS) + i64::from(FORGET_EVERY_MS) }),
        1 => id.prop_map(|id| Event::Exhaust { id }),
    ]
}

/// What clients know, newest last.
#[derive(Clone, Default)]
struct Known {
    producers: [Vec<ProducerIdAndEpoch>; 2],
    orders: Vec<MarkerOrder>,
}

impl Known {
    fn producer(&self, id: usize, late: usize) -> ProducerIdAndEpoch {
        self.producers[id].iter().rev().nth(late).copied().unwrap_or(producer(7, 0))
    }

    /// The first time that somebody is told of it.
    fn told(&mut self, id: usize, producer: ProducerIdAndEpoch) {
        if !self.producers[id].contains(&producer) {
            self.producers[id].push(producer);
        }
    }
}

fn happen(world: &mut World, known: &mut Known, event: &Event) {
    match *event {
        Event::Init { id, expects } => {
            let expected = expects.then(|| known.producer(id, 0));
            let before = known.producers[id].clone();
            if let Ok(producer) = world.init_as(INIT, IDS[id], TIMEOUT_MS, expected) {
                assert!(expects || !before.contains(&producer), "{producer:?} was given before");
                assert!(producer.epoch <= crate::state::EPOCH_MAX);
                known.told(id, producer);
            }
        }
        Event::Add { id, late, version, partition: index, verify } => {
            world.answer(TransactionRequest::AddPartitions {
                version,
                transactional_id: IDS[id].to_owned(),
                producer: known.producer(id, late),
                partitions: vec![partition(&format!("a-{index}"))],
                verify_only: verify,
            });
        }
        Event::End { id, late, version, commit } => {
            let by = known.producer(id, late);
            let outcome = if commit { Outcome::Commit } else { Outcome::Abort };
            let reply = world.with_fresh(|fresh| TransactionRequest::End {
                version,
                transactional_id: IDS[id].to_owned(),
                producer: by,
                outcome,
                fresh,
            });
            if let TransactionReply::End(Ok(producer)) = reply {
                assert!(producer.epoch <= crate::state::EPOCH_MAX);
                assert_eq!(producer != by, version >= BUMPS);
                known.told(id, producer);
            }
        }
        Event::Take => {
            let ticket = world.ask(TransactionRequest::NextMarkers);
            if let Some(TransactionReply::NextMarkers(order)) = world.replies.remove(&ticket) {
                known.orders.push(order);
            }
        }
        Event::Written { late, part } => {
            let Some(order) = known.orders.iter().rev().nth(late).cloned() else { return };
            let count = if part { 1 } else { order.partitions.len() };
            world.written(&order, &order.partitions[..count]);
        }
        Event::Pass { millis } => world.pass(millis),
        Event::Exhaust { id } => {
            let Some(entry) = world.shard.ids.get(IDS[id]) else { return };
            // Only upwards, and never where it would go on: the log is bent as no decision would.
            if entry.hard.producer.epoch.0 > 100 || !entry.hard.state.is_idle() {
                return;
            }
            let mut hard = entry.hard.clone();
            hard.producer.epoch = ProducerEpoch(i16::MAX - 2);
            known.told(id, hard.producer);
            let record = hard.record(IDS[id]);
            world.log.push(record.clone());
            world.shard.replay(Offset(world.log.len() as i64), None, record);
        }
        Event::Crash => world.crash(),
        Event::Unwritten { ref events } => {
            let (mut before, mut untold) = (world.clone(), known.clone());
            events.iter().for_each(|event| happen(world, known, event));
            (before.now, before.asked, before.fresh) = (world.now, world.asked, world.fresh);
            std::mem::swap(world, &mut before);
            std::mem::swap(known, &mut untold);
            world.crash();
        }
    }
    let woken: Vec<_> = world.replies.keys().copied().collect();
    for ticket in woken {
        if let Some(TransactionReply::NextMarkers(order)) = world.replies.remove(&ticket) {
            known.orders.push(order);
        }
    }
}

proptest! {
    #[test]
    fn the_laws_hold(events in vec(events(), 1..60)) {
        let (mut world, mut known) = (World::new(), Known::default());
        for event in &events {
            happen(&mut world, &mut known, event);
            for order in &known.orders {
                prop_assert!(!order.partitions.is_empty());
            }
        }
        // No two decisions of an id have the same time.
        let mut decisions = BTreeMap::new();
        for order in &known.orders {
            let key = (order.transactional_id.clone(), order.producer.id, order.decided);
            let decision = (order.producer, order.outcome);
            prop_assert_eq!(*decisions.entry(key).or_insert(decision), decision);
        }
    }
}
