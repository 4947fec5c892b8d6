mod bad;

use std::fs;

use ottla_records::BatchBuilder;
use ottla_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex};

use super::*;
use crate::{LogState, Origin, StdDisk};

const NOW: Millis = Millis(1_700_000_000_000);
const TOPIC: Uuid = Uuid([7; 16]);

fn identity(dirs: usize) -> Identity {
    Identity {
        cluster_id: "cluster".to_owned(),
        node_id: BrokerId(1),
        new_directory_ids: (1..=dirs as u8).map(|i| Uuid([i; 16])).collect(),
    }
}

fn paths(root: &tempfile::TempDir, dirs: usize) -> Vec<PathBuf> {
    (0..dirs).map(|i| root.path().join(format!("disk{i}"))).collect()
}

fn try_open(root: &tempfile::TempDir, dirs: usize) -> Result<(LogDirs, Vec<Recovery>), OpenError> {
    let settings = LogDirsConfig { flush_threads: 2, ..LogDirsConfig::default() };
    let config = LogConfig { flush_messages: 1, segment_bytes: 4000, ..LogConfig::default() };
    LogDirs::open(Arc::new(StdDisk), &paths(root, dirs), &identity(dirs), settings, Arc::new(config), NOW)
}

fn open(root: &tempfile::TempDir, dirs: usize) -> LogDirs {
    try_open(root, dirs).unwrap().0
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(partition) }
}

fn append(log: &Log) -> Offset {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(&[1; 500]));
    let batch = builder.build_checked().unwrap();
    log.append(&batch, LeaderEpoch(0), Origin::Client, NOW).unwrap().last_offset
}

fn append_many(log: &Log, records: usize) {
    for _ in 0..records {
        append(log);
    }
}

fn after(ms: i64) -> Millis {
    Millis(NOW.0 + ms)
}

#[test]
fn partitions_go_to_the_emptiest_directory_and_are_found_again() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 2);
    for i in 0..4 {
        dirs.create(&partition("t", i), TOPIC, NOW).unwrap();
    }
    for path in paths(&root, 2) {
        let count = fs::read_dir(path).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
        assert_eq!(count, 2);
    }
    assert_eq!(append(&dirs.log(&partition("t", 3), NOW).unwrap()), Offset(0));
    assert!(matches!(dirs.log(&partition("t", 4), NOW), Err(LoadError::Absent(_))));
    assert!(Arc::ptr_eq(
        &dirs.create(&partition("t", 3), TOPIC, NOW).unwrap(),
        &dirs.log(&partition("t", 3), NOW).unwrap()
    ));
    let other = dirs.create(&partition("t", 3), Uuid([8; 16]), NOW).unwrap_err();
    assert!(matches!(other, CreateError::OtherTopic { found: TOPIC, .. }), "{other}");
    dirs.close(BrokerEpoch(5)).unwrap();
    drop(dirs);

    let (dirs, recoveries) = try_open(&root, 2).unwrap();
    assert!(recoveries.is_empty());
    assert_eq!(dirs.clean_stop_epoch(), Some(BrokerEpoch(5)));
    assert_eq!(dirs.partitions().len(), 4);
    assert!(dirs.loaded(&partition("t", 3)).is_none(), "nothing is opened before it is used");
    assert_eq!(dirs.topic_id(&partition("t", 3)).unwrap(), Some(TOPIC));
    assert_eq!(dirs.partitions_of(TOPIC).len(), 4);
    assert_eq!(dirs.log(&partition("t", 3), NOW).unwrap().log_end(), Offset(1));
    assert!(dirs.loaded(&partition("t", 3)).is_some());
    assert_eq!(dirs.online_directories(), [Uuid([1; 16]), Uuid([2; 16])]);
}

