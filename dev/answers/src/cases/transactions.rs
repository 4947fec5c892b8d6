//! AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, DescribeTransactions, ListTransactions, and InitProducerId with a
//! transactional id: the coordinator's answers in each state of a transaction, and to every kind of stranger.

use anyhow::{Context, Result};
use ottla_wire::ApiKey;
use ottla_wire::messages::{AddPartitionsToTxnRequest, InitProducerIdRequest, ListTransactionsRequest};

use super::Case;
use super::requests::{Topic, one, ready};
use super::transaction_requests::{END, END_BUMPING, Txn, describe, entered, init, transactional_id, txn};
use crate::session::Session;

/// Versions of AddPartitionsToTxn that clients send, and those of brokers.
const OF_CLIENTS: [i16; 4] = [0, 1, 2, 3];
const OF_BROKERS: [i16; 2] = [4, 5];
/// A producer id that nobody has.
const NOBODY: i64 = 999_100;

pub(super) fn init_producer_id() -> Vec<Case> {
    let api = ApiKey::InitProducerId;
    vec![
        Case::each("enter", api, enter),
        Case::some("expected", &[3, 4, 5], expected),
        Case::each("open_transaction", api, open_transaction),
        Case::each("bad_timeouts", api, bad_timeouts),
        Case::newest("last_epoch", api, last_epoch),
    ]
}

pub(super) fn add_partitions() -> Vec<Case> {
    vec![
        Case::some("client", &OF_CLIENTS, add_as_client),
        Case::some("client_unknown", &OF_CLIENTS, add_unknown),
        Case::some("client_strangers", &OF_CLIENTS, add_of_strangers),
        Case::some("broker", &OF_BROKERS, add_as_broker),
        Case::some("broker_verifies", &OF_BROKERS, verify),
        Case::some("broker_strangers", &OF_BROKERS, verify_strangers),
    ]
}

pub(super) fn add_offsets() -> Vec<Case> {
    vec![Case::each("some", ApiKey::AddOffsetsToTxn, add_offsets_case)]
}

pub(super) fn end() -> Vec<Case> {
    let api = ApiKey::EndTxn;
    vec![
        Case::each("commit", api, |s, v| end_twice(s, v, true)),
        Case::each("abort", api, |s, v| end_twice(s, v, false)),
        Case::each("nothing_begun", api, end_nothing),
        Case::each("strangers", api, end_of_strangers),
    ]
}

pub(super) fn describe_transactions() -> Vec<Case> {
    vec![Case::newest("states", ApiKey::DescribeTransactions, describe_states)]
}

pub(super) fn list_transactions() -> Vec<Case> {
    let api = ApiKey::ListTransactions;
    vec![Case::each("states", api, list_states), Case::each("filters", api, list_filters)]
}

fn enter(s: &mut Session, v: i16) -> Result<()> {
    let id = transactional_id(s, "txn")?;
    s.ask("a new id", v, &init(&id))?;
    s.ask("the same id", v, &init(&id))?;
    s.ask("once more", v, &init(&id)).map(drop)
}

fn expected(s: &mut Session, v: i16) -> Result<()> {
    let t = txn(s, "txn")?;
    let of =
        |t: &Txn, producer_id, producer_epoch| InitProducerIdRequest { producer_id, producer_epoch, ..init(&t.id) };
    s.ask("with what it got", v, &of(&t, t.producer_id, 0))?;
    s.ask("with that again", v, &of(&t, t.producer_id, 0))?;
    s.ask("with the newest", v, &of(&t, t.producer_id, 1))?;
    s.ask("with the oldest", v, &of(&t, t.producer_id, 0))?;
    s.ask("with one to come", v, &of(&t, t.producer_id, 9))?;
    s.ask("with another's id", v, &of(&t, NOBODY, 0))?;
    s.ask("an id without an epoch", v, &of(&t, t.producer_id, -1))?;
    let fresh = t.with_id(&s.topic("fresh"));
    s.ask("a new id that had one", v, &of(&fresh, NOBODY, 5)).map(drop)
}

