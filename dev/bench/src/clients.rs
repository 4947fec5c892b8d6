//! Clients in processes of their own, and what they report.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_peer::java::Jars;
use ottla_peer::kafka::on_cpus;
use ottla_peer::run;
use serde::{Deserialize, Serialize};

use crate::parameters::{BATCH_BYTES, CLIENT_JVM, FETCH_BYTES, LINGER_MS, PARTITIONS};

const DEADLINE: Duration = Duration::from_secs(600);

/// What a client measured itself.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Records that were measured.
    pub(crate) records: u64,
    /// How long they took.
    pub(crate) seconds: f64,
    /// CPU time of the client process, in seconds; zero when it does not say.
    #[serde(default)]
    pub(crate) cpu_seconds: f64,
    /// Records that the broker served for it, those to warm up among them.
    pub(crate) records_in_all: u64,
}

/// Times until the acknowledgement, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latencies {
    /// Half are faster.
    pub(crate) p50: f64,
    /// 99 of 100 are faster.
    pub(crate) p99: f64,
    /// 999 of 1,000 are faster.
    pub(crate) p999: f64,
}

/// What copying in transactions gave.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Copied {
    /// As fast as it went.
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// Half of the records could be read in the output sooner, at a fixed rate.
    pub(crate) p50_ms: f64,
    /// 99 of 100.
    pub(crate) p99_ms: f64,
}

/// Runs this program as a worker to its end.
pub(crate) fn worker(arguments: &[&str], cpus: Option<&str>) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worker").args(arguments);
    let output = run::run(&mut on_cpus(command, cpus), DEADLINE)?.success()?;
    parse(&output.text())
}

/// Kafka's ConsumerPerformance in a group of its own; the rate is that of its fetching, without the rebalance.
pub(crate) fn java_consumer_perf(
    jars: &Jars,
    bootstrap: &str,
    topic: &str,
    records: u64,
    group: &str,
    cpus: Option<&str>,
) -> Result<Measured> {
    let mut command = jars.jvm().options(&CLIENT_JVM).class("org.apache.kafka.tools.ConsumerPerformance");
    command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--group", group, "--timeout", "60000"]);
    command.args(["--num-records", &records.to_string(), "--fetch-size", &FETCH_BYTES.to_string()]);
    let output = run::run(&mut on_cpus(command, cpus), DEADLINE)?.success()?;
    let (read, rate) = consumer_perf(&output.text())?;
    Ok(Measured { records: read, seconds: read as f64 / rate, cpu_seconds: 0.0, records_in_all: read })
}

/// Records and records per second of fetching: the fifth and the tenth column of the line after the head.
fn consumer_perf(text: &str) -> Result<(u64, f64)> {
    let line = text.lines().find(|line| line.starts_with("20")).with_context(|| format!("no figures in {text:?}"))?;
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let column = |at: usize| columns.get(at).with_context(|| format!("no column {at} in {line:?}"));
    Ok((column(4)?.parse()?, column(9)?.parse()?))
}

/// Runs a protocol driver of this program to its end, and reads what it measured.
pub(crate) fn driver<T: serde::de::DeserializeOwned>(job: &str, arguments: &[&str]) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    // What went wrong is its last words, not a backtrace.
    command.args(["worker", job]).args(arguments).env("RUST_BACKTRACE", "0");
    let output = run::run(&mut command, DEADLINE)?.success()?;
    let line = output.text();
    serde_json::from_str(line.trim()).with_context(|| format!("no report in {line:?}"))
}

/// Starts this program as a worker that goes on until its peer ends; its standard output is read by the caller.
pub(crate) fn start_worker(arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.arg("worker").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

/// The last line of a report.
pub(crate) fn parse(text: &str) -> Result<Measured> {
    serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("no report in {text:?}"))
}

/// One load of Kafka's own producer program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JavaLoad<'a> {
    /// Where and what to.
    pub(crate) bootstrap: &'a str,
    /// The topic.
    pub(crate) topic: &'a str,
    /// Bytes of a record's value.
    pub(crate) size: u32,
    /// Records measured.
    pub(crate) records: u64,
    /// Records before those.
    pub(crate) warm_up: u64,
    /// Records per second; as many as go when absent.
    pub(crate) rate: Option<u64>,
    /// `1` or `all`.
    pub(crate) acks: &'a str,
    /// Milliseconds.
    pub(crate) linger_ms: u32,
    /// Processors of the client.
    pub(crate) cpus: Option<&'a str>,
}

