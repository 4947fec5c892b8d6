//! An import that is cut short before any of its steps, and given again.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ottla_controller::FeatureRange;
use ottla_import::{GivenBack, ImportError, MARKER, Note, Outcome, Request, Step, Unsuitable, give_back, import};
use ottla_records::BatchBuilder;
use ottla_types::{Millis, Offset, Uuid};
use ottla_wire::{
    Message, MetadataFrame, Writer,
    messages::{
        BeginTransactionRecord, ConfigRecord, EndTransactionRecord, FeatureLevelRecord, PartitionChangeRecord,
        PartitionRecord, ProducerIdsRecord, TopicRecord, UserScramCredentialRecord,
    },
};

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";
const TOPIC: Uuid = Uuid([7; 16]);
const DIRECTORY: &str = "AAAAAAAAAAAAAAAAAAAACQ";

/// A record of Kafka's metadata.
fn record<M: Message>(number: u32, version: i16, message: &M) -> Vec<u8> {
    let mut w = Writer::with_capacity(64);
    MetadataFrame::begin(&mut w, number, version as u32);
    message.encode(&mut w, version).unwrap();
    w.finish().read().unwrap().to_vec()
}

/// Records as one batch of a log.
fn batch(base: i64, records: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().base_offset(Offset(base));
    records.iter().for_each(|record| builder.append(Millis(1), None, Some(record)));
    builder.build().unwrap().to_vec()
}

fn topic() -> Vec<u8> {
    record(2, 0, &TopicRecord { name: "orders".to_owned(), topic_id: TOPIC })
}

fn partition(index: i32, replicas: &[i32]) -> Vec<u8> {
    let state = PartitionRecord {
        partition_id: index,
        topic_id: TOPIC,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: 1,
        leader_epoch: 3,
        directories: vec![Uuid::ZERO],
        ..PartitionRecord::default()
    };
    record(3, 1, &state)
}

fn config(name: &str, value: &str) -> Vec<u8> {
    let (resource_name, name) = ("orders".to_owned(), name.to_owned());
    record(4, 0, &ConfigRecord { resource_type: 2, resource_name, name, value: Some(value.to_owned()) })
}

fn level(feature_level: i16) -> FeatureLevelRecord {
    FeatureLevelRecord { name: "metadata.version".to_owned(), feature_level }
}

/// A directory as Kafka leaves it, with this metadata.
fn kafka(dir: &Path, metadata: &[u8]) {
    let put = |path: &str, bytes: &[u8]| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put(
        "meta.properties",
        format!("version=1\nnode.id=1\ncluster.id={CLUSTER}\ndirectory.id={DIRECTORY}\n").as_bytes(),
    );
    put(".kafka_cleanshutdown", b"{\"version\":0,\"brokerEpoch\":9}");
    put("recovery-point-offset-checkpoint", b"0\n1\norders 0 2\n");
    put("__cluster_metadata-0/00000000000000000000.log", metadata);
    for index in 0..2 {
        let of = |name: &str| format!("orders-{index}/{name}");
        put(&of("partition.metadata"), format!("version: 0\ntopic_id: {TOPIC}").as_bytes());
        put(&of("00000000000000000000.log"), &batch(0, &[b"a".to_vec(), b"b".to_vec()]));
        put(&of("00000000000000000002.log"), &batch(2, &[b"c".to_vec()]));
        put(&of("leader-epoch-checkpoint"), b"0\n1\n5 0\n");
    }
}

fn sound() -> Vec<u8> {
    batch(0, &[topic(), partition(0, &[1]), partition(1, &[1]), config("retention.ms", "1000")])
}

fn request(from: &Path, to: &Path) -> Request {
    let features = vec![FeatureRange { name: "metadata.version".to_owned(), min: 7, max: 30 }];
    Request { from: vec![from.to_owned()], to: vec![to.to_owned()], features }
}

/// All files below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(at) = rest.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found.retain(|name, _| name.file_name().is_none_or(|name| name != ".lock"));
    found
}

