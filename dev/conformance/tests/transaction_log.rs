//! What is written to `__transaction_state`, field by field beside what Apache Kafka writes when clients do the same: Kafka's
//! own dump tool decodes both, and so does the console consumer with Kafka's formatter. Clients of both versions of transactions.
//!
//! Producer ids and times are each broker's own. What is compared of them is where they are the same and where not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::Broker;
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{assigned, create_topic};
use ottla_conformance::tools::CONSUMER;
use ottla_conformance::transactions::BROKER_PROPERTIES;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_peer::run;
use ottla_records::BatchBuilder;
use ottla_types::{ErrorCode, Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, DescribeTransactionsRequest,
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, PartitionProduceData, ProduceRequest,
    TopicProduceData, TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use rdkafka::consumer::Consumer;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;
use serde_json::Value;

const FORMATTER: &str = "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter";
const STATE: &str = "__transaction_state";
const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";
const DEADLINE: Duration = Duration::from_secs(60);
/// Coordinators that are not there yet, and CONCURRENT_TRANSACTIONS: to be asked again.
const AGAIN: [i16; 4] = [14, 15, 16, 51];

fn main() -> ExitCode {
    let more = [("transaction.state.log.num.partitions", "1"), ("offsets.topic.num.partitions", "1")];
    let properties = [&BROKER_PROPERTIES[..], &more].concat();
    ottla_conformance::run("transaction_log", &properties, |suite, ottla| {
        if ottla.is_external() {
            return Ok(());
        }
        suite.case("records_are_those_of_kafka", || {
            let folder = tempfile::tempdir()?;
            let settings = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let mut kafka = Kafka::start(
                &Jars::fetch()?,
                folder.path(),
                &Settings { properties: settings, ..Settings::default() },
            )?;
            live(&kafka.address().to_string()).context("Kafka")?;
            live(&ottla.bootstrap()).context("Ottla")?;
            let consumed = (consumed(&kafka.address().to_string())?, consumed(&ottla.bootstrap())?);
            kafka.stop()?;
            ottla.stop()?;
            let (theirs, ours) = (dumped(&kafka.data())?, dumped(&ottla.data())?);
            ensure!(theirs.batches == ours.batches, "batches: Kafka {:?}, Ottla {:?}", theirs.batches, ours.batches);
            alike(&theirs, &ours).context("dumped")?;
            alike(&consumed.0, &consumed.1).context("consumed")
        });
        suite.case("an_id_that_nobody_uses_is_forgotten", forgets);
        Ok(())
    })
}

/// After `transactional.id.expiration.ms` the producer is told that its id is not known, the log says that it is gone, and who
/// enters is a new producer.
fn forgets() -> Result<()> {
    let more = [
        ("transaction.state.log.num.partitions", "1"),
        ("transactional.id.expiration.ms", "1000"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "200"),
    ];
    let mut broker = Broker::start(&[&BROKER_PROPERTIES[..], &more].concat())?;
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, "a", 1, &[])?;
    let mut client = Client::enter(&bootstrap, "idle", false, 60_000)?;
    client.write("a", 0)?;
    client.end(true)?;
    let before = client.producer;
    let request = EndTxnRequest {
        transactional_id: client.id.clone(),
        producer_id: before.id.0,
        producer_epoch: before.epoch.0,
        committed: true,
    };
    let mut said = 0;
    let forgotten = || {
        // To ask for the same end again uses nothing.
        said = client.raw.ask(4, &request)?.error_code;
        Ok(said != 0)
    };
    wait("the id to be forgotten", forgotten, String::new)?;
    ensure!(said == ErrorCode::InvalidProducerIdMapping.code(), "error {said}");
    let consumer = assigned(&bootstrap, STATE, 0, Offset::Beginning)?;
    let mut written = 0;
    loop {
        let record = consumer.poll(DEADLINE).context("no tombstone")??;
        ensure!(String::from_utf8_lossy(record.key().unwrap_or_default()).contains("idle"), "{record:?}");
        if record.payload().is_none() {
            break;
        }
        written += 1;
    }
    ensure!(written >= 4, "{written} records before the tombstone");
    let again = Client::enter(&bootstrap, "idle", false, 60_000)?.producer;
    ensure!(again.id != before.id && again.epoch == ProducerEpoch(0), "{again:?} after {before:?}");
    broker.stop()
}

