//! Apache Kafka's command-line tools about groups, with the words that a person would type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::groups::{self, BROKER_PROPERTIES, Journal, LONG_SESSION_MS, Member, Protocol, wait};
use ottla_conformance::tools::{CONSUMER, OFFSETS, PRODUCER, TOPICS, Tools};
use ottla_conformance::{Broker, Suite};
use ottla_peer::java::Jars;
use ottla_peer::run;
use serde_json::Value;

const CONSUMER_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const GROUPS: &str = "org.apache.kafka.tools.GroupsCommand";
const PERFORMANCE: &str = "org.apache.kafka.tools.ConsumerPerformance";
const VERIFIABLE: &str = "org.apache.kafka.tools.VerifiableConsumer";
const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";
const OFFSETS_FORMATTER: &str = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter";
const GROUPS_FORMATTER: &str = "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter";
const DUMP_DEADLINE: Duration = Duration::from_secs(120);
/// `offsets.topic.num.partitions`.
const OFFSETS_PARTITIONS: i32 = 5;

fn main() -> ExitCode {
    if let Some(ended) = groups::play() {
        return ended;
    }
    let properties = [&BROKER_PROPERTIES[..], &[("offsets.topic.num.partitions", "5")]].concat();
    ottla_conformance::run("groups_tools", &properties, |suite, broker| {
        let tools = Tools::start(broker)?;
        for protocol in ["classic", "consumer"] {
            console(suite, broker, &tools, protocol);
        }
        for protocol in [Protocol::Cooperative, Protocol::Consumer] {
            members(suite, broker, &tools, protocol);
        }
        resets(suite, broker, &tools);
        deletions(suite, broker, &tools);
        others(suite, broker, &tools);
        offsets_topic(suite, broker, &tools);
        Ok(())
    })
}

/// The numbers of a range, one in a line.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
    lines.sort_unstable();
    lines.iter().map(|number| format!("{number}\n")).collect()
}

/// Sends numbers to partition 0 and waits until it ends behind them: the console producer is gone before they are there.
fn produce(tools: &Tools, topic: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let end = format!("{topic}:0:{}", numbers.end);
    tools.run_with_input(PRODUCER, &["--topic", topic], &lines(numbers))?;
    let ends = || Ok(tools.run(OFFSETS, &["--topic", topic])?.trim() == end);
    wait("the records", ends, || end.clone())
}

/// The row that starts with these words, as words.
fn row<'a>(text: &'a str, start: &[&str]) -> Result<Vec<&'a str>> {
    let mut rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|words| words.starts_with(start)).with_context(|| format!("no row {start:?} in: {text}"))
}

/// The row of a group's partition: offset, end and lag.
fn offsets_of(tools: &Tools, group: &str, topic: &str, partition: &str) -> Result<(i64, i64, i64)> {
    let text = tools.run(CONSUMER_GROUPS, &["--describe", "--group", group])?;
    let row = row(&text, &[group, topic, partition])?;
    let number = |at: usize| row.get(at).and_then(|word| word.parse().ok()).with_context(|| text.clone());
    Ok((number(3)?, number(4)?, number(5)?))
}

