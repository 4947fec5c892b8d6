//! What clients get of a log that is damaged.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

use ottla_records::Batches;
use ottla_testkit::BrokerProcess;
use ottla_wire::messages::{
    DeleteRecordsRequest, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
    delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    fetch_response::PartitionData,
};
use tempfile::TempDir;

use crate::asking::{Asking, FETCH, PATIENCE, PRODUCE, Topic, fetch, produce, record, start};

/// CORRUPT_MESSAGE
const CORRUPT: i16 = 2;
/// Batches of which a segment of the smallest legal size holds three.
const BATCH_BYTES: usize = 300_000;
const BATCHES: i64 = 8;
/// In the first segment, with sound ones on both sides.
const VICTIM: i64 = 1;

/// Produces `count` batches.
fn fill(client: &mut Asking, topic: &Topic, count: i64) {
    for _ in 0..count {
        let answer = client.ask(PRODUCE, &produce(topic, 0, 1, record(&vec![b'x'; BATCH_BYTES])));
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

/// What a fetch from `offset` on gives.
fn answer(client: &mut Asking, topic: &Topic, offset: i64) -> PartitionData {
    let mut request = fetch(topic);
    request.topics[0].partitions[0].fetch_offset = offset;
    client.ask(FETCH, &request).responses.remove(0).partitions.remove(0)
}

/// Error code and base offsets of the batches that a fetch from `offset` on gives.
fn read(client: &mut Asking, topic: &Topic, offset: i64) -> (i16, Vec<i64>) {
    let partition = answer(client, topic, offset);
    let bytes = partition.records.map(|records| records.read().unwrap()).unwrap_or_default();
    let batches = Batches::new(&bytes).map_while(Result::ok);
    let offsets = batches.map(|batch| {
        batch.verify_crc().unwrap();
        batch.header().base_offset.0
    });
    (partition.error_code, offsets.collect())
}

fn offset_at(client: &mut Asking, topic: &Topic, timestamp: i64) -> (i16, i64) {
    let partition = ListOffsetsPartition { partition_index: 0, timestamp, ..ListOffsetsPartition::default() };
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
    let partition = client.ask(6, &request).topics.remove(0).partitions.remove(0);
    (partition.error_code, partition.offset)
}

fn delete_up_to(client: &mut Asking, topic: &Topic, offset: i64) -> i16 {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
    client.ask(2, &DeleteRecordsRequest { topics, timeout_ms: 10_000 }).topics.remove(0).partitions[0].error_code
}

/// Flips a bit at `at` of the batch with this offset, which is in the first segment.
fn flip(data: &Path, topic: &Topic, offset: i64, at: u64) {
    let path = data.join(format!("{}-0/00000000000000000000.log", topic.name));
    let bytes = std::fs::read(&path).unwrap();
    let batches = Batches::new(&bytes).map(Result::unwrap).take_while(|batch| batch.header().base_offset.0 < offset);
    let position = batches.map(|batch| batch.bytes().len() as u64).sum::<u64>() + at;
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[bytes[position as usize] ^ 1], position).unwrap();
}

fn metrics(broker: &BrokerProcess) -> String {
    let address = broker.metrics_url().unwrap().trim_start_matches("http://").trim_end_matches("/metrics");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// A broker that serves metrics.
fn start_measured(dir: &TempDir, settings: &[&str]) -> BrokerProcess {
    let arguments: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let arguments = [&["--metrics-listen", "127.0.0.1:0"], &arguments[..]].concat();
    BrokerProcess::start(Path::new(env!("CARGO_BIN_EXE_ottla")), &dir.path().join("data"), &arguments).unwrap()
}

/// A stopped broker with a topic to be damaged, and one that stays whole.
fn stopped(dir: &TempDir) -> (Topic, Topic) {
    let mut broker = start(dir, &[]);
    let mut client = Asking::of(&broker);
    // Their records say that they are old.
    let configs = [("segment.bytes", "1048576"), ("retention.ms", "-1")];
    let topics = ["damaged", "whole"].map(|name| client.create(name, &configs));
    topics.iter().for_each(|topic| fill(&mut client, topic, BATCHES));
    assert!(broker.terminate().unwrap().success(), "{}", broker.stderr());
    let [damaged, whole] = topics;
    (damaged, whole)
}

#[test]
fn what_is_damaged_is_refused_and_the_rest_goes_on() {
    let dir = TempDir::new().unwrap();
    let (damaged, whole) = stopped(&dir);
    flip(&dir.path().join("data"), &damaged, VICTIM, 1000);
    let scrubbed = ["ottla.scrub.interval.ms=50", "log.initial.task.delay.ms=0"];
    let mut broker = start_measured(&dir, &scrubbed);
    let mut client = Asking::of(&broker);
    let begin = Instant::now();
    while answer(&mut client, &damaged, VICTIM).error_code != CORRUPT {
        assert!(begin.elapsed() < PATIENCE, "the scrub does not come: {}", metrics(&broker));
    }
    assert_eq!(read(&mut client, &damaged, VICTIM), (CORRUPT, vec![]));
    assert_eq!(read(&mut client, &damaged, 0), (0, vec![0]), "what lies before is served, and not a byte more");
    assert_eq!(read(&mut client, &damaged, VICTIM + 1), (0, vec![2]));
    assert_eq!(read(&mut client, &whole, 0), (0, vec![0, 1, 2]));
    assert_eq!(offset_at(&mut client, &damaged, -2), (0, 0));
    assert_eq!(offset_at(&mut client, &damaged, -1), (0, BATCHES));
    assert_eq!(offset_at(&mut client, &damaged, 1_700_000_000_000), (0, 0));
    fill(&mut client, &damaged, 1);
    assert_eq!(read(&mut client, &damaged, BATCHES), (0, vec![BATCHES]));
    // It is refused before it is remembered, and counted when it is.
    let page = loop {
        let page = metrics(&broker);
        if page.contains("ottla_log_damage_found_total{by=\"scrub\"} 1") || begin.elapsed() > PATIENCE {
            break page;
        }
    };
    for line in [
        "ottla_log_damage_found_total{by=\"scrub\"} 1",
        "ottla_log_damage_found_total{by=\"read\"} 0",
        "ottla_log_damaged_places{topic=\"damaged\",partition=\"0\"} 1",
    ] {
        assert!(page.contains(line), "{line} is missing in {page}");
    }
    assert!(!page.contains("topic=\"whole\",partition=\"0\"} 1"));
    broker.kill9().unwrap();

    let mut broker = start_measured(&dir, &["ottla.scrub.interval.ms=0"]);
    let mut client = Asking::of(&broker);
    assert_eq!(read(&mut client, &damaged, VICTIM), (CORRUPT, vec![]), "a restart does not forget it");
    assert!(metrics(&broker).contains("ottla_log_damaged_places{topic=\"damaged\",partition=\"0\"} 1"));
    assert_eq!(delete_up_to(&mut client, &damaged, VICTIM + 1), 0);
    assert_eq!(offset_at(&mut client, &damaged, -2), (0, VICTIM + 1));
    assert_eq!(read(&mut client, &damaged, VICTIM + 1), (0, vec![2]));
    assert!(broker.terminate().unwrap().success(), "{}", broker.stderr());
}

#[test]
fn a_header_that_leads_nowhere_is_met_by_a_reader() {
    let dir = TempDir::new().unwrap();
    let (damaged, whole) = stopped(&dir);
    flip(&dir.path().join("data"), &damaged, VICTIM, 16);
    let mut broker = start_measured(&dir, &["ottla.scrub.interval.ms=0"]);
    let mut client = Asking::of(&broker);
    assert_eq!(read(&mut client, &damaged, VICTIM), (CORRUPT, vec![]));
    assert_eq!(read(&mut client, &damaged, 0), (0, vec![0]));
    assert_eq!(read(&mut client, &damaged, VICTIM + 1), (0, vec![2]));
    assert_eq!(read(&mut client, &whole, VICTIM), (0, vec![1, 2]));
    assert!(metrics(&broker).contains("ottla_log_damage_found_total{by=\"read\"} 1"));
    assert!(broker.terminate().unwrap().success(), "{}", broker.stderr());
}