fn open_transaction(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    t.added(s, &[(&topic, &[0])])?;
    s.ask("while one is open", v, &init(&t.id))?;
    let after = entered(s, &t.id)?;
    s.ask("the one before commits", END, &t.end(true))?;
    s.ask("the one after commits", END, &after.end(true))?;
    s.ask("the next", v, &init(&t.id)).map(drop)
}

/// A producer whose epochs are used up, which takes 32,000 answers: one is fenced while it has a transaction, one enters, one
/// commits.
fn last_epoch(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let at_the_end = |s: &mut Session, name: &str| -> Result<Txn> {
        let mut t = txn(s, name)?;
        while t.epoch < i16::MAX - 2 {
            t = entered(s, &t.id)?;
        }
        Ok(t)
    };
    let t = at_the_end(s, "fenced")?;
    s.ask("the last one", v, &init(&t.id))?;
    let t = t.with_epoch(i16::MAX - 1);
    t.added(s, &[(&topic, &[0])])?;
    s.ask("while one is open", v, &init(&t.id))?;
    t.settled(s)?;
    s.ask("described", 0, &describe(&[&t.id]))?;
    s.ask("after it was fenced", v, &init(&t.id))?;
    s.ask("the next", v, &init(&t.id))?;
    let t = at_the_end(s, "ends")?;
    let t = entered(s, &t.id)?;
    t.added(s, &[(&topic, &[0])])?;
    s.ask("it commits", END_BUMPING, &t.end(true))?;
    t.settled(s)?;
    s.ask("described after its end", 0, &describe(&[&t.id]))?;
    s.ask("after its end", v, &init(&t.id)).map(drop)
}

fn bad_timeouts(s: &mut Session, v: i16) -> Result<()> {
    let id = transactional_id(s, "txn")?;
    for timeout in [0, -1, 900_000, 900_001, i32::MAX] {
        s.ask(&format!("{timeout} ms"), v, &InitProducerIdRequest { transaction_timeout_ms: timeout, ..init(&id) })?;
    }
    Ok(())
}

fn add_as_client(s: &mut Session, v: i16) -> Result<()> {
    let (topic, other, t) = (ready(s, "a", 3, &[])?, one(s, "b")?, txn(s, "txn")?);
    s.ask("no topics", v, &t.add(&[]))?;
    s.ask("one", v, &t.add(&[(&topic, &[0])]))?;
    s.ask("that and more", v, &t.add(&[(&topic, &[0, 2]), (&other, &[0])]))?;
    s.ask("those again", v, &t.add(&[(&topic, &[0, 2])]))?;
    s.ask("described", 0, &describe(&[&t.id]))?;
    s.ask("committed", END, &t.end(true))?;
    t.settled(s)?;
    s.ask("of the next transaction", v, &t.add(&[(&topic, &[1])]))?;
    s.ask("described again", 0, &describe(&[&t.id])).map(drop)
}

fn add_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (ready(s, "a", 2, &[])?, txn(s, "txn")?);
    let absent = Topic::absent(s, "b");
    s.ask("no such partition", v, &t.add(&[(&topic, &[0, 5, 1])]))?;
    s.ask("no such topic", v, &t.add(&[(&absent, &[0]), (&topic, &[0])]))?;
    let nothing = Topic { name: "a b".to_owned(), ..absent };
    s.ask("no topic's name", v, &t.add(&[(&nothing, &[0])]))?;
    s.ask("nothing was added", 0, &describe(&[&t.id])).map(drop)
}

fn add_of_strangers(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, t) in strangers(s)? {
        s.ask(label, v, &t.add(&[(&topic, &[0])]))?;
    }
    Ok(())
}

