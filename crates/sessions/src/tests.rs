//! Scenarios as Apache Kafka 4.3.1 plays them, and the session against a list that is searched.

mod eviction;
mod model;

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use ottla_types::{ErrorCode, LeaderEpoch, Millis, Offset, PartitionIndex, TopicName, Uuid};

use super::*;

fn named(topic: &str, partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Name(topic.into()), partition: PartitionIndex(partition) }
}

fn with_id(id: u8, partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Id(Uuid([id; 16])), partition: PartitionIndex(partition) }
}

fn from(offset: i64) -> Requested {
    Requested {
        fetch_offset: Offset(offset),
        max_bytes: 1 << 20,
        log_start_offset: Offset(-1),
        current_leader_epoch: LeaderEpoch::UNKNOWN,
        last_fetched_epoch: LeaderEpoch::UNKNOWN,
        replica_directory_id: Uuid::ZERO,
        high_watermark: Offset(i64::MAX),
    }
}

fn request(session_id: i32, epoch: i32, partitions: &[(PartitionKey, Requested)]) -> FetchRequest {
    FetchRequest {
        session_id,
        epoch,
        uses_topic_ids: partitions.first().is_some_and(|(key, _)| matches!(key.topic, TopicKey::Id(_))),
        privileged: false,
        partitions: partitions.to_vec(),
        forgotten: Vec::new(),
    }
}

/// A broker of a few partitions, each a log start and an end; a record is a byte.
struct Broker {
    sessions: FetchSessions,
    logs: BTreeMap<PartitionKey, (i64, i64)>,
    /// Bytes that one response may carry.
    budget: usize,
    random: u32,
}

type Told = Vec<(PartitionKey, ErrorCode, usize)>;

impl Broker {
    fn new(logs: &[(PartitionKey, i64)]) -> Self {
        let logs = logs.iter().map(|(key, end)| (key.clone(), (0, *end))).collect();
        Self { sessions: FetchSessions::new(SessionLimits::default()), logs, budget: usize::MAX, random: 0 }
    }

    fn read(&self, key: &PartitionKey, requested: &Requested, left: &mut usize) -> Fetched {
        let Some((start, end)) = self.logs.get(key) else { return failed(ErrorCode::UnknownTopicOrPartition) };
        if !(*start..=*end).contains(&requested.fetch_offset.0) {
            return failed(ErrorCode::OffsetOutOfRange);
        }
        let bytes = ((end - requested.fetch_offset.0) as usize).min(*left);
        *left -= bytes;
        good(*start, *end, bytes)
    }

    fn fetch(&mut self, request: FetchRequest) -> Result<(i32, Told), ErrorCode> {
        let context = self.sessions.begin(Millis(0), request, |_| None).map_err(SessionError::code)?;
        let mut left = self.budget;
        let mut results = Vec::new();
        context.for_each(|visit| {
            let key = PartitionKey { topic: visit.topic.clone(), partition: visit.partition };
            let fetched = self.read(&key, visit.requested, &mut left);
            results.push((visit.handle, fetched, (key, fetched.error, fetched.record_bytes)));
            ControlFlow::Continue(())
        });
        self.random += 1;
        let answer = self.sessions.finish(Millis(0), || self.random, context, results).map_err(SessionError::code)?;
        Ok((answer.session_id, answer.partitions))
    }

    /// An incremental fetch that must succeed.
    fn next(&mut self, id: i32, epoch: i32, partitions: &[(PartitionKey, Requested)]) -> Told {
        let (answered, told) = self.fetch(request(id, epoch, partitions)).unwrap();
        assert_eq!(answered, id);
        told
    }

    fn append(&mut self, key: &PartitionKey, records: i64) {
        self.logs.get_mut(key).unwrap().1 += records;
    }
}

fn good(start: i64, end: i64, record_bytes: usize) -> Fetched {
    Fetched {
        error: ErrorCode::None,
        high_watermark: Offset(end),
        last_stable_offset: Offset(end),
        log_start_offset: Offset(start),
        record_bytes,
        has_hint: false,
    }
}

fn failed(error: ErrorCode) -> Fetched {
    Fetched { error, ..good(-1, -1, 0) }
}

fn keys(told: &Told) -> Vec<&PartitionKey> {
    told.iter().map(|(key, ..)| key).collect()
}

