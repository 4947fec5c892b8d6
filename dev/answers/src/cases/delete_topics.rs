//! DeleteTopics: by name, by id, unknown ones, twice, both at once.

use anyhow::Result;
use ottla_types::Uuid;
use ottla_wire::ApiKey;
use ottla_wire::messages::{DeleteTopicState, DeleteTopicsRequest};

use super::Case;
use super::requests::{UNKNOWN_ID, one, wait_gone};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::DeleteTopics;
    vec![
        Case::each("by_name", api, by_name),
        Case::each("unknown_name", api, unknown_name),
        Case::each("no_topics", api, |s, v| s.ask("nothing", v, &delete(&[])).map(drop)),
        Case::each("one_twice", api, one_twice),
        Case::each("strange_names", api, |s, v| s.ask("no topic's names", v, &delete(&["", "a b", "."])).map(drop)),
        Case::newest("by_id", api, by_id),
        Case::newest("unknown_id", api, unknown_id),
        Case::newest("name_and_id", api, name_and_id),
        Case::newest("reserved", api, |s, v| s.ask("the metadata log", v, &delete(&["__cluster_metadata"])).map(drop)),
    ]
}

/// By name, however the version wants it.
fn delete(names: &[&str]) -> DeleteTopicsRequest {
    let state = |name: &&str| DeleteTopicState { name: Some((*name).to_owned()), ..Default::default() };
    DeleteTopicsRequest {
        topics: names.iter().map(state).collect(),
        topic_names: names.iter().map(|name| (*name).to_owned()).collect(),
        timeout_ms: 10_000,
    }
}

fn delete_states(topics: &[(Option<&str>, Uuid)]) -> DeleteTopicsRequest {
    let state = |(name, topic_id): &(Option<&str>, Uuid)| DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id: *topic_id,
    };
    DeleteTopicsRequest { topics: topics.iter().map(state).collect(), timeout_ms: 10_000, ..Default::default() }
}

fn by_name(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    s.ask("two", v, &delete(&[&a.name, &b.name]))?;
    wait_gone(s, &a.name)?;
    s.ask("again", v, &delete(&[&a.name]))?;
    let again = one(s, "a")?;
    s.ask("a topic of the same name", v, &delete(&[&again.name])).map(drop)
}

fn unknown_name(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    let b = s.topic("b");
    s.ask("one of two", v, &delete(&[&a.name, &b])).map(drop)
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    s.ask("one of two", v, &delete(&[&a.name, &b.name, &a.name]))?;
    s.ask("one by one now", v, &delete(&[&a.name])).map(drop)
}

fn by_id(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    s.ask("two", v, &delete_states(&[(None, a.id), (None, b.id)]))?;
    wait_gone(s, &a.name)?;
    s.ask("again", v, &delete_states(&[(None, a.id)])).map(drop)
}

fn unknown_id(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    s.ask("unknown, known", v, &delete_states(&[(None, UNKNOWN_ID), (None, a.id)]))?;
    s.ask("neither name nor id", v, &delete_states(&[(None, Uuid::ZERO)])).map(drop)
}

fn name_and_id(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    s.ask("in one", v, &delete_states(&[(Some(&a.name), a.id)]))?;
    s.ask("one topic by both", v, &delete_states(&[(Some(&b.name), Uuid::ZERO), (None, b.id)]))?;
    s.ask("an id twice", v, &delete_states(&[(None, b.id), (None, b.id)])).map(drop)
}
