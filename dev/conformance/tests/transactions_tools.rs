//! Apache Kafka's command-line tools about transactions, with the words that a person would type: what is open is looked
//! at and ended, console consumers of both isolations, and Kafka's own copier, which its system tests are made of.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::tools::{CONSUMER, OFFSETS, PRODUCER, TOPICS, Tools};
use ottla_conformance::transactions::{BROKER_PROPERTIES, Transactional};
use ottla_conformance::{Broker, Suite};
use ottla_peer::java::Jars;
use ottla_peer::run;
use ottla_records::BatchBuilder;
use ottla_types::{ErrorCode, Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use serde_json::Value;

const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";
const COPIER: &str = "org.apache.kafka.tools.TransactionalMessageCopier";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";
const FORMATTER: &str = "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter";
/// Of a tool in a virtual machine of its own.
const DEADLINE: Duration = Duration::from_secs(60);
const INVALID_PRODUCER_ID_MAPPING: i16 = ErrorCode::InvalidProducerIdMapping as i16;
/// `transaction.state.log.num.partitions`.
const STATE_PARTITIONS: usize = 3;

fn main() -> ExitCode {
    let properties = [&BROKER_PROPERTIES[..], &[("transaction.state.log.num.partitions", "3")]].concat();
    ottla_conformance::run("transactions_tools", &properties, |suite, broker| {
        let tools = Tools::start(broker)?;
        looks(suite, broker, &tools);
        ends(suite, broker, &tools);
        suite.case("a_hanging_transaction_is_found_and_ended", || hanging(broker, &tools));
        suite.case("console_consumers_of_both_isolations", || isolations(broker, &tools));
        copies(suite, broker, &tools);
        state_topic(suite, broker, &tools);
        Ok(())
    })
}

/// A topic with one partition, and a producer with a transaction that is open on it.
fn open(broker: &Broker) -> Result<(String, String, Transactional)> {
    let (topic, id) = (broker.topic("open"), broker.topic("id"));
    create_topic(&broker.bootstrap(), &topic, 1, &[])?;
    let producer = Transactional::start(&broker.bootstrap(), &id)?;
    producer.begin(&topic, &["first", "second"])?;
    Ok((topic, id, producer))
}

/// The cells of the row that begins so, in a table of the tool.
fn row<'a>(text: &'a str, start: &str) -> Result<Vec<&'a str>> {
    let mut rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|words| words.first() == Some(&start)).with_context(|| format!("no row {start}: {text}"))
}

/// The only row of a table.
fn only_row(text: &str) -> Result<Vec<&str>> {
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).collect();
    ensure!(rows.len() == 1, "{} rows: {text}", rows.len());
    Ok(rows[0].split_whitespace().collect())
}

fn looks(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    suite.case("list", || {
        let (_, id, producer) = open(broker)?;
        let found = tools.run(TRANSACTIONS, &["list"])?;
        ensure!(row(&found, &id)?.get(3) == Some(&"Ongoing"), "{found}");
        let pattern = format!("{id}|nothing");
        let found = tools.run(TRANSACTIONS, &["list", "--transactional-id-pattern", &pattern])?;
        only_named(&found, &id)?;
        let found = tools.run(TRANSACTIONS, &["list", "--duration-filter", "3600000"])?;
        ensure!(row(&found, &id).is_err(), "an hour old: {found}");
        producer.commit()?;
        let state = || {
            let found = tools.run(TRANSACTIONS, &["list"])?;
            Ok(row(&found, &id)?.get(3) == Some(&"CompleteCommit"))
        };
        wait("the end", state, String::new)
    });
    suite.case("describe", || {
        let (topic, id, producer) = open(broker)?;
        let found = tools.run(TRANSACTIONS, &["describe", "--transactional-id", &id])?;
        let line = found.lines().find(|line| line.contains(&id)).with_context(|| found.clone())?;
        ensure!(line.contains("Ongoing") && line.contains(&format!("{topic}-0")), "{found}");
        producer.abort()?;
        let state = || {
            let found = tools.run(TRANSACTIONS, &["describe", "--transactional-id", &id])?;
            Ok(found.contains("CompleteAbort") && !found.contains(&topic))
        };
        wait("the end", state, String::new)
    });
    suite.case("describe_producers", || {
        let (topic, _, producer) = open(broker)?;
        let place = ["describe-producers", "--topic", &topic, "--partition", "0"];
        let found = tools.run(TRANSACTIONS, &place)?;
        let cells = only_row(&found)?;
        // Sequence 1 is that of the second record; the transaction began at offset 0.
        ensure!(cells.get(3) == Some(&"1") && cells.get(5) == Some(&"0"), "{found}");
        producer.commit()?;
        let ended = || Ok(only_row(&tools.run(TRANSACTIONS, &place)?)?.get(5) == Some(&"None"));
        wait("the end", ended, String::new)
    });
    suite.case("ids_that_nobody_knows", || {
        let output = tools.output(TRANSACTIONS, &["describe", "--transactional-id", &broker.topic("unknown")], "")?;
        ensure!(!output.status.success() && output.all_text().contains("could not be found"), "{}", output.all_text());
        Ok(())
    });
}

