//! Equal batches spread over many partitions: one batch a request, requests under way at once on several connections.
//!
//! Stock clients divide their buffer by the partitions, so that what they send gets smaller the more there are; here a
//! batch is as large with 50,000 partitions as with one.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail, ensure};
use ottla_records::{BatchBuilder, HEADER_LEN};
use ottla_types::Millis;
use ottla_wire::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    create_partitions_request::CreatePartitionsTopic,
    create_topics_request::{CreatableTopic, CreatableTopicConfig},
};
use serde::{Deserialize, Serialize};

use super::link::Link;

const PRODUCE: i16 = 0;
/// The last version without tagged fields that both brokers serve.
const PRODUCE_VERSION: i16 = 8;
const CREATE_TOPICS: i16 = 5;
const CREATE_PARTITIONS: i16 = 1;
/// Partitions that one request may create: Kafka's own bound.
const CREATED_AT_ONCE: i32 = 10_000;
const TIMEOUT_MS: i32 = 120_000;
const CLIENT_ID: &str = "spread";
/// A partition is named before the broker has its log: unknown, no leader, not the leader.
const NOT_YET: [i16; 3] = [3, 5, 6];
const PATIENCE: Duration = Duration::from_secs(300);
/// As the protocol writes "all in-sync replicas".
const ACKS_ALL: i16 = -1;
/// Bytes of each record's value.
const VALUE_BYTES: usize = 1_000;
/// Requests under way on a connection that writes to each partition for the first time.
const FIRST_IN_FLIGHT: usize = 8;

/// A topic.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Made {
    bootstrap: SocketAddr,
    topic: String,
    partitions: i32,
    /// KEY=VALUE
    settings: Vec<String>,
}

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Created {
    /// Until the last request was answered.
    pub(crate) create_seconds: f64,
    /// From then until each partition had taken a batch.
    pub(crate) first_write_seconds: f64,
}

/// A load.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Load {
    bootstrap: SocketAddr,
    topic: String,
    partitions: i32,
    /// Bytes of a batch, as near as whole records come
    #[arg(long)]
    batch_bytes: usize,
    #[arg(long)]
    connections: usize,
    /// 0, 1, or −1 for all
    #[arg(long, allow_negative_numbers = true)]
    acks: i16,
    /// Requests under way on each connection
    #[arg(long)]
    in_flight: usize,
    /// Measured for so long
    #[arg(long)]
    seconds: u64,
    /// After so long
    #[arg(long)]
    warm_up_seconds: u64,
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// Bytes that were acknowledged, or sent where nobody is told.
    pub(crate) bytes: u64,
    /// Those of the time before among them.
    pub(crate) bytes_in_all: u64,
    /// For how long.
    pub(crate) seconds: f64,
    /// Half of the batches were acknowledged sooner.
    pub(crate) p50_ms: f64,
    /// 99 of 100.
    pub(crate) p99_ms: f64,
}

/// Makes the topic, in steps, and writes one batch to each partition.
pub(crate) fn create(made: &Made) -> Result<Created> {
    let begin = Instant::now();
    let mut link = Link::connect(made.bootstrap)?;
    let mut count = made.partitions.min(CREATED_AT_ONCE);
    make_topic(&mut link, made, count)?;
    while count < made.partitions {
        count = (count + CREATED_AT_ONCE).min(made.partitions);
        add_partitions(&mut link, &made.topic, count)?;
    }
    let create_seconds = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let mut connection = Connection::open(made.bootstrap, &made.topic, 1, ACKS_ALL)?;
    let mut due: VecDeque<i32> = (0..made.partitions).collect();
    while begin.elapsed() < PATIENCE {
        while connection.under_way.len() < FIRST_IN_FLIGHT
            && let Some(partition) = due.pop_front()
        {
            connection.send(partition)?;
        }
        if connection.under_way.is_empty() {
            let first_write_seconds = begin.elapsed().as_secs_f64();
            return Ok(Created { create_seconds, first_write_seconds });
        }
        match connection.receive()? {
            Answer { error: 0, .. } => {}
            Answer { error, partition, .. } if NOT_YET.contains(&error) => due.push_back(partition),
            Answer { error, partition, .. } => bail!("error {error} for partition {partition}"),
        }
    }
    bail!("{} partitions took no batch", due.len())
}

