//! The last look: when all writers have ended, everything is read once more, and the offsets of groups are asked for.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::crew::Story;
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{PATIENCE, config};
use ottla_types::ErrorCode;
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const LIST_OFFSETS: i16 = 7;
const OFFSET_FETCH: i16 = 8;
/// Asks for the end.
const LATEST: i64 = -1;
/// Records of one line.
const LINE: usize = 200;

/// The end of a partition, as those see it who read what was committed, or everything.
pub(crate) fn end_offset(raw: &mut Raw, topic: &str, partition: i32, committed_only: bool) -> Result<i64> {
    let partition = ListOffsetsPartition { partition_index: partition, current_leader_epoch: -1, timestamp: LATEST };
    let topics = vec![ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition] }];
    let isolation_level = i8::from(committed_only);
    let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics, timeout_ms: 0 };
    let answer = raw.ask(LIST_OFFSETS, &request)?;
    let found = answer.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
    ensure!(found.error_code == 0, "error {} for the end of {topic}", found.error_code);
    Ok(found.offset)
}

/// Waits until no transaction is open in the topic.
pub(crate) fn await_closed(bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    let mut raw = Raw::connect(bootstrap)?;
    for partition in 0..partitions {
        let mut ends = (0, 0);
        let closed = || {
            ends = (end_offset(&mut raw, topic, partition, true)?, end_offset(&mut raw, topic, partition, false)?);
            Ok(ends.0 == ends.1)
        };
        let what = format!("transactions of {topic}/{partition} to end");
        wait(&what, closed, || "an open transaction holds readers up".to_owned())?;
    }
    Ok(())
}

/// Reads all of a topic that can be read, and tells it.
pub(crate) fn drain(story: &Story, bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    await_closed(bootstrap, topic, partitions)?;
    let name = format!("drain-{topic}");
    for partition in 0..partitions {
        let key = format!("{topic}/{partition}");
        story.say(&name, &format!("assign {key}=0"));
        let records = read(bootstrap, topic, partition)?;
        for some in records.chunks(LINE) {
            let words: Vec<_> = some.iter().map(|(offset, value)| format!(" {offset}={value}")).collect();
            story.say(&name, &format!("polled {key}{}", words.concat()));
        }
        story.say(&name, &format!("drained {key}"));
    }
    Ok(())
}

fn read(bootstrap: &str, topic: &str, partition: i32) -> Result<Vec<(i64, String)>> {
    let settings = [
        ("group.id", "drain"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        ("check.crcs", "true"),
    ];
    let consumer: BaseConsumer = config(bootstrap, &settings).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)?;
    consumer.assign(&list)?;
    let mut records = Vec::new();
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                records.push((message.offset(), value));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(error)) => bail!("reading {topic}/{partition}: {error}"),
            None => bail!("reading {topic}/{partition} came to no end"),
        }
    }
}

/// Asks for a group's offsets until none is pending, and tells them.
pub(crate) fn fetch_offsets(story: &Story, bootstrap: &str, group: &str, topic: &str, partitions: i32) -> Result<()> {
    let mut words = String::new();
    for (partition, offset) in committed(bootstrap, group, topic, partitions)? {
        words.push_str(&format!(" {topic}/{partition}={offset}"));
    }
    story.say(&format!("ask-{group}"), &format!("fetched {group}{words}"));
    Ok(())
}

/// A group's offsets by partition, -1 where there is none; those of open transactions are waited for.
pub(crate) fn committed(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> Result<Vec<(i32, i64)>> {
    let topics = OffsetFetchRequestTopics {
        name: topic.to_owned(),
        partition_indexes: (0..partitions).collect(),
        ..OffsetFetchRequestTopics::default()
    };
    let groups = vec![OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![topics]),
    }];
    let request = OffsetFetchRequest { groups, require_stable: true, ..OffsetFetchRequest::default() };
    let mut raw = Raw::connect(bootstrap)?;
    let mut found = Vec::new();
    let mut last = 0;
    let settled = || {
        let answer = raw.ask(OFFSET_FETCH, &request)?;
        let group = answer.groups.first().context("no group in the answer")?;
        let partitions = || group.topics.iter().flat_map(|topic| &topic.partitions);
        found = partitions().map(|it| (it.partition_index, it.committed_offset)).collect();
        let errors = partitions().map(|it| it.error_code).chain([group.error_code]);
        last = errors.into_iter().find(|code| *code != 0).unwrap_or(0);
        let early = [
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::NotCoordinator,
            ErrorCode::UnstableOffsetCommit,
        ];
        ensure!(last == 0 || early.iter().any(|early| early.code() == last), "error {last} for offsets of a group");
        Ok(last == 0)
    };
    wait("a group's offsets to be certain", settled, || group.to_owned()).map(|()| found)
}

/// How long a broker stands still: time itself is what happens then.
pub(crate) const STANDSTILL: Duration = Duration::from_secs(2);