/// All that a transactional id goes through, with either version of clients.
fn live(bootstrap: &str) -> Result<()> {
    for (topic, partitions) in [("a", 2), ("b", 1)] {
        create_topic(bootstrap, topic, partitions, &[])?;
    }
    for bumps in [false, true] {
        let name = if bumps { "version-2" } else { "version-1" };
        let mut client = Client::enter(bootstrap, name, bumps, 60_000)?;
        client.write("a", 0)?;
        client.write("a", 1)?;
        client.write("b", 0)?;
        client.end(true)?;
        client.write("a", 1)?;
        client.end(false)?;
        client.offsets()?;
        client.write("b", 0)?;
        client.end(true)?;
        if bumps {
            client.end(false).context("nothing was begun")?;
        }
        client.init()?;
        client.write("a", 0)?;
        client.init().context("while one is open")?;
        client.write("a", 0)?;
        client.end(true)?;

        let mut slow = Client::enter(bootstrap, &format!("{name}-timed-out"), bumps, 1000)?;
        slow.write("a", 0)?;
        wait("the time to be over", || Ok(slow.state()? == "CompleteAbort"), String::new)?;
        slow.init()?;
        slow.write("a", 0)?;
        slow.end(false)?;
    }
    Ok(())
}

/// A producer, request by request.
struct Client {
    raw: Raw,
    id: String,
    bumps: bool,
    timeout_ms: i32,
    producer: ProducerIdAndEpoch,
    sequences: BTreeMap<(String, i32), i32>,
}

impl Client {
    fn enter(bootstrap: &str, id: &str, bumps: bool, timeout_ms: i32) -> Result<Client> {
        let mut raw = Raw::connect(bootstrap)?;
        let find = |key: &str, key_type| FindCoordinatorRequest {
            key_type,
            coordinator_keys: vec![key.to_owned()],
            ..Default::default()
        };
        for (key, key_type) in [(id, 1), ("g", 0)] {
            let there = || Ok(raw.ask(4, &find(key, key_type))?.coordinators.iter().all(|found| found.error_code == 0));
            wait("the coordinator", there, String::new)?;
        }
        let producer = ProducerIdAndEpoch { id: ProducerId(-1), epoch: ProducerEpoch(-1) };
        let mut client = Client { raw, id: id.to_owned(), bumps, timeout_ms, producer, sequences: BTreeMap::new() };
        client.init()?;
        Ok(client)
    }

