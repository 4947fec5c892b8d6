//! How a broker ends that is asked twice.

use std::process::ExitStatus;

use ottla_testkit::{BrokerProcess, Wire};
use tempfile::TempDir;

use crate::asking::{Asking, FETCH, PATIENCE, PRODUCE, fetch, produce, record, start};

/// Batches of a megabyte: more than the two sockets between a broker and a client hold.
const BATCHES: usize = 24;

/// A broker that is asked to stop while a client does not take its answer, for which a stop waits some seconds.
fn asked_once(dir: &TempDir, ask: impl Fn(&mut BrokerProcess)) -> (BrokerProcess, Asking) {
    let mut broker = start(dir, &[]);
    let mut client = Asking::of(&broker);
    let topic = client.create("large", &[]);
    for _ in 0..BATCHES {
        let answer = client.ask(PRODUCE, &produce(&topic, 0, 1, record(&vec![b'x'; 1_000_000])));
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    client.tell(FETCH, &fetch(&topic));
    assert!(!client.wire.is_closed_within(PATIENCE).unwrap(), "no byte of an answer");
    let mut idle = Wire::connect(broker.address()).unwrap();
    ask(&mut broker);
    assert!(idle.is_closed_within(PATIENCE).unwrap(), "the first signal was not heard");
    assert!(broker.is_running().unwrap(), "the stop did not wait for a client");
    (broker, client)
}

fn forced(dir: &TempDir, status: ExitStatus, broker: &BrokerProcess) {
    let said = broker.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("second signal"), "{said}");
    assert!(!dir.path().join("data/.kafka_cleanshutdown").exists(), "a mark of a clean stop");
    let mut again = start(dir, &[]);
    let mut client = Asking::of(&again);
    let name = "large".to_owned();
    assert_eq!(client.end_of(&crate::asking::Topic { name, id: ottla_types::Uuid::ZERO }), BATCHES as i64);
    assert!(again.terminate().unwrap().success(), "{}", again.stderr());
}

#[test]
fn a_second_sigterm_forces_the_stop() {
    let dir = TempDir::new().unwrap();
    let (mut broker, _client) = asked_once(&dir, |broker| broker.ask_to_stop().unwrap());
    broker.ask_to_stop().unwrap();
    let status = broker.wait().unwrap();
    forced(&dir, status, &broker);
}

#[test]
fn a_second_sigint_forces_the_stop() {
    let dir = TempDir::new().unwrap();
    let (mut broker, _client) = asked_once(&dir, |broker| broker.interrupt().unwrap());
    broker.interrupt().unwrap();
    let status = broker.wait().unwrap();
    forced(&dir, status, &broker);
}
