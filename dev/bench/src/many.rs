//! One broker and many partitions: what they cost, and what a flush before every answer costs. Each case has a broker of its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::brokers::{Broker, Side};
use crate::clients;
use crate::parameters::{
    FLUSH_EACH_APPEND, MANY_BATCH_BYTES, MANY_CONNECTIONS, MANY_IN_FLIGHT, OPEN_FILES_MAX, PARTITIONS_OF_KAFKA_MAX,
    Parameters,
};
use crate::worker::spread::{Created, Spread};

type Metrics = BTreeMap<&'static str, f64>;

const MB: f64 = 1e6;
/// What everything is held against.
const FEW: u32 = 10;
/// How long a broker may take to come to rest, after all that was written is on the disk, before it is called idle.
const SETTLING: Duration = Duration::from_secs(10);
/// For how long the idle broker is watched: as long as the longest time between two rounds of what comes round.
const IDLE: Duration = Duration::from_secs(60);

/// Whether a broker is asked to hold so many.
pub(crate) fn holds(side: Side, partitions: u32) -> bool {
    side == Side::Ottla || partitions <= PARTITIONS_OF_KAFKA_MAX
}

/// Creation, memory, a load spread over all of them and over ten, idling, stops and starts.
pub(crate) fn partitions(side: Side, partitions: u32, parameters: &Parameters) -> Result<Metrics> {
    limit_open_files()?;
    let folder = tempfile::Builder::new().prefix("ottla-bench-").tempdir()?;
    let mut broker = Broker::start(side, folder.path(), None, &[])?;
    rest();
    create(&broker, "few", FEW, &[])?;
    let created = create(&broker, "many", partitions, &[])?;
    let mut metrics = Metrics::from([
        ("create_s", created.create_seconds),
        ("first_write_s", created.first_write_seconds),
        ("created_rss_mb", broker.usage()?.resident_bytes as f64 / MB),
    ]);
    // One after the other, twice: neither has the warmer broker.
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        few.push(spread(&broker, "few", FEW, parameters.many_seconds)?);
        many.push(spread(&broker, "many", partitions, parameters.many_seconds)?);
    }
    let rate =
        |runs: &[Spread]| runs.iter().map(|run| run.bytes as f64 / MB / run.seconds).sum::<f64>() / runs.len() as f64;
    metrics.extend([
        ("mb_per_s", rate(&many)),
        ("mb_per_s_of_ten", rate(&few)),
        ("share_of_ten", rate(&many) / rate(&few)),
        ("p99_ms", many.iter().map(|run| run.p99_ms).fold(0.0, f64::max)),
        ("p99_ms_of_ten", few.iter().map(|run| run.p99_ms).fold(0.0, f64::max)),
        ("rss_mb", broker.usage()?.resident_bytes as f64 / MB),
    ]);
    rest();
    std::thread::sleep(SETTLING);
    let before = broker.usage()?;
    std::thread::sleep(IDLE);
    let used = broker.usage()?.cpu_seconds - before.cpu_seconds;
    metrics.insert("idle_cpu_percent", 100.0 * used / IDLE.as_secs_f64());
    metrics.insert("stop_s", broker.stop()?.as_secs_f64());
    metrics.insert("start_s", ready(&mut broker, partitions)?);
    metrics.insert("started_rss_mb", broker.usage()?.resident_bytes as f64 / MB);
    std::thread::sleep(SETTLING);
    spread(&broker, "many", partitions, parameters.many_seconds)?;
    broker.kill()?;
    metrics.insert("start_after_kill_s", ready(&mut broker, partitions)?);
    broker.stop()?;
    Ok(metrics)
}

/// A load of which each batch is flushed before it is answered.
pub(crate) fn synced(side: Side, partitions: u32, parameters: &Parameters) -> Result<Metrics> {
    limit_open_files()?;
    let folder = tempfile::Builder::new().prefix("ottla-bench-").tempdir()?;
    let mut broker = Broker::start(side, folder.path(), None, &[])?;
    create(&broker, "synced", partitions, &[FLUSH_EACH_APPEND])?;
    let before = broker.usage()?;
    let run = spread(&broker, "synced", partitions, parameters.many_seconds)?;
    let used = broker.usage()?.cpu_seconds - before.cpu_seconds;
    broker.stop()?;
    Ok(Metrics::from([
        ("mb_per_s", run.bytes as f64 / MB / run.seconds),
        ("p50_ms", run.p50_ms),
        ("p99_ms", run.p99_ms),
        ("broker_cpu_s", used),
    ]))
}

