//! A session against a list that is searched, and a fetcher that must end up knowing what the broker knows.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Step {
    put: Vec<(i32, i64)>,
    forget: Vec<i32>,
    /// By how much the epoch is wrong.
    off: i32,
    /// What reading each partition gives, by number.
    fetched: Vec<Fetched>,
}

const PARTITIONS: i32 = 8;

fn fetched() -> impl Strategy<Value = Fetched> {
    let good = (0..2_i64, 0..3_i64, prop_oneof![3 => Just(0_usize), 1 => 1..9_usize], prop::bool::weighted(0.1))
        .prop_map(|(start, end, bytes, has_hint)| Fetched { has_hint, ..good(start, end, bytes) });
    prop_oneof![6 => good, 1 => Just(failed(ErrorCode::NotLeaderOrFollower))]
}

fn step() -> impl Strategy<Value = Step> {
    let put = prop::collection::vec((0..PARTITIONS, 0..100_i64), 0..4);
    let forget = prop::collection::vec(0..PARTITIONS, 0..3);
    let off = prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(-1)];
    let fetched = prop::collection::vec(fetched(), PARTITIONS as usize);
    (put, forget, off, fetched).prop_map(|(put, forget, off, fetched)| Step { put, forget, off, fetched })
}

/// What a session does, told in the simplest words.
#[derive(Default)]
struct Model {
    /// Partition, offset, and what the fetcher was told.
    list: Vec<(i32, i64, Known)>,
}

impl Model {
    fn put(&mut self, partition: i32, offset: i64) {
        match self.list.iter_mut().find(|(other, ..)| *other == partition) {
            Some(found) => found.1 = offset,
            None => self.list.push((partition, offset, Known::NOTHING)),
        }
    }

    fn answer(&mut self, fetched: &[Fetched], full: bool) -> Vec<i32> {
        let (mut told, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for (partition, offset, known) in self.list.drain(..) {
            let got = &fetched[partition as usize];
            let good = got.error.is_none() && !got.has_hint;
            let told_now = Known {
                high_watermark: got.high_watermark,
                last_stable_offset: got.last_stable_offset,
                log_start_offset: got.log_start_offset,
            };
            let tells = full || !good || got.record_bytes > 0 || told_now != known;
            let knows = if good { told_now } else { Known::NOTHING };
            let serves = tells && !full && got.record_bytes > 0;
            told.extend(tells.then_some(partition));
            if serves { &mut last } else { &mut first }.push((partition, offset, knows));
        }
        self.list = [first, last].concat();
        told
    }
}

/// A session id, the partitions and offsets walked over, the partitions answered for.
type Ran = (i32, Vec<(i32, i64)>, Vec<i32>);

/// Runs a request; the walk it offers, and who is in the answer.
fn run(sessions: &FetchSessions, request: FetchRequest, fetched: &[Fetched]) -> Result<Ran, SessionError> {
    let context = sessions.begin(Millis(0), request, |_| None)?;
    let (mut walk, mut results) = (Vec::new(), Vec::new());
    context.for_each(|visit| {
        let got = fetched[visit.partition.0 as usize];
        walk.push((visit.partition.0, visit.requested.fetch_offset.0));
        // What is no news may be left out; here every other partition does so.
        if visit.partition.0 % 2 == 0 || visit.is_news(&got) {
            results.push((visit.handle, got, visit.partition.0));
        }
        ControlFlow::Continue(())
    });
    let answer = sessions.finish(Millis(0), || 7, context, results)?;
    Ok((answer.session_id, walk, answer.partitions))
}

proptest! {
    #[test]
    fn it_does_what_a_searched_list_does(steps in prop::collection::vec(step(), 1..40)) {
        let sessions = FetchSessions::new(SessionLimits::default());
        let mut model = Model::default();
        let (mut id, mut epoch) = (0, 0);
        for step in steps {
            let full = epoch == 0;
            let off = if full { 0 } else { step.off };
            let puts: Vec<_> = step.put.iter().map(|(p, offset)| (named("t", *p), from(*offset))).collect();
            let forgotten = step.forget.iter().map(|p| named("t", *p)).collect();
            let request = FetchRequest { forgotten, ..request(id, (epoch + off).max(1 - i32::from(full)), &puts) };
            let is_right = request.epoch == epoch;
            let result = run(&sessions, request, &step.fetched);
            if !is_right {
                prop_assert_eq!(result, Err(SessionError::InvalidEpoch));
                continue;
            }
            step.put.iter().for_each(|(partition, offset)| model.put(*partition, *offset));
            if !full {
                model.list.retain(|(partition, ..)| !step.forget.contains(partition));
            }
            let walk: Vec<_> = model.list.iter().map(|(partition, offset, _)| (*partition, *offset)).collect();
            let closes = walk.is_empty() && !full;
            let told = model.answer(&step.fetched, full);
            let (answered, walked, answer) = result.unwrap();
            prop_assert_eq!((walked, answer), (walk, told));
            prop_assert_eq!(answered == 0, closes);
            prop_assert_eq!(sessions.metrics().partitions, model.list.len());
            (id, epoch) = if closes { (0, 0) } else { (answered, epoch + 1) };
        }
    }

    /// However the responses are cut to a budget, everyone is served in turn, and in the end the fetcher has it all.
    #[test]
    fn every_partition_is_served_in_turn(ends in prop::collection::vec(0..30_i64, 1..10), budget in 1..10_usize) {
        let logs: Vec<_> = ends.iter().enumerate().map(|(p, end)| (named("t", p as i32), *end)).collect();
        let mut broker = Broker::new(&logs);
        broker.budget = budget;
        let all: Vec<_> = logs.iter().map(|(key, _)| (key.clone(), from(0))).collect();
        let mut positions: BTreeMap<_, i64> = logs.iter().map(|(key, _)| (key.clone(), 0)).collect();
        let (id, _) = broker.fetch(request(0, 0, &all)).unwrap();
        let mut moved: Vec<(PartitionKey, Requested)> = Vec::new();
        let mut since_served: BTreeMap<_, usize> = BTreeMap::new();
        for epoch in 1..=ends.iter().sum::<i64>() as i32 {
            let told = broker.next(id, epoch, &moved);
            moved.clear();
            for (key, end) in &logs {
                let waits = positions[key] < *end && !told.iter().any(|(other, _, bytes)| other == key && *bytes > 0);
                let rounds = since_served.entry(key.clone()).or_default();
                *rounds = if waits { *rounds + 1 } else { 0 };
                prop_assert!(*rounds < logs.len(), "{key:?} starves");
            }
            for (key, _, bytes) in told {
                let position = positions.get_mut(&key).unwrap();
                *position += bytes as i64;
                moved.push((key, from(*position)));
            }
        }
        prop_assert!(logs.iter().all(|(key, end)| positions[key] == *end));
    }
}
