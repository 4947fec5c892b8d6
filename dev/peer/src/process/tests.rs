use super::*;

#[test]
fn processor_time_below_a_hundredth_of_a_second_counts() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spawn(Command::new("sleep").arg("1000"), &folder.path().join("log")).unwrap();
    // What it used to begin is counted once it has begun.
    let begin = Instant::now();
    while process.usage().unwrap().cpu_seconds == 0.0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "what has hardly begun has used something");
        std::thread::yield_now();
    }
}

#[test]
fn resident_memory_is_in_bytes() {
    assert_eq!(resident_bytes("VmHWM:\t 9 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
    assert_eq!(resident_bytes("Name:\tx\n"), None);
}

#[test]
fn a_dropped_process_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::spawn(Command::new("sleep").arg("1000"), &folder.path().join("log")).unwrap();
    let pid = process.pid();
    assert_eq!(process.ended().unwrap(), None);
    assert!(process.usage().is_ok());
    drop(process);
    assert!(usage_of(pid).is_err());
}

#[test]
fn a_terminated_process_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::spawn(Command::new("sleep").arg("1000"), &folder.path().join("log")).unwrap();
    process.terminate(Duration::from_secs(60)).unwrap();
    assert!(process.ended().unwrap().is_some());
}