    /// Asks until the answer is not that it should be asked again.
    fn ask<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Result<(i16, T)>) -> Result<T> {
        let mut got = None;
        let answered = || {
            let (code, answer) = ask(self)?;
            got = Some((code, answer));
            Ok(!AGAIN.contains(&code))
        };
        wait(what, answered, String::new)?;
        let (code, answer) = got.context("no answer")?;
        ensure!(code == 0, "{what}: {code}");
        Ok(answer)
    }

    fn init(&mut self) -> Result<()> {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: self.timeout_ms,
            ..Default::default()
        };
        let response = self.ask("InitProducerId", |it| {
            let response = it.raw.ask(5, &request)?;
            Ok((response.error_code, response))
        })?;
        self.go_on_with(response.producer_id, response.producer_epoch);
        Ok(())
    }

    fn go_on_with(&mut self, id: i64, epoch: i16) {
        let producer = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) };
        if producer != self.producer {
            self.sequences.clear();
        }
        self.producer = producer;
    }

    /// A record in a transaction. Version 1 adds the partition before, version 2 on the way.
    fn write(&mut self, topic: &str, partition: i32) -> Result<()> {
        if !self.bumps {
            let request = AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: self.id.clone(),
                v3_and_below_producer_id: self.producer.id.0,
                v3_and_below_producer_epoch: self.producer.epoch.0,
                v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                    name: topic.to_owned(),
                    partitions: vec![partition],
                }],
                ..Default::default()
            };
            self.ask("AddPartitionsToTxn", |it| {
                let response = it.raw.ask(3, &request)?;
                Ok((response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, ()))
            })?;
        }
        let sequence = self.sequences.entry((topic.to_owned(), partition)).or_default();
        let mut batch = BatchBuilder::new().producer(self.producer, *sequence).transactional(true);
        batch.append(Millis(1_700_000_000_000), None, Some(b"value"));
        *sequence += 1;
        let data = PartitionProduceData { index: partition, records: Some(batch.build()?.into()) };
        let topic_data = TopicProduceData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic_data],
        };
        let version = if self.bumps { 12 } else { 11 };
        self.ask("Produce", |it| {
            let response = it.raw.ask(version, &request)?;
            Ok((response.responses[0].partition_responses[0].error_code, ()))
        })
    }

    /// Commits an offset of a group in the transaction.
    fn offsets(&mut self) -> Result<()> {
        if !self.bumps {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.id.clone(),
                producer_id: self.producer.id.0,
                producer_epoch: self.producer.epoch.0,
                group_id: "g".to_owned(),
            };
            self.ask("AddOffsetsToTxn", |it| Ok((it.raw.ask(3, &request)?.error_code, ())))?;
        }
        let partition = TxnOffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: "g".to_owned(),
            producer_id: self.producer.id.0,
            producer_epoch: self.producer.epoch.0,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic { name: "a".to_owned(), partitions: vec![partition] }],
            ..Default::default()
        };
        let version = if self.bumps { 5 } else { 4 };
        self.ask("TxnOffsetCommit", |it| Ok((it.raw.ask(version, &request)?.topics[0].partitions[0].error_code, ())))
    }

    fn end(&mut self, committed: bool) -> Result<()> {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer.id.0,
            producer_epoch: self.producer.epoch.0,
            committed,
        };
        let version = if self.bumps { 5 } else { 4 };
        let response = self.ask("EndTxn", |it| {
            let response = it.raw.ask(version, &request)?;
            Ok((response.error_code, response))
        })?;
        if self.bumps {
            self.go_on_with(response.producer_id, response.producer_epoch);
        }
        wait("the markers", || Ok(!self.state()?.starts_with("Prepare")), String::new)?;
        // Two transactions do not begin in one millisecond: when they began tells them apart.
        std::thread::sleep(Duration::from_millis(2));
        Ok(())
    }

    fn state(&mut self) -> Result<String> {
        let request = DescribeTransactionsRequest { transactional_ids: vec![self.id.clone()] };
        let response = self.raw.ask(0, &request)?;
        Ok(response.transaction_states[0].transaction_state.clone())
    }
}

/// Says where the records of two brokers are not the same.
fn alike(theirs: &Written, ours: &Written) -> Result<()> {
    ensure!(theirs.by_id.keys().eq(ours.by_id.keys()), "ids: {:?}", ours.by_id.keys());
    for (id, theirs) in &theirs.by_id {
        let ours = &ours.by_id[id];
        for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
            ensure!(theirs == ours, "record {at} of {id}:\nKafka {theirs}\nOttla {ours}");
        }
        ensure!(theirs.len() == ours.len(), "{id}: Kafka has {}, Ottla {} records", theirs.len(), ours.len());
        ensure!(ours.len() > 3, "{id}: {} records", ours.len());
    }
    Ok(())
}

/// What a broker wrote.
#[derive(Default)]
struct Written {
    /// Values by transactional id, in order.
    by_id: BTreeMap<String, Vec<Value>>,
    /// What batches say of themselves.
    batches: BTreeSet<String>,
}

