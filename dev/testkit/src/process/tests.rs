use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::ExitStatusExt, path::PathBuf};

use super::*;

/// Held by each test that starts a process: a file that is open for writing in a just forked child cannot be run.
static FORKS: Mutex<()> = Mutex::new(());

/// A stand-in for the binary: a shell script.
fn binary(dir: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = dir.path().join("ottla");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const RUN: &str = "echo starting; echo \"ottla ready: listening on PLAINTEXT://127.0.0.1:4711\"; \
                   echo \"$@\" >&2; while :; do read x <$0; done";

#[test]
fn a_broker_is_started_measured_and_killed() {
    let _serial = FORKS.lock();
    let dir = tempfile::tempdir().unwrap();
    let mut broker = BrokerProcess::start(&binary(&dir, RUN), &dir.path().join("data"), &["--more"]).unwrap();
    assert_eq!(broker.address(), "127.0.0.1:4711".parse().unwrap());
    assert!(broker.is_running().unwrap());
    assert!(broker.rss_bytes().unwrap() > 0 && broker.peak_rss_bytes().unwrap() >= broker.rss_bytes().unwrap());
    assert_eq!(broker.threads().unwrap(), 1);
    assert!(broker.open_files().unwrap() > 2);
    assert_eq!(broker.kill9().unwrap().signal(), Some(9));
    assert_eq!(broker.kill9().unwrap().signal(), Some(9), "killing the dead is no error");
    assert!(broker.rss_bytes().is_err());
}

/// Cargo sets no variable of that name, so the one of this test is there for a child alone: this program, run again.
#[test]
fn variables_of_the_tests_are_no_settings() {
    const INHERITED: &str = "OTTLA_A_TEST_S_OWN";
    let serial = FORKS.lock();
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os(INHERITED).is_none() {
        let name = "process::tests::variables_of_the_tests_are_no_settings";
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", name]).env(INHERITED, "1").env(LOG_FILTER, "info");
        drop(serial);
        assert!(again.output().unwrap().status.success());
        return;
    }
    let shows = format!("env >&2; {RUN}");
    let command = BrokerCommand::new(binary(&dir, &shows), dir.path()).environment("OTTLA_LOG_RETENTION_MS", "7");
    let broker = command.start().unwrap();
    let begin = std::time::Instant::now();
    while !broker.stderr().contains("127.0.0.1:0") && begin.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    let shown = broker.stderr();
    assert!(shown.contains("OTTLA_LOG_RETENTION_MS=7"), "what a test asks for is there: {shown}");
    assert!(shown.contains("OTTLA_LOG=info") && !shown.contains(INHERITED), "{shown}");
}

#[test]
fn a_broker_may_stop_in_its_own_way() {
    let _serial = FORKS.lock();
    let dir = tempfile::tempdir().unwrap();
    let stops = format!("trap 'exit 3' TERM; {RUN}");
    let mut broker = BrokerProcess::start(&binary(&dir, &stops), dir.path(), &[]).unwrap();
    assert_eq!(broker.terminate().unwrap().code(), Some(3));
    assert_eq!(broker.terminate().unwrap().code(), Some(3));
}

#[test]
fn a_dropped_broker_is_gone() {
    let _serial = FORKS.lock();
    let dir = tempfile::tempdir().unwrap();
    let pid = BrokerProcess::start(&binary(&dir, RUN), dir.path(), &[]).unwrap().pid();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn a_broker_that_does_not_start_says_why() {
    let _serial = FORKS.lock();
    let dir = tempfile::tempdir().unwrap();
    let ended = BrokerProcess::start(&binary(&dir, "exec >&-; exit 7"), dir.path(), &[]).unwrap_err();
    assert!(matches!(ended, StartError::Ended { .. }), "{ended}");
    let unclear = BrokerProcess::start(&binary(&dir, "echo 'ottla ready: nowhere'"), dir.path(), &[]).unwrap_err();
    assert!(matches!(unclear, StartError::ReadyLine(_)), "{unclear}");
    let late = BrokerCommand::new(binary(&dir, "exec sleep 1000"), dir.path()).ready_within(Duration::ZERO).start();
    assert!(matches!(late, Err(StartError::Late(..))));
    let missing = BrokerProcess::start(&dir.path().join("no"), dir.path(), &[]);
    assert!(matches!(missing, Err(StartError::Run { .. })));
}

#[test]
fn a_ready_line_names_listeners_and_metrics() {
    let line = "ottla ready: listening on PLAINTEXT://127.0.0.1:9092, SSL://[::1]:9093, \
                metrics on http://127.0.0.1:9644/metrics";
    let (addresses, metrics) = parse_ready_line(line).unwrap();
    assert_eq!(addresses, ["127.0.0.1:9092".parse().unwrap(), "[::1]:9093".parse().unwrap()]);
    assert_eq!(metrics.as_deref(), Some("http://127.0.0.1:9644/metrics"));
    assert_eq!(parse_ready_line("ottla ready: metrics on http://127.0.0.1:1/metrics"), None);
}

#[test]
fn a_free_port_can_be_listened_on() {
    // Another test may take it first, or a process that is being started still hold what this one has closed.
    let listens = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).is_ok();
    assert!((0..20).any(listens));
}