fn only_named(text: &str, id: &str) -> Result<()> {
    row(text, id)?;
    let rows = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("TransactionalId"));
    ensure!(rows.count() == 1, "{text}");
    Ok(())
}

fn ends(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    suite.case("force_the_end_of_a_transaction", || {
        let (topic, id, producer) = open(broker)?;
        tools.run(TRANSACTIONS, &["forceTerminateTransaction", "--transactionalId", &id])?;
        // The id is fenced as by a new producer: nothing of the old one is left.
        let found = tools.run(TRANSACTIONS, &["list"])?;
        ensure!(row(&found, &id)?.get(3) == Some(&"Empty"), "{found}");
        ensure!(producer.commit().is_err(), "a commit after the end was taken");
        ensure!(console(tools, &topic, "read_uncommitted", 2)? == "first\nsecond\n", "uncommitted");
        Ok(())
    });
    suite.case("abort_from_a_start_offset", || {
        let (topic, _, producer) = open(broker)?;
        let place = ["--topic", &topic, "--partition", "0"];
        tools.run(TRANSACTIONS, &[&["abort"], &place[..], &["--start-offset", "0"]].concat())?;
        let found = tools.run(TRANSACTIONS, &[&["describe-producers"], &place[..]].concat())?;
        ensure!(only_row(&found)?.get(5) == Some(&"None"), "{found}");
        ensure!(stable_end(tools, &topic)? == 3, "two records and a marker");
        producer.abort()
    });
}

/// The end of partition 0, as the offsets tool sees it.
fn stable_end(tools: &Tools, topic: &str) -> Result<u64> {
    let text = tools.run(OFFSETS, &["--topic", topic])?;
    text.trim().rsplit(':').next().and_then(|end| end.parse().ok()).context(text)
}

/// A transaction on a partition that no coordinator knows of, as brokers before 3.6 left them behind.
fn hanging(broker: &Broker, tools: &Tools) -> Result<()> {
    let topic = broker.topic("hanging");
    create_topic(&broker.bootstrap(), &topic, 1, &[])?;
    let all = ["--entity-type", "brokers", "--entity-default", "--alter"];
    let off = ["--add-config", "transaction.partition.verification.enable=false"];
    tools.run(CONFIGS, &[&all[..], &off[..]].concat())?;
    // The tool is done before every part of the broker knows.
    wait("the records to be taken", || left_behind(broker, &topic), String::new)?;
    let on = ["--delete-config", "transaction.partition.verification.enable"];
    tools.run(CONFIGS, &[&all[..], &on[..]].concat())?;
    let find = ["find-hanging", "--topic", &topic, "--max-transaction-timeout", "1"];
    let found = tools.run(TRANSACTIONS, &find)?;
    ensure!(row(&found, &topic)?[1..5] == ["0", "987654", "3", "-1"], "{found}");
    ensure!(console_output(tools, &topic, "read_committed", &["--timeout-ms", "1500"])?.is_empty(), "seen");
    tools.run(TRANSACTIONS, &["abort", "--topic", &topic, "--partition", "0", "--start-offset", "0"])?;
    let found = tools.run(TRANSACTIONS, &find)?;
    ensure!(row(&found, &topic).is_err(), "{found}");
    let producer = Transactional::start(&broker.bootstrap(), &broker.topic("id"))?;
    producer.begin(&topic, &["later"])?;
    producer.commit()?;
    ensure!(console(tools, &topic, "read_committed", 1)? == "later\n", "not read on");
    Ok(())
}

