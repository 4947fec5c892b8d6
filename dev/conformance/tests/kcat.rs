//! kcat, the command-line client over librdkafka: produce, consume, look up, list.
//!
//! Every shape of a record goes through every codec, as far as kcat can say it: it gives all records of one run the same
//! headers, and has no way to a header without a name.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::transactions::Transactional;
use ottla_conformance::{Broker, Suite};
use ottla_peer::programs::KCAT;
use ottla_peer::run::{Output, run_with_input};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn main() -> ExitCode {
    ottla_conformance::run("kcat", &[], |suite, broker| {
        KCAT.require()?;
        let kcat = Kcat { bootstrap: broker.bootstrap() };
        for codec in CODECS {
            shapes(suite, broker, &kcat, codec);
        }
        records(suite, broker, &kcat);
        lookups(suite, broker, &kcat);
        listings(suite, broker, &kcat);
        Ok(())
    })
}

fn shapes(suite: &mut Suite, broker: &Broker, kcat: &Kcat, codec: &str) {
    type Shape = fn(&Kcat, &str, &str) -> Result<()>;
    let all: [(&str, Shape); 4] = [
        ("records_with_keys", records_with_keys),
        ("headers", headers),
        ("nulls_and_empty_values", nulls_and_empty_values),
        ("one_megabyte", one_megabyte),
    ];
    for (name, shape) in all {
        suite.case(&format!("{name}_{codec}"), || shape(kcat, &broker.topic(codec), codec));
    }
}

fn records(suite: &mut Suite, broker: &Broker, kcat: &Kcat) {
    for acks in ["0", "1", "all"] {
        suite.case(&format!("acks_{acks}"), || acks_setting(kcat, &broker.topic("acks"), acks));
    }
    suite.case("idempotent_producer", || idempotent_producer(kcat, &broker.topic("idempotent")));
    suite.case("transactions", || transactions(kcat, &broker.topic("transactions"), &broker.topic("id")));
    suite.case("hundred_thousand_records", || hundred_thousand_records(kcat, &broker.topic("many")));
}

fn lookups(suite: &mut Suite, broker: &Broker, kcat: &Kcat) {
    let topic = broker.topic("lookup");
    suite.case("lookup_setup", || kcat.produce(&topic, &[], numbers(0, 1000).as_bytes()));
    suite.case("from_an_offset", || from_an_offset(kcat, &topic));
    suite.case("from_the_last_records", || from_the_last_records(kcat, &topic));
    suite.case("by_timestamp", || by_timestamp(kcat, &broker.topic("times")));
    suite.case("offset_out_of_range", || offset_out_of_range(kcat, &topic));
}

fn listings(suite: &mut Suite, broker: &Broker, kcat: &Kcat) {
    let topic = broker.topic("listed");
    suite.case("listing_setup", || kcat.produce(&topic, &[], b"x\n"));
    suite.case("list_as_text", || list_as_text(kcat, &topic));
    suite.case("list_as_json", || list_as_json(kcat, &topic));
    suite.case("list_an_unknown_topic", || list_an_unknown_topic(kcat, &broker.topic("unknown")));
}

/// kcat against one broker.
struct Kcat {
    bootstrap: String,
}

impl Kcat {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        run_with_input(Command::new("kcat").args(["-b", &self.bootstrap]).args(arguments), input, DEADLINE)
    }

    fn produce(&self, topic: &str, arguments: &[&str], input: &[u8]) -> Result<()> {
        let all = [&["-P", "-t", topic, "-p", "0"], arguments].concat();
        self.run(&all, input)?.success().map(drop)
    }

    /// Partition 0 from `from` to its end, each record in `format`.
    fn consume(&self, topic: &str, from: &str, format: &str) -> Result<String> {
        let arguments = ["-C", "-t", topic, "-p", "0", "-o", from, "-e", "-q", "-X", "check.crcs=true", "-f", format];
        Ok(self.run(&arguments, b"")?.success()?.text())
    }
}

fn numbers(from: u32, to: u32) -> String {
    (from..to).map(|number| format!("{number}\n")).collect()
}

fn records_with_keys(kcat: &Kcat, topic: &str, codec: &str) -> Result<()> {
    let input: String = (0..5000).map(|n| format!("key-{n}:the value of record number {n}\n")).collect();
    kcat.produce(topic, &["-z", codec, "-K:"], input.as_bytes())?;
    let expected: String = (0..5000).map(|n| format!("{n} key-{n}:the value of record number {n}\n")).collect();
    ensure!(kcat.consume(topic, "beginning", "%o %k:%s\n")? == expected, "records differ");
    Ok(())
}