/// Producers that do not own the transactional id they name, or name none.
fn strangers(s: &mut Session) -> Result<Vec<(&'static str, Txn)>> {
    let first = txn(s, "txn")?;
    let t = entered(s, &first.id)?;
    Ok(vec![
        ("an unknown transactional id", t.with_id(&s.topic("other"))),
        ("an empty transactional id", t.with_id("")),
        ("another's producer id", t.with_producer_id(NOBODY)),
        ("the epoch before", t.with_epoch(t.epoch - 1)),
        ("an epoch to come", t.with_epoch(t.epoch + 1)),
        ("no epoch", t.with_epoch(-1)),
    ])
}

fn many(transactions: Vec<ottla_wire::messages::AddPartitionsToTxnTransaction>) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest { transactions, ..Default::default() }
}

fn add_as_broker(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 3, &[])?;
    let (first, second) = (txn(s, "first")?, txn(s, "second")?);
    let absent = Topic::absent(s, "b");
    let parts = vec![first.part(false, &[(&topic, &[0, 1])]), second.part(false, &[(&topic, &[2])])];
    s.ask("two transactions", v, &many(parts))?;
    let parts = vec![first.part(false, &[(&topic, &[2]), (&absent, &[0])]), second.part(true, &[(&topic, &[2, 1])])];
    s.ask("one that is refused, one verified", v, &many(parts))?;
    s.ask("described", 0, &describe(&[&first.id, &second.id])).map(drop)
}

fn verify(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (ready(s, "a", 2, &[])?, txn(s, "txn")?);
    s.ask("before the first", v, &many(vec![t.part(true, &[(&topic, &[0])])]))?;
    let absent = Topic::absent(s, "b");
    s.ask("a topic that is not there", v, &many(vec![t.part(true, &[(&absent, &[0]), (&topic, &[0])])]))?;
    s.ask("a partition that is not there", v, &many(vec![t.part(true, &[(&topic, &[0, 5])])]))?;
    s.ask("nothing", v, &many(vec![t.part(true, &[])]))?;
    t.added(s, &[(&topic, &[0])])?;
    s.ask("one of two is in it", v, &many(vec![t.part(true, &[(&topic, &[0, 1])])]))?;
    t.ended(s, END, true)?;
    s.ask("after the end", v, &many(vec![t.part(true, &[(&topic, &[0])])]))?;
    t.produced(s, &topic, 1, t.batch(0, &["one"])?)?;
    s.ask("one that a batch added", v, &many(vec![t.part(true, &[(&topic, &[1, 0])])]))?;
    let next = t.ended(s, END_BUMPING, false)?;
    s.ask("after its abort", v, &many(vec![t.part(true, &[(&topic, &[1])])]))?;
    s.ask("after its abort, with the next epoch", v, &many(vec![next.part(true, &[(&topic, &[1])])])).map(drop)
}

fn verify_strangers(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, t) in strangers(s)? {
        s.ask(&format!("{label} verifies"), v, &many(vec![t.part(true, &[(&topic, &[0])])]))?;
        s.ask(&format!("{label} adds"), v, &many(vec![t.part(false, &[(&topic, &[0])])]))?;
    }
    Ok(())
}

fn add_offsets_case(s: &mut Session, v: i16) -> Result<()> {
    super::others::coordinator_there(s, 0)?;
    let group = s.topic("g");
    for (label, t) in strangers(s)? {
        s.ask(label, v, &t.add_offsets(&group))?;
    }
    let t = txn(s, "fresh")?;
    s.ask("a group", v, &t.add_offsets(&group))?;
    s.ask("it again", v, &t.add_offsets(&group))?;
    s.ask("no group", v, &t.add_offsets(""))?;
    s.ask("committed", END, &t.end(true))?;
    t.settled(s)?;
    s.ask("of the next transaction", v, &t.add_offsets(&group)).map(drop)
}

fn end_twice(s: &mut Session, v: i16, committed: bool) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    t.produced(s, &topic, 0, t.batch(0, &["one"])?)?;
    let response = s.ask("the first", v, &t.end(committed))?.context("closed")?;
    t.settled(s)?;
    s.ask("it again", v, &t.end(committed))?;
    s.ask("the opposite", v, &t.end(!committed))?;
    if v >= END_BUMPING {
        let next = t.with_epoch(response.producer_epoch);
        s.ask("with what it got", v, &next.end(committed))?;
        t.settled(s)?;
    }
    s.ask("described", 0, &describe(&[&t.id])).map(drop)
}