#[test]
fn an_import_that_is_cut_short_anywhere_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("kafka");
    kafka(&from, &sound());
    let source = files(&from);
    let whole = folder.path().join("whole");
    let mut steps = 0;
    let count = &mut |_| {
        steps += 1;
        Ok(())
    };
    assert!(matches!(import(&request(&from, &whole), count).unwrap(), Outcome::Imported(_)));
    let expected = files(&whole);
    assert!(!expected.contains_key(Path::new(MARKER)));
    assert!(expected.keys().any(|name| name.starts_with("__ottla_metadata")), "{:?}", expected.keys());
    for cut in 0..steps {
        let to = folder.path().join(format!("cut-{cut}"));
        let mut left = cut;
        let mut committed = false;
        let crash = &mut |step: Step| {
            if left == 0 {
                return Err(io::Error::other("cut"));
            }
            left -= 1;
            committed |= step == Step::Commit;
            Ok(())
        };
        import(&request(&from, &to), crash).unwrap_err();
        if to.join("__ottla_metadata").exists() {
            assert!(committed, "nothing is there before all is");
        }
        // Until the end there is a mark, or nothing at all.
        assert!(to.join(MARKER).exists() || files(&to).is_empty(), "cut {cut}");
        import(&request(&from, &to), &mut |_| Ok(())).unwrap();
        assert_eq!(files(&to).keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "cut {cut}");
        assert!(matches!(import(&request(&from, &to), &mut |_| Ok(())).unwrap(), Outcome::AlreadyImported));
    }
    assert_eq!(files(&from), source, "the source is untouched");
}

#[test]
fn closed_segments_are_linked_and_what_grows_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("kafka"), folder.path().join("ottla"));
    kafka(&from, &sound());
    import(&request(&from, &to), &mut |_| Ok(())).unwrap();
    let inode = |dir: &Path, name: &str| fs::metadata(dir.join("orders-0").join(name)).unwrap().ino();
    let same = |name: &str| inode(&from, name) == inode(&to, name);
    assert!(same("00000000000000000000.log") && !same("00000000000000000002.log"));
    assert!(!same("leader-epoch-checkpoint") && !same("partition.metadata"));
}

#[test]
fn in_place_only_the_metadata_is_added() {
    let folder = tempfile::tempdir().unwrap();
    kafka(folder.path(), &sound());
    let source = files(folder.path());
    for cut in 0..2 {
        let mut left = cut;
        let crash = &mut |_| {
            left -= 1;
            if left < 0 { Err(io::Error::other("cut")) } else { Ok(()) }
        };
        import(&request(folder.path(), folder.path()), crash).unwrap_err();
        assert!(!folder.path().join("__ottla_metadata").exists());
    }
    let Outcome::Imported(report) = import(&request(folder.path(), folder.path()), &mut |_| Ok(())).unwrap() else {
        panic!("it was not imported before")
    };
    assert_eq!((report.topics, report.partitions, report.configs), (1, 2, 1), "{report:?}");
    let mut found = files(folder.path());
    found.retain(|name, _| !name.starts_with("__ottla_metadata"));
    assert_eq!(found, source);
}

fn fails(metadata: &[u8], change: impl FnOnce(&Path)) -> ImportError {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("kafka"), folder.path().join("ottla"));
    kafka(&from, metadata);
    change(&from);
    let error = import(&request(&from, &to), &mut |_| Ok(())).unwrap_err();
    assert!(!to.join("__ottla_metadata").exists(), "{error}");
    error
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let check = |error: ImportError, says: &str| assert!(error.to_string().contains(says), "{error}");
    let replicated = batch(0, &[topic(), partition(0, &[1, 2])]);
    check(fails(&replicated, |_| {}), "orders-0 has replicas on brokers [1, 2]");
    let third = batch(0, &[topic(), partition(0, &[1]), partition(1, &[1]), partition(2, &[1])]);
    check(fails(&third, |_| {}), "orders-2 is in none of the directories");
    let tiered = batch(0, &[topic(), partition(0, &[1]), config("remote.storage.enable", "true")]);
    check(fails(&tiered, |_| {}), "tiered storage is not served");
    check(fails(&batch(0, &[record(12, 0, &level(99))]), |_| {}), "metadata.version is at level 99, up to 30 is known");
    check(fails(&batch(0, &[vec![1, 77, 0]]), |_| {}), "unknown kind of metadata record 77");
    check(fails(&batch(5, &[topic()]), |_| {}), "offset 5 where 0 should follow");
    check(
        fails(&sound(), |dir| {
            fs::write(dir.join("meta.properties"), "version=0\nbroker.id=1\ncluster.id=x\n").unwrap()
        }),
        "ZooKeeper mode",
    );
    check(fails(&sound(), |dir| fs::remove_dir_all(dir.join("__cluster_metadata-0")).unwrap()), "__cluster_metadata-0");
    check(
        fails(&sound(), |dir| {
            let path = dir.join("orders-1/00000000000000000002.log");
            let mut bytes = fs::read(&path).unwrap();
            bytes[16] = 1;
            fs::write(path, bytes).unwrap();
        }),
        "message format 1",
    );
    check(
        fails(&sound(), |dir| {
            fs::write(dir.join("orders-1/partition.metadata"), format!("topic_id: {}", Uuid([1; 16]))).unwrap()
        }),
        "orders-1 has topic id",
    );
    check(
        fails(&sound(), |dir| fs::remove_file(dir.join("orders-1/partition.metadata")).unwrap()),
        "orders-1: partition.metadata is missing",
    );
    let migrating = fails(&batch(0, &[vec![1, 21, 0, 1, 0]]), |_| {});
    assert!(matches!(migrating, ImportError::Unsuitable(Unsuitable::Migrating)), "{migrating}");
}