#[test]
fn a_start_that_was_not_preceded_by_a_clean_stop_recovers() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let log = dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    append_many(&log, 30);
    log.flush().unwrap();
    dirs.checkpoint().unwrap();
    let last = log.dir().join(format!("{:020}.log", log.segment_bases().last().unwrap().0));
    drop((dirs, log));
    let mut bytes = fs::read(&last).unwrap();
    bytes.extend_from_slice(&[0; 100]);
    fs::write(&last, bytes).unwrap();

    let (dirs, recoveries) = try_open(&root, 1).unwrap();
    let [recovery] = &*recoveries else { panic!("{recoveries:?}") };
    assert_eq!((&recovery.partition, recovery.report.cut_bytes), (&partition("t", 0), 100));
    assert_eq!(dirs.clean_stop_epoch(), None);
    assert_eq!(dirs.loaded(&partition("t", 0)).unwrap().log_end(), Offset(30));
    dirs.close(BrokerEpoch(-1)).unwrap();
    drop(dirs);
    let (_dirs, recoveries) = try_open(&root, 1).unwrap();
    assert!(recoveries.is_empty());
}

#[test]
fn a_log_that_was_never_opened_keeps_its_checkpoints() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let log = dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    append_many(&log, 30);
    log.advance_high_watermark(Offset(29));
    log.delete_records(Offset(11)).unwrap();
    assert!(dirs.remove_old_segments(NOW).unwrap() > 0);
    drop((dirs, log));
    let dirs = open(&root, 1); // after a crash, right then
    let log = dirs.log(&partition("t", 0), NOW).unwrap();
    assert_eq!((log.state(), log.log_start(), log.log_end()), (LogState::Online, Offset(11), Offset(30)));
    log.advance_high_watermark(Offset(29));
    dirs.close(BrokerEpoch(1)).unwrap();
    drop((dirs, log));
    for _ in 0..2 {
        let dirs = open(&root, 1);
        dirs.checkpoint().unwrap();
        dirs.checkpoint_high_watermarks().unwrap();
        dirs.close(BrokerEpoch(1)).unwrap();
    }
    let dirs = open(&root, 1);
    let log = dirs.log(&partition("t", 0), NOW).unwrap();
    let seen = (log.log_start(), log.high_watermark(), log.log_end(), log.flushed());
    assert_eq!(seen, (Offset(11), Offset(29), Offset(30), Offset(30)));
}

#[test]
fn many_appends_wait_for_few_flushes() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let (send, receive) = std::sync::mpsc::channel();
    for i in 0..200 {
        let log = dirs.create(&partition("t", i % 10), TOPIC, NOW).unwrap();
        let to = append(&log).plus(1);
        let send = send.clone();
        log.when_flushed(to, Box::new(move |done| send.send(done.is_ok_and(|flushed| flushed >= to)).unwrap()));
    }
    drop(send);
    assert_eq!(receive.iter().filter(|ok| *ok).count(), 200);
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_removed_later() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let log = dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    append(&log);
    dirs.create(&partition("t", 1), TOPIC, NOW).unwrap();
    let path = log.dir().to_owned();
    dirs.delete(&partition("t", 0), NOW).unwrap();
    assert!(!path.exists());
    assert!(matches!(log.read(Offset(0), 1, true, crate::ReadBound::LogEnd), Err(crate::ReadError::Closed)));
    assert!(matches!(dirs.delete(&partition("t", 0), NOW), Err(CreateError::Load(LoadError::Absent(_)))));
    let again = dirs.create(&partition("t", 0), Uuid([9; 16]), NOW).unwrap();
    assert_eq!(again.log_end(), Offset(0), "a new topic of the same name begins empty");
    dirs.set_delete_delay_ms(100);
    dirs.delete(&partition("t", 0), NOW).unwrap();
    assert_eq!(dirs.remove_due(after(99)).unwrap(), 0);
    assert_eq!(dirs.remove_due(after(100)).unwrap(), 1, "the delay that held when it was deleted");
    dirs.close(BrokerEpoch(1)).unwrap();
    drop(dirs);
    let dirs = open(&root, 1);
    assert_eq!(dirs.partitions(), [partition("t", 1)]);
    assert_eq!(dirs.remove_due(after(59_999)).unwrap(), 0, "what a stop left waits again from the start on");
    assert_eq!(dirs.remove_due(after(60_000)).unwrap(), 1);
    assert_eq!(dirs.remove_due(after(i64::MAX / 2)).unwrap(), 0);
}

