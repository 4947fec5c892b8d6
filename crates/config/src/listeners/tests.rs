use super::*;
use crate::load::{Inputs, load};

fn read(settings: &[(&str, &str)]) -> Result<Listeners, ListenerError> {
    let flags = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Listeners::read(&load(&Inputs { flags, ..Inputs::default() }).unwrap().config, "host.example")
}

/// `NAME bind -> advertised` for each.
fn check(settings: &[(&str, &str)], expected: &[&str]) {
    let show = |at: &HostPort| format!("{}|{}", at.host, at.port);
    let opened = read(settings).unwrap().opened;
    let found: Vec<_> =
        opened.iter().map(|l| format!("{} {} -> {}", l.name, show(&l.bind), show(&l.advertised))).collect();
    assert_eq!(found, expected, "{settings:?}");
}

#[test]
fn listeners_are_bound_and_advertised() {
    check(&[], &["PLAINTEXT 127.0.0.1|9092 -> 127.0.0.1|9092"]);
    for wildcard in ["", "0.0.0.0", "[::]", "::"] {
        let listeners = format!("plaintext://{wildcard}:0");
        let host = wildcard.trim_matches(['[', ']']);
        check(&[("listeners", &listeners)], &[&format!("PLAINTEXT {host}|0 -> host.example|0")]);
    }
    check(&[("listeners", "PLAINTEXT://[fe80::1%eth0]:9092")], &["PLAINTEXT fe80::1%eth0|9092 -> fe80::1%eth0|9092"]);
    check(
        &[
            ("listeners", "A://:1, B://localhost:2,CONTROLLER://:3"),
            ("advertised.listeners", "B://b.example:22"),
            ("listener.security.protocol.map", "A:PLAINTEXT,B:plaintext,CONTROLLER:SSL"),
            ("controller.listener.names", "controller"),
        ],
        &["A |1 -> host.example|1", "B localhost|2 -> b.example|22"],
    );
    check(
        &[
            ("listeners", "A://127.0.0.1:0,B://127.0.0.1:0"),
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
        ],
        &["A 127.0.0.1|0 -> 127.0.0.1|0", "B 127.0.0.1|0 -> 127.0.0.1|0"],
    );
    check(
        &[("listeners", "A://127.0.0.1:1,B://[::1]:1"), ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT")],
        &["A 127.0.0.1|1 -> 127.0.0.1|1", "B ::1|1 -> ::1|1"],
    );
}

#[test]
fn the_brokers_own_listener_is_found() {
    let listeners = ("listeners", "A://:1,B://:2");
    let map = ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT");
    assert_eq!(read(&[listeners, map]).unwrap().inter_broker, 0);
    assert_eq!(read(&[listeners, map, ("inter.broker.listener.name", "b")]).unwrap().inter_broker, 1);
    let limit = read(&[listeners, map, ("listener.name.b.max.connections", "5")]).unwrap();
    assert_eq!((limit.opened[0].max_connections, limit.opened[1].max_connections), (None, Some(5)));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let ab = ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT");
    for (settings, expected) in [
        (vec![("listeners", "SSL://:1")], "listener SSL: SSL is not served yet, only PLAINTEXT is"),
        (
            vec![("listeners", "SASL_PLAINTEXT://:1")],
            "listener SASL_PLAINTEXT: SASL_PLAINTEXT is not served yet, only PLAINTEXT is",
        ),
        (vec![("listeners", "X://:1")], "No security protocol defined for listener X"),
        (vec![("listeners", "")], "listeners: none is left to open"),
        (vec![("controller.listener.names", "PLAINTEXT")], "listeners: none is left to open"),
        (vec![("listeners", "A://:1,A://:2"), ab], "listeners: the listener name A is there twice"),
        (vec![("listeners", "A://:1,B://x:1"), ab], "listeners: A and B share port 1"),
        (vec![("advertised.listeners", "A://x:1")], "advertised.listeners: there is no listener A"),
        (
            vec![("advertised.listeners", "PLAINTEXT://0.0.0.0:1")],
            "advertised.listeners: clients cannot connect to 0.0.0.0, which stands for every interface",
        ),
        (vec![("inter.broker.listener.name", "Q")], "inter.broker.listener.name: there is no listener Q"),
        (
            vec![("inter.broker.listener.name", "PLAINTEXT"), ("security.inter.broker.protocol", "PLAINTEXT")],
            "inter.broker.listener.name and security.inter.broker.protocol cannot both be set",
        ),
        (
            vec![("security.inter.broker.protocol", "SSL")],
            "listener between brokers: SSL is not served yet, only PLAINTEXT is",
        ),
        (
            vec![("listener.security.protocol.map", "A")],
            "listener.security.protocol.map: A is not of the form NAME:PROTOCOL",
        ),
        (
            vec![("listener.security.protocol.map", "A:TLS")],
            "listener.security.protocol.map: A:TLS is not of the form NAME:PROTOCOL",
        ),
    ] {
        assert_eq!(read(&settings).unwrap_err().to_string(), expected);
    }
    for text in [
        "PLAINTEXT",
        "PLAINTEXT:9092",
        "://:1",
        "A://x",
        "A://x:",
        "A://x:65536",
        "A://x:-1",
        "A://[::1:1",
        "A://a b:1",
        "A://x/y:1",
        "A://x:+1",
    ] {
        let form = ListenerError::Form { key: "listeners", text: text.into() };
        assert_eq!(read(&[("listeners", text)]), Err(form), "{text}");
    }
}