fn headers(kcat: &Kcat, topic: &str, codec: &str) -> Result<()> {
    let headers = ["-z", codec, "-H", "a=1", "-H", "twice=x", "-H", "twice=y", "-H", "empty=", "-H", "null"];
    kcat.produce(topic, &headers, b"v\n")?;
    let found = kcat.consume(topic, "beginning", "%h|%s\n")?;
    ensure!(found == "a=1,twice=x,twice=y,empty=,null=NULL|v\n", "found {found:?}");
    Ok(())
}

fn nulls_and_empty_values(kcat: &Kcat, topic: &str, codec: &str) -> Result<()> {
    // With -Z an empty key or value is null, without it is empty.
    kcat.produce(topic, &["-Z", "-K:", "-z", codec], b"k:\n:v\nk:v\n")?;
    kcat.produce(topic, &["-K:", "-z", codec], b"k:\n:v\n")?;
    let found = kcat.consume(topic, "beginning", "%K %S\n")?;
    ensure!(found == "1 -1\n-1 1\n1 1\n1 0\n0 1\n", "lengths of keys and values: {found:?}");
    Ok(())
}

fn one_megabyte(kcat: &Kcat, topic: &str, codec: &str) -> Result<()> {
    let value: String =
        (0..).map(|n| format!("{n:x},")).flat_map(|word| word.into_bytes()).take(1_000_000).map(char::from).collect();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &value)?;
    let path = file.path().to_string_lossy().into_owned();
    // A file named on the command line is one message.
    let limit = ["-X", "message.max.bytes=1048588", "-z", codec];
    kcat.run(&[&["-P", "-t", topic, "-p", "0"], &limit[..], &[path.as_str()]].concat(), b"")?.success()?;
    ensure!(kcat.consume(topic, "beginning", "%s")? == value, "the value differs");
    Ok(())
}

fn acks_setting(kcat: &Kcat, topic: &str, acks: &str) -> Result<()> {
    // The topic first: what is sent without an answer to a topic that is being made may be lost.
    kcat.produce(topic, &[], b"first\n")?;
    kcat.produce(topic, &["-X", &format!("acks={acks}")], numbers(0, 100).as_bytes())?;
    let expected = format!("first\n{}", numbers(0, 100));
    // Nothing says when records without an acknowledgement have arrived; the next acknowledged one comes after them
    // only on the same connection, so they are read as they come.
    let arguments = ["-C", "-t", topic, "-p", "0", "-o", "beginning", "-c", "101", "-q"];
    ensure!(kcat.run(&arguments, b"")?.success()?.text() == expected, "records differ");
    Ok(())
}

fn idempotent_producer(kcat: &Kcat, topic: &str) -> Result<()> {
    let settings = ["-X", "enable.idempotence=true", "-X", "batch.num.messages=50", "-z", "zstd"];
    kcat.produce(topic, &settings, numbers(0, 5000).as_bytes())?;
    ensure!(kcat.consume(topic, "beginning", "%s\n")? == numbers(0, 5000), "records differ");
    Ok(())
}

/// What kcat reads from its input is one transaction.
fn transactions(kcat: &Kcat, topic: &str, id: &str) -> Result<()> {
    let with_id = format!("transactional.id={id}");
    kcat.produce(topic, &["-X", &with_id], numbers(0, 500).as_bytes())?;
    let other = Transactional::start(&kcat.bootstrap, &format!("{id}-other"))?;
    other.begin(topic, &["lost"])?;
    other.abort()?;
    kcat.produce(topic, &["-X", &with_id, "-z", "lz4"], numbers(500, 1000).as_bytes())?;
    ensure!(kcat.consume(topic, "beginning", "%s\n")? == numbers(0, 1000), "committed records differ");
    let all = ["-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_uncommitted"];
    let all = kcat.run(&all, b"")?.success()?.text();
    ensure!(all == format!("{}lost\n{}", numbers(0, 500), numbers(500, 1000)), "all records differ");
    Ok(())
}

fn hundred_thousand_records(kcat: &Kcat, topic: &str) -> Result<()> {
    kcat.produce(topic, &["-X", "linger.ms=5"], numbers(0, 100_000).as_bytes())?;
    ensure!(kcat.consume(topic, "beginning", "%s\n")? == numbers(0, 100_000), "records differ");
    Ok(())
}