fn end_nothing(s: &mut Session, v: i16) -> Result<()> {
    let t = txn(s, "txn")?;
    s.ask("a commit", v, &t.end(true))?;
    t.settled(s)?;
    let u = txn(s, "other")?;
    s.ask("an abort", v, &u.end(false))?;
    u.settled(s)?;
    s.ask("described", 0, &describe(&[&t.id, &u.id])).map(drop)
}

fn end_of_strangers(s: &mut Session, v: i16) -> Result<()> {
    for (label, t) in strangers(s)? {
        s.ask(&format!("{label} commits"), v, &t.end(true))?;
        s.ask(&format!("{label} aborts"), v, &t.end(false))?;
    }
    Ok(())
}

/// Four producers: entered, in a transaction, committed, aborted.
fn some_states(s: &mut Session) -> Result<[Txn; 4]> {
    let topic = ready(s, "a", 2, &[])?;
    let all = [txn(s, "empty")?, txn(s, "ongoing")?, txn(s, "committed")?, txn(s, "aborted")?];
    for t in &all[1..] {
        t.added(s, &[(&topic, &[1, 0])])?;
    }
    all[2].ended(s, END, true)?;
    all[3].ended(s, END, false)?;
    Ok(all)
}

fn describe_states(s: &mut Session, v: i16) -> Result<()> {
    let all = some_states(s)?;
    let ids: Vec<&str> = all.iter().map(|t| t.id.as_str()).collect();
    s.ask("each", v, &describe(&ids))?;
    let unknown = s.topic("unknown");
    s.ask("one that is unknown, one that is empty", v, &describe(&[&unknown, ""]))?;
    s.ask("one twice", v, &describe(&[ids[0], ids[0]]))?;
    s.ask("none", v, &describe(&[])).map(drop)
}

fn list_states(s: &mut Session, v: i16) -> Result<()> {
    some_states(s)?;
    s.ask("all", v, &listing(&[])).map(drop)
}

fn list_filters(s: &mut Session, v: i16) -> Result<()> {
    let all = some_states(s)?;
    s.ask("two states", v, &listing(&["Ongoing", "CompleteAbort"]))?;
    s.ask("a state that is none", v, &listing(&["Ongoing", "Strange", "strange"]))?;
    s.ask("only what is none", v, &listing(&["ongoing"]))?;
    let by_producer = ListTransactionsRequest {
        producer_id_filters: vec![all[0].producer_id, all[2].producer_id, NOBODY],
        ..listing(&[])
    };
    s.ask("two producers", v, &by_producer)?;
    let both = ListTransactionsRequest { state_filters: vec!["Empty".to_owned()], ..by_producer };
    s.ask("a producer's state", v, &both)?;
    if v >= 1 {
        s.ask("a day old", v, &ListTransactionsRequest { duration_filter: 86_400_000, ..listing(&[]) })?;
        s.ask("any age", v, &ListTransactionsRequest { duration_filter: -5, ..listing(&[]) })?;
    }
    if v >= 2 {
        let matching = |pattern: &str| ListTransactionsRequest {
            transactional_id_pattern: Some(pattern.to_owned()),
            ..listing(&[])
        };
        s.ask("a pattern", v, &matching(".*(ongoing|empty)"))?;
        s.ask("a part of a name", v, &matching("ongo"))?;
        s.ask("an empty pattern", v, &matching(""))?;
        s.ask("no pattern", v, &matching("a(")).map(drop)?;
    }
    Ok(())
}

fn listing(states: &[&str]) -> ListTransactionsRequest {
    ListTransactionsRequest {
        state_filters: states.iter().map(|state| (*state).to_owned()).collect(),
        duration_filter: -1,
        ..Default::default()
    }
}
