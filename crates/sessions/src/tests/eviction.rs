//! Who gets a session when the slots are taken.

use super::*;

const EVICTION_MS: i64 = 120_000;

fn sessions(slots: usize) -> FetchSessions {
    FetchSessions::new(SessionLimits { slots, ..SessionLimits::default() })
}

/// Opens a session of `size` partitions; 0 where there is none.
fn open(sessions: &FetchSessions, now: i64, size: i32, privileged: bool) -> i32 {
    let partitions: Vec<_> = (0..size).map(|partition| (named("a", partition), from(0))).collect();
    let request = FetchRequest { privileged, ..request(0, 0, &partitions) };
    let context = sessions.begin(Millis(now), request, |_| None).unwrap();
    let results = [] as [(PartitionHandle, Fetched, ()); 0];
    let random = now as u32 + size as u32 * 1_000_003 + u32::from(privileged);
    sessions.finish(Millis(now), || random, context, results).unwrap().session_id
}

fn consumer(sessions: &FetchSessions, now: i64, size: i32) -> i32 {
    open(sessions, now, size, false)
}

fn follower(sessions: &FetchSessions, now: i64, size: i32) -> i32 {
    open(sessions, now, size, true)
}

/// Whether the session is there; that counts as a use.
fn used(sessions: &FetchSessions, now: i64, id: i32, epoch: i32) -> bool {
    sessions.begin(Millis(now), request(id, epoch, &[]), |_| None).is_ok()
}

#[test]
fn young_sessions_stay_whoever_comes_but_a_follower() {
    let sessions = sessions(2);
    let ids = [consumer(&sessions, 0, 2), consumer(&sessions, 0, 3)];
    assert!(ids[0] > 0 && ids[1] > 0 && ids[0] != ids[1]);
    assert_eq!(consumer(&sessions, EVICTION_MS, 50), 0);
    assert!(follower(&sessions, EVICTION_MS, 1) > 0);
    assert!(!used(&sessions, EVICTION_MS, ids[0], 1), "the smaller one went");
    assert!(follower(&sessions, EVICTION_MS, 1) > 0);
    assert_eq!(follower(&sessions, EVICTION_MS, 50), 0, "a young follower stays");
    assert_eq!(sessions.metrics(), Metrics { sessions: 2, partitions: 2, evictions: 2 });
}

#[test]
fn a_session_that_is_not_used_goes_first() {
    let sessions = sessions(2);
    let (left, kept) = (follower(&sessions, 0, 9), consumer(&sessions, 1, 1));
    assert_eq!(consumer(&sessions, EVICTION_MS, 1), 0);
    assert!(consumer(&sessions, EVICTION_MS + 1, 1) > 0);
    assert!(used(&sessions, EVICTION_MS + 1, kept, 1) && !used(&sessions, EVICTION_MS + 1, left, 1));
}

#[test]
fn an_old_session_gives_way_to_one_worth_more() {
    let sessions = sessions(1);
    let old = consumer(&sessions, 0, 5);
    let now = EVICTION_MS + 1;
    assert!(used(&sessions, now, old, 1));
    assert_eq!(consumer(&sessions, now, 5), 0, "as big is not bigger");
    let bigger = consumer(&sessions, now, 6);
    assert!(bigger > 0 && !used(&sessions, now, old, 2));
    let follows = follower(&sessions, now, 1);
    assert!(follows > 0 && !used(&sessions, now, bigger, 1), "a follower is worth more than any consumer");
    let later = now + EVICTION_MS + 1;
    assert!(used(&sessions, later, follows, 1));
    assert_eq!(consumer(&sessions, later, 50), 0, "and a consumer never more than a follower");
    assert_eq!(follower(&sessions, later, 1), 0);
    assert!(follower(&sessions, later, 2) > 0);
}

#[test]
fn without_slots_there_are_no_sessions() {
    assert_eq!(follower(&sessions(0), 0, 1), 0);
}

#[test]
fn all_sessions_together_are_bounded() {
    let limits = SessionLimits { partitions_max: 10, ..SessionLimits::default() };
    let sessions = FetchSessions::new(limits);
    let (first, second) = (consumer(&sessions, 0, 6), consumer(&sessions, 0, 4));
    assert!(first > 0 && second > 0);
    assert_eq!(consumer(&sessions, 0, 1), 0);
    let more = request(second, 1, &[(named("more", 0), from(0))]);
    assert_eq!(sessions.begin(Millis(0), more, |_| None).unwrap_err(), SessionError::NotFound);
    assert_eq!(sessions.metrics().partitions, 6, "a session that grew too big is gone");
    assert!(consumer(&sessions, 0, 4) > 0);
    assert!(consumer(&sessions, EVICTION_MS + 1, 6) > 0, "stale sessions make room");
}

#[test]
fn ids_are_positive_and_free() {
    let sessions = sessions(10);
    let id = |random| {
        let context = sessions.begin(Millis(0), request(0, 0, &[(named("a", 0), from(0))]), |_| None).unwrap();
        sessions.finish(Millis(0), || random, context, [] as [(PartitionHandle, Fetched, ()); 0]).unwrap().session_id
    };
    assert_eq!([id(0), id(0), id(0)], [1, 2, 3]);
    assert_eq!([id(i32::MAX as u32 - 1), id(i32::MAX as u32 - 1)], [i32::MAX, 4]);
    assert!(id(u32::MAX) > 0 && id(i32::MAX as u32) > 0);
}