/// Waits until `partition` takes a batch.
pub(crate) fn wait_for(bootstrap: SocketAddr, topic: &str, partition: i32) -> Result<Spread> {
    let begin = Instant::now();
    let mut connection = Connection::open(bootstrap, topic, 1, ACKS_ALL)?;
    while begin.elapsed() < PATIENCE {
        connection.send(partition)?;
        match connection.receive()?.error {
            0 => return Ok(Spread { seconds: begin.elapsed().as_secs_f64(), ..Spread::default() }),
            error if NOT_YET.contains(&error) => std::thread::sleep(Duration::from_millis(5)),
            error => bail!("error {error} for partition {partition}"),
        }
    }
    bail!("partition {partition} took no batch")
}

fn make_topic(link: &mut Link, made: &Made, count: i32) -> Result<()> {
    let configs = made.settings.iter().filter_map(|setting| setting.split_once('='));
    let configs =
        configs.map(|(name, value)| CreatableTopicConfig { name: name.to_owned(), value: Some(value.to_owned()) });
    let topic = CreatableTopic {
        name: made.topic.clone(),
        num_partitions: count,
        replication_factor: 1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, ..CreateTopicsRequest::default() };
    let response: CreateTopicsResponse = link.exchange(&request, CREATE_TOPICS)?;
    let failed = response.topics.iter().find(|topic| topic.error_code != 0);
    ensure!(failed.is_none(), "{failed:?}");
    Ok(())
}

fn add_partitions(link: &mut Link, topic: &str, count: i32) -> Result<()> {
    let topics = vec![CreatePartitionsTopic { name: topic.to_owned(), count, assignments: None }];
    let request = CreatePartitionsRequest { topics, timeout_ms: TIMEOUT_MS, ..CreatePartitionsRequest::default() };
    let response: CreatePartitionsResponse = link.exchange(&request, CREATE_PARTITIONS)?;
    let failed = response.results.iter().find(|topic| topic.error_code != 0);
    ensure!(failed.is_none(), "{failed:?}");
    Ok(())
}