/// Two empty partitions, and a session on them.
fn two() -> (Broker, i32, PartitionKey, PartitionKey) {
    let (a, b) = (named("b", 0), named("b", 1));
    let mut broker = Broker::new(&[(a.clone(), 0), (b.clone(), 0)]);
    let (id, told) = broker.fetch(request(0, 0, &[(a.clone(), from(0)), (b.clone(), from(0))])).unwrap();
    assert!(id > 0 && told.len() == 2, "a full fetch answers for all");
    (broker, id, a, b)
}

#[test]
fn a_fetch_without_a_session_opens_none() {
    let (mut broker, _, a, _) = two();
    assert_eq!(broker.fetch(request(0, -1, &[(a.clone(), from(0))])), Ok((0, vec![(a, ErrorCode::None, 0)])));
    assert_eq!(broker.sessions.metrics().sessions, 1);
}

#[test]
fn a_session_tells_only_what_is_new() {
    let (mut broker, id, a, b) = two();
    assert!(broker.next(id, 1, &[]).is_empty());
    broker.append(&b, 1);
    let data = vec![(b.clone(), ErrorCode::None, 1)];
    assert_eq!(broker.next(id, 2, &[]), data);
    assert_eq!(broker.next(id, 3, &[]), data, "the fetcher did not move on");
    assert!(broker.next(id, 4, &[(b, from(1))]).is_empty());
    broker.logs.get_mut(&a).unwrap().0 = -1;
    assert_eq!(keys(&broker.next(id, 5, &[])), [&a], "a log start that moved is new");
}

#[test]
fn a_new_high_watermark_is_new_without_records() {
    let (mut broker, id, a, _) = two();
    broker.budget = 0;
    broker.append(&a, 3);
    assert_eq!(broker.next(id, 1, &[]), [(a, ErrorCode::None, 0)]);
    assert!(broker.next(id, 2, &[]).is_empty());
}