impl Written {
    fn add(&mut self, names: &mut BTreeMap<String, Names>, key: Value, mut value: Value) -> Result<()> {
        let id = key["data"]["transactionalId"].as_str().with_context(|| key.to_string())?.to_owned();
        names.entry(id.clone()).or_default().rename(&mut value["data"]);
        value["key"] = key;
        self.by_id.entry(id).or_default().push(value);
        Ok(())
    }
}

/// What the console consumer shows with Kafka's formatter.
fn consumed(bootstrap: &str) -> Result<Written> {
    let (_, end) = assigned(bootstrap, STATE, 0, Offset::Beginning)?.fetch_watermarks(STATE, 0, DEADLINE)?;
    let mut tool = Jars::fetch()?.tool(CONSUMER);
    tool.args(["--bootstrap-server", bootstrap, "--topic", STATE, "--from-beginning", "--formatter", FORMATTER]);
    tool.args(["--max-messages", &end.to_string()]);
    let text = run::run(&mut tool, DEADLINE)?.success()?.text();
    let (mut written, mut names) = (Written::default(), BTreeMap::new());
    for record in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let mut record = record.with_context(|| text.clone())?;
        written.add(&mut names, record["key"].take(), record["value"].take())?;
    }
    Ok(written)
}

fn dumped(data: &Path) -> Result<Written> {
    let file = data.join(format!("{STATE}-0")).join("00000000000000000000.log");
    let mut tool = Jars::fetch()?.tool(DUMP);
    tool.args(["--transaction-log-decoder", "--deep-iteration", "--files", &file.display().to_string()]);
    let text = run::run(&mut tool, DEADLINE)?.success()?.text();
    let (mut written, mut names) = (Written::default(), BTreeMap::new());
    for line in text.lines() {
        if line.starts_with("baseOffset: ") {
            let said = ["producerId:", "producerEpoch:", "baseSequence:", "isTransactional:", "isControl:", "magic:"];
            let words: Vec<_> = line.split_whitespace().collect();
            let pairs = words.windows(2).filter(|pair| said.contains(&pair[0]) || pair[0] == "compresscodec:");
            written.batches.insert(pairs.map(|pair| pair.join(" ")).collect::<Vec<_>>().join(", "));
        }
        let Some((_, rest)) = line.split_once(" key: ") else { continue };
        let (key, value) = rest.split_once(" payload: ").with_context(|| line.to_owned())?;
        written.add(&mut names, serde_json::from_str(key)?, serde_json::from_str(value)?)?;
    }
    Ok(written)
}

/// What producer ids and times of a transactional id are called, so that those of two brokers are alike.
#[derive(Default)]
struct Names {
    producers: Vec<i64>,
    starts: Vec<i64>,
    updated: i64,
}

impl Names {
    fn rename(&mut self, data: &mut Value) {
        let number = |known: &mut Vec<i64>, number: i64| match known.iter().position(|known| *known == number) {
            Some(at) => at,
            None => {
                known.push(number);
                known.len() - 1
            }
        };
        for field in ["producerId", "previousProducerId", "nextProducerId"] {
            if let Some(id) = data.get(field).and_then(Value::as_i64).filter(|id| *id >= 0) {
                data[field] = format!("producer {}", number(&mut self.producers, id)).into();
            }
        }
        let (started, updated) = (&data["transactionStartTimestampMs"], &data["transactionLastUpdateTimestampMs"]);
        let (started, updated) = (started.as_i64().unwrap_or(-1), updated.as_i64().unwrap_or(-1));
        data["transactionLastUpdateTimestampMs"] = if updated < self.updated { "back" } else { "on" }.into();
        self.updated = updated;
        if started >= 0 {
            let when = if started > updated { "later than it was updated" } else { "before" };
            data["transactionStartTimestampMs"] = format!("start {}, {when}", number(&mut self.starts, started)).into();
        }
        if let Some(topics) = data["transactionPartitions"].as_array_mut() {
            topics.sort_by_key(|topic| topic["topic"].to_string());
            for topic in topics {
                if let Some(ids) = topic["partitionIds"].as_array_mut() {
                    ids.sort_by_key(Value::as_i64);
                }
            }
        }
    }
}