#[test]
fn the_files_of_a_removed_segment_stay_readable_for_a_while() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let log = dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    append_many(&log, 30);
    log.advance_high_watermark(Offset(30));
    let names = |suffix: &str| {
        let mut names: Vec<_> =
            fs::read_dir(log.dir()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(suffix));
        names.sort();
        names
    };
    let before: Vec<_> = names(".log").into_iter().map(|name| name + ".deleted").collect();
    log.delete_records(Offset(11)).unwrap();
    let removed = dirs.remove_old_segments(NOW).unwrap();
    assert!(removed > 0);
    assert_eq!(names(".log.deleted"), before[..removed]);
    assert_eq!(names(".index.deleted").len(), removed);
    assert_eq!(dirs.remove_due(after(59_999)).unwrap(), 0);
    assert_eq!(dirs.remove_due(after(60_000)).unwrap(), 3 * removed, "log and two indexes each");
    assert_eq!(names(".deleted"), [""; 0]);

    log.delete_records(Offset(25)).unwrap();
    assert!(dirs.remove_old_segments(NOW).unwrap() > 0);
    assert_ne!(names(".deleted"), [""; 0]);
    dirs.close(BrokerEpoch(1)).unwrap();
    assert_eq!(names(".deleted"), [""; 0], "after a clean stop nobody looks for them");
}

#[test]
fn what_cannot_be_removed_is_tried_again_and_holds_up_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let path = |name: &str| paths(&root, 1)[0].join(name);
    fs::create_dir(path("is-a-directory")).unwrap();
    fs::write(path("a"), "").unwrap();
    let deletions = &dirs.deletions;
    deletions.add_files([path("is-a-directory"), path("a"), path("never-was")], NOW, 5);
    dirs.remove_due(after(5)).unwrap_err();
    assert!(!path("a").exists());
    fs::remove_dir(path("is-a-directory")).unwrap();
    fs::write(path("is-a-directory"), "").unwrap();
    assert_eq!(dirs.remove_due(after(5)).unwrap(), 1);
}

#[test]
fn a_stray_partition_is_put_aside_with_all_its_records() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let log = dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    append_many(&log, 5);
    let bytes = fs::read(log.dir().join("00000000000000000000.log")).unwrap();
    let aside = dirs.put_aside(&partition("t", 0)).unwrap();
    assert!(matches!(dirs.put_aside(&partition("t", 0)), Err(CreateError::Load(LoadError::Absent(_)))));
    assert_eq!((dirs.strays(), dirs.contains(&partition("t", 0))), (1, false));
    let again = dirs.create(&partition("t", 0), Uuid([9; 16]), NOW).unwrap();
    assert_eq!(again.log_end(), Offset(0));
    drop(again);
    assert_ne!(dirs.put_aside(&partition("t", 0)).unwrap(), aside, "each has a name of its own");
    dirs.close(BrokerEpoch(1)).unwrap();
    drop(dirs);
    let dirs = open(&root, 1);
    assert_eq!((dirs.strays(), dirs.partitions()), (2, vec![]));
    assert_eq!(dirs.remove_due(after(i64::MAX / 2)).unwrap(), 0);
    assert_eq!(fs::read(aside.join("00000000000000000000.log")).unwrap(), bytes);
}