/// Apache Kafka's ProducerPerformance: what it did after its warm-up.
pub(crate) fn java_produce(jars: &Jars, load: &JavaLoad<'_>) -> Result<(Measured, Latencies)> {
    let all = load.records + load.warm_up;
    let rate = load.rate.map_or_else(|| "-1".to_owned(), |rate| rate.to_string());
    let mut command = jars.jvm().options(&CLIENT_JVM).class("org.apache.kafka.tools.ProducerPerformance");
    command.args(["--topic", load.topic, "--num-records", &all.to_string(), "--throughput", &rate]);
    command.args(["--record-size", &load.size.to_string(), "--warmup-records", &load.warm_up.to_string()]);
    command.args(["--command-property", &format!("bootstrap.servers={}", load.bootstrap)]);
    command.args([&format!("acks={}", load.acks), &format!("linger.ms={}", load.linger_ms)]);
    command.args([&format!("batch.size={BATCH_BYTES}"), "compression.type=none"]);
    let output = run::run(&mut on_cpus(command, load.cpus), DEADLINE)?.success()?;
    let (rate, latencies) = steady_state(&output.text())?;
    let seconds = load.records as f64 / rate;
    Ok((Measured { records: load.records, seconds, cpu_seconds: 0.0, records_in_all: all }, latencies))
}

/// Records per second and latencies in the line `N steady state records sent, R records/sec (…), …, X ms 50th, …`.
fn steady_state(text: &str) -> Result<(f64, Latencies)> {
    let line = text.lines().find(|line| line.contains("steady state records sent"));
    let line = line.with_context(|| format!("no steady state in {text:?}"))?;
    let before = |words: &str| -> Result<f64> {
        let part = line.split(',').find_map(|part| part.split_once(words));
        let number = part.and_then(|(number, _)| number.split_whitespace().last());
        number.and_then(|number| number.parse().ok()).with_context(|| format!("no number before {words:?} in {line:?}"))
    };
    let latencies = Latencies { p50: before(" ms 50th")?, p99: before(" ms 99th")?, p999: before(" ms 99.9th")? };
    Ok((before(" records/sec")?, latencies))
}

/// Our Java consumer with assigned partitions: reads everything twice, the second time measured.
pub(crate) fn java_consume(
    jars: &Jars,
    bootstrap: &str,
    topic: &str,
    records: u64,
    cpus: Option<&str>,
) -> Result<Measured> {
    let numbers = [PARTITIONS.to_string(), records.to_string(), FETCH_BYTES.to_string()];
    let arguments = [&[bootstrap.to_owned(), topic.to_owned()], &numbers[..]].concat();
    let measured = parse(&own_java(jars, "ConsumeAssigned", &arguments, cpus)?)?;
    ensure!(measured.records == records, "{} of {records} records", measured.records);
    Ok(measured)
}

/// Our Java program that copies in transactions.
pub(crate) fn java_copy(jars: &Jars, arguments: &[String], cpus: Option<&str>) -> Result<Copied> {
    let text = own_java(jars, "CopyTransactions", arguments, cpus)?;
    serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("no report in {text:?}"))
}

/// What a Java program of ours printed.
fn own_java(jars: &Jars, class: &str, arguments: &[String], cpus: Option<&str>) -> Result<String> {
    let classes = tempfile::tempdir()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("java/{class}.java"));
    jars.compile(&[source], classes.path())?;
    let jvm = jars.jvm().options(&CLIENT_JVM).classes(classes.path());
    let mut command = jvm.class(&format!("ottla.bench.{class}"));
    command.args(arguments);
    Ok(run::run(&mut on_cpus(command, cpus), DEADLINE)?.success()?.text())
}

/// Arguments that librdkafka's workers share.
pub(crate) fn batching() -> [String; 4] {
    ["--batch-bytes".into(), BATCH_BYTES.to_string(), "--linger-ms".into(), LINGER_MS.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumer_perf_is_read() {
        let text = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
                    fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n2026-11-21 04:00:00:000, 2026-11-21 04:00:03:000, \
                    953.67, 317.9, 976562, 325520.7, 2000, 1000, 953.67, 976562.0\n";
        assert_eq!(consumer_perf(text).unwrap(), (976_562, 976_562.0));
        assert!(consumer_perf("nothing").is_err());
    }

    #[test]
    fn the_steady_state_is_read() {
        let text = "300 records sent, 9.5 records/sec (1 MB/sec), 5 ms avg latency, 7.00 ms max latency, 1 ms 50th, \
                    2 ms 95th, 3 ms 99th, 4 ms 99.9th.\n200 steady state records sent, 22376.5 records/sec (21.85 \
                    MB/sec), 822.09 ms avg latency, 3445.00 ms max latency, 641 ms 50th, 2867 ms 95th, 3296 ms 99th, \
                    3416 ms 99.9th.\n";
        let (rate, latencies) = steady_state(text).unwrap();
        assert_eq!((rate, latencies.p50, latencies.p99, latencies.p999), (22376.5, 641.0, 3296.0, 3416.0));
        assert!(steady_state("").is_err());
    }
}
