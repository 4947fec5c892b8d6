//! The rounds: each broker once per round, the first one of a round being the second of the next.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use ottla_peer::java::Jars;
use serde::Serialize;

use crate::brokers::{Broker, Side};
use crate::cases::{Blocks, Case, Client, Drain, Sending, Setting, Work, Written};
use crate::clients::{self, JavaLoad, Latencies, Measured};
use crate::compaction::{self, Closed};
use crate::many;
use crate::parameters::{
    APPENDED_BATCH_BYTES, COMPACTING_PROPERTIES, CONFINED, FILLED_WITH_BYTES, LINGER_MS, MANY_BATCH_BYTES,
    MANY_CONNECTIONS, MANY_IN_FLIGHT, PARTITIONS, PARTITIONS_PER_MEMBER, Parameters, RECORDS_PER_KEY,
};
use crate::worker::groups::Commits;
use crate::worker::rolling::Rolled;

const GB: f64 = 1e9;
const MB: f64 = 1e6;
/// How long the files of a deleted topic may stay, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(60);
/// See [`PATIENCE`].
const LOOK: Duration = Duration::from_millis(50);

/// What one case gave in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measurement {
    /// Counted from 0.
    pub(crate) round: usize,
    /// Whose broker.
    pub(crate) side: Side,
    /// Name of the case.
    pub(crate) case: &'static str,
    /// By name; the unit is part of the name.
    pub(crate) metrics: BTreeMap<&'static str, f64>,
}

/// Runs all rounds.
pub(crate) fn run(cases: &[Case], sides: &[Side], parameters: &Parameters) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for round in 0..parameters.runs {
        println!("round {} of {}", round + 1, parameters.runs);
        let mut add = |side, case: &Case, metrics: BTreeMap<_, _>| {
            println!("  {side:?} {}: {}", case.name, line(&metrics));
            measurements.push(Measurement { round, side, case: case.name, metrics });
        };
        for case in cases.iter().filter(|case| case.is_bare()) {
            add(Side::Bare, case, bare(case, parameters)?);
        }
        let mut order = sides.to_vec();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            for setting in [Setting::Plain, Setting::Compacting, Setting::Confined] {
                let runs = |it: &&Case| !it.is_bare() && it.setting() == setting && it.suits(side);
                let of_session: Vec<_> = cases.iter().filter(runs).collect();
                session(side, &of_session, parameters, setting, &mut |case, metrics| add(side, case, metrics))?;
            }
            for case in cases.iter().filter(|case| case.suits(side)) {
                let metrics = match case.work {
                    Work::Many(partitions) if many::holds(side, partitions) => {
                        many::partitions(side, partitions, parameters)
                    }
                    Work::Synced(partitions) => many::synced(side, partitions, parameters),
                    Work::Answered(acks, setting) => many::answered(side, acks, setting, parameters),
                    _ => continue,
                };
                add(side, case, metrics.with_context(|| format!("{side:?} {}", case.name))?);
            }
        }
    }
    Ok(measurements)
}

fn line(metrics: &BTreeMap<&str, f64>) -> String {
    metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).collect::<Vec<_>>().join(", ")
}

/// One start of a broker and every case on it.
fn session(
    side: Side,
    cases: &[&Case],
    parameters: &Parameters,
    setting: Setting,
    add: &mut impl FnMut(&Case, BTreeMap<&'static str, f64>),
) -> Result<()> {
    if cases.is_empty() {
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("ottla-bench-").tempdir()?;
    let confined = setting == Setting::Confined;
    let (broker_cpus, client_cpus) = if confined { (Some(CONFINED.0), Some(CONFINED.1)) } else { (None, None) };
    let more: &[_] = if setting == Setting::Compacting { &COMPACTING_PROPERTIES } else { &[] };
    let mut broker = Broker::start(side, folder.path(), broker_cpus, more)?;
    for case in cases.iter().filter(|case| case.work == Work::StartStop) {
        add(case, start_stop(&mut broker, parameters)?);
    }
    let mut session = Session {
        broker,
        parameters,
        client_cpus,
        jars: Jars::fetch()?,
        filled: BTreeMap::new(),
        topics: 0,
        groups: 0,
    };
    for case in cases.iter().filter(|case| case.needs_broker()) {
        let metrics = session.run(case).with_context(|| format!("{side:?} {}", case.name))?;
        add(case, metrics);
    }
    session.broker.stop().map(drop)
}

/// Start on a folder that was used before, idle memory, stop.
fn start_stop(broker: &mut Broker, parameters: &Parameters) -> Result<BTreeMap<&'static str, f64>> {
    broker.stop()?;
    let start = broker.start_again()?;
    std::thread::sleep(Duration::from_secs(parameters.idle_seconds));
    let idle = broker.usage()?;
    let stop = broker.stop()?;
    broker.start_again()?;
    Ok(BTreeMap::from([
        ("start_ms", start.as_secs_f64() * 1e3),
        ("idle_rss_mb", idle.resident_bytes as f64 / MB),
        ("stop_ms", stop.as_secs_f64() * 1e3),
    ]))
}

struct Session<'a> {
    broker: Broker,
    parameters: &'a Parameters,
    client_cpus: Option<&'static str>,
    jars: Jars,
    /// The topic with records of a size, for the consumers.
    filled: BTreeMap<u32, String>,
    topics: usize,
    groups: usize,
}

