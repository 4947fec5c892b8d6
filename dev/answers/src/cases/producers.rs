//! InitProducerId and DescribeProducers.

use anyhow::{Context, Result};
use ottla_types::{ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::ApiKey;
use ottla_wire::messages::describe_producers_request::TopicRequest;
use ottla_wire::messages::{DescribeProducersRequest, InitProducerIdRequest};

use super::Case;
use super::requests::{appended, batch, one, ready, values};
use crate::session::Session;

pub(super) fn init() -> Vec<Case> {
    let api = ApiKey::InitProducerId;
    vec![
        Case::each("idempotent", api, idempotent),
        Case::some("with_id_and_epoch", &[3, 5], with_id_and_epoch),
        Case::each("timeouts", api, timeouts),
        Case::each("empty_transactional_id", api, empty_transactional_id),
        Case::newest("transactional", api, transactional),
    ]
}

pub(super) fn describe() -> Vec<Case> {
    let api = ApiKey::DescribeProducers;
    vec![Case::newest("some", api, some), Case::newest("none", api, none), Case::newest("unknown", api, unknown)]
}

fn new() -> InitProducerIdRequest {
    InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 60_000, ..Default::default() }
}

/// The first block of ids comes from the controller; until then there are none.
fn ids_there(s: &mut Session) -> Result<()> {
    s.settle("there are producer ids", |s| Ok(s.get(4, &new())?.error_code == 0))
}

fn idempotent(s: &mut Session, v: i16) -> Result<()> {
    ids_there(s)?;
    s.ask("a producer", v, &new())?;
    s.ask("another", v, &new()).map(drop)
}

fn with_id_and_epoch(s: &mut Session, v: i16) -> Result<()> {
    ids_there(s)?;
    let first = s.ask("a producer", v, &new())?.context("closed")?;
    let of = |producer_id, producer_epoch| InitProducerIdRequest { producer_id, producer_epoch, ..new() };
    s.ask("with what it got", v, &of(first.producer_id, first.producer_epoch))?;
    s.ask("an id without an epoch", v, &of(first.producer_id, -1))?;
    s.ask("an epoch without an id", v, &of(-1, 0))?;
    s.ask("nobody's", v, &of(900_100, 5)).map(drop)
}

fn timeouts(s: &mut Session, v: i16) -> Result<()> {
    ids_there(s)?;
    for timeout in [0, -1, i32::MAX] {
        s.ask(&format!("{timeout} ms"), v, &InitProducerIdRequest { transaction_timeout_ms: timeout, ..new() })?;
    }
    Ok(())
}

fn empty_transactional_id(s: &mut Session, v: i16) -> Result<()> {
    s.ask("", v, &InitProducerIdRequest { transactional_id: Some(String::new()), ..new() }).map(drop)
}

fn transactional(s: &mut Session, v: i16) -> Result<()> {
    super::others::coordinator_there(s, 1)?;
    let of = |s: &Session, name, transaction_timeout_ms| InitProducerIdRequest {
        transactional_id: Some(s.topic(name)),
        transaction_timeout_ms,
        ..new()
    };
    // A coordinator that has just begun is still loading.
    let first = of(s, "first", 60_000);
    s.settle("the coordinator has loaded", |s| Ok(!matches!(s.get(v, &first)?.error_code, 14..=16)))?;
    let request = of(s, "txn", 60_000);
    s.ask("a new id", v, &request)?;
    s.ask("the same id", v, &request)?;
    let request = of(s, "other", i32::MAX);
    s.ask("too long a time", v, &request)?;
    let request = of(s, "other", 0);
    s.ask("no time", v, &request).map(drop)
}

fn describe_partitions(name: &str, partitions: &[i32]) -> DescribeProducersRequest {
    let topics = vec![TopicRequest { name: name.to_owned(), partition_indexes: partitions.to_vec() }];
    DescribeProducersRequest { topics }
}

fn some(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    for (id, epoch, count) in [(900_200, 0, 3), (900_201, 4, 1)] {
        let by = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) };
        appended(s, &topic, 0, values(&vec!["v"; count]).producer(by, 0).build()?)?;
    }
    s.ask("two producers, and none", v, &describe_partitions(&topic.name, &[0, 1])).map(drop)
}

fn none(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    appended(s, &topic, 0, batch(&["no producer"])?)?;
    s.ask("only plain batches", v, &describe_partitions(&topic.name, &[0]))?;
    s.ask("no partitions", v, &describe_partitions(&topic.name, &[]))?;
    s.ask("no topics", v, &DescribeProducersRequest::default()).map(drop)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let (topic, name) = (one(s, "a")?, s.topic("b"));
    s.ask("no such partition", v, &describe_partitions(&topic.name, &[0, 5]))?;
    s.ask("no such topic", v, &describe_partitions(&name, &[0]))?;
    s.ask("no topic's name", v, &describe_partitions("a b", &[0])).map(drop)
}
