//! Limits of connections: silent ones, all together, of one address; as set at the start and while the broker runs.

use std::{
    io::ErrorKind,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use ottla_testkit::{BrokerProcess, Wire};
use ottla_wire::messages::ApiVersionsRequest;
use tempfile::TempDir;

use crate::asking::{Asking, BROKER, PATIENCE, start};

/// How long a connection that has to wait is watched.
const WAITS: Duration = Duration::from_millis(300);

fn from(last: u8, broker: &BrokerProcess) -> Asking {
    Asking::over(Wire::connect_from(Ipv4Addr::new(127, 0, 0, last), broker.address()).unwrap())
}

/// Whether the broker closes a new connection from that address without an answer.
fn is_refused(last: u8, broker: &BrokerProcess) -> bool {
    from(last, broker).wire.is_closed_within(PATIENCE).unwrap()
}

/// A connection that is served, as soon as one may come: the place of one that ended is free soon, not at once.
fn admitted(last: u8, broker: &BrokerProcess) -> Asking {
    let begun = Instant::now();
    loop {
        let mut client = from(last, broker);
        client.tell(0, &ApiVersionsRequest::default());
        match client.wire.read_frame(PATIENCE) {
            Ok(Some(_)) => return client,
            _ => assert!(begun.elapsed() < PATIENCE, "127.0.0.{last} is not let in"),
        }
    }
}

/// Waits for its turn: nothing comes, and it is not closed.
fn waits(client: &mut Asking) {
    client.tell(0, &ApiVersionsRequest::default());
    let error = client.wire.read_frame(WAITS).expect_err("an answer, or the end");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

#[test]
fn a_silent_connection_is_closed_and_a_busy_one_is_not() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &["connections.max.idle.ms=3000"]);
    let (mut silent, mut busy) = (Asking::of(&broker), Asking::of(&broker));
    assert!(silent.is_served());
    let begun = Instant::now();
    while !silent.wire.is_closed_within(Duration::from_millis(20)).unwrap() {
        assert!(busy.is_served());
        assert!(begun.elapsed() < PATIENCE, "a silent connection stays");
    }
    assert!(begun.elapsed() > Duration::from_secs(2), "closed after {:?}", begun.elapsed());
    assert!(busy.is_served());
}

#[test]
fn one_connection_too_many_waits_until_another_ends() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &["max.connections=2"]);
    let (mut first, mut second, mut third) = (Asking::of(&broker), Asking::of(&broker), Asking::of(&broker));
    assert!(first.is_served() && second.is_served());
    waits(&mut third);
    drop(first);
    assert_eq!(third.hear::<ApiVersionsRequest>(0).error_code, 0);
    assert!(second.is_served());
}

#[test]
fn an_address_has_no_more_than_it_may_and_others_do_not_feel_it() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &["max.connections.per.ip=2", "max.connections.per.ip.overrides=127.0.0.3:1"]);
    let mut open = [from(2, &broker), from(2, &broker), from(3, &broker), from(4, &broker)];
    assert!(open.iter_mut().all(Asking::is_served));
    assert!(is_refused(2, &broker), "a third of two");
    assert!(is_refused(3, &broker), "a second of one");
    assert!(open.iter_mut().all(Asking::is_served), "others suffered");
    let [_, freed, ..] = open;
    drop(freed);
    assert!(admitted(2, &broker).is_served());
}

#[test]
fn limits_that_change_hold_from_the_next_connection_on() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &[]);
    let mut admin = from(1, &broker);
    let mut open = [from(2, &broker), from(2, &broker)];
    assert!(open.iter_mut().all(Asking::is_served));

    admin.set(BROKER, "", "max.connections.per.ip", "1");
    settled(&broker, |broker| is_refused_soon(2, broker));
    assert!(open.iter_mut().all(Asking::is_served), "an open connection was ended");
    admin.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.2:3");
    let third = admitted(2, &broker);
    assert!(is_refused(2, &broker), "a fourth of three");
    admin.set(BROKER, "", "max.connections.per.ip", "100");
    drop(third);

    admin.set(BROKER, "", "max.connections", "2");
    let mut waiting = from(5, &broker);
    waits(&mut waiting);
    admin.set(BROKER, "", "max.connections", "100");
    assert_eq!(waiting.hear::<ApiVersionsRequest>(0).error_code, 0);
    assert!(open.iter_mut().all(Asking::is_served));
}

/// Asks again and again until it is so: a change is there soon after its answer.
fn settled(broker: &BrokerProcess, is_so: impl Fn(&BrokerProcess) -> bool) {
    let begun = Instant::now();
    while !is_so(broker) {
        assert!(begun.elapsed() < PATIENCE, "the change has no effect");
    }
}

/// Whether a new connection is closed rather than answered.
fn is_refused_soon(last: u8, broker: &BrokerProcess) -> bool {
    let mut client = from(last, broker);
    client.tell(0, &ApiVersionsRequest::default());
    !matches!(client.wire.read_frame(PATIENCE), Ok(Some(_)))
}
