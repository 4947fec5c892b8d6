//! Metadata: all topics, none, known, unknown, with names that cannot be, by id, created on the way.

use anyhow::Result;
use ottla_types::Uuid;
use ottla_wire::ApiKey;
use ottla_wire::messages::{MetadataRequest, MetadataRequestTopic};

use super::Case;
use super::requests::{UNKNOWN_ID, one, ready, wait_gone, wait_ready};
use crate::session::Session;

/// The oldest version that asks by id.
const WITH_IDS: [i16; 2] = [12, 13];

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::Metadata;
    vec![
        Case::each("all", api, all),
        Case::some("none", &[1, 4, 7, 9, 12, 13], |s, v| s.ask("no topics", v, &of(Some(vec![]))).map(drop)),
        Case::each("some", api, some),
        Case::some("unknown", &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13], unknown),
        Case::each("strange_names", api, strange_names),
        Case::each("created_on_the_way", api, created_on_the_way),
        Case::each("one_twice", api, one_twice),
        Case::each("authorized_operations", api, authorized_operations),
        Case::some("by_id", &WITH_IDS, by_id),
        Case::some("id_in_versions_without", &[10, 11], id_in_versions_without),
        Case::some("deleted", &WITH_IDS, deleted),
    ]
}

fn of(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() }
}

fn named(names: &[&str]) -> Option<Vec<MetadataRequestTopic>> {
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).to_owned()), ..Default::default() };
    Some(names.iter().map(topic).collect())
}

fn with_ids(ids: &[Uuid]) -> Option<Vec<MetadataRequestTopic>> {
    Some(ids.iter().map(|id| MetadataRequestTopic { topic_id: *id, name: None }).collect())
}

fn all(s: &mut Session, v: i16) -> Result<()> {
    ready(s, "a", 2, &[])?;
    ready(s, "b", 1, &[])?;
    // Version 0 cannot say null, and means it by an empty list.
    let topics = if v == 0 { Some(vec![]) } else { None };
    s.ask("everything", v, &of(topics)).map(drop)
}

fn some(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (ready(s, "a", 2, &[])?, one(s, "b")?);
    s.ask("two", v, &of(named(&[&b.name, &a.name]))).map(drop)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    // Versions before 4 create what they do not find.
    let (a, b) = (one(s, "a")?, s.topic("b"));
    s.ask("one of two", v, &of(named(&[&a.name, &b]))).map(drop)
}

fn strange_names(s: &mut Session, v: i16) -> Result<()> {
    let long = "x".repeat(250);
    for allow in [false, true] {
        let names = named(&["", ".", "..", "a b", "a/b", "ä", &long]);
        let request = MetadataRequest { allow_auto_topic_creation: allow, ..of(names) };
        s.ask(if allow { "creating" } else { "not creating" }, v, &request)?;
    }
    Ok(())
}

fn created_on_the_way(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    let request = MetadataRequest { allow_auto_topic_creation: true, ..of(named(&[&name])) };
    s.ask("the first time", v, &request)?;
    wait_ready(s, &name, 1)?;
    s.ask("when it is there", v, &request).map(drop)
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    s.ask("the name twice", v, &of(named(&[&a.name, &a.name]))).map(drop)
}

fn authorized_operations(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    let request = MetadataRequest {
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..of(named(&[&a.name]))
    };
    s.ask("both kinds", v, &request).map(drop)
}

fn by_id(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (one(s, "a")?, one(s, "b")?);
    s.ask("two", v, &of(with_ids(&[a.id, b.id])))?;
    s.ask("one of two unknown", v, &of(with_ids(&[a.id, UNKNOWN_ID])))?;
    s.ask("an id twice", v, &of(with_ids(&[a.id, a.id])))?;
    s.ask("neither name nor id", v, &of(with_ids(&[Uuid::ZERO])))?;
    let both = |id, name: &str| Some(vec![MetadataRequestTopic { topic_id: id, name: Some(name.to_owned()) }]);
    s.ask("id and its name", v, &of(both(a.id, &a.name)))?;
    s.ask("id and another's name", v, &of(both(a.id, &b.name)))?;
    let mixed = [with_ids(&[a.id]), named(&[&b.name])].into_iter().flatten().flatten().collect();
    s.ask("one by id, one by name", v, &of(Some(mixed))).map(drop)
}

fn id_in_versions_without(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    let topics = vec![MetadataRequestTopic { topic_id: a.id, name: Some(a.name) }];
    s.ask("id and name", v, &of(Some(topics))).map(drop)
}

fn deleted(s: &mut Session, v: i16) -> Result<()> {
    let a = one(s, "a")?;
    let delete = ottla_wire::messages::DeleteTopicsRequest {
        topic_names: vec![a.name.clone()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    s.get(5, &delete)?;
    wait_gone(s, &a.name)?;
    s.ask("by name", v, &of(named(&[&a.name])))?;
    s.ask("by id", v, &of(with_ids(&[a.id])))?;
    let again = one(s, "a")?;
    s.ask("the old id", v, &of(with_ids(&[a.id])))?;
    s.ask("the new id", v, &of(with_ids(&[again.id]))).map(drop)
}
