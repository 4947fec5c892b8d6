//! What is written before the import, and what comes to it afterwards.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{self, PATIENCE, config};
use ottla_conformance::transactions::Transactional;
use ottla_wire::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, CreatePartitionsRequest, DeleteRecordsPartition,
    DeleteRecordsRequest, DeleteRecordsTopic, DeleteTopicsRequest, IncrementalAlterConfigsRequest, OpData,
    ScramCredentialUpsertion,
    alter_client_quotas_request::{EntityData, EntryData},
    create_partitions_request::CreatePartitionsTopic,
    delete_topics_request::DeleteTopicState,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

use super::kept;

pub(crate) const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS: usize = 2000;
pub(crate) const COMPACTED: &str = "compacted";
const TRANSACTED: &str = "transacted";
/// Its first records were deleted, partitions came later.
const CUT: &str = "cut";
const DELETED: &str = "deleted";
/// The group whose offsets are compared.
pub(crate) const GROUP: &str = "readers";
/// For a transaction that nobody shall end before the import, and a client that looks again soon for its broker.
pub(crate) const LONG: [(&str, &str); 2] = [("transaction.timeout.ms", "600000"), SOON];
pub(crate) const SOON: (&str, &str) = ("reconnect.backoff.max.ms", "200");
const FROM_OTTLA: &[u8] = b"from Ottla";
/// Two of each codec, three of these, one compacted, one transacted.
pub(crate) const PARTITIONS: usize = 2 * CODECS.len() + 3 + 2;

/// Topics with `more` settings for the first of them, their records, groups, transactions.
pub(crate) fn write(bootstrap: &str, more: &[(&str, &str)]) -> Result<()> {
    for codec in CODECS {
        let mut settings =
            vec![("segment.bytes", "1048576"), ("retention.ms", "123456789"), ("index.interval.bytes", "1024")];
        match codec {
            "none" => settings.extend(more),
            "gzip" => settings.push(("message.timestamp.type", "LogAppendTime")),
            _ => {}
        }
        rust_client::create_topic(bootstrap, codec, 2, &settings)?;
        produce(bootstrap, codec, codec, 0..RECORDS)?;
    }
    compacted(bootstrap)?;
    transactions(bootstrap)?;
    cut(bootstrap)?;
    delete_topic(bootstrap)?;
    commit_offsets(bootstrap, &[("none", 0, 700), ("gzip", 1, 0)])?;
    alter(bootstrap, 2, "zstd", &[("retention.ms", 1, ""), ("max.message.bytes", 0, "2000000")])?;
    alter(bootstrap, 4, "", &[("message.max.bytes", 0, "2000000")])?;
    let many = "1000000000000";
    alter(bootstrap, 4, "1", &[("log.cleaner.threads", 0, "2"), ("log.retention.bytes", 0, many)])?;
    let begin = Instant::now();
    while !(kept::all_topics_show(bootstrap, "retention.bytes", many)?
        && kept::all_topics_show(bootstrap, "max.message.bytes", "2000000")?)
    {
        ensure!(begin.elapsed() < PATIENCE, "the broker's settings do not reach its topics");
    }
    Ok(())
}

/// Keys that come again, in segments that are closed, so that there is something to compact; waits until it is.
fn compacted(bootstrap: &str) -> Result<()> {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("min.compaction.lag.ms", "0"),
    ];
    rust_client::create_topic(bootstrap, COMPACTED, 1, &settings)?;
    let (place, begin, mut sent) = ((COMPACTED.to_owned(), 0), Instant::now(), 0);
    loop {
        produce(bootstrap, COMPACTED, "none", sent..sent + 100)?;
        sent += 100;
        let there = kept::consume(bootstrap, std::slice::from_ref(&place))?[&place].len();
        if there < sent - 100 {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "nothing is compacted of {there} records");
    }
}

