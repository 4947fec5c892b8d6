//! What must be the same before and after, as a broker says it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{PATIENCE, Record, config, record};
use ottla_wire::messages::{
    DescribeConfigsRequest, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest,
    OffsetFetchRequest, describe_configs_request::DescribeConfigsResource,
    offset_fetch_request::OffsetFetchRequestGroup,
};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::written::{COMPACTED, GROUP};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from that was set at run time: on the topic, on the broker, on all brokers.
const SET_AT_RUN_TIME: [i8; 3] = [1, 2, 3];
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// By topic and partition.
type Committed = BTreeMap<(String, i32), (i64, i32, Option<String>)>;

/// See the file's head. Topics are all but the internal ones.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kept {
    /// Topic and its id.
    ids: BTreeMap<String, String>,
    /// Settings of topics by name, of the broker as `broker`, of all brokers as `brokers`.
    configs: BTreeMap<String, BTreeMap<String, String>>,
    /// First offset, and that behind the last committed record, of each partition.
    ends: BTreeMap<(String, i32), (i64, i64)>,
    /// Committed records; of the compacted topic the last one of each key.
    records: BTreeMap<(String, i32), Vec<Record>>,
    /// What the group has committed: offset, epoch, metadata.
    committed: Committed,
}

/// What the broker says now.
pub(crate) fn read(bootstrap: &str) -> Result<Kept> {
    let mut raw = Raw::connect(bootstrap)?;
    let mut kept = Kept::default();
    let mut partitions = Vec::new();
    for topic in raw.ask(12, &MetadataRequest { topics: None, ..Default::default() })?.topics {
        let name = topic.name.context("a topic without a name")?;
        if topic.is_internal {
            continue;
        }
        kept.ids.insert(name.clone(), topic.topic_id.to_string());
        partitions.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
    }
    partitions.sort();
    kept.configs = configs(&mut raw, kept.ids.keys())?;
    let (first, last) = (offsets(&mut raw, &partitions, EARLIEST)?, offsets(&mut raw, &partitions, LATEST)?);
    kept.ends = partitions.iter().cloned().zip(first.into_iter().zip(last)).collect();
    kept.records = records(bootstrap, &partitions)?;
    kept.committed = committed(&mut raw)?;
    Ok(kept)
}

/// Whether every topic shows a value that was set for the broker: it takes a moment to reach them.
pub(crate) fn all_topics_show(bootstrap: &str, key: &str, value: &str) -> Result<bool> {
    let mut raw = Raw::connect(bootstrap)?;
    let topics = raw.ask(12, &MetadataRequest { topics: None, ..Default::default() })?.topics;
    let names: Vec<_> = topics.into_iter().filter(|topic| !topic.is_internal).filter_map(|topic| topic.name).collect();
    let configs = configs(&mut raw, names.iter())?;
    Ok(names.iter().all(|name| configs.get(name).and_then(|set| set.get(key)).is_some_and(|shown| shown == value)))
}

fn configs<'a>(
    raw: &mut Raw,
    topics: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let topics = topics.map(|topic| resource(TOPIC, topic));
    let resources = topics.chain([resource(BROKER, "1"), resource(BROKER, "")]).collect();
    let request = DescribeConfigsRequest { resources, ..Default::default() };
    let mut found = BTreeMap::new();
    for result in raw.ask(4, &request)?.results {
        ensure!(result.error_code == 0, "{result:?}");
        let name = match (result.resource_type, &*result.resource_name) {
            (TOPIC, name) => name,
            (_, "") => "brokers",
            _ => "broker",
        };
        // What comes from the file is the file's.
        let set = result.configs.into_iter().filter(|config| SET_AT_RUN_TIME.contains(&config.config_source));
        let set = set.map(|config| (config.name, config.value.unwrap_or_default()));
        found.insert(name.to_owned(), set.collect());
    }
    Ok(found)
}

