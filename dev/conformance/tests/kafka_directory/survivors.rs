//! Clients that are at work while Kafka is stopped, and find Ottla on its port when they look for it again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{self, PATIENCE, config};
use ottla_conformance::transactions::Transactional;
use ottla_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupsRequest, OffsetCommitRequest,
    consumer_group_heartbeat_request::TopicPartitions,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::written::{LONG, SOON};

const TOPIC: &str = "survived";
const CLASSIC: &str = "classic-group";
const CONSUMERS: &str = "consumer-group";
const FENCED_MEMBER_EPOCH: i16 = 110;

/// See the file's head.
pub(crate) struct Survivors {
    /// In the middle of a transaction, to be committed later.
    producer: Transactional,
    /// In the middle of one too; another takes its id over.
    replaced: Transactional,
    /// A member of a classic group.
    consumer: BaseConsumer,
    /// What Kafka says of that group.
    classic: String,
    /// A member of a group of the newer protocol, as it last heard of itself.
    member: Member,
}

#[derive(Clone, Debug, PartialEq)]
struct Member {
    id: String,
    epoch: i32,
    partitions: Vec<TopicPartitions>,
    /// What is said of its group.
    group: String,
}

impl Survivors {
    /// At work with Kafka.
    pub(crate) fn begin(bootstrap: &str) -> Result<Survivors> {
        rust_client::create_topic(bootstrap, TOPIC, 2, &[])?;
        let producer = Transactional::start_with(bootstrap, "survivor", &LONG)?;
        producer.begin(TOPIC, &["before"])?;
        let replaced = Transactional::start_with(bootstrap, "replaced", &LONG)?;
        replaced.begin(TOPIC, &["lost"])?;
        let settings = [
            ("group.id", CLASSIC),
            ("session.timeout.ms", "300000"),
            ("max.poll.interval.ms", "600000"),
            ("enable.auto.commit", "false"),
            SOON,
        ];
        let consumer: BaseConsumer = config(bootstrap, &settings).create()?;
        consumer.subscribe(&[TOPIC])?;
        let begin = Instant::now();
        while consumer.assignment()?.count() < 2 {
            consumer.poll(Duration::from_millis(10));
            ensure!(begin.elapsed() < PATIENCE, "the classic group gives its member nothing");
        }
        let classic = classic_group(bootstrap)?;
        ensure!(classic.contains("Stable") && classic.contains("member_id"), "{classic}");
        Ok(Survivors { producer, replaced, consumer, classic, member: join(bootstrap)? })
    }

    /// They go on with Ottla on the same port, as if nothing had been.
    pub(crate) fn go_on(&self, bootstrap: &str) -> Result<()> {
        let classic = classic_group(bootstrap)?;
        ensure!(classic == self.classic, "the classic group: {classic} was {}", self.classic);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 1, Offset::Offset(0))?;
        self.consumer.commit(&list, CommitMode::Sync).context("a commit of the member of the classic group")?;
        ensure!(self.consumer.assignment()?.count() == 2, "it lost partitions");
        self.member.goes_on(bootstrap).context("the member of the newer protocol")?;
        self.producer.send(TOPIC, &["after"])?;
        self.producer.commit()?;
        let new = Transactional::start(bootstrap, "replaced")?;
        let late = self.replaced.commit().err().context("a producer whose id another has taken over commits")?;
        ensure!(format!("{late:#}").to_lowercase().contains("fenced"), "{late:#}");
        new.begin(TOPIC, &["instead"])?;
        new.commit()?;
        let records = rust_client::consume(bootstrap, TOPIC, 0, Offset::Beginning, 3)?;
        let values: Vec<_> = records.iter().filter_map(|record| record.value.as_deref()).collect();
        ensure!(values == [&b"before"[..], b"after", b"instead"], "{values:?}");
        Ok(())
    }
}

fn classic_group(bootstrap: &str) -> Result<String> {
    let request = DescribeGroupsRequest { groups: vec![CLASSIC.to_owned()], include_authorized_operations: false };
    let mut raw = Raw::connect(bootstrap)?;
    let group = until_loaded(|| {
        let group = raw.ask(5, &request)?.groups.pop().context("no group")?;
        Ok((group.error_code, group))
    })?;
    Ok(format!("{group:?}"))
}

