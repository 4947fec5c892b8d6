//! Offsets of a group without members are gone after their retention: for who asks, in the log, and with them the group.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_conformance::Broker;
use ottla_conformance::groups::{BROKER_PROPERTIES, wait};
use ottla_conformance::rust_client::{assigned, create_topic};
use ottla_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use crate::classic::{at_coordinator, committed};

/// Version with a retention of the client's: the broker's own is a minute at least.
const COMMIT_RETAINED: i16 = 4;
const LIST: i16 = 5;
const RETENTION: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);

/// On a broker that looks for what is over five times a second.
pub(crate) fn forgets() -> Result<()> {
    let more = [("offsets.topic.num.partitions", "1"), ("offsets.retention.check.interval.ms", "200")];
    let mut broker = Broker::start(&[&BROKER_PROPERTIES[..], &more].concat())?;
    let (bootstrap, group, topic) = (broker.bootstrap(), "forgotten", "read");
    create_topic(&bootstrap, topic, 1, &[])?;
    let mut raw = at_coordinator(&bootstrap, group)?;
    let partition = OffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
    let of_topic =
        OffsetCommitRequestTopic { name: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        retention_time_ms: i64::try_from(RETENTION.as_millis())?,
        topics: vec![of_topic],
        ..Default::default()
    };
    let begin = Instant::now();
    let answer = raw.ask(COMMIT_RETAINED, &request)?;
    ensure!(answer.topics[0].partitions[0].error_code == 0, "{answer:?}");
    ensure!(committed(&mut raw, (group, topic), None)? == Ok(7), "the offset is not there");
    let gone = || Ok(committed(&mut raw, (group, topic), None)? == Ok(-1));
    wait("the offset to be forgotten", gone, String::new)?;
    ensure!(begin.elapsed() >= RETENTION, "forgotten after {:?}", begin.elapsed());
    let unlisted = || Ok(raw.ask(LIST, &ListGroupsRequest::default())?.groups.iter().all(|it| it.group_id != group));
    wait("the group to be forgotten", unlisted, String::new)?;
    let consumer = assigned(&bootstrap, "__consumer_offsets", 0, Offset::Beginning)?;
    for (at, has_value) in [(0, true), (1, false)] {
        let record = consumer.poll(DEADLINE).with_context(|| format!("no record {at}"))??;
        ensure!(record.payload().is_some() == has_value, "{record:?}");
    }
    broker.stop()
}