#[test]
fn epochs_keep_both_sides_in_step() {
    let (mut broker, id, ..) = two();
    let invalid = Err(ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(broker.fetch(request(id, 5, &[])), invalid);
    assert!(broker.next(id, 1, &[]).is_empty(), "a wrong epoch changes nothing");
    assert_eq!(broker.fetch(request(id, 1, &[])), invalid, "the same request twice");
    assert_eq!(broker.fetch(request(id, -2, &[])), invalid);
    assert_eq!(broker.fetch(request(id + 1, 1, &[])), Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(broker.fetch(request(0, 1, &[])), Err(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn an_epoch_goes_on_at_one_after_the_last() {
    let (mut broker, id, ..) = two();
    let last = broker.sessions.begin(Millis(0), request(id, 1, &[]), |_| None).unwrap();
    last.set_epoch(i32::MAX);
    assert!(broker.next(id, i32::MAX, &[]).is_empty());
    assert!(broker.next(id, 1, &[]).is_empty());
}

#[test]
fn errors_are_told_each_time_and_their_end_is_new() {
    let (mut broker, id, ..) = two();
    let nope = named("nope", 0);
    let error = vec![(nope.clone(), ErrorCode::UnknownTopicOrPartition, 0)];
    assert_eq!(broker.next(id, 1, &[(nope.clone(), from(0))]), error);
    assert_eq!(broker.next(id, 2, &[]), error);
    broker.logs.insert(nope.clone(), (0, 0));
    assert_eq!(broker.next(id, 3, &[]), [(nope, ErrorCode::None, 0)]);
    assert!(broker.next(id, 4, &[]).is_empty());
}

#[test]
fn a_hint_is_told_each_time_and_its_end_is_new() {
    let fetched = good(0, 5, 0);
    let hint = Fetched { has_hint: true, ..fetched };
    assert!(Known::of(&fetched).is_news(&hint));
    assert!(Known::after(&hint).is_news(&fetched));
    assert!(!Known::after(&fetched).is_news(&fetched));
}

#[test]
fn what_is_forgotten_is_not_served() {
    let (mut broker, id, a, b) = two();
    broker.append(&a, 1);
    broker.append(&b, 1);
    let forget = |epoch, partitions: &[_], forgotten: &[PartitionKey]| FetchRequest {
        forgotten: forgotten.to_vec(),
        ..request(id, epoch, partitions)
    };
    let told = broker.fetch(forget(1, &[], &[a.clone(), named("never", 3)])).unwrap().1;
    assert_eq!(keys(&told), [&b]);
    let told = broker.fetch(forget(2, &[(a.clone(), from(0))], std::slice::from_ref(&a))).unwrap().1;
    assert_eq!(keys(&told), [&b], "added and forgotten at once is forgotten");
    assert_eq!(broker.sessions.metrics().partitions, 1);
    assert_eq!(keys(&broker.next(id, 3, &[(a.clone(), from(0))])), [&b, &a], "what is added again comes last");
}

#[test]
fn a_session_that_forgets_all_is_closed() {
    let (mut broker, id, a, b) = two();
    let all = FetchRequest { forgotten: vec![a.clone(), b], ..request(id, 1, &[]) };
    assert_eq!(broker.fetch(all), Ok((0, vec![])));
    assert_eq!(broker.fetch(request(id, 2, &[(a, from(0))])), Err(ErrorCode::FetchSessionIdNotFound));
    let metrics = Metrics { sessions: 0, partitions: 0, evictions: 0 };
    assert_eq!(broker.sessions.metrics(), metrics);
}

#[test]
fn a_full_fetch_closes_the_session_it_names() {
    let (mut broker, id, a, _) = two();
    let (next, told) = broker.fetch(request(id, 0, &[(a.clone(), from(0))])).unwrap();
    assert!(next > 0 && next != id && told.len() == 1);
    assert_eq!(broker.fetch(request(id, 1, &[])), Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(broker.fetch(request(next, -1, &[(a.clone(), from(0))])).unwrap().0, 0);
    assert_eq!(broker.fetch(request(next, 1, &[])), Err(ErrorCode::FetchSessionIdNotFound));
    assert!(broker.fetch(request(4711, 0, &[(a, from(0))])).unwrap().0 > 0, "it need not be there");
}

#[test]
fn an_empty_session_can_be_opened_and_filled() {
    let (mut broker, _, a, _) = two();
    let (id, told) = broker.fetch(request(0, 0, &[])).unwrap();
    assert!(id > 0 && told.is_empty());
    assert_eq!(keys(&broker.next(id, 1, &[(a.clone(), from(0))])), [&a]);
}

#[test]
fn of_a_partition_named_twice_the_last_counts_at_the_first_place() {
    let (mut broker, _, a, b) = two();
    let twice = [(a.clone(), from(5)), (b.clone(), from(0)), (a.clone(), from(0))];
    let told = broker.fetch(request(0, 0, &twice)).unwrap().1;
    assert_eq!(told, [(a, ErrorCode::None, 0), (b, ErrorCode::None, 0)]);
}

#[test]
fn those_that_were_served_go_behind_the_others() {
    let keys_of: Vec<_> = (0..4).map(|partition| named("a", partition)).collect();
    let mut broker = Broker::new(&keys_of.iter().map(|key| (key.clone(), 20)).collect::<Vec<_>>());
    broker.budget = 3;
    let all: Vec<_> = keys_of.iter().map(|key| (key.clone(), from(0))).collect();
    let (id, told) = broker.fetch(request(0, 0, &all)).unwrap();
    assert_eq!(told.iter().map(|(_, _, bytes)| *bytes).collect::<Vec<_>>(), [3, 0, 0, 0]);
    for (epoch, partition) in [0, 1, 2, 3, 0, 1].into_iter().enumerate() {
        let told = broker.next(id, epoch as i32 + 1, &[]);
        assert_eq!(told, [(keys_of[partition].clone(), ErrorCode::None, 3)]);
    }
    broker.budget = 15;
    let told = broker.next(id, 7, &[(keys_of[3].clone(), from(10))]);
    let bytes = |partition: usize, bytes| (keys_of[partition].clone(), ErrorCode::None, bytes);
    assert_eq!(told, [bytes(2, 15)], "a change of what is wanted keeps the place");
    assert_eq!(broker.next(id, 8, &[]), [bytes(3, 10), bytes(0, 5)]);
}

#[test]
fn ids_and_names_do_not_mix() {
    let (mut broker, names, ..) = two();
    let ids = broker.fetch(request(0, 0, &[(with_id(7, 0), from(0))])).unwrap().0;
    let mixed = Err(ErrorCode::FetchSessionTopicIdError);
    for (id, uses_topic_ids) in [(names, true), (ids, false)] {
        assert_eq!(broker.fetch(FetchRequest { uses_topic_ids, ..request(id, 1, &[]) }), mixed);
        let right = FetchRequest { uses_topic_ids: !uses_topic_ids, ..request(id, 1, &[]) };
        assert!(broker.fetch(right).is_ok(), "the session stays");
    }
}

/// Names that the walk of an incremental fetch sees.
fn names_seen(sessions: &FetchSessions, request: FetchRequest, name: Option<&str>) -> Vec<Option<String>> {
    let context = sessions.begin(Millis(0), request, |_| name.map(|name| TopicName::new(name).unwrap())).unwrap();
    let mut seen = Vec::new();
    context.for_each(|visit| {
        seen.push(visit.name.map(ToString::to_string));
        ControlFlow::Continue(())
    });
    sessions.finish(Millis(0), || 0, context, [] as [(PartitionHandle, Fetched, ()); 0]).unwrap();
    seen
}

#[test]
fn a_topic_id_keeps_the_name_it_once_had() {
    let sessions = FetchSessions::new(SessionLimits::default());
    let step = |epoch| FetchRequest { uses_topic_ids: true, ..request(1, epoch, &[]) };
    let open = request(0, 0, &[(with_id(7, 0), from(0))]);
    assert_eq!(names_seen(&sessions, open, None), [None]);
    assert_eq!(names_seen(&sessions, step(1), None), [None]);
    assert_eq!(names_seen(&sessions, step(2), Some("late")), [Some("late".to_owned())]);
    assert_eq!(names_seen(&sessions, step(3), None), [Some("late".to_owned())], "the topic was deleted");
    let bad = [(named("a b", 0), from(0)), (named("", 0), from(0)), (named("good", 0), from(0))];
    assert_eq!(names_seen(&sessions, request(0, 0, &bad), None), [None, None, Some("good".to_owned())]);
}

#[test]
fn a_response_that_was_overtaken_is_an_error() {
    let (broker, id, ..) = two();
    let first = broker.sessions.begin(Millis(0), request(id, 1, &[]), |_| None).unwrap();
    let second = broker.sessions.begin(Millis(0), request(id, 2, &[]), |_| None).unwrap();
    first.for_each(|_| panic!("there is nothing to fetch for it any more"));
    let results = || [] as [(PartitionHandle, Fetched, ()); 0];
    assert_eq!(broker.sessions.finish(Millis(0), || 0, first, results()), Err(SessionError::InvalidEpoch));
    assert!(broker.sessions.finish(Millis(0), || 0, second, results()).is_ok());
}

#[test]
fn a_throttled_fetcher_is_told_nothing_and_keeps_its_session() {
    let (mut broker, id, a, _) = two();
    let begin = |request| broker.sessions.begin(Millis(0), request, |_| None).unwrap();
    let full = begin(request(0, 0, &[(a.clone(), from(0))]));
    assert_eq!(full.answer_nothing::<()>().unwrap().session_id, 0);
    let incremental = begin(request(id, 1, &[]));
    assert_eq!(incremental.answer_nothing::<()>().unwrap().session_id, id);
    broker.append(&a, 1);
    assert_eq!(keys(&broker.next(id, 2, &[])), [&a]);
}

#[test]
fn news_that_were_left_out_are_news_again() {
    let (mut broker, id, a, b) = two();
    broker.append(&a, 1);
    broker.append(&b, 1);
    let context = broker.sessions.begin(Millis(0), request(id, 1, &[]), |_| None).unwrap();
    drop(context);
    assert_eq!(broker.next(id, 2, &[]).len(), 2);
}

#[test]
fn a_name_that_no_topic_can_have_is_not_remembered() {
    let (mut broker, id, a, _) = two();
    let long = (named(&"x".repeat(250), 0), from(0));
    let (opened, told) = broker.fetch(request(0, 0, &[long.clone(), (a, from(0))])).unwrap();
    assert_eq!((opened, told.len()), (0, 2));
    assert_eq!(broker.fetch(request(id, 1, &[long])), Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(broker.sessions.metrics().sessions, 0);
}

#[test]
fn a_handle_of_nothing_is_ignored() {
    let (broker, id, ..) = two();
    let context = broker.sessions.begin(Millis(0), request(id, 1, &[]), |_| None).unwrap();
    let results = [(partitions::PartitionHandle(99), good(0, 9, 9), ())];
    assert_eq!(broker.sessions.finish(Millis(0), || 0, context, results).unwrap().partitions, []);
}

impl FetchContext {
    fn set_epoch(&self, epoch: i32) {
        self.session_for_tests().lock().epoch = epoch;
    }
}

#[test]
fn names_are_shared_with_the_request() {
    let name: Arc<str> = "shared".into();
    let key = PartitionKey { topic: TopicKey::Name(name.clone()), partition: PartitionIndex(0) };
    let sessions = FetchSessions::new(SessionLimits::default());
    let context = sessions.begin(Millis(0), request(0, 0, &[(key, from(0))]), |_| None).unwrap();
    assert!(Arc::strong_count(&name) > 1 && !context.is_empty());
}