#[test]
fn damaged_metadata_is_refused_and_a_torn_end_is_not() {
    let first = batch(0, &[topic(), partition(0, &[1])]);
    let second = batch(2, &[partition(1, &[1])]);
    let mut flipped = [&first[..], &second].concat();
    flipped[70] ^= 1;
    let segments = |dir: &Path| {
        let log = dir.join("__cluster_metadata-0");
        fs::write(log.join("00000000000000000002.log"), &second).unwrap();
    };
    let error = fails(&flipped[..first.len()], segments);
    assert!(error.to_string().contains("damaged at byte 0"), "{error}");
    let killed = |dir: &Path| fs::remove_file(dir.join(".kafka_cleanshutdown")).unwrap();
    let error = fails(&flipped, killed);
    assert!(error.to_string().contains("damaged at byte 0"), "what follows it is sound: {error}");
    let torn = [&first[..], &second, &[0xff; 30], &second[..second.len() - 1]].concat();
    let error = fails(&torn, |_| {});
    assert!(error.to_string().contains(&format!("damaged at byte {}", first.len() + second.len())), "{error}");
    let folder = tempfile::tempdir().unwrap();
    kafka(folder.path(), &torn);
    killed(folder.path());
    // Killed before the first record of a partition, whose id comes with it.
    fs::remove_dir_all(folder.path().join("orders-1")).unwrap();
    fs::create_dir(folder.path().join("orders-1")).unwrap();
    fs::write(folder.path().join("orders-1/00000000000000000000.log"), "").unwrap();
    let Outcome::Imported(report) = import(&request(folder.path(), folder.path()), &mut |_| Ok(())).unwrap() else {
        panic!("it was not imported before")
    };
    let told = format!("torn at byte {}", first.len() + second.len());
    assert!(report.notes.iter().any(|note| note.to_string().contains(&told)), "{:?}", report.notes);
    assert_eq!(report.partitions, 2);
}

#[test]
fn metadata_goes_where_kafkas_was() {
    let folder = tempfile::tempdir().unwrap();
    let (data, metadata) = (folder.path().join("data"), folder.path().join("metadata"));
    kafka(&data, &batch(0, &[record(12, 0, &level(3)), topic(), partition(0, &[1]), partition(1, &[1])]));
    fs::create_dir(&metadata).unwrap();
    fs::copy(data.join("meta.properties"), metadata.join("meta.properties")).unwrap();
    fs::rename(data.join("__cluster_metadata-0"), metadata.join("__cluster_metadata-0")).unwrap();
    let copy = [folder.path().join("copy"), folder.path().join("copy-of-metadata")];
    let ask = |to: &[PathBuf]| Request {
        from: vec![data.clone(), metadata.clone()],
        to: to.to_vec(),
        ..request(&data, &data)
    };
    for to in [&copy, &[data.clone(), metadata.clone()]] {
        let Outcome::Imported(report) = import(&ask(to), &mut |_| Ok(())).unwrap() else {
            panic!("it was not imported before")
        };
        assert_eq!((&report.metadata_dir, report.metadata_dir_has_partitions), (&to[1], false));
        let notes = report.notes.iter().map(Note::to_string).collect::<Vec<_>>().join("\n");
        assert!(notes.contains("metadata.version=3 is raised to 7"), "{notes}");
        assert!(
            !notes.contains("not stopped cleanly"),
            "a directory for metadata alone never says that it was: {notes}"
        );
        assert!(to[1].join("__ottla_metadata").exists() && !to[0].join("__ottla_metadata").exists());
        assert!(matches!(import(&ask(to), &mut |_| Ok(())).unwrap(), Outcome::AlreadyImported));
    }
}

