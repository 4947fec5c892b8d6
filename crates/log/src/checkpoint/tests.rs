use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicName, TopicPartition, Uuid};

use super::{meta_properties::MetaProperties, offsets::OffsetCheckpoint, *};
use crate::{EpochStart, StdDisk};

fn put(dir: &tempfile::TempDir, name: &str, text: &str) {
    std::fs::write(dir.path().join(name), text).unwrap();
}

fn get(dir: &tempfile::TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(partition) }
}

#[test]
fn offset_checkpoints_are_kafkas() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [(partition("a.b", 0), Offset(5)), (partition("c", 12), Offset(i64::MAX))];
    for (which, name) in [
        (OffsetCheckpoint::RecoveryPoint, "recovery-point-offset-checkpoint"),
        (OffsetCheckpoint::LogStart, "log-start-offset-checkpoint"),
        (OffsetCheckpoint::HighWatermark, "replication-offset-checkpoint"),
        (OffsetCheckpoint::Cleaner, "cleaner-offset-checkpoint"),
    ] {
        assert!(which.read(&StdDisk, dir.path()).unwrap().is_empty(), "no file, no entries");
        put(&dir, name, "");
        assert!(which.read(&StdDisk, dir.path()).unwrap().is_empty(), "Kafka makes empty ones");
        which.write(&StdDisk, dir.path(), &entries).unwrap();
        assert_eq!(get(&dir, name), format!("0\n2\na.b 0 5\nc 12 {}\n", i64::MAX));
        assert_eq!(which.read(&StdDisk, dir.path()).unwrap(), entries.clone().into());
        assert!(!dir.path().join(format!("{name}.tmp")).exists());
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_its_line() {
    for (text, line) in [
        ("1\n0\n", 1),
        ("0\n", 2),
        ("0\nmany\n", 2),
        ("0\n1\n", 2),
        ("0\n1\na 0 1\nb 0 1\n", 2),
        ("0\n1\na 0\n", 3),
        ("0\n2\na 0 1\na/b 0 1\n", 4),
        ("0\n1\na 0 1 1\n", 3),
        ("0\n1\na 0 9223372036854775808\n", 3),
        ("\u{0}\u{0}\u{0}\u{0}", 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(&dir, "recovery-point-offset-checkpoint", text);
        let error = OffsetCheckpoint::RecoveryPoint.read(&StdDisk, dir.path()).unwrap_err();
        assert!(matches!(error, CheckpointError::Malformed { line: found, .. } if found == line), "{text:?}: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("leader-epoch-checkpoint"), [0xff, 0xfe]).unwrap();
    assert!(epochs::read(&StdDisk, dir.path()).is_err(), "not UTF-8");
}

#[test]
fn leader_epochs_are_kafkas() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(epochs::read(&StdDisk, dir.path()).unwrap(), None);
    let entries =
        [(0, 0), (3, 17)].map(|(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) });
    epochs::write(&StdDisk, dir.path(), &entries).unwrap();
    assert_eq!(get(&dir, "leader-epoch-checkpoint"), "0\n2\n0 0\n3 17\n");
    assert_eq!(epochs::read(&StdDisk, dir.path()).unwrap(), Some(entries.to_vec()));
}

#[test]
fn meta_properties_say_whose_directory_it_is() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(MetaProperties::read(&StdDisk, dir.path()).unwrap(), None);
    let id = Uuid([9; 16]);
    let mine = MetaProperties { cluster_id: "a=b:c".to_owned(), node_id: BrokerId(7), directory_id: id };
    mine.write(&StdDisk, dir.path()).unwrap();
    assert_eq!(MetaProperties::read(&StdDisk, dir.path()).unwrap(), Some(mine));

    let kafkas = format!("#\n#Sat Nov 21 00:00:00 UTC 2026\ncluster.id=Mk\nversion=1\ndirectory.id={id}\nnode.id=3\n");
    put(&dir, "meta.properties", &kafkas);
    let found = MetaProperties::read(&StdDisk, dir.path()).unwrap().unwrap();
    assert_eq!((found.cluster_id.as_str(), found.node_id, found.directory_id), ("Mk", BrokerId(3), id));
    put(&dir, "meta.properties", "version=0\nbroker.id=3\ncluster.id=Mk\n");
    let found = MetaProperties::read(&StdDisk, dir.path()).unwrap().unwrap();
    assert_eq!((found.node_id, found.directory_id), (BrokerId(3), Uuid::ZERO));
    for bad in
        ["", "version=2\nnode.id=1\ncluster.id=x\n", "version=1\nnode.id=x\ncluster.id=x\n", "version=1\nnode.id=1\n"]
    {
        put(&dir, "meta.properties", bad);
        assert!(MetaProperties::read(&StdDisk, dir.path()).is_err(), "{bad:?}");
    }
}

#[test]
fn partition_metadata_holds_the_topic_id() {
    let dir = tempfile::tempdir().unwrap();
    let id = Uuid([3; 16]);
    assert_eq!(partition_metadata::read(&StdDisk, dir.path()).unwrap(), None);
    partition_metadata::write(&StdDisk, dir.path(), id).unwrap();
    assert_eq!(get(&dir, "partition.metadata"), format!("version: 0\ntopic_id: {id}"));
    assert_eq!(partition_metadata::read(&StdDisk, dir.path()).unwrap(), Some(id));
    put(&dir, "partition.metadata", "");
    assert_eq!(partition_metadata::read(&StdDisk, dir.path()).unwrap(), None, "a crash may leave it empty");
    put(&dir, "partition.metadata", "version: 1\ntopic_id: x");
    assert!(partition_metadata::read(&StdDisk, dir.path()).is_err());
}

#[test]
fn a_clean_stop_leaves_its_broker_epoch() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(clean_shutdown::read(&StdDisk, dir.path()).unwrap(), None);
    clean_shutdown::write(&StdDisk, dir.path(), BrokerEpoch(42)).unwrap();
    assert_eq!(get(&dir, ".kafka_cleanshutdown"), r#"{"version":0,"brokerEpoch":42}"#);
    assert_eq!(clean_shutdown::read(&StdDisk, dir.path()).unwrap(), Some(BrokerEpoch(42)));
    for unknown in ["", "{}", r#"{"version":1,"brokerEpoch":42}"#] {
        put(&dir, ".kafka_cleanshutdown", unknown);
        assert_eq!(clean_shutdown::read(&StdDisk, dir.path()).unwrap(), Some(BrokerEpoch(-1)), "{unknown:?}");
    }
    clean_shutdown::remove(&StdDisk, dir.path()).unwrap();
    clean_shutdown::remove(&StdDisk, dir.path()).unwrap();
    assert_eq!(clean_shutdown::read(&StdDisk, dir.path()).unwrap(), None);
}