/// The console consumer as a member of a group.
fn console(suite: &mut Suite, broker: &Broker, tools: &Tools, protocol: &str) {
    let (topic, group) = (broker.topic("console"), broker.topic("group"));
    let property = format!("group.protocol={protocol}");
    let read = |count: &str| {
        let arguments = ["--topic", &topic, "--group", &group, "--consumer-property", &property];
        tools.run(CONSUMER, &[&arguments[..], &["--from-beginning", "--max-messages", count]].concat())
    };
    suite.case(&format!("console_consumer_in_a_group_{protocol}"), || {
        tools.run(TOPICS, &["--create", "--topic", &topic, "--partitions", "1"])?;
        produce(tools, &topic, 0..1000)?;
        let text = read("1000")?;
        // What it says about itself stands between the records.
        ensure!(sorted(&text) == lines(0..1000), "{} bytes differ: {}", text.len(), &text[..text.len().min(300)]);
        let found = offsets_of(tools, &group, &topic, "0")?;
        ensure!(found == (1000, 1000, 0), "{found:?}");
        Ok(())
    });
    suite.case(&format!("console_consumer_goes_on_{protocol}"), || {
        produce(tools, &topic, 1000..1050)?;
        let found = offsets_of(tools, &group, &topic, "0")?;
        ensure!(found == (1000, 1050, 50), "{found:?}");
        let text = read("30")?;
        ensure!(sorted(&text) == lines(1000..1030), "{text}");
        let found = offsets_of(tools, &group, &topic, "0")?;
        ensure!(found == (1030, 1050, 20), "{found:?}");
        Ok(())
    });
    suite.case(&format!("describe_an_empty_group_{protocol}"), || {
        let output = tools.output(CONSUMER_GROUPS, &["--describe", "--group", &group, "--state"], "")?;
        let text = output.all_text();
        ensure!(text.contains("has no active members") && text.contains("Empty"), "{text}");
        ensure!(text.contains(tools.bootstrap()), "{text}");
        Ok(())
    });
    suite.case(&format!("groups_by_type_and_state_{protocol}"), || {
        let other = if protocol == "classic" { "consumer" } else { "classic" };
        let list = |more: &[&str]| tools.run(CONSUMER_GROUPS, &[&["--list"], more].concat());
        ensure!(list(&[])?.lines().any(|line| line == group), "{}", list(&[])?);
        let of_type = list(&["--type", protocol])?;
        ensure!(row(&of_type, &[&group])?[1].eq_ignore_ascii_case(protocol), "{of_type}");
        ensure!(!list(&["--type", other])?.contains(&group), "listed as {other}");
        let empty = list(&["--state", "Empty"])?;
        ensure!(row(&empty, &[&group])?[1] == "Empty", "{empty}");
        ensure!(!list(&["--state", "Stable"])?.contains(&group), "listed as stable");
        Ok(())
    });
}