#[test]
fn what_is_not_carried_over_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let scram = UserScramCredentialRecord { name: "carol".to_owned(), mechanism: 1, ..Default::default() };
    let change = PartitionChangeRecord { partition_id: 0, topic_id: TOPIC, leader: -1, ..Default::default() };
    let records = [
        topic(),
        partition(0, &[1]),
        partition(1, &[1]),
        record(23, 0, &BeginTransactionRecord::default()),
        config("retention.ms", "5"),
        record(24, 0, &EndTransactionRecord::default()),
        record(23, 0, &BeginTransactionRecord::default()),
        config("retention.bytes", "5"), // its transaction is never ended
        record(25, 0, &ottla_wire::messages::AbortTransactionRecord::default()),
        config("no.such.key", "5"),
        record(11, 0, &scram),
        record(5, 0, &change),
        record(12, 0, &FeatureLevelRecord { name: "share.version".to_owned(), feature_level: 1 }),
    ];
    kafka(folder.path(), &batch(0, &records));
    fs::create_dir(folder.path().join("old-0.0123456789abcdef0123456789abcdef-future")).unwrap();
    fs::remove_file(folder.path().join(".kafka_cleanshutdown")).unwrap();
    let Outcome::Imported(report) = import(&request(folder.path(), folder.path()), &mut |_| Ok(())).unwrap() else {
        panic!("it was not imported before")
    };
    let notes = report.notes.iter().map(Note::to_string).collect::<Vec<_>>().join("\n");
    for word in
        ["not stopped cleanly", "-future", "no.such.key is left out", "carol (SCRAM-SHA-256)", "share.version=1"]
    {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert_eq!(report.configs, 1, "{notes}");
}

/// The leader epochs that Kafka's metadata has for both partitions, and where it has producer ids go on.
fn told(dir: &Path) -> (Vec<i32>, i64) {
    let look = dir.with_extension("look");
    // Without what the logs say of their epochs.
    (0..2).for_each(|index| fs::remove_file(dir.join(format!("orders-{index}/leader-epoch-checkpoint"))).unwrap());
    import(&request(dir, &look), &mut |_| Ok(())).unwrap();
    let image = ottla_quorum::look::image(&look.join("__ottla_metadata")).unwrap();
    let topic = image.topic_by_id(TOPIC).unwrap();
    let epochs = topic.partitions.iter().map(|(_, partition)| partition.leader_epoch.0).collect();
    (epochs, image.next_producer_id())
}

#[test]
fn kafka_is_told_the_epochs_and_producer_ids_that_ottla_came_to() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kafka");
    let ids = record(15, 0, &ProducerIdsRecord { broker_id: 1, broker_epoch: 1, next_producer_id: 1000 });
    kafka(&dir, &[sound(), batch(4, &[ids])].concat());
    import(&request(&dir, &dir), &mut |_| Ok(())).unwrap();
    // Kafka knows of epoch 3 and no producer ids, Ottla of epoch 5, which for one partition is nowhere else.
    let log = dir.join("__cluster_metadata-0/00000000000000000000.log");
    fs::write(&log, sound()).unwrap();
    fs::write(dir.join("orders-1/leader-epoch-checkpoint"), b"0\n1\n3 0\n").unwrap();
    let given = give_back(std::slice::from_ref(&dir)).unwrap();
    assert_eq!(given, given_once(&dir));
    let (before, after) = (sound(), fs::read(&log).unwrap());
    assert!(after.starts_with(&before));
    let again = give_back(std::slice::from_ref(&dir)).unwrap();
    assert_eq!((again.raised, again.next_producer_id), (0, None));
    assert_eq!(fs::read(&log).unwrap(), after);
    // What a crash left of it counts for nothing, and is written over.
    for torn in [before.len() + 1, after.len() - 1] {
        fs::write(&log, &after[..torn]).unwrap();
        assert_eq!(give_back(std::slice::from_ref(&dir)).unwrap(), given_once(&dir), "torn at {torn}");
        assert_eq!(fs::read(&log).unwrap(), after, "torn at {torn}");
    }
    fs::remove_dir_all(dir.join("__ottla_metadata")).unwrap();
    assert_eq!(told(&dir), (vec![5, 5], 1000));
}

fn given_once(dir: &Path) -> GivenBack {
    GivenBack { raised: 2, next_producer_id: Some(1000), metadata: Some(dir.join("__ottla_metadata")) }
}

#[test]
fn a_broker_that_was_killed_gives_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    kafka(folder.path(), &sound());
    fs::remove_file(folder.path().join(".kafka_cleanshutdown")).unwrap();
    let error = give_back(&[folder.path().to_owned()]).unwrap_err();
    assert!(matches!(error, ImportError::NotStopped { .. }), "{error}");
}