fn transactions(bootstrap: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, TRANSACTED, 1, &[])?;
    let producer = Transactional::start(bootstrap, "worker")?;
    producer.begin(TRANSACTED, &["one", "two"])?;
    producer.commit()?;
    producer.begin(TRANSACTED, &["never"])?;
    producer.abort()?;
    producer.begin(TRANSACTED, &["three"])?;
    producer.commit()?;
    let open = Transactional::start_with(bootstrap, "open", &LONG)?;
    open.begin(TRANSACTED, &["undecided"])
}

fn cut(bootstrap: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, CUT, 1, &[])?;
    produce(bootstrap, CUT, "lz4", 0..100)?;
    let mut raw = Raw::connect(bootstrap)?;
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 37 }];
    let topics = vec![DeleteRecordsTopic { name: CUT.to_owned(), partitions }];
    let answer = raw.ask(2, &DeleteRecordsRequest { topics, timeout_ms: 30_000 })?;
    ensure!(answer.topics[0].partitions[0].low_watermark == 37, "{answer:?}");
    let topics = vec![CreatePartitionsTopic { name: CUT.to_owned(), count: 3, assignments: None }];
    let answer = raw.ask(3, &CreatePartitionsRequest { topics, timeout_ms: 30_000, validate_only: false })?;
    ensure!(answer.results[0].error_code == 0, "{answer:?}");
    Ok(())
}

fn delete_topic(bootstrap: &str) -> Result<()> {
    rust_client::create_topic(bootstrap, DELETED, 1, &[("retention.ms", "1000000")])?;
    produce(bootstrap, DELETED, "none", 0..10)?;
    let topics = vec![DeleteTopicState { name: Some(DELETED.to_owned()), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let answer = Raw::connect(bootstrap)?.ask(6, &request)?;
    ensure!(answer.responses[0].error_code == 0, "{answer:?}");
    Ok(())
}

/// Sets keys (0) or takes them back (1).
fn alter(bootstrap: &str, resource_type: i8, name: &str, keys: &[(&str, i8, &str)]) -> Result<()> {
    let config = |(name, operation, value): &(&str, i8, &str)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *operation,
        value: (*operation == 0).then(|| (*value).to_owned()),
    };
    let configs = keys.iter().map(config).collect();
    let resources = vec![AlterConfigsResource { resource_type, resource_name: name.to_owned(), configs }];
    let answer =
        Raw::connect(bootstrap)?.ask(1, &IncrementalAlterConfigsRequest { resources, validate_only: false })?;
    ensure!(answer.responses[0].error_code == 0, "{answer:?}");
    Ok(())
}

/// What is not carried over: a quota of carol, a password of dave.
pub(crate) fn unserved(bootstrap: &str) -> Result<()> {
    let mut raw = Raw::connect(bootstrap)?;
    let entity = vec![EntityData { entity_type: "user".to_owned(), entity_name: Some("carol".to_owned()) }];
    let ops = vec![OpData { key: "producer_byte_rate".to_owned(), value: 1024.0, remove: false }];
    let request = AlterClientQuotasRequest { entries: vec![EntryData { entity, ops }], validate_only: false };
    let answer = raw.ask(1, &request)?;
    ensure!(answer.entries[0].error_code == 0, "{answer:?}");
    let dave = ScramCredentialUpsertion {
        name: "dave".to_owned(),
        mechanism: 1,
        iterations: 4096,
        salt: vec![1; 16].into(),
        salted_password: vec![2; 32].into(),
    };
    let answer = raw.ask(0, &AlterUserScramCredentialsRequest { deletions: vec![], upsertions: vec![dave] })?;
    ensure!(answer.results[0].error_code == 0, "{answer:?}");
    Ok(())
}

pub(crate) fn produce(bootstrap: &str, topic: &str, codec: &str, numbers: Range<usize>) -> Result<()> {
    let settings = [("enable.idempotence", "true"), ("compression.type", codec), ("batch.num.messages", "50")];
    let producer: ThreadedProducer<DefaultProducerContext> = config(bootstrap, &settings).create()?;
    for number in numbers {
        let (key, value) = (format!("key-{}", number % 20), format!("value {number} of {topic}").repeat(20));
        let number = number.to_string();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "n", value: Some(&number) })
            .insert(Header { key: "n", value: Some("") })
            .insert(Header { key: "", value: None::<&str> });
        let record = BaseRecord::to(topic).partition(0).key(&key).payload(&value).headers(headers);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

/// As clients did before there were headers and idempotent producers.
pub(crate) fn produce_without_headers(bootstrap: &str, topic: &str, numbers: Range<usize>) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = config(bootstrap, &[]).create()?;
    for number in numbers {
        let value = format!("value {number}");
        let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(0).key("key").payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

fn commit_offsets(bootstrap: &str, offsets: &[(&str, i32, i64)]) -> Result<()> {
    let consumer: BaseConsumer = config(bootstrap, &[("group.id", GROUP)]).create()?;
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        list.find_partition(topic, *partition).context("it was added")?.set_metadata(format!("as far as {offset}"));
    }
    Ok(consumer.commit(&list, CommitMode::Sync)?)
}

/// The transaction that was open is aborted when its producer comes again; then readers go past it. What is produced gets the
/// next offset.
pub(crate) fn go_on(bootstrap: &str) -> Result<()> {
    let again = Transactional::start(bootstrap, "open")?;
    again.begin(TRANSACTED, &["decided"])?;
    again.commit()?;
    let records = rust_client::consume(bootstrap, TRANSACTED, 0, Offset::Beginning, 4)?;
    let values: Vec<_> = records.iter().filter_map(|record| record.value.as_deref()).collect();
    ensure!(values == [&b"one"[..], b"two", b"three", b"decided"], "{values:?}");
    produce_one(bootstrap, FROM_OTTLA)?;
    commit_offsets(bootstrap, &[("snappy", 0, 11)])?;
    is_from_ottla(bootstrap)
}

/// One record of a producer that is new to the broker.
fn produce_one(bootstrap: &str, value: &[u8]) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(bootstrap, &[("enable.idempotence", "true")]).create()?;
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(CODECS[0]).partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(producer.flush(PATIENCE)?)
}