/// Appends two records of a transaction, without a word to its coordinator; false where that is asked and knows of none.
fn left_behind(broker: &Broker, topic: &str) -> Result<bool> {
    let producer = ProducerIdAndEpoch { id: ProducerId(987_654), epoch: ProducerEpoch(3) };
    let mut batch = BatchBuilder::new().producer(producer, 0).transactional(true);
    for value in ["left", "behind"] {
        batch.append(Millis(1_600_000_000_000), None, Some(value.as_bytes()));
    }
    let request = ProduceRequest {
        transactional_id: Some("forgotten".into()),
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(batch.build()?.into()) }],
            ..Default::default()
        }],
    };
    let answer = Raw::connect(&broker.bootstrap())?.ask(9, &request)?;
    let mut answers = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    match answers.next().context("no answer")?.error_code {
        0 => Ok(true),
        INVALID_PRODUCER_ID_MAPPING => Ok(false),
        error => bail!("error {error}"),
    }
}

/// What a console consumer of this isolation writes before it ends by itself.
fn console_output(tools: &Tools, topic: &str, isolation: &str, more: &[&str]) -> Result<String> {
    let place = ["--topic", topic, "--partition", "0", "--offset", "earliest", "--isolation-level", isolation];
    Ok(tools.output(CONSUMER, &[&place[..], more].concat(), "")?.text())
}

/// The first `count` records that it sees.
fn console(tools: &Tools, topic: &str, isolation: &str, count: usize) -> Result<String> {
    console_output(tools, topic, isolation, &["--max-messages", &count.to_string()])
}

fn isolations(broker: &Broker, tools: &Tools) -> Result<()> {
    let topic = broker.topic("console");
    create_topic(&broker.bootstrap(), &topic, 1, &[])?;
    let producer = Transactional::start(&broker.bootstrap(), &broker.topic("id"))?;
    for (values, commits) in [(["a", "b"], true), (["x", "y"], false), (["c", "d"], true)] {
        producer.begin(&topic, &values)?;
        if commits {
            producer.commit()?;
        } else {
            producer.abort()?;
        }
    }
    producer.begin(&topic, &["open"])?;
    ensure!(console(tools, &topic, "read_committed", 4)? == "a\nb\nc\nd\n", "committed");
    ensure!(console(tools, &topic, "read_uncommitted", 7)? == "a\nb\nx\ny\nc\nd\nopen\n", "all");
    // Nothing says that no more is to come: it is waited for.
    let waited = console_output(tools, &topic, "read_committed", &["--timeout-ms", "1500"])?;
    ensure!(waited == "a\nb\nc\nd\n", "seen while open: {waited}");
    producer.commit()?;
    ensure!(console(tools, &topic, "read_committed", 5)? == "a\nb\nc\nd\nopen\n", "committed at last");
    Ok(())
}

/// Every way that Kafka's copier has to say where it is; with and without aborts of its own.
fn copies(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let ways: [(&str, &[&str]); 4] = [
        ("assigned", &[]),
        ("assigned_with_aborts", &["--enable-random-aborts"]),
        ("group", &["--group-mode", "--use-group-metadata"]),
        ("group_with_aborts", &["--group-mode", "--use-group-metadata", "--enable-random-aborts"]),
    ];
    for (name, options) in ways {
        suite.case(&format!("message_copier_{name}"), || {
            let (from, to) = (broker.topic("copied"), broker.topic("copy"));
            for topic in [&from, &to] {
                create_topic(&broker.bootstrap(), topic, 1, &[])?;
            }
            let values: String = (0..500).map(|number| format!("{number}\n")).collect();
            feed(broker, tools, &from, &values, name.starts_with("group"))?;
            let (group, id) = (broker.topic("group"), broker.topic("id"));
            let places = ["--input-topic", &from, "--input-partition", "0", "--output-topic", &to];
            let more = ["--transactional-id", &id, "--consumer-group", &group, "--transaction-size", "50"];
            let place = ["--broker-list", tools.bootstrap(), "--max-messages", "500"];
            // In a virtual machine of its own: it says that it is done as that one ends.
            let mut copier = Jars::fetch()?.tool(COPIER);
            copier.args(places).args(more).args(place).args(options);
            let text = run::run(&mut copier, DEADLINE)?.success()?.text();
            ensure!(text.contains("ShutdownComplete"), "{text}");
            ensure!(console(tools, &to, "read_committed", 500)? == values, "copied otherwise: {text}");
            Ok(())
        });
    }
}