impl Session<'_> {
    fn run(&mut self, case: &Case) -> Result<BTreeMap<&'static str, f64>> {
        match case.work {
            Work::Produce(client, size, acks) => self.produce(client, size, acks, case.header_only),
            Work::Consume(client, size) => self.consume(client, size),
            Work::Latency(size) => self.latency(size),
            Work::ConsumerPerf(size) => self.consumer_perf(size),
            Work::Groups(groups, members) => self.groups(groups, members),
            Work::Rolling(members, consumer) => self.rolling(members, consumer),
            Work::Transactions(interval_ms) => self.transactions(interval_ms),
            Work::Compact(size) => self.compact(size),
            Work::StartStop | Work::Many(_) | Work::Synced(_) | Work::Answered(..) => Ok(BTreeMap::new()),
            Work::BareReceive(..)
            | Work::BareAppend(..)
            | Work::BareSendfile(..)
            | Work::BareSynced
            | Work::BareGroup(..)
            | Work::BareRange(..) => Ok(BTreeMap::new()),
        }
    }

    fn topic(&mut self, settings: &[&str]) -> Result<String> {
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        clients::worker(&[&["create", &self.broker.bootstrap(), &topic], settings].concat(), None)?;
        Ok(topic)
    }

    /// Deletes a topic and waits until its files are gone: to free what the system holds of them is work of the broker's process,
    /// which the next case must not be charged with.
    fn delete(&self, topic: &str) -> Result<()> {
        clients::worker(&["delete", &self.broker.bootstrap(), topic], None)?;
        let (begin, prefix, data) = (Instant::now(), format!("{topic}-"), self.broker.data());
        let is_there = || -> Result<bool> {
            let mut entries = std::fs::read_dir(&data)?;
            Ok(entries.any(|entry| entry.is_ok_and(|it| it.file_name().to_string_lossy().starts_with(&prefix))))
        };
        while is_there()? {
            ensure!(begin.elapsed() < PATIENCE, "files of {topic} are still there");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn records(&self, size: u32) -> u64 {
        self.parameters.payload_bytes / u64::from(size)
    }

    /// Runs `work`; what it measured together with what the broker used meanwhile.
    fn observe(&self, size: u32, work: impl FnOnce() -> Result<Measured>) -> Result<BTreeMap<&'static str, f64>> {
        let before = self.broker.usage()?;
        let measured = work()?;
        let after = self.broker.usage()?;
        let bytes = |records: u64| records as f64 * f64::from(size);
        let mut metrics = BTreeMap::from([
            ("mb_per_s", bytes(measured.records) / MB / measured.seconds),
            ("records_per_s", measured.records as f64 / measured.seconds),
            ("broker_cpu_s_per_gb", (after.cpu_seconds - before.cpu_seconds) / (bytes(measured.records_in_all) / GB)),
            ("rss_mb", after.resident_bytes as f64 / MB),
        ]);
        if measured.cpu_seconds > 0.0 {
            metrics.insert("client_cpu_s_per_gb", measured.cpu_seconds / (bytes(measured.records) / GB));
        }
        Ok(metrics)
    }

    fn produce_librdkafka(&self, topic: &str, size: u32, acks: &str) -> Result<Measured> {
        let (bootstrap, size, count) = (self.broker.bootstrap(), size.to_string(), self.records(size).to_string());
        let batching = clients::batching();
        let mut arguments = vec!["produce", &bootstrap, topic, &size, &count, acks];
        arguments.extend(batching.iter().map(String::as_str));
        clients::worker(&arguments, self.client_cpus)
    }

    fn produce(
        &mut self,
        client: Client,
        size: u32,
        acks: &'static str,
        header_only: bool,
    ) -> Result<BTreeMap<&'static str, f64>> {
        let settings: &[&str] = if header_only { &["ottla.produce.validation=header"] } else { &[] };
        let topic = self.topic(settings)?;
        let records = self.records(size);
        let metrics = self.observe(size, || {
            if client == Client::Librdkafka {
                return self.produce_librdkafka(&topic, size, acks);
            }
            let warm_up = (records as f64 * self.parameters.warm_up_part) as u64;
            let bootstrap = self.broker.bootstrap();
            let load = JavaLoad {
                bootstrap: &bootstrap,
                topic: &topic,
                size,
                records,
                warm_up,
                rate: None,
                acks,
                linger_ms: LINGER_MS,
                cpus: self.client_cpus,
            };
            Ok(clients::java_produce(&self.jars, &load)?.0)
        })?;
        // The first topic with exactly so many records stays for the consumers.
        if client == Client::Librdkafka && !self.filled.contains_key(&size) {
            self.filled.insert(size, topic);
        } else {
            self.delete(&topic)?;
        }
        Ok(metrics)
    }

    /// The topic with records of `size`, filled now if need be.
    fn filled(&mut self, size: u32) -> Result<String> {
        if !self.filled.contains_key(&size) {
            let topic = self.topic(&[])?;
            self.produce_librdkafka(&topic, size, "all")?;
            self.filled.insert(size, topic);
        }
        Ok(self.filled[&size].clone())
    }

    fn consumer_perf(&mut self, size: u32) -> Result<BTreeMap<&'static str, f64>> {
        let topic = self.filled(size)?;
        let (bootstrap, records) = (self.broker.bootstrap(), self.records(size));
        self.groups += 1;
        let group = format!("perf-{}", self.groups);
        self.observe(size, || {
            clients::java_consumer_perf(&self.jars, &bootstrap, &topic, records, &group, self.client_cpus)
        })
    }

    fn consume(&mut self, client: Client, size: u32) -> Result<BTreeMap<&'static str, f64>> {
        let topic = &self.filled(size)?;
        let (bootstrap, records) = (self.broker.bootstrap(), self.records(size));
        let (count, passes) =
            (records.to_string(), (self.parameters.bare_bytes / self.parameters.payload_bytes).max(1).to_string());
        self.observe(size, || match client {
            Client::Librdkafka => clients::worker(&["consume", &bootstrap, topic, &count], self.client_cpus),
            Client::Bare => clients::worker(&["fetch", &bootstrap, topic, &count, &passes], self.client_cpus),
            Client::Java => clients::java_consume(&self.jars, &bootstrap, topic, records, self.client_cpus),
        })
    }

    /// A partition for each member of a group, so that every commit writes one offset. The broker's CPU counts the joins too;
    /// both brokers get the same work.
    fn groups(&mut self, groups: u32, members: u32) -> Result<BTreeMap<&'static str, f64>> {
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let bootstrap = self.broker.bootstrap();
        many::create(&self.broker, &topic, members, &[])?;
        let before = self.broker.usage()?;
        let (groups, members) = (groups.to_string(), members.to_string());
        let (partitions, seconds) = (&members, self.parameters.group_seconds.to_string());
        let commits: Commits =
            clients::driver("groups", &[&bootstrap, &topic, partitions, &groups, &members, &seconds])?;
        let after = self.broker.usage()?;
        self.delete(&topic)?;
        Ok(BTreeMap::from([
            ("commits", commits.commits as f64),
            ("commit_p50_us", commits.p50_us),
            ("commit_p99_us", commits.p99_us),
            ("join_seconds", commits.join_seconds),
            ("broker_cpu_s", after.cpu_seconds - before.cpu_seconds),
            ("rss_mb", after.resident_bytes as f64 / MB),
        ]))
    }

    /// The topic is filled while it is not compacted, so that both brokers have the same before they begin.
    fn compact(&mut self, size: u32) -> Result<BTreeMap<&'static str, f64>> {
        let topic = self.topic(&[&["cleanup.policy=delete"], &compaction::TOPIC[..]].concat())?;
        let (bootstrap, records) = (self.broker.bootstrap(), self.records(size));
        let (size, count, keys) = (size.to_string(), records.to_string(), (records / RECORDS_PER_KEY).to_string());
        let batching = clients::batching();
        let mut fill = vec!["produce", &bootstrap, &topic, &size, &count, "all", "--keys", &keys];
        fill.extend(batching.iter().map(String::as_str));
        clients::worker(&fill, self.client_cpus)?;
        let before = Closed::look(&self.broker.data(), &topic)?;
        let usage = self.broker.usage()?;
        let begin = Instant::now();
        let policy = [&["alter", &bootstrap, &topic, "cleanup.policy=compact"], &compaction::TOPIC[..]].concat();
        clients::worker(&policy, None)?;
        before.wait_until_clean(&self.broker.data(), &topic)?;
        let seconds = begin.elapsed().as_secs_f64();
        let used = self.broker.usage()?;
        let after = Closed::look(&self.broker.data(), &topic)?;
        self.delete(&topic)?;
        let bytes = before.bytes as f64;
        Ok(BTreeMap::from([
            ("mb_per_s", bytes / MB / seconds),
            ("broker_cpu_s_per_gb", (used.cpu_seconds - usage.cpu_seconds) / (bytes / GB)),
            ("percent_left", 100.0 * after.bytes as f64 / bytes),
            ("rss_mb", used.resident_bytes as f64 / MB),
        ]))
    }

    fn rolling(&mut self, members: u32, consumer: bool) -> Result<BTreeMap<&'static str, f64>> {
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let before = self.broker.usage()?;
        let (partitions, members) = ((members * PARTITIONS_PER_MEMBER).to_string(), members.to_string());
        let bootstrap = self.broker.bootstrap();
        let protocol: &[&str] = if consumer { &["--consumer"] } else { &[] };
        let arguments = [&[bootstrap.as_str(), &topic, &partitions, &members], protocol].concat();
        let rolled: Rolled = clients::driver("rolling", &arguments)?;
        let after = self.broker.usage()?;
        self.delete(&topic)?;
        Ok(BTreeMap::from([
            ("roll_seconds", rolled.seconds),
            ("idle_seconds", rolled.idle_seconds),
            ("longest_idle_ms", rolled.longest_idle_ms),
            ("standstill_seconds", rolled.standstill_seconds),
            ("broker_cpu_s", after.cpu_seconds - before.cpu_seconds),
        ]))
    }

    /// The broker's CPU counts the records at a fixed rate too.
    fn transactions(&mut self, interval_ms: u32) -> Result<BTreeMap<&'static str, f64>> {
        let size = 1024;
        let full = self.filled(size)?;
        let (input, output) = (self.topic(&[])?, self.topic(&[])?);
        let parameters = self.parameters;
        // At long intervals more, so that there are several of them.
        let records = parameters.transaction_records * u64::from(interval_ms.div_ceil(100));
        let records = records.min(self.records(size));
        let (rate, seconds) = (parameters.transaction_records_per_second, parameters.transaction_seconds);
        let numbers = [PARTITIONS as u64, u64::from(interval_ms), records, rate, seconds, u64::from(size)];
        let mut arguments = vec![self.broker.bootstrap(), full, input.clone(), output.clone()];
        arguments.extend(numbers.iter().map(u64::to_string));
        let mut latencies = (0.0, 0.0);
        let mut metrics = self.observe(size, || {
            let copied = clients::java_copy(&self.jars, &arguments, self.client_cpus)?;
            latencies = (copied.p50_ms, copied.p99_ms);
            // What was copied at the fixed rate was served too.
            let records_in_all = copied.measured.records_in_all + 2 * rate * seconds;
            Ok(Measured { records_in_all, ..copied.measured })
        })?;
        metrics.extend([("p50_ms", latencies.0), ("p99_ms", latencies.1)]);
        for topic in [input, output] {
            self.delete(&topic)?;
        }
        Ok(metrics)
    }

    fn latency(&mut self, size: u32) -> Result<BTreeMap<&'static str, f64>> {
        let topic = self.topic(&[])?;
        let records = self.parameters.latency_records_per_second * self.parameters.latency_seconds;
        let mut latencies = Latencies::default();
        let bootstrap = self.broker.bootstrap();
        let load = JavaLoad {
            bootstrap: &bootstrap,
            topic: &topic,
            size,
            records,
            warm_up: records,
            rate: Some(self.parameters.latency_records_per_second),
            acks: "all",
            linger_ms: 0,
            cpus: self.client_cpus,
        };
        let mut metrics = self.observe(size, || {
            let (measured, found) = clients::java_produce(&self.jars, &load)?;
            latencies = found;
            Ok(measured)
        })?;
        metrics.extend([("p50_ms", latencies.p50), ("p99_ms", latencies.p99), ("p999_ms", latencies.p999)]);
        self.delete(&topic)?;
        Ok(metrics)
    }
}