/// A member that stays while tools look at its group.
fn member(broker: &Broker, group: &str, topic: &str, protocol: Protocol, more: &[(&str, &str)]) -> Result<Member> {
    let mut settings: BTreeMap<_, _> = protocol.settings(LONG_SESSION_MS).into_iter().collect();
    let (bootstrap, journal) = (broker.bootstrap(), Arc::<Mutex<Journal>>::default());
    let own = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("group.id", group),
        ("client.id", "looked-at"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
    ];
    settings.extend(own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Member::start("looked at", topic, &settings, &journal)
}

/// What the tools say of groups that have members.
fn members(suite: &mut Suite, broker: &Broker, tools: &Tools, protocol: Protocol) {
    let name = format!("{protocol:?}").to_lowercase();
    let (topic, group) = (broker.topic("watched"), broker.topic("group"));
    let ready = || -> Result<(Member, Member)> {
        tools.run(TOPICS, &["--create", "--topic", &topic, "--partitions", "4"])?;
        let first = member(broker, &group, &topic, protocol, &[("group.instance.id", "named")])?;
        let second = member(broker, &group, &topic, protocol, &[])?;
        let shared = || Ok(first.owned().len() == 2 && second.owned().len() == 2);
        wait("two members", shared, || format!("{}; {}", first.describe(), second.describe()))?;
        let settled = || {
            let text = tools.run(CONSUMER_GROUPS, &["--describe", "--group", &group, "--state"])?;
            Ok(text.contains("Stable"))
        };
        wait("a stable group", settled, String::new)?;
        Ok((first, second))
    };
    suite.case(&format!("tools_of_an_active_group_{name}"), || {
        let (mut first, mut second) = ready()?;
        active(tools, &group, &topic, protocol)?;
        first.leave()?;
        second.leave()
    });
}

fn active(tools: &Tools, group: &str, topic: &str, protocol: Protocol) -> Result<()> {
    let describe = |more: &[&str]| tools.run(CONSUMER_GROUPS, &[&["--describe", "--group", group], more].concat());
    let state = describe(&["--state"])?;
    let found = row(&state, &[group])?;
    ensure!(found.last() == Some(&"2") && found.contains(&"Stable"), "{state}");
    let assignor = if protocol == Protocol::Consumer { "uniform" } else { "cooperative-sticky" };
    ensure!(found.contains(&assignor), "{state}");
    let verbose = describe(&["--state", "--verbose"])?;
    ensure!(verbose.contains("GROUP-EPOCH"), "{verbose}");
    let members = describe(&["--members", "--verbose"])?;
    let rows: Vec<_> = members.lines().filter(|line| line.starts_with(group)).collect();
    ensure!(rows.len() == 2 && rows.iter().all(|row| row.contains("looked-at")), "{members}");
    ensure!(rows.iter().all(|row| row.contains("/127.0.0.1") && row.contains(&format!("{topic}:"))), "{members}");
    ensure!(rows.iter().any(|row| row.contains("named")), "{members}");
    let offsets = describe(&["--offsets"])?;
    ensure!(offsets.lines().filter(|line| line.starts_with(group)).count() == 4, "{offsets}");
    let stable = tools.run(CONSUMER_GROUPS, &["--list", "--state", "Stable"])?;
    ensure!(stable.contains(group), "{stable}");
    let all = tools.run(CONSUMER_GROUPS, &["--describe", "--all-groups", "--state"])?;
    row(&all, &[group])?;
    // What is not done to a group that is at work.
    tools.refused(CONSUMER_GROUPS, &["--delete", "--group", group], "The group is not empty")?;
    let reset = ["--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute"];
    tools.refused(CONSUMER_GROUPS, &reset, "is inactive")?;
    let delete = ["--delete-offsets", "--group", group, "--topic", topic];
    tools.refused(CONSUMER_GROUPS, &delete, "actively subscribed")
}

/// `--reset-offsets` in each of its ways, on a group that a console consumer left behind.
fn resets(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let (topic, group) = (broker.topic("reset"), broker.topic("group"));
    let reset = |how: &[&str]| {
        let arguments = ["--reset-offsets", "--group", &group, "--topic", &topic];
        tools.run(CONSUMER_GROUPS, &[&arguments[..], how].concat())
    };
    let at = |offset: i64| -> Result<()> {
        let found = offsets_of(tools, &group, &topic, "0")?;
        ensure!(found == (offset, 100, 100 - offset), "{found:?}");
        Ok(())
    };
    suite.case("reset_offsets_of_a_new_group", || {
        tools.run(TOPICS, &["--create", "--topic", &topic])?;
        produce(tools, &topic, 0..100)?;
        let text = reset(&["--to-latest", "--execute"])?;
        ensure!(row(&text, &[&group, &topic, "0"])?.last() == Some(&"100"), "{text}");
        at(100)
    });
    suite.case("reset_offsets_dry_run", || {
        let text = reset(&["--to-earliest", "--dry-run"])?;
        ensure!(row(&text, &[&group, &topic, "0"])?.last() == Some(&"0"), "{text}");
        at(100)
    });
    let ways: [(&str, &[&str], i64); 7] = [
        ("to_earliest", &["--to-earliest"], 0),
        ("to_offset", &["--to-offset", "40"], 40),
        ("to_offset_beyond_the_end", &["--to-offset", "4000"], 100),
        ("shift_by", &["--shift-by", "-30"], 70),
        ("to_datetime", &["--to-datetime", "2001-01-01T00:00:00.000"], 0),
        ("by_duration", &["--by-duration", "PT0S"], 100),
        ("to_current", &["--to-current"], 100),
    ];
    for (name, how, offset) in ways {
        suite.case(&format!("reset_offsets_{name}"), || {
            reset(&[how, &["--execute"]].concat())?;
            at(offset)
        });
    }
    suite.case("reset_offsets_export_and_from_file", || {
        let exported = reset(&["--to-offset", "25", "--export", "--dry-run"])?;
        ensure!(
            exported.contains(&format!("\"{topic}\",0,25")) || exported.contains(&format!("{topic},0,25")),
            "{exported}"
        );
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), format!("{topic},0,26\n"))?;
        let path = file.path().to_string_lossy().into_owned();
        tools.run(CONSUMER_GROUPS, &["--reset-offsets", "--group", &group, "--from-file", &path, "--execute"])?;
        at(26)
    });
}

