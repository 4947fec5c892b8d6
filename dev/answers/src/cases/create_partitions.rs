//! CreatePartitions: more, as many, fewer, assigned, validated only, for unknown topics.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic, MetadataRequest, MetadataRequestTopic,
};

use super::Case;
use super::requests::{ready, wait_ready};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::CreatePartitions;
    vec![
        Case::each("more", api, more),
        Case::each("wrong_count", api, wrong_count),
        Case::each("validate_only", api, validate_only),
        Case::each("unknown", api, unknown),
        Case::each("assigned", api, assigned),
        Case::newest("wrong_assignment", api, wrong_assignment),
        Case::newest("one_twice", api, one_twice),
        Case::newest("no_topics", api, |s, v| s.ask("nothing", v, &grow(vec![])).map(drop)),
    ]
}

fn grow(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest { topics, timeout_ms: 10_000, validate_only: false }
}

fn to(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic { name: name.to_owned(), count, assignments: None }
}

fn to_assigned(name: &str, count: i32, brokers: &[&[i32]]) -> CreatePartitionsTopic {
    let assignment = |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec() };
    CreatePartitionsTopic { assignments: Some(brokers.iter().map(assignment).collect()), ..to(name, count) }
}

fn show(s: &mut Session, name: &str) -> Result<()> {
    let topics = vec![MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() }];
    let request = MetadataRequest { topics: Some(topics), allow_auto_topic_creation: false, ..Default::default() };
    s.ask("the topic now", 8, &request).map(drop)
}

fn more(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    s.ask("from 2 to 4", v, &grow(vec![to(&topic.name, 4)]))?;
    wait_ready(s, &topic.name, 4)?;
    show(s, &topic.name)
}

fn wrong_count(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    for count in [2, 1, 0, -1, i32::MIN] {
        s.ask(&format!("from 2 to {count}"), v, &grow(vec![to(&topic.name, count)]))?;
    }
    let huge = CreatePartitionsRequest { validate_only: true, ..grow(vec![to(&topic.name, 20_000)]) };
    s.ask("from 2 to 20000, validated only", v, &huge).map(drop)
}

fn validate_only(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    s.ask("from 1 to 3", v, &CreatePartitionsRequest { validate_only: true, ..grow(vec![to(&topic.name, 3)]) })?;
    show(s, &topic.name)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let (known, name) = (ready(s, "a", 1, &[])?, s.topic("b"));
    s.ask("one of two", v, &grow(vec![to(&name, 4), to(&known.name, 2)]))?;
    s.ask("no topic's names", v, &grow(vec![to("", 4), to("a b", 4)])).map(drop)
}

fn assigned(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    s.ask("from 1 to 3", v, &grow(vec![to_assigned(&topic.name, 3, &[&[1], &[1]])]))?;
    wait_ready(s, &topic.name, 3)?;
    show(s, &topic.name)
}

fn wrong_assignment(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    let wrong: [(&str, &[&[i32]]); 7] = [
        ("of one partition where two are added", &[&[1]]),
        ("of three", &[&[1], &[1], &[1]]),
        ("of none", &[]),
        ("no brokers", &[&[], &[]]),
        ("an unknown broker", &[&[1], &[77]]),
        ("a broker twice", &[&[1, 1], &[1, 1]]),
        ("more replicas than the topic has", &[&[1, 77], &[1, 77]]),
    ];
    for (label, brokers) in wrong {
        s.ask(label, v, &grow(vec![to_assigned(&topic.name, 3, brokers)]))?;
    }
    Ok(())
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (ready(s, "a", 1, &[])?, ready(s, "b", 1, &[])?);
    let topics = vec![to(&a.name, 2), to(&b.name, 2), to(&a.name, 3)];
    s.ask("one of two", v, &grow(topics)).map(drop)
}