#[test]
fn directories_of_others_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let reason = |result: Result<(LogDirs, Vec<Recovery>), OpenError>| match result {
        Err(OpenError::Dirs(mut bad)) => bad.remove(0).source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(reason(try_open(&root, 1)), DirError::Locked));
    drop(dirs);
    let open_as = |cluster: &str, node| {
        let identity = Identity { cluster_id: cluster.to_owned(), node_id: BrokerId(node), new_directory_ids: vec![] };
        let config = Arc::new(LogConfig::default());
        LogDirs::open(Arc::new(StdDisk), &paths(&root, 1), &identity, LogDirsConfig::default(), config, NOW)
    };
    assert!(matches!(reason(open_as("other", 1)), DirError::OtherCluster(_)));
    assert!(matches!(reason(open_as("cluster", 2)), DirError::OtherNode(BrokerId(1))));
    assert!(open_as("cluster", 1).is_ok());
    let dirs = open(&root, 2);
    dirs.create(&partition("t", 0), TOPIC, NOW).unwrap();
    drop(dirs);
    paths(&root, 2).iter().for_each(|path| fs::create_dir_all(path.join("t-0")).unwrap());
    let dirs = open(&root, 2);
    dirs.settle_twins(|_| None);
    let opened = dirs.open_assigned(&partition("t", 0), TOPIC, Assigned::default(), NOW);
    assert!(matches!(opened, Err(CreateError::Offline { .. })), "it is in two directories");
}

#[test]
fn stray_things_in_a_directory_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    drop(open(&root, 1));
    let path = &paths(&root, 1)[0];
    for dir in ["lost+found", "__cluster_metadata-0", "t-0.0123456789abcdef0123456789abcdef-stray"] {
        fs::create_dir(path.join(dir)).unwrap();
    }
    fs::write(path.join("t-5"), "a file of a partition's name").unwrap();
    fs::write(path.join("cleaner-offset-checkpoint"), "0\n1\nt 0 17\n").unwrap();
    let dirs = open(&root, 1);
    assert!(dirs.partitions().is_empty());
    dirs.checkpoint().unwrap();
    dirs.close(BrokerEpoch(1)).unwrap();
    assert_eq!(fs::read_to_string(path.join("cleaner-offset-checkpoint")).unwrap(), "0\n1\nt 0 17\n");
    assert!(path.join("lost+found").exists());
}

#[test]
fn what_waited_its_time_is_flushed_whatever_changed_meanwhile() {
    let root = tempfile::tempdir().unwrap();
    let config = |flush_ms| LogConfig { flush_ms, ..LogConfig::default() };
    let open = || {
        let settings = LogDirsConfig { flush_threads: 0, ..LogDirsConfig::default() };
        let config = Arc::new(config(50));
        LogDirs::open(Arc::new(StdDisk), &paths(&root, 1), &identity(1), settings, config, NOW).unwrap().0
    };
    let due = |dirs: &LogDirs, ms| {
        let due = dirs.flush_due(after(ms));
        assert_eq!(dirs.run_queued_flushes(), due);
        due
    };
    let dirs = open();
    let [early, late, never] =
        ["early", "late", "never"].map(|topic| dirs.create(&partition(topic, 0), TOPIC, NOW).unwrap());
    never.set_config(config(i64::MAX));
    for log in [&early, &late, &never] {
        append(log);
    }
    late.set_config(config(500));
    assert_eq!((due(&dirs, 49), due(&dirs, 50), due(&dirs, 51)), (0, 1, 0));
    append(&early);
    assert_eq!(due(&dirs, 120), 1, "again after a flush");
    late.set_config(config(200));
    assert_eq!((due(&dirs, 199), due(&dirs, 200)), (0, 1), "the time is another one now");
    never.set_config(config(100));
    assert_eq!(due(&dirs, 200), 1, "there is one now");
    append(&early);
    drop((early, late, never, dirs)); // without a clean stop
    let dirs = open();
    dirs.delete(&partition("late", 0), NOW).unwrap();
    dirs.delete(&partition("never", 0), NOW).unwrap();
    let early = dirs.log(&partition("early", 0), NOW).unwrap();
    assert!(early.flushed() < early.log_end());
    assert_eq!((due(&dirs, 49), due(&dirs, 50)), (0, 1), "what was found at the start waits too");
    assert_eq!(early.flushed(), early.log_end());
}