/// What it costs to be told, with `acks` and a setting of the topic (empty for none), that a batch is written.
pub(crate) fn answered(side: Side, acks: i16, setting: &str, parameters: &Parameters) -> Result<Metrics> {
    let folder = tempfile::Builder::new().prefix("ottla-bench-").tempdir()?;
    let mut broker = Broker::start(side, folder.path(), None, &[])?;
    let settings = [setting];
    create(&broker, "answered", FEW, if setting.is_empty() { &[] } else { &settings })?;
    let acks_given = format!("--acks={acks}");
    let before = broker.usage()?;
    let full = spread_with(
        &broker,
        "answered",
        FEW,
        (MANY_CONNECTIONS, MANY_IN_FLIGHT),
        parameters.many_seconds,
        &acks_given,
    )?;
    let used = broker.usage()?.cpu_seconds - before.cpu_seconds;
    let mut metrics = Metrics::from([
        ("mb_per_s", full.bytes as f64 / MB / full.seconds),
        ("broker_cpu_s_per_gb", used / (full.bytes_in_all as f64 / 1e9)),
    ]);
    if acks != 0 {
        let lone = spread_with(&broker, "answered", FEW, (1, 1), parameters.many_seconds, &acks_given)?;
        metrics.extend([("lone_p50_ms", lone.p50_ms), ("lone_p99_ms", lone.p99_ms)]);
    }
    broker.stop()?;
    Ok(metrics)
}

/// Time until a broker that was stopped or killed has taken a batch in its last partition.
fn ready(broker: &mut Broker, partitions: u32) -> Result<f64> {
    let begin = Instant::now();
    broker.start_again()?;
    let last = (partitions - 1).to_string();
    let _: Spread = clients::driver("last-partition", &[&broker.bootstrap(), "many", &last])?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Makes a topic and writes one batch to each of its partitions.
pub(crate) fn create(broker: &Broker, topic: &str, partitions: u32, settings: &[&str]) -> Result<Created> {
    let (bootstrap, partitions) = (broker.bootstrap(), partitions.to_string());
    clients::driver("create-many", &[&[bootstrap.as_str(), topic, &partitions], settings].concat())
}

/// Waits until what was written before is on the disk: else the next measurement would be one of the disk.
fn rest() {
    rustix::fs::sync();
}

fn spread(broker: &Broker, topic: &str, partitions: u32, seconds: u64) -> Result<Spread> {
    spread_with(broker, topic, partitions, (MANY_CONNECTIONS, MANY_IN_FLIGHT), seconds, "--acks=-1")
}

/// `lanes` says how many connections there are, and how many requests are under way on each.
fn spread_with(
    broker: &Broker,
    topic: &str,
    partitions: u32,
    lanes: (usize, usize),
    seconds: u64,
    acks: &str,
) -> Result<Spread> {
    rest();
    let (bootstrap, partitions, seconds) = (broker.bootstrap(), partitions.to_string(), seconds.to_string());
    let (batch, connections, in_flight) = (MANY_BATCH_BYTES.to_string(), lanes.0.to_string(), lanes.1.to_string());
    let options = ["--batch-bytes", &batch, "--connections", &connections, "--in-flight", &in_flight, acks];
    let times = ["--seconds", &seconds, "--warm-up-seconds", "2"];
    clients::driver("spread", &[&[bootstrap.as_str(), topic, &partitions], &options[..], &times[..]].concat())
}

/// For the brokers that are started from here on.
fn limit_open_files() -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    let fewer = |limit: Option<u64>| Some(limit.map_or(OPEN_FILES_MAX, |limit| limit.min(OPEN_FILES_MAX)));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: fewer(now.current), maximum: fewer(now.maximum) })?)
}
