//! Directories that cannot be used.

use ottla_testkit::SimDisk;

use super::*;

const A: Uuid = Uuid([1; 16]);
const B: Uuid = Uuid([2; 16]);

fn at(directory: Uuid) -> Assigned {
    Assigned { directory, is_new: false }
}

/// Two directories with one partition each, `t-0` in the first, and a fault in the first.
fn broken(fault: impl Fn(&Path)) -> (tempfile::TempDir, LogDirs) {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 2);
    for i in 0..2 {
        append_many(&dirs.create(&partition("t", i), TOPIC, NOW).unwrap(), 3);
    }
    assert_eq!(dirs.directory_of(&partition("t", 0)), Some(A));
    dirs.close(BrokerEpoch(1)).unwrap();
    drop(dirs);
    fault(&paths(&root, 2)[0]);
    let dirs = open(&root, 2);
    (root, dirs)
}

type Spoil = Box<dyn Fn(&Path)>;

fn properties(text: &str) -> Spoil {
    let text = text.to_owned();
    Box::new(move |path| fs::write(path.join("meta.properties"), &text).unwrap())
}

#[test]
fn the_others_are_used_when_one_cannot_be() {
    let ours = "version=1\ncluster.id=cluster\nnode.id=1\ndirectory.id=AQEBAQEBAQEBAQEBAQEBAQ\n";
    let faults: [(&str, Spoil); 4] = [
        ("damaged", properties("what is this")),
        ("another node's", properties(&ours.replace("node.id=1", "node.id=7"))),
        ("another cluster's", properties(&ours.replace("=cluster", "=other"))),
        (
            "a file",
            Box::new(|path| {
                fs::rename(path, path.with_extension("away")).unwrap();
                fs::write(path, "").unwrap();
            }),
        ),
    ];
    for (what, fault) in faults {
        let (_root, dirs) = broken(fault);
        assert_eq!((dirs.online_directories(), dirs.offline_directories()), (vec![B], 1), "{what}");
        assert_eq!(dirs.open_assigned(&partition("t", 1), TOPIC, at(B), NOW).unwrap().log_end(), Offset(3));
        for assigned in [at(A), at(Uuid::ZERO)] {
            let offline = dirs.open_assigned(&partition("t", 0), TOPIC, assigned, NOW);
            assert!(matches!(offline, Err(CreateError::Offline { .. })), "{what}: {offline:?}");
            assert!(!dirs.is_usable(&partition("t", 0), assigned));
        }
        assert!(!dirs.contains(&partition("t", 0)), "nothing began anew");
        dirs.create(&partition("new", 0), TOPIC, NOW).unwrap();
        let described = dirs.describe(NOW);
        assert_eq!((described[0].failed, described[0].partitions.len(), described[0].space), (true, 0, None));
        assert_eq!((described[1].failed, described[1].partitions.len()), (false, 2));
        dirs.close(BrokerEpoch(2)).unwrap();
    }
}

#[test]
fn what_is_mounted_in_place_of_a_directory_is_not_taken_for_it() {
    let (_root, dirs) = broken(|path| fs::rename(path, path.with_extension("away")).unwrap());
    assert_eq!(dirs.offline_directories(), 0, "an empty directory is as good as any");
    let opened = dirs.open_assigned(&partition("t", 0), TOPIC, at(Uuid([9; 16])), NOW);
    assert!(matches!(opened, Err(CreateError::Offline { .. })));
}

#[test]
fn a_directory_that_another_process_holds_is_left_to_it() {
    let root = tempfile::tempdir().unwrap();
    let first = open(&root, 1);
    let dirs = open(&root, 2);
    assert_eq!(dirs.online_directories(), [B]);
    drop(first);
}

#[test]
fn a_partition_in_two_directories_is_the_one_that_the_metadata_means() {
    let other = Uuid([8; 16]);
    for (topic_of_a, known, expected) in [
        (TOPIC, Some(Known { topic_id: TOPIC, directory: A }), Some(A)),
        (TOPIC, Some(Known { topic_id: TOPIC, directory: B }), Some(B)),
        (other, Some(Known { topic_id: TOPIC, directory: A }), Some(B)),
        (TOPIC, Some(Known { topic_id: TOPIC, directory: Uuid::ZERO }), None),
        (TOPIC, None, None),
    ] {
        let root = tempfile::tempdir().unwrap();
        let dirs = open(&root, 1);
        append_many(&dirs.create(&partition("t", 0), topic_of_a, NOW).unwrap(), 1);
        dirs.close(BrokerEpoch(1)).unwrap();
        drop(dirs);
        fs::rename(&paths(&root, 2)[0], root.path().join("away")).unwrap();
        let dirs = open(&root, 2);
        let in_b = Assigned { directory: B, is_new: true };
        append_many(&dirs.open_assigned(&partition("t", 0), TOPIC, in_b, NOW).unwrap(), 2);
        dirs.close(BrokerEpoch(1)).unwrap();
        drop(dirs);
        fs::remove_dir_all(&paths(&root, 2)[0]).unwrap();
        fs::rename(root.path().join("away"), &paths(&root, 2)[0]).unwrap();

        let dirs = open(&root, 2);
        dirs.settle_twins(|_| known);
        let assigned = at(known.map_or(Uuid::ZERO, |known| known.directory));
        match expected {
            Some(directory) => {
                assert_eq!(dirs.directory_of(&partition("t", 0)), Some(directory));
                let log = dirs.open_assigned(&partition("t", 0), TOPIC, assigned, NOW).unwrap();
                assert_eq!((log.log_end().0, dirs.strays()), (if directory == A { 1 } else { 2 }, 1));
            }
            None => {
                let opened = dirs.open_assigned(&partition("t", 0), TOPIC, assigned, NOW);
                assert!(matches!(opened, Err(CreateError::Offline { .. })));
                assert_eq!(dirs.strays(), 0);
            }
        }
    }
}

#[test]
fn all_of_them_bad_is_an_error_that_names_each() {
    let disk = SimDisk::new(1);
    let config = Arc::new(LogConfig::default());
    let settings = LogDirsConfig { flush_threads: 0, ..LogDirsConfig::default() };
    disk.inject(|_| Some(ottla_testkit::Fault::eio()));
    let paths = [PathBuf::from("/x"), PathBuf::from("/y")];
    let error = LogDirs::open(Arc::new(disk), &paths, &identity(2), settings, config, NOW).unwrap_err().to_string();
    assert!(error.contains("/x: ") && error.contains("/y: "), "{error}");
}

#[test]
fn a_reserve_is_kept_and_made_again() {
    let root = tempfile::tempdir().unwrap();
    let dirs = open(&root, 1);
    let path = paths(&root, 1)[0].join(".ottla-reserve");
    assert!(!path.exists(), "a start does not wait for it");
    dirs.look_after_space();
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    let needs_it = || if path.exists() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) };
    dirs.with_reserve(&dirs.dirs[0], needs_it).unwrap();
    dirs.look_after_space();
    assert!(path.exists());
}