/// Asks until the coordinator has read its log.
fn until_loaded<T>(mut ask: impl FnMut() -> Result<(i16, T)>) -> Result<T> {
    let begin = Instant::now();
    loop {
        let (code, answer) = ask()?;
        if ![14, 15, 16].contains(&code) {
            return Ok(answer);
        }
        ensure!(begin.elapsed() < PATIENCE, "the coordinator still says {code}");
    }
}

fn heartbeat(id: &str, epoch: i32, owned: Option<&[TopicPartitions]>) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: CONSUMERS.to_owned(),
        member_id: id.to_owned(),
        member_epoch: epoch,
        rebalance_timeout_ms: if epoch == 0 { 300_000 } else { -1 },
        subscribed_topic_names: (epoch == 0).then(|| vec![TOPIC.to_owned()]),
        topic_partitions: owned.map(<[TopicPartitions]>::to_vec),
        ..Default::default()
    }
}

/// Joins, and takes what it is given.
fn join(bootstrap: &str) -> Result<Member> {
    let mut raw = Raw::connect(bootstrap)?;
    let begin = Instant::now();
    let (mut id, mut epoch, mut partitions) = (String::new(), 0, Vec::new());
    while partitions.is_empty() {
        let answer = until_loaded(|| {
            let answer = raw.ask(0, &heartbeat(&id, epoch, Some(&[])))?;
            Ok((answer.error_code, answer))
        })?;
        ensure!(answer.error_code == 0, "joining: {answer:?}");
        epoch = answer.member_epoch;
        id = answer.member_id.unwrap_or(id);
        let given = answer.assignment.map(|given| given.topic_partitions).unwrap_or_default();
        partitions = given
            .into_iter()
            .map(|given| TopicPartitions { topic_id: given.topic_id, partitions: given.partitions })
            .collect();
        ensure!(begin.elapsed() < PATIENCE, "the group gives its member nothing");
    }
    let answer = raw.ask(0, &heartbeat(&id, epoch, Some(&partitions)))?;
    ensure!(answer.error_code == 0 && answer.member_epoch == epoch, "{answer:?}");
    Ok(Member { group: consumer_group(bootstrap)?, id, epoch, partitions })
}

fn consumer_group(bootstrap: &str) -> Result<String> {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![CONSUMERS.to_owned()], ..Default::default() };
    let mut raw = Raw::connect(bootstrap)?;
    let group = until_loaded(|| {
        let group = raw.ask(0, &request)?.groups.pop().context("no group")?;
        Ok((group.error_code, group))
    })?;
    Ok(format!("{group:?}"))
}

impl Member {
    fn goes_on(&self, bootstrap: &str) -> Result<()> {
        let group = consumer_group(bootstrap)?;
        ensure!(group == self.group, "its group: {group} was {}", self.group);
        let mut raw = Raw::connect(bootstrap)?;
        let answer = raw.ask(0, &heartbeat(&self.id, self.epoch, None))?;
        // Kafka before 4 did not note what the topics were when it assigned them: that is made up for, in an epoch of its own.
        let epoch = answer.member_epoch;
        ensure!(answer.error_code == 0 && [self.epoch, self.epoch + 1].contains(&epoch), "{answer:?}");
        ensure!(answer.assignment.is_none(), "it keeps what it has: {answer:?}");
        ensure!(self.commit(&mut raw, epoch)? == 0);
        let answer = raw.ask(0, &heartbeat(&self.id, epoch + 1, Some(&self.partitions)))?;
        ensure!(answer.error_code == FENCED_MEMBER_EPOCH, "an epoch that it does not have: {answer:?}");
        Ok(())
    }

    fn commit(&self, raw: &mut Raw, epoch: i32) -> Result<i16> {
        let partitions =
            vec![OffsetCommitRequestPartition { partition_index: 0, committed_offset: 0, ..Default::default() }];
        let request = OffsetCommitRequest {
            group_id: CONSUMERS.to_owned(),
            generation_id_or_member_epoch: epoch,
            member_id: self.id.clone(),
            topics: vec![OffsetCommitRequestTopic { name: TOPIC.to_owned(), partitions, ..Default::default() }],
            ..Default::default()
        };
        Ok(raw.ask(9, &request)?.topics[0].partitions[0].error_code)
    }
}