/// Another transaction, whose marker bears the epoch of its coordinator.
pub(crate) fn once_more(bootstrap: &str) -> Result<()> {
    let again = Transactional::start(bootstrap, "open")?;
    again.begin(TRANSACTED, &["once more"])?;
    again.commit()
}

/// The broker of before has what was written meanwhile, among it `more` transactions, and goes on: the same id commits another, and a
/// new producer is not taken for one that the other broker served.
pub(crate) fn go_back(bootstrap: &str, more: usize) -> Result<()> {
    is_from_ottla(bootstrap)?;
    produce_one(bootstrap, b"from Kafka")?;
    let records = rust_client::consume(bootstrap, CODECS[0], 0, Offset::Offset(RECORDS as i64 + 1), 1)?;
    ensure!(records[0].value.as_deref() == Some(b"from Kafka"), "{:?}", records[0]);
    let again = Transactional::start(bootstrap, "open")?;
    again.begin(TRANSACTED, &["back"])?;
    again.commit()?;
    let records = rust_client::consume(bootstrap, TRANSACTED, 0, Offset::Beginning, 5 + more)?;
    let values: Vec<_> = records[3..].iter().filter_map(|record| record.value.as_deref()).collect();
    let expected = [&[&b"decided"[..]][..], &vec![&b"once more"[..]; more], &[b"back"]].concat();
    ensure!(values == expected, "{values:?}");
    produce(bootstrap, CODECS[0], "none", 0..10)
}

/// What [`go_on`] wrote is there.
fn is_from_ottla(bootstrap: &str) -> Result<()> {
    let committed = kept::committed(&mut Raw::connect(bootstrap)?)?;
    let offset = |topic: &str, partition| committed.get(&(topic.to_owned(), partition)).map(|(offset, ..)| *offset);
    ensure!((offset("snappy", 0), offset("none", 0)) == (Some(11), Some(700)), "{committed:?}");
    let records = rust_client::consume(bootstrap, CODECS[0], 0, Offset::Offset(RECORDS as i64), 1)?;
    ensure!(records[0].value.as_deref() == Some(FROM_OTTLA) && records[0].offset == RECORDS as i64, "{records:?}");
    Ok(())
}