fn deletions(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let (topic, group) = (broker.topic("deleted"), broker.topic("group"));
    let reset = |partition: &str| {
        let place = format!("{topic}:{partition}");
        let arguments = ["--reset-offsets", "--group", &group, "--topic", &place, "--to-latest", "--execute"];
        tools.run(CONSUMER_GROUPS, &arguments)
    };
    suite.case("delete_offsets", || {
        tools.run(TOPICS, &["--create", "--topic", &topic, "--partitions", "2"])?;
        reset("0,1")?;
        let place = format!("{topic}:1");
        let text = tools.run(CONSUMER_GROUPS, &["--delete-offsets", "--group", &group, "--topic", &place])?;
        ensure!(row(&text, &[&topic, "1"])?.last() == Some(&"Successful"), "{text}");
        let text = tools.run(CONSUMER_GROUPS, &["--describe", "--group", &group])?;
        row(&text, &[&group, &topic, "0"])?;
        ensure!(row(&text, &[&group, &topic, "1"]).is_err(), "{text}");
        Ok(())
    });
    suite.case("delete_groups", || {
        let other = broker.topic("group");
        let place = format!("{topic}:0");
        let reset = ["--reset-offsets", "--group", &other, "--topic", &place, "--to-latest", "--execute"];
        tools.run(CONSUMER_GROUPS, &reset)?;
        let text = tools.run(CONSUMER_GROUPS, &["--delete", "--group", &group, "--group", &other])?;
        ensure!(text.contains("was successful") && text.contains(&group) && text.contains(&other), "{text}");
        let text = tools.run(CONSUMER_GROUPS, &["--list"])?;
        ensure!(!text.contains(&group) && !text.contains(&other), "{text}");
        Ok(())
    });
    suite.case("groups_that_nobody_knows", || {
        let unknown = broker.topic("unknown");
        tools.refused(CONSUMER_GROUPS, &["--describe", "--group", &unknown], "not found")?;
        tools.refused(CONSUMER_GROUPS, &["--delete", "--group", &unknown], "not exist")
    });
}

fn others(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let topic = broker.topic("counted");
    suite.case("groups_of_every_kind", || {
        let (classic, newer) = (broker.topic("group"), broker.topic("group"));
        tools.run(TOPICS, &["--create", "--topic", &topic])?;
        produce(tools, &topic, 0..5000)?;
        for (group, protocol) in [(&classic, "group.protocol=classic"), (&newer, "group.protocol=consumer")] {
            let arguments = ["--topic", &topic, "--group", group, "--consumer-property", protocol];
            tools.run(CONSUMER, &[&arguments[..], &["--from-beginning", "--max-messages", "10"]].concat())?;
        }
        let all = tools.run(GROUPS, &["--list"])?;
        ensure!(row(&all, &[&classic])?[1..] == ["Classic", "consumer"], "{all}");
        ensure!(row(&all, &[&newer])?[1..] == ["Consumer", "consumer"], "{all}");
        let newer_only = tools.run(GROUPS, &["--list", "--group-type", "consumer"])?;
        ensure!(newer_only.contains(&newer) && !newer_only.contains(&classic), "{newer_only}");
        let consumers = tools.run(GROUPS, &["--list", "--consumer"])?;
        ensure!(consumers.contains(&newer) && consumers.contains(&classic), "{consumers}");
        let protocol = tools.run(GROUPS, &["--list", "--protocol", "connect"])?;
        ensure!(!protocol.contains(&newer) && !protocol.contains(&classic), "{protocol}");
        Ok(())
    });
    for protocol in ["classic", "consumer"] {
        suite.case(&format!("consumer_perf_{protocol}"), || {
            let group = broker.topic("group");
            let property = format!("group.protocol={protocol}");
            let arguments = ["--topic", &topic, "--group", &group, "--num-records", "5000", "--timeout", "60000"];
            let text = tools.run(PERFORMANCE, &[&arguments[..], &["--command-property", &property]].concat())?;
            let numbers = text.lines().last().unwrap_or_default();
            let read = numbers.split(", ").nth(4).with_context(|| text.clone())?;
            ensure!(read == "5000", "{text}");
            ensure!(offsets_of(tools, &group, &topic, "0")?.0 == 5000, "not committed");
            Ok(())
        });
        suite.case(&format!("verifiable_consumer_{protocol}"), || {
            let group = broker.topic("group");
            let arguments = ["--topic", &topic, "--group-id", &group, "--max-messages", "1000"];
            let text = tools.run(VERIFIABLE, &[&arguments[..], &["--group-protocol", protocol]].concat())?;
            ensure!(text.contains("\"partitions_assigned\"") && text.contains("\"shutdown_complete\""), "{text}");
            let commits = text.lines().filter(|line| line.contains("offsets_committed"));
            ensure!(
                commits.clone().count() > 0 && commits.clone().all(|line| line.contains("\"success\":true")),
                "{text}"
            );
            ensure!(offsets_of(tools, &group, &topic, "0")?.0 == 1000, "not committed");
            Ok(())
        });
    }
    suite.case("validate_regex", || {
        let text = tools.run(CONSUMER_GROUPS, &["--validate-regex", "to(pic"])?;
        ensure!(text.contains("is invalid"), "{text}");
        Ok(())
    });
}