fn offsets(raw: &mut Raw, partitions: &[(String, i32)], timestamp: i64) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for (topic, partition_index) in partitions {
        let partition = ListOffsetsPartition { partition_index: *partition_index, timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: topic.clone(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics, ..Default::default() };
        let answer = &raw.ask(7, &request)?.topics[0].partitions[0];
        ensure!(answer.error_code == 0, "{topic}-{partition_index}: {answer:?}");
        found.push(answer.offset);
    }
    Ok(found)
}

fn records(bootstrap: &str, partitions: &[(String, i32)]) -> Result<BTreeMap<(String, i32), Vec<Record>>> {
    let mut found = consume(bootstrap, partitions)?;
    for ((topic, _), records) in &mut found {
        if topic == COMPACTED {
            let last: BTreeMap<_, _> = records.drain(..).map(|record| (record.key.clone(), record)).collect();
            records.extend(last.into_values());
        }
    }
    Ok(found)
}

/// All committed records of partitions, read by one consumer to their ends.
pub(crate) fn consume(bootstrap: &str, partitions: &[(String, i32)]) -> Result<BTreeMap<(String, i32), Vec<Record>>> {
    let settings = [
        ("group.id", "reader"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("check.crcs", "true"),
    ];
    let consumer: BaseConsumer = config(bootstrap, &settings).create()?;
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut found: BTreeMap<_, Vec<Record>> =
        partitions.iter().map(|partition| (partition.clone(), Vec::new())).collect();
    let (mut ended, begin) = (0, Instant::now());
    while ended < partitions.len() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let of = (message.topic().to_owned(), message.partition());
                found.entry(of).or_default().push(record(&message));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => bail!(error),
            None => ensure!(begin.elapsed() < PATIENCE * 2, "{ended} of {} partitions were read", partitions.len()),
        }
    }
    Ok(found)
}

/// What the group has committed.
pub(crate) fn committed(raw: &mut Raw) -> Result<Committed> {
    let group = OffsetFetchRequestGroup { group_id: GROUP.to_owned(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let begin = Instant::now();
    let group = loop {
        let mut answer = raw.ask(8, &request)?;
        let group = answer.groups.pop().context("no group in the answer")?;
        // The coordinator reads its log first.
        match group.error_code {
            0 => break group,
            _ => ensure!(begin.elapsed() < PATIENCE, "the offsets of {GROUP}: {group:?}"),
        }
    };
    let mut found = BTreeMap::new();
    for topic in group.topics {
        for at in topic.partitions {
            ensure!(at.error_code == 0, "{at:?}");
            let place = (topic.name.clone(), at.partition_index);
            found.insert(place, (at.committed_offset, at.committed_leader_epoch, at.metadata));
        }
    }
    Ok(found)
}

impl Kept {
    /// Settings that are not carried over.
    pub(crate) fn without(mut self, topic: &str, keys: &[&str]) -> Kept {
        if let Some(set) = self.configs.get_mut(topic) {
            keys.iter().for_each(|key| drop(set.remove(*key)));
        }
        self
    }

    pub(crate) fn partitions(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn compare(&self, now: &Kept) -> Result<()> {
        ensure!(now.ids == self.ids, "ids: {:?} were {:?}", now.ids, self.ids);
        ensure!(now.configs == self.configs, "settings: {:?} were {:?}", now.configs, self.configs);
        ensure!(now.ends == self.ends, "offsets: {:?} were {:?}", now.ends, self.ends);
        ensure!(now.committed == self.committed, "the group: {:?} was {:?}", now.committed, self.committed);
        ensure!(self.committed.len() >= 2 && self.records.values().any(|records| records.len() > 1000), "too little");
        for (partition, records) in &self.records {
            let found = now.records.get(partition).context("a partition is missing")?;
            let differs = records.iter().zip(found).find(|(before, now)| before != now);
            ensure!(
                differs.is_none() && records.len() == found.len(),
                "{partition:?}: {} records were {}; {differs:?}",
                found.len(),
                records.len()
            );
        }
        Ok(())
    }
}