fn from_an_offset(kcat: &Kcat, topic: &str) -> Result<()> {
    ensure!(kcat.consume(topic, "990", "%s\n")? == numbers(990, 1000), "records from 990 differ");
    ensure!(kcat.consume(topic, "1000", "%s\n")?.is_empty(), "records after the end");
    Ok(())
}

fn from_the_last_records(kcat: &Kcat, topic: &str) -> Result<()> {
    ensure!(kcat.consume(topic, "-3", "%s\n")? == numbers(997, 1000), "last three records differ");
    ensure!(kcat.consume(topic, "end", "%s\n")?.is_empty(), "records after the end");
    Ok(())
}

fn by_timestamp(kcat: &Kcat, topic: &str) -> Result<()> {
    for from in [0, 100, 200] {
        kcat.produce(topic, &[], numbers(from, from + 100).as_bytes())?;
    }
    let listing = kcat.consume(topic, "beginning", "%o %T\n")?;
    let stamps: Vec<i64> =
        listing.lines().map(|line| line.split(' ').nth(1).unwrap_or("").parse()).collect::<Result<_, _>>()?;
    ensure!(stamps.len() == 300, "{} records", stamps.len());
    for wanted in [stamps[0] - 1, stamps[100], stamps[200], stamps[299]] {
        let expected = stamps.iter().position(|stamp| *stamp >= wanted).context("no such time")?;
        let answer = kcat.run(&["-Q", "-t", &format!("{topic}:0:{wanted}")], b"")?.success()?.text();
        ensure!(answer.trim().ends_with(&format!("offset {expected}")), "time {wanted}: {answer}, not {expected}");
        let first = kcat.consume(topic, &format!("s@{wanted}"), "%o\n")?;
        ensure!(first.lines().next() == Some(expected.to_string().as_str()), "consuming from time {wanted}");
    }
    let after = kcat.run(&["-Q", "-t", &format!("{topic}:0:{}", stamps[299] + 1)], b"")?.success()?.text();
    ensure!(after.trim().ends_with("offset -1"), "after the last time: {after}");
    let ends = [("-1", "300"), ("-2", "0")];
    for (time, offset) in ends {
        let answer = kcat.run(&["-Q", "-t", &format!("{topic}:0:{time}")], b"")?.success()?.text();
        ensure!(answer.trim().ends_with(&format!("offset {offset}")), "time {time}: {answer}");
    }
    Ok(())
}

fn offset_out_of_range(kcat: &Kcat, topic: &str) -> Result<()> {
    let arguments = ["-C", "-t", topic, "-p", "0", "-o", "5000", "-e", "-X", "auto.offset.reset=error"];
    let output = kcat.run(&arguments, b"")?;
    let text = output.all_text();
    ensure!(!output.status.success() && text.to_lowercase().contains("out of range"), "{text}");
    Ok(())
}

fn list_as_text(kcat: &Kcat, topic: &str) -> Result<()> {
    let text = kcat.run(&["-L", "-t", topic], b"")?.success()?.text();
    ensure!(text.contains("1 brokers:") && text.contains(&kcat.bootstrap), "{text}");
    ensure!(text.contains(&format!("topic \"{topic}\" with 1 partitions:")), "{text}");
    ensure!(text.contains("partition 0, leader "), "{text}");
    Ok(())
}

fn list_as_json(kcat: &Kcat, topic: &str) -> Result<()> {
    let all: Value = serde_json::from_slice(&kcat.run(&["-L", "-J"], b"")?.success()?.stdout)?;
    let brokers = all["brokers"].as_array().context("brokers")?;
    ensure!(brokers.len() == 1 && brokers[0]["name"] == kcat.bootstrap.as_str(), "{all}");
    let topics = all["topics"].as_array().context("topics")?;
    let listed = topics.iter().find(|listed| listed["topic"] == topic).context("the topic is not listed")?;
    let partition = &listed["partitions"][0];
    ensure!(partition["partition"] == 0 && partition["leader"] == brokers[0]["id"], "{partition}");
    ensure!(partition["isrs"].as_array().is_some_and(|isrs| isrs.len() == 1), "{partition}");
    Ok(())
}

fn list_an_unknown_topic(kcat: &Kcat, topic: &str) -> Result<()> {
    let text = kcat.run(&["-L", "-t", topic, "-X", "allow.auto.create.topics=false"], b"")?.all_text();
    ensure!(text.contains("with 0 partitions") && text.contains("Unknown topic"), "{text}");
    Ok(())
}