/// The topic of the offsets itself, as its records stand there.
fn offsets_topic(suite: &mut Suite, broker: &mut Broker, tools: &Tools) {
    let (topic, group) = (broker.topic("kept"), broker.topic("group"));
    let partition = partition_of(&group);
    suite.case("offsets_topic_is_described", || {
        let text = tools.run(TOPICS, &["--describe", "--topic", "__consumer_offsets"])?;
        ensure!(text.contains(&format!("PartitionCount: {OFFSETS_PARTITIONS}")), "{text}");
        ensure!(text.contains("cleanup.policy=compact") && text.contains("segment.bytes=104857600"), "{text}");
        Ok(())
    });
    suite.case("console_consumer_reads_the_offsets", || {
        tools.run(TOPICS, &["--create", "--topic", &topic])?;
        produce(tools, &topic, 0..20)?;
        let arguments = ["--topic", &topic, "--group", &group, "--from-beginning", "--max-messages", "20"];
        tools.run(CONSUMER, &arguments)?;
        let text = formatted(tools, &partition, OFFSETS_FORMATTER)?;
        let mut records = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let last = records.try_fold(None, |last, record| {
            let record = record.with_context(|| text.clone())?;
            anyhow::Ok(if record["key"]["data"]["group"] == *group { Some(record) } else { last })
        })?;
        let last = last.with_context(|| text.clone())?;
        ensure!(last["key"]["type"] == 1 && last["key"]["data"]["topic"] == *topic, "{last}");
        ensure!(last["value"]["data"]["offset"] == 20 && last["value"]["version"] == 4, "{last}");
        Ok(())
    });
    suite.case("console_consumer_reads_the_groups", || {
        let text = formatted(tools, &partition, GROUPS_FORMATTER)?;
        ensure!(
            text.contains(&format!("\"group\":\"{group}\"")) && text.contains("\"protocolType\":\"consumer\""),
            "{text}"
        );
        Ok(())
    });
    suite.case("dump_tool_reads_the_offsets", || {
        broker.stop()?;
        let folder = broker.data().join(format!("__consumer_offsets-{partition}"));
        let mut segments: Vec<PathBuf> = Vec::new();
        for file in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            segments.push(file?.path());
        }
        segments.retain(|file| file.extension().is_some_and(|ending| ending == "log"));
        let segments: Vec<_> = segments.iter().map(|file| file.display().to_string()).collect();
        let mut dump = Jars::fetch()?.tool(DUMP);
        dump.args(["--offsets-decoder", "--print-data-log", "--files", &segments.join(",")]);
        let text = run::run(&mut dump, DUMP_DEADLINE)?.success()?.text();
        ensure!(text.contains(&format!("\"topic\":\"{topic}\"")) && text.contains("isvalid: true"), "{text}");
        ensure!(!text.contains("isvalid: false"), "{text}");
        Ok(())
    });
}

/// All of one partition of the offsets, through one of Kafka's formatters.
fn formatted(tools: &Tools, partition: &str, formatter: &str) -> Result<String> {
    let place = format!("__consumer_offsets:{partition}");
    let end = tools.run(OFFSETS, &["--topic-partitions", &place])?;
    let end = end.trim().rsplit(':').next().unwrap_or_default().to_owned();
    let place = ["--topic", "__consumer_offsets", "--partition", partition, "--offset", "earliest"];
    tools.run(CONSUMER, &[&place[..], &["--formatter", formatter, "--max-messages", &end]].concat())
}

/// The partition that keeps a group: Java's hash of the name.
fn partition_of(group: &str) -> String {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash.checked_abs().unwrap_or(0) % OFFSETS_PARTITIONS).to_string()
}
