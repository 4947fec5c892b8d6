//! `ottla serve` as its user meets it: what it prints, how it ends.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use ottla_testkit::{BrokerProcess, Wire, program};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_ottla");
const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];
const PATIENCE: Duration = Duration::from_secs(20);
/// ApiVersions 0 with correlation id 7 and no client id.
const API_VERSIONS: [u8; 10] = [0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

fn ottla(arguments: &[&str], dir: &Path) -> Output {
    program(Path::new(BINARY)).arg("serve").args(arguments).current_dir(dir).output().unwrap()
}

/// Says that the configuration is refused, with exit code 2 and all of `words`.
/// No word is said twice.
fn refused(arguments: &[&str], words: &[&str]) {
    let dir = TempDir::new().unwrap();
    let output = ottla(arguments, dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?} said {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} said nothing of {word}: {said}");
    }
    let clauses: Vec<_> = said.trim_end().split(": ").collect();
    let twice = clauses.iter().find(|clause| clauses.iter().filter(|other| other == clause).count() > 1);
    assert_eq!(twice, None, "said twice: {said}");
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "{arguments:?} left something behind");
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_by_name() {
    refused(&["--set", "log.segment.bytes=many"], &["log.segment.bytes", "many"]);
    refused(&["--set", "log.retention.hour=1"], &["log.retention.hour", "log.retention.hours"]);
    refused(&["--set", "nonsense"], &["nonsense", "KEY=VALUE"]);
    refused(&["--listen", "SSL://127.0.0.1:0"], &["SSL"]);
    refused(&["--listen", "127.0.0.1:port"], &["127.0.0.1:port"]);
    refused(&["--set", "node.id=-1"], &["node.id", "at least 0"]);
    refused(&["--set", "log.dirs=a,a"], &["log.dirs", "twice"]);
    refused(&["--config", "absent.properties"], &["absent.properties", "No such file"]);
    refused(&["--metrics-listen", "127.0.0.1:99999"], &["--metrics-listen", "99999", "HOST:PORT"]);
    refused(&["--no-such-flag"], &["--no-such-flag"]);
}

#[test]
fn a_bad_value_in_a_file_is_refused_with_its_line() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("server.properties"), "# a comment\nnum.partitions=none\n").unwrap();
    let output = ottla(&["--config", "server.properties"], dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("server.properties:2") && said.contains("num.partitions"), "{said}");
}

#[test]
fn a_file_of_kafkas_with_an_unknown_key_only_warns() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("server.properties");
    fs::write(&file, "process.roles=broker,controller\nnum.io.threads=8\nno.such.key=1\n").unwrap();
    let mut broker = start(&dir, &["--config", file.to_str().unwrap()]);
    assert!(broker.terminate().unwrap().success());
    let said = broker.stderr();
    assert_eq!(said.matches("no.such.key").count(), 1, "{said}");
    assert!(said.contains("num.io.threads"), "an accepted key is not listed: {said}");
}

#[test]
fn what_keeps_a_broker_from_starting_is_said_once() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, word) in [
        (&["--listen", &address] as &[&str], "Address already in use"),
        (&["--data-dir", "/proc/nothing", LISTEN[0], LISTEN[1]], "/proc/nothing"),
    ] {
        let output = ottla(arguments, dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.matches(word).count(), 1, "{said}");
    }
}

fn start(dir: &TempDir, arguments: &[&str]) -> BrokerProcess {
    BrokerProcess::start(Path::new(BINARY), &dir.path().join("data"), arguments).unwrap()
}

#[test]
fn it_answers_when_it_says_it_is_ready_and_stops_cleanly_when_asked() {
    let dir = TempDir::new().unwrap();
    for _ in 0..2 {
        let mut broker = start(&dir, &[]);
        let mut client = Wire::connect(broker.address()).unwrap();
        assert_eq!(client.exchange(&API_VERSIONS, PATIENCE).unwrap()[..6], [0, 0, 0, 7, 0, 0]);
        assert!(broker.terminate().unwrap().success(), "{}", broker.stderr());
        assert!(dir.path().join("data/.kafka_cleanshutdown").exists(), "no mark of a clean stop");
    }
}

#[test]
fn two_brokers_do_not_share_a_directory() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &[]);
    let data = broker.data_dir().to_str().unwrap().to_owned();
    let output = ottla(&["--data-dir", &data, LISTEN[0], LISTEN[1]], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process"), "{output:?}");
}

#[test]
fn metrics_are_there_to_be_scraped() {
    let dir = TempDir::new().unwrap();
    let mut broker = start(&dir, &["--metrics-listen", "127.0.0.1:0"]);
    let url = broker.metrics_url().unwrap().to_owned();
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut client = Wire::connect(broker.address()).unwrap();
    client.exchange(&API_VERSIONS, PATIENCE).unwrap();
    let counted = |phase| format!("ottla_{phase}_time_seconds_count{{request=\"ApiVersions\"}} 1");
    let begin = Instant::now();
    let answer = loop {
        let answer = get(address, "/metrics");
        // The client may have its answer before that is counted, the total last.
        if answer.contains(&counted("request_total")) || begin.elapsed() > PATIENCE {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for phase in ["request_queue", "request_local", "response_queue", "response_send", "request_total"] {
        assert!(answer.contains(&counted(phase)), "{} is missing in {answer}", counted(phase));
    }
    for name in
        ["ottla_active_controller_count 1", "ottla_under_replicated_partitions 0", "ottla_requests_total", "# EOF"]
    {
        assert!(answer.contains(name), "{name} is missing in {answer}");
    }
    let idle = answer.lines().find_map(|line| line.strip_prefix("ottla_request_handler_idle_percent "));
    let idle: f64 = idle.unwrap().parse().unwrap();
    // How much depends on the machine: on a full one there may be none.
    assert!((0.0..=100.0).contains(&idle), "{idle} % idle");
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    assert!(broker.terminate().unwrap().success());
}

#[test]
fn a_partition_that_the_metadata_does_not_know_is_put_aside() {
    let dir = TempDir::new().unwrap();
    assert!(start(&dir, &[]).terminate().unwrap().success());
    let stray = dir.path().join("data/somebodys-7");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("notes"), "kept").unwrap();
    let mut broker = start(&dir, &["--metrics-listen", "127.0.0.1:0"]);
    let url = broker.metrics_url().unwrap().to_owned();
    let answer = get(url.trim_start_matches("http://").trim_end_matches("/metrics"), "/metrics");
    assert!(answer.contains("ottla_stray_partitions 1"), "{answer}");
    assert!(broker.terminate().unwrap().success());
    assert!(broker.stderr().contains("somebodys-7"), "{}", broker.stderr());
    let names = fs::read_dir(dir.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    let aside = names.into_iter().find(|path| path.to_str().unwrap().ends_with("-stray")).unwrap();
    assert_eq!(fs::read_to_string(aside.join("notes")).unwrap(), "kept");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
