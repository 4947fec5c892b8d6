//! Topics, and offsets of groups.

use anyhow::{Context, Result, ensure};
use ottla_conformance::{raw::Raw, rust_client};
use ottla_testkit::Dice;
use ottla_wire::messages::{
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeConfigsResource, MetadataRequest,
    delete_topics_request::DeleteTopicState,
};
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    topic_partition_list::Offset,
};

use super::machine::{FLUSHED, Machine, TOPIC};

/// Each topic is created, answered, and the power is cut; some are deleted again.
pub(crate) fn topics(mut dice: Dice) -> Result<()> {
    let mut machine = Machine::start(&[])?;
    let mut expected = Vec::new();
    for round in 0..6_i32 {
        let name = format!("topic-{round}");
        machine.create_topic(&name, round + 1, &[("retention.ms", "123456")])?;
        expected.push((name, round + 1));
        if round % 3 == 2 {
            delete(&machine, &expected.remove(0).0)?;
        }
        machine.power_cycle(&mut dice)?;
        ensure!(listed(&machine)? == expected, "round {round}: {:?}, not {expected:?}", listed(&machine)?);
    }
    for (name, _) in &expected {
        ensure!(retention(&machine, name)? == "123456", "{name}: its setting is lost");
    }
    machine.stop()
}

fn raw(machine: &Machine) -> Result<Raw> {
    Raw::connect(&machine.bootstrap())
}

fn delete(machine: &Machine, name: &str) -> Result<()> {
    let topics = vec![DeleteTopicState { name: Some(name.to_owned()), ..Default::default() }];
    let answer = raw(machine)?.ask(6, &DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() })?;
    ensure!(answer.responses[0].error_code == 0, "{answer:?}");
    Ok(())
}

/// Names and numbers of partitions.
fn listed(machine: &Machine) -> Result<Vec<(String, i32)>> {
    let answer = raw(machine)?.ask(9, &MetadataRequest { topics: None, ..Default::default() })?;
    let own = answer.topics.into_iter().filter(|topic| !topic.is_internal);
    let mut found: Vec<_> = own.map(|topic| (topic.name.unwrap_or_default(), topic.partitions.len() as i32)).collect();
    found.sort();
    Ok(found)
}

fn retention(machine: &Machine, topic: &str) -> Result<String> {
    let names = Some(vec!["retention.ms".to_owned()]);
    let resource =
        DescribeConfigsResource { resource_type: 2, resource_name: topic.to_owned(), configuration_keys: names };
    let answer = raw(machine)?.ask(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() })?;
    let found = answer.results[0].configs.first().context("no setting")?;
    Ok(found.value.clone().unwrap_or_default())
}

/// With every topic flushed, the groups' own too, what a commit was answered with is there.
pub(crate) fn offsets() -> Result<()> {
    let mut machine = Machine::start(&["log.flush.interval.messages=1", "offsets.topic.num.partitions=3"])?;
    machine.create_topic(TOPIC, 1, &FLUSHED)?;
    for round in 1..=4 {
        for group in 0..5 {
            commit(&machine, group, round * 10 + group)?;
        }
        machine.power_cut(None, round % 2 == 0)?;
        machine.start_again()?;
        for group in 0..5 {
            let found = committed(&machine, group)?;
            ensure!(found == Offset::Offset(round * 10 + group), "group {group} after round {round}: {found:?}");
        }
    }
    machine.stop()
}

fn consumer(machine: &Machine, group: i64) -> Result<BaseConsumer> {
    let group = format!("group-{group}");
    let settings = [("group.id", &*group), ("enable.auto.commit", "false")];
    Ok(rust_client::config(&machine.bootstrap(), &settings).create()?)
}

fn at(offset: Offset) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, offset)?;
    Ok(list)
}

fn commit(machine: &Machine, group: i64, offset: i64) -> Result<()> {
    Ok(consumer(machine, group)?.commit(&at(Offset::Offset(offset))?, CommitMode::Sync)?)
}

fn committed(machine: &Machine, group: i64) -> Result<Offset> {
    let found = consumer(machine, group)?.committed_offsets(at(Offset::Invalid)?, rust_client::PATIENCE)?;
    Ok(found.elements().first().context("no partition")?.offset())
}
