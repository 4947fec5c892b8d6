//! What a failing disk does to a log.

use ottla_testkit::{Fault, OperationKind, SimDisk};

use super::*;

fn open(disk: &SimDisk) -> Arc<Log> {
    let dir = std::path::Path::new("/t-0");
    disk.create_dir_all(dir).unwrap();
    let env = log_env(Arc::new(disk.clone()));
    let config = LogConfig { segment_bytes: 5000, index_interval_bytes: 500, ..LogConfig::default() };
    let start = StartPoint { clean: true, ..StartPoint::default() };
    Log::open(env, partition(), dir.into(), start, config, NOW).unwrap().0
}

/// Every operation of `kind` fails; a write after `written` bytes.
fn fail(disk: &SimDisk, kinds: &'static [OperationKind], fault: fn() -> Fault) {
    disk.inject(move |operation| kinds.contains(&operation.kind).then(fault));
}

fn try_append(log: &Log) -> Result<Appended, AppendError> {
    log.append(&batch(2, 100, NOW.0), EPOCH, Origin::Client, NOW)
}

#[test]
fn a_write_that_fails_halfway_leaves_no_trace() {
    for written in [0, 1, 61, 100] {
        let disk = SimDisk::new(1);
        let log = open(&disk);
        try_append(&log).unwrap();
        let before = (log.log_end(), log.size().unwrap(), log.producers(), log.epochs());
        disk.inject(move |operation| {
            (operation.kind == OperationKind::Write).then(|| Fault::eio().after_writing(written))
        });
        assert!(matches!(try_append(&log), Err(AppendError::Io(_))));
        assert_eq!((log.log_end(), log.size().unwrap(), log.producers(), log.epochs()), before);
        assert_eq!(log.state(), LogState::Online);
        disk.heal();
        assert_eq!(try_append(&log).unwrap().first_offset, Offset(2), "the log goes on when the disk does");
        assert_eq!(read_all(&log, 0, 1), [0, 2]);
    }
}

#[test]
fn a_torn_write_that_cannot_be_undone_takes_the_log_offline() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    try_append(&log).unwrap();
    fail(&disk, &[OperationKind::Write, OperationKind::SetLen], || Fault::eio().after_writing(70));
    assert!(matches!(try_append(&log), Err(AppendError::WentOffline(_))));
    disk.heal();
    assert!(matches!(try_append(&log), Err(AppendError::NotOnline(LogState::Offline))));
    assert_eq!(log.flush(), Err(FlushError::Offline));
    assert_eq!(read_all(&log, 0, 1), [0], "what was written whole is still served");
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_room() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    disk.set_space(8192);
    let mut appended = 0;
    while try_append(&log).is_ok() {
        appended += 1;
        assert!(appended < 100);
    }
    assert_eq!((log.log_end(), log.state()), (Offset(appended * 2), LogState::Online));
    disk.set_space(1 << 20);
    assert_eq!(try_append(&log).unwrap().first_offset, Offset(appended * 2));
    assert_eq!(read_all(&log, 0, 1).len() as i64, appended + 1);
}

#[test]
fn a_failed_flush_takes_the_log_offline_and_tells_all_who_wait() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    try_append(&log).unwrap();
    let answers: Arc<Mutex<Vec<_>>> = Arc::default();
    for _ in 0..2 {
        let answers = Arc::clone(&answers);
        log.when_flushed(Offset(2), Box::new(move |done| answers.lock().push(done)));
    }
    disk.inject(|operation| operation.kind.is_sync().then(Fault::eio));
    log.env.flusher.run_queued();
    assert_eq!(*answers.lock(), [Err(FlushError::Offline); 2]);
    disk.heal();
    assert_eq!(log.flush(), Err(FlushError::Offline), "the kernel may have dropped what it could not write");
    assert_eq!(log.flushed(), Offset(0));
    assert!(log.close().is_err(), "a close must not call the log clean");
}

#[test]
fn a_roll_that_fails_leaves_the_segment_as_it_was() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    let mut appended = 0;
    disk.inject(|operation| (operation.kind == OperationKind::Create).then(Fault::enospc));
    while try_append(&log).is_ok() {
        appended += 1;
    }
    assert_eq!((log.segment_bases(), log.log_end()), (vec![Offset(0)], Offset(appended * 2)));
    assert_eq!(log.state(), LogState::Online);
    disk.heal();
    try_append(&log).unwrap();
    assert_eq!(log.segment_bases(), [Offset(0), Offset(appended * 2)]);
    assert_eq!(read_all(&log, 0, 1).len() as i64, appended + 1);
}