/// Writes the lines as records. In a group the copier counts every offset as a message to come, and would wait for those
/// of markers and aborted records for ever: it gets none of these there.
fn feed(broker: &Broker, tools: &Tools, topic: &str, lines: &str, plain: bool) -> Result<()> {
    if plain {
        tools.run_with_input(PRODUCER, &["--topic", topic], lines)?;
        return wait("the records", || Ok(stable_end(tools, topic)? == lines.lines().count() as u64), String::new);
    }
    let feeder = Transactional::start(&broker.bootstrap(), &broker.topic("id"))?;
    feeder.begin(topic, &["lost"; 20])?;
    feeder.abort()?;
    feeder.begin(topic, &lines.lines().collect::<Vec<_>>())?;
    feeder.commit()
}

/// The coordinators' own topic, as Kafka's tools decode it.
fn state_topic(suite: &mut Suite, broker: &mut Broker, tools: &Tools) {
    suite.case("state_topic_is_described", || {
        let text = tools.run(TOPICS, &["--describe", "--topic", "__transaction_state"])?;
        ensure!(text.contains(&format!("PartitionCount: {STATE_PARTITIONS}")), "{text}");
        ensure!(text.contains("cleanup.policy=compact") && text.contains("compression.type=uncompressed"), "{text}");
        Ok(())
    });
    suite.case("console_consumer_reads_the_state", || {
        let mut states = Vec::new();
        for partition in 0..STATE_PARTITIONS {
            states.extend(decoded(tools, partition)?);
        }
        for wanted in ["Empty", "Ongoing", "PrepareCommit", "CompleteCommit", "PrepareAbort", "CompleteAbort"] {
            let number = state_number(wanted);
            ensure!(states.contains(&number), "no record in state {wanted} ({number}): {states:?}");
        }
        Ok(())
    });
    suite.case("dump_tool_reads_the_state", || {
        broker.stop()?;
        let mut segments = Vec::new();
        for partition in 0..STATE_PARTITIONS {
            let folder = broker.data().join(format!("__transaction_state-{partition}"));
            for file in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                segments.push(file?.path());
            }
        }
        segments.retain(|file| file.extension().is_some_and(|ending| ending == "log"));
        let segments: Vec<_> = segments.iter().map(|file| file.display().to_string()).collect();
        let mut dump = Jars::fetch()?.tool(DUMP);
        dump.args(["--transaction-log-decoder", "--print-data-log", "--files", &segments.join(",")]);
        let text = run::run(&mut dump, DEADLINE)?.success()?.text();
        ensure!(text.contains("\"transactionStatus\":4") && text.contains("isvalid: true"), "{text}");
        ensure!(!text.contains("isvalid: false"), "{text}");
        Ok(())
    });
}

/// The number of a state in the records.
fn state_number(name: &str) -> i64 {
    let names = ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"];
    names.iter().position(|known| *known == name).map_or(-1, |at| at as i64)
}

/// The states in all records of one partition, through Kafka's formatter.
fn decoded(tools: &Tools, partition: usize) -> Result<Vec<i64>> {
    let place = format!("__transaction_state:{partition}");
    let end = tools.run(OFFSETS, &["--topic-partitions", &place])?;
    let end = end.trim().rsplit(':').next().unwrap_or_default().to_owned();
    if end == "0" {
        return Ok(Vec::new());
    }
    let partition = partition.to_string();
    let place = ["--topic", "__transaction_state", "--partition", &partition, "--offset", "earliest"];
    let text = tools.run(CONSUMER, &[&place[..], &["--formatter", FORMATTER, "--max-messages", &end]].concat())?;
    let records = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    records.map(|record| record?["value"]["data"]["transactionStatus"].as_i64().with_context(|| text.clone())).collect()
}