/// A bare loop between two processes.
fn bare(case: &Case, parameters: &Parameters) -> Result<BTreeMap<&'static str, f64>> {
    let folder = tempfile::Builder::new().prefix("ottla-bench-").tempdir()?;
    let file = folder.path().join("data");
    let bytes = parameters.bare_bytes.to_string();
    let measured = if let Work::BareReceive(written) = case.work {
        let (size, folder) = (parameters.payload_bytes.to_string(), folder.path().to_string_lossy());
        let in_batches: &[&str] = if written == Written::InBatches { &["--in-batches"] } else { &[] };
        between(&[&["bare-receive", &size, &folder], in_batches].concat(), &|address| {
            vec!["bare-send".into(), address, size.clone()]
        })?
    } else if let Work::BareAppend(blocks) = case.work {
        let (size, folder) = (parameters.payload_bytes.to_string(), folder.path().to_string_lossy());
        let set_aside: &[&str] = if blocks == Blocks::SetAside { &["--set-aside"] } else { &[] };
        clients::worker(&[&["bare-append", &size, &folder], set_aside].concat(), None)?
    } else if case.work == Work::BareSynced {
        let (size, batch) = (parameters.bare_synced_bytes.to_string(), MANY_BATCH_BYTES.to_string());
        clients::worker(&["bare-synced", &size, &file.to_string_lossy(), &batch], None)?
    } else if let Work::BareGroup(files, commit) = case.work {
        let (size, batch) = (parameters.bare_group_bytes.to_string(), MANY_BATCH_BYTES.to_string());
        let (files, group) = (files.to_string(), (MANY_CONNECTIONS * MANY_IN_FLIGHT).to_string());
        let commit = commit.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let folder = folder.path().to_string_lossy();
        clients::worker(&["bare-group", &size, &folder, &batch, &files, &group, &commit], None)?
    } else {
        let (drain, written) = match case.work {
            Work::BareSendfile(drain, written) => (drain, written),
            _ => (Drain::Blocking, Written::Whole),
        };
        let piece = if written == Written::InBatches { APPENDED_BATCH_BYTES } else { FILLED_WITH_BYTES };
        fill(&file, parameters.payload_bytes, piece)?;
        let file = file.to_string_lossy();
        let polled: &[&str] = if drain == Drain::Polling { &["--polled"] } else { &[] };
        let drain =
            |address: String| [&["bare-drain", &address], polled].concat().into_iter().map(str::to_owned).collect();
        match case.work {
            Work::BareRange(range, sending) => {
                let (range, copied) = (range.to_string(), sending == Sending::Copied);
                let copied: &[&str] = if copied { &["--copied"] } else { &[] };
                between(&[&["bare-range", &bytes, &file, &range], copied].concat(), &drain)?
            }
            _ => between(&["bare-sendfile", &bytes, &file], &drain)?,
        }
    };
    Ok(BTreeMap::from([
        ("mb_per_s", measured.records as f64 / MB / measured.seconds),
        ("broker_cpu_s_per_gb", measured.cpu_seconds / (measured.records as f64 / GB)),
    ]))
}

/// A file of at least `bytes` bytes, written `piece` bytes at a time.
fn fill(file: &Path, bytes: u64, piece: usize) -> Result<()> {
    use std::io::Write;
    let mut out = std::fs::File::create(file)?;
    let chunk = vec![7; piece];
    for _ in 0..bytes.div_ceil(piece as u64) {
        out.write_all(&chunk)?;
    }
    Ok(())
}

/// Starts the end that listens and then the other one; what the first one measured.
fn between(listening: &[&str], connecting: &dyn Fn(String) -> Vec<String>) -> Result<Measured> {
    let mut first = Ended(clients::start_worker(listening)?);
    let mut lines = BufReader::new(first.0.stdout.take().context("no output")?).lines();
    let address = lines.next().context("no address")??;
    let arguments = connecting(address);
    clients::worker(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), None)?;
    let report = lines.next().context("no report")??;
    ensure!(first.0.wait()?.success(), "the listening end failed");
    clients::parse(&report)
}

/// A child that does not outlive an error.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