/// Sends from all connections until the time is up.
pub(crate) fn run(load: &Load) -> Result<Spread> {
    let from = Instant::now() + Duration::from_secs(load.warm_up_seconds);
    let until = from + Duration::from_secs(load.seconds);
    let measured = std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..load.connections).map(|lane| scope.spawn(move || run_lane(load, lane, from, until))).collect();
        let joined = lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    let batch_bytes = batch(load.batch_bytes)?.len() as u64;
    let batches_in_all: u64 = measured.iter().map(|(_, in_all)| in_all).sum();
    let mut times: Vec<Duration> = measured.into_iter().flat_map(|(times, _)| times).collect();
    ensure!(!times.is_empty(), "nothing was acknowledged");
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Ok(Spread {
        bytes: times.len() as u64 * batch_bytes,
        bytes_in_all: batches_in_all * batch_bytes,
        seconds: load.seconds as f64,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

/// Each lane begins elsewhere and goes round; how long each batch took that was acknowledged (where nobody is told: to send) in the
/// time that counts, and how many batches there were in all.
fn run_lane(load: &Load, lane: usize, from: Instant, until: Instant) -> Result<(Vec<Duration>, u64)> {
    let mut connection = Connection::open(load.bootstrap, &load.topic, load.batch_bytes, load.acks)?;
    let mut next = lane as i64 * i64::from(load.partitions) / load.connections as i64;
    let mut partitions = std::iter::from_fn(|| {
        next += 1;
        Some(((next - 1) % i64::from(load.partitions)) as i32)
    });
    let (mut times, mut in_all) = (Vec::new(), 0);
    loop {
        let sent = if load.acks == 0 {
            let begin = Instant::now();
            partitions.next().into_iter().try_for_each(|partition| connection.send(partition))?;
            connection.under_way.clear();
            begin
        } else {
            let room = load.in_flight.saturating_sub(connection.under_way.len());
            partitions.by_ref().take(room).try_for_each(|partition| connection.send(partition))?;
            let answer = connection.receive()?;
            if NOT_YET.contains(&answer.error) && Instant::now() < from {
                continue; // a broker that has just started may lead some partitions later than others
            }
            ensure!(answer.error == 0, "error {} for partition {}", answer.error, answer.partition);
            answer.sent
        };
        in_all += 1;
        let now = Instant::now();
        if now >= until {
            return Ok((times, in_all));
        }
        if now >= from {
            times.push(now - sent);
        }
    }
}

/// Requests and their answers, in order.
struct Connection {
    stream: TcpStream,
    /// A request; only its partition changes.
    request: Vec<u8>,
    partition_at: usize,
    under_way: VecDeque<(i32, Instant)>,
    answer: Vec<u8>,
    error_at: usize,
}

struct Answer {
    partition: i32,
    error: i16,
    sent: Instant,
}

impl Connection {
    fn open(bootstrap: SocketAddr, topic: &str, batch_bytes: usize, acks: i16) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (request, partition_at) = request(topic, acks, &batch(batch_bytes)?);
        // Length, correlation id, number of topics, the topic's name, number of partitions, partition.
        let error_at = 4 + 4 + 4 + 2 + topic.len() + 4 + 4;
        Ok(Self { stream, request, partition_at, under_way: VecDeque::new(), answer: Vec::new(), error_at })
    }

    fn send(&mut self, partition: i32) -> Result<()> {
        self.request[self.partition_at..self.partition_at + 4].copy_from_slice(&partition.to_be_bytes());
        self.stream.write_all(&self.request)?;
        self.under_way.push_back((partition, Instant::now()));
        Ok(())
    }

    fn receive(&mut self) -> Result<Answer> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        ensure!(length + 4 >= self.error_at + 2 && length < 1 << 16, "an answer of {length} bytes");
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer)?;
        let at = self.error_at - 4;
        let error = i16::from_be_bytes([self.answer[at], self.answer[at + 1]]);
        let Some((partition, sent)) = self.under_way.pop_front() else { bail!("an answer to no request") };
        Ok(Answer { partition, error, sent })
    }
}

/// A request of one batch with its length in front, and where its partition stands.
fn request(topic: &str, acks: i16, batch: &[u8]) -> (Vec<u8>, usize) {
    let mut body = Vec::new();
    body.extend(PRODUCE.to_be_bytes());
    body.extend(PRODUCE_VERSION.to_be_bytes());
    body.extend(7_i32.to_be_bytes()); // answers come in order: any correlation id will do
    string(&mut body, CLIENT_ID);
    body.extend((-1_i16).to_be_bytes()); // no transaction
    body.extend(acks.to_be_bytes());
    body.extend(TIMEOUT_MS.to_be_bytes());
    body.extend(1_i32.to_be_bytes()); // topics
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes()); // partitions
    let partition_at = 4 + body.len();
    body.extend(0_i32.to_be_bytes());
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);
    ([&(body.len() as u32).to_be_bytes()[..], &body].concat(), partition_at)
}

fn string(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as i16).to_be_bytes());
    body.extend(text.as_bytes());
}

/// A batch as close to `bytes` bytes as records of equal size make it, at least one record.
fn batch(bytes: usize) -> Result<Vec<u8>> {
    let value = vec![b'v'; VALUE_BYTES.min(bytes)];
    // Of this moment: older ones would be retained no longer, and brokers busy with that.
    let now = Millis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64);
    let mut builder = BatchBuilder::new();
    loop {
        builder.append(now, None, Some(&value));
        if HEADER_LEN + builder.body_len() + VALUE_BYTES > bytes {
            return Ok(builder.build()?.to_vec());
        }
    }
}
