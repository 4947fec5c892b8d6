use std::{
    io::{ErrorKind, IoSlice},
    path::Path,
    sync::Arc,
};

use ottla_disk::{Disk, DiskFile, OpenMode};

use super::{Fault, OperationKind, SimDisk, is_crash};
use crate::disk_contract;

const SEEDS: u64 = 300;

fn dir() -> &'static Path {
    Path::new("/data")
}

/// A disk with a durable `/data`.
fn disk() -> SimDisk {
    disk_of(1)
}

fn disk_of(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(dir()).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn create(disk: &SimDisk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(&dir().join(name), OpenMode::Create).unwrap()
}

/// A file that is durable with its name.
fn durable(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = create(disk, name);
    write(&*file, bytes, 0);
    file.sync_data().unwrap();
    disk.sync_dir(dir()).unwrap();
    file
}

fn write(file: &dyn DiskFile, bytes: &[u8], position: u64) {
    file.write_all_at(&mut [IoSlice::new(bytes)], position).unwrap();
}

/// What a file holds, if it is there.
fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(&dir().join(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

/// What `look` sees after each of many crashes of the disk that `build` makes.
fn crashes<T>(build: impl Fn() -> SimDisk, look: impl Fn(&SimDisk) -> T) -> Vec<T> {
    (0..SEEDS).map(|seed| look(&build().crash(seed))).collect()
}

#[test]
fn it_is_a_disk() {
    disk_contract(|| (Arc::new(disk()), dir().to_owned()));
}

#[test]
fn it_is_a_disk_whose_volume_is_not_synced_as_a_whole() {
    disk_contract(|| {
        let disk = disk();
        disk.set_volume_syncs(false);
        (Arc::new(disk), dir().to_owned())
    });
    let disk = disk();
    disk.set_volume_syncs(false);
    write(&*durable(&disk, "a", b"old"), b"new", 0);
    assert!(disk.sync_volume(dir()).is_err());
    let left = disk.power_cut();
    assert_eq!(content(&left, "a").unwrap(), b"old", "nothing was synced");
    assert!(!left.syncs_volume(dir()), "a crash makes no other disk of it");
}

#[test]
fn what_was_synced_survives_every_crash() {
    let build = || {
        let disk = disk();
        durable(&disk, "a", b"first");
        let file = durable(&disk, "a", b"second");
        file.set_len(3).unwrap();
        file.sync_data().unwrap();
        disk.rename(&dir().join("a"), &dir().join("b")).unwrap();
        disk.sync_dir(dir()).unwrap();
        disk
    };
    for found in crashes(build, |disk| (content(disk, "a"), content(disk, "b"))) {
        assert_eq!(found, (None, Some(b"sec".to_vec())));
    }
    assert_eq!(content(&build().power_cut(), "b").unwrap(), b"sec");
}

#[test]
fn unsynced_writes_are_lost_kept_torn_and_reordered() {
    let build = || {
        let disk = disk();
        let file = durable(&disk, "a", &[1; 2048]);
        write(&*file, &[2; 2048], 0);
        write(&*file, &[3; 2048], 2048);
        disk
    };
    let found = crashes(build, |disk| content(disk, "a").unwrap());
    let old = vec![1; 2048];
    let both = [vec![2; 2048], vec![3; 2048]].concat();
    assert!(found.contains(&old), "losing everything never happened");
    assert!(found.contains(&both), "keeping everything never happened");
    assert!(found.contains(&[&old[..], &[3; 2048]].concat()), "only the later write never survived");
    assert!(found.iter().any(|bytes| bytes[..512] == [1; 512] && bytes[512..1024] == [2; 512]), "no torn write");
    assert!(
        found.iter().any(|bytes| bytes.len() > 2048 && bytes[2048..].iter().all(|b| *b == 0)),
        "no length without data"
    );
    for bytes in &found {
        let whole = bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0]));
        assert!(whole, "a sector was torn");
    }
    assert_eq!(content(&build().power_cut(), "a"), Some(old));
}

#[test]
fn a_later_write_without_the_earlier_one_leaves_zeros_between() {
    let build = || {
        let disk = disk();
        let file = durable(&disk, "a", b"");
        write(&*file, &[5; 700], 0);
        write(&*file, b"tail", 700);
        disk
    };
    let found = crashes(build, |disk| content(disk, "a").unwrap());
    assert!(found.contains(&[&[0; 700][..], b"tail"].concat()));
}

#[test]
fn an_unsynced_cut_may_come_back() {
    let build = || {
        let disk = disk();
        durable(&disk, "a", b"0123456789").set_len(4).unwrap();
        disk
    };
    let found = crashes(build, |disk| content(disk, "a").unwrap().len());
    assert!(found.contains(&10) && found.contains(&4));
}

#[test]
fn names_vanish_or_stay_independently() {
    let build = || {
        let disk = disk();
        durable(&disk, "gone", b"");
        for name in ["x", "y"] {
            create(&disk, name).sync_data().unwrap();
        }
        disk.remove_file(&dir().join("gone")).unwrap();
        disk
    };
    let look = |disk: &SimDisk| ["x", "y", "gone"].map(|name| disk.exists(&dir().join(name)));
    let found = crashes(build, look);
    for bits in 0..8_u8 {
        let wanted = [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0];
        assert!(found.contains(&wanted), "{wanted:?} never happened");
    }
    assert_eq!(look(&build().power_cut()), [false, false, true]);
}

#[test]
fn a_rename_is_atomic_in_one_directory_and_across_two() {
    let build = |to: &str| {
        let disk = disk();
        durable(&disk, "from", b"new");
        durable(&disk, "to", b"old");
        disk.create_dir_all(&dir().join("sub")).unwrap();
        disk.sync_dir(dir()).unwrap();
        disk.rename(&dir().join("from"), &dir().join(to)).unwrap();
        disk
    };
    for (to, old) in [("to", Some(b"old".to_vec())), ("sub/to", None)] {
        let found = crashes(|| build(to), |disk| (content(disk, "from"), content(disk, to)));
        let (before, after) = ((Some(b"new".to_vec()), old), (None, Some(b"new".to_vec())));
        assert!(found.contains(&before) && found.contains(&after), "{to}");
        assert!(found.iter().all(|found| *found == before || *found == after), "{to}: {found:?}");
    }
    let synced_on_one_side = || {
        let disk = build("sub/to");
        disk.sync_dir(&dir().join("sub")).unwrap();
        disk
    };
    for found in crashes(synced_on_one_side, |disk| (content(disk, "from"), content(disk, "sub/to"))) {
        assert_eq!(found, (None, Some(b"new".to_vec())));
    }
}

#[test]
fn a_chain_of_renames_never_leaves_two_names() {
    let build = || {
        let disk = disk();
        durable(&disk, "a", b"x");
        disk.create_dir_all(&dir().join("sub")).unwrap();
        disk.sync_dir(dir()).unwrap();
        for (from, to) in [("a", "b"), ("b", "sub/c"), ("sub/c", "d")] {
            disk.rename(&dir().join(from), &dir().join(to)).unwrap();
        }
        disk
    };
    for names in crashes(build, |disk| ["a", "b", "sub/c", "d"].map(|name| content(disk, name))) {
        assert!(names.iter().flatten().count() <= 1, "{names:?}");
    }
}

#[test]
fn after_a_failed_sync_the_data_is_lost_though_it_can_be_read() {
    let found = |seed: u64| {
        let disk = disk_of(seed);
        let file = durable(&disk, "a", b"old");
        write(&*file, b"new", 0);
        disk.fail_at(disk.operations(), Fault::eio());
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
        file.sync_data().unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"new");
        content(&disk.power_cut(), "a").unwrap()
    };
    let lost = (0..50).any(|seed| found(seed) == b"old");
    assert!(lost, "a sync after a failed one must not make the data durable");
}

#[test]
fn faults_hit_the_operation_they_were_planned_for() {
    let disk = disk();
    let file = create(&disk, "a");
    disk.fail_at(disk.operations() + 1, Fault::enospc().after_writing(3));
    write(&*file, b"0123", 0);
    let error = file.write_all_at(&mut [IoSlice::new(b"45"), IoSlice::new(b"67")], 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk, "a").unwrap(), b"0123456");
    disk.inject(|operation| {
        let hit = operation.kind == OperationKind::Rename && operation.path.ends_with("a");
        hit.then(|| Fault::of(ErrorKind::PermissionDenied))
    });
    write(&*file, b"!", 0);
    let rename = || disk.rename(&dir().join("a"), &dir().join("b"));
    assert_eq!(rename().unwrap_err().kind(), ErrorKind::PermissionDenied);
    disk.heal();
    rename().unwrap();
}

#[test]
fn a_crash_is_told_apart_and_final() {
    let disk = disk();
    let file = durable(&disk, "a", b"old");
    disk.crash_at(disk.mutations() + 1);
    write(&*file, b"one", 0);
    let error = file.write_all_at(&mut [IoSlice::new(b"two")], 0).unwrap_err();
    assert!(is_crash(&error) && disk.crashed());
    assert!(is_crash(&file.read_at(&mut [0], 0).unwrap_err()));
    assert!(is_crash(&disk.open(&dir().join("a"), OpenMode::Read).unwrap_err()));
    assert!(is_crash(&file.sync_data().unwrap_err()));
    assert!(!disk.exists(dir()));
    assert!(!is_crash(&ErrorKind::Other.into()));
    let found: Vec<_> = (0..SEEDS).map(|seed| content(&disk.crash(seed), "a").unwrap()).collect();
    for wanted in [b"old", b"one", b"two"] {
        assert!(found.iter().any(|bytes| bytes == wanted), "the write in flight is lost or kept");
    }
}

#[test]
fn a_crash_inside_a_sync_makes_nothing_durable() {
    let disk = disk();
    let file = durable(&disk, "a", b"old");
    write(&*file, b"new", 0);
    disk.crash_at(disk.mutations());
    assert!(is_crash(&file.sync_data().unwrap_err()));
    assert_eq!(content(&disk.power_cut(), "a").unwrap(), b"old");
}

#[test]
fn a_dead_process_loses_nothing_but_its_locks() {
    let disk = disk();
    let file = durable(&disk, "a", b"old");
    let lock = disk.lock(&dir().join(".lock")).unwrap();
    write(&*file, b"new", 0);
    let next = disk.kill();
    assert!(is_crash(&file.len().unwrap_err()));
    assert_eq!(content(&next, "a").unwrap(), b"new");
    drop(next.lock(&dir().join(".lock")).unwrap());
    drop((file, lock));
    assert_eq!(content(&next.power_cut(), "a").unwrap(), b"old", "the page cache is not durable");
}

#[test]
fn a_full_volume_takes_what_fits_and_frees_what_is_removed() {
    let disk = disk();
    disk.set_space(3 * 4096);
    let file = create(&disk, "a");
    write(&*file, &[1; 4096], 0);
    let error = file.write_all_at(&mut [IoSlice::new(&[2; 10_000])], 4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 3 * 4096, "a prefix is written");
    assert_eq!(disk.space(dir()).unwrap().usable, 0);
    write(&*file, &[3; 4096], 0);
    file.set_len(4096).unwrap();
    assert_eq!(disk.space(dir()).unwrap().usable, 2 * 4096);
    disk.remove_file(&dir().join("a")).unwrap();
    assert_eq!(disk.space(dir()).unwrap().usable, 2 * 4096, "an open file keeps its space");
    drop(file);
    assert_eq!(disk.space(dir()).unwrap().usable, 3 * 4096);
}

#[test]
fn a_hole_takes_no_memory_and_no_position_is_too_far() {
    let disk = disk();
    let file = create(&disk, "a");
    file.set_len(1 << 50).unwrap();
    write(&*file, b"far", 1 << 49);
    assert_eq!(disk.space(dir()).unwrap().usable, (1 << 40) - 4096);
    assert!(file.write_all_at(&mut [IoSlice::new(b"x")], u64::MAX).is_err());
    assert!(file.set_len(u64::MAX).is_err());
    assert_eq!(file.read_at(&mut [0; 4], u64::MAX).unwrap(), 0);
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let build = || {
        let disk = disk();
        for name in ["a", "b", "c"] {
            let file = create(&disk, name);
            (0..5).for_each(|i| write(&*file, &[i + 1; 900], u64::from(i) * 900));
        }
        disk
    };
    let look = |disk: &SimDisk| ["a", "b", "c"].map(|name| content(disk, name));
    let (once, again) = (crashes(build, look), crashes(build, look));
    assert_eq!(once, again);
    assert!(once.iter().any(|found| *found != once[0]));
}

#[test]
fn short_reads_are_made_only_on_request() {
    let disk = disk();
    let file = durable(&disk, "a", &[9; 1000]);
    let mut buf = [0; 1000];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 1000);
    disk.set_short_reads(true);
    assert!((0..10).any(|_| file.read_at(&mut buf, 0).unwrap() < 1000));
    file.read_exact_at(&mut buf, 0).unwrap();
}

/// Appends numbers to a journal and says which of them it acknowledged before the crash.
fn journal(disk: &SimDisk, syncs: bool) -> u8 {
    let append = |acknowledged: u8| -> std::io::Result<()> {
        let file = disk.open(&dir().join("journal"), OpenMode::Create)?;
        disk.sync_dir(dir())?;
        let end = file.len()?;
        file.write_all_at(&mut [IoSlice::new(&[acknowledged + 1])], end)?;
        if syncs { file.sync_data() } else { Ok(()) }
    };
    (0..20).take_while(|number| append(*number).is_ok()).count() as u8
}

#[test]
fn a_store_that_forgets_to_sync_is_found_out_and_one_that_syncs_is_not() {
    for syncs in [true, false] {
        let lost = (0..60).filter(|crash_at| {
            let disk = disk();
            disk.crash_at(disk.mutations() + crash_at);
            let acknowledged = journal(&disk, syncs);
            let found = content(&disk.crash(*crash_at), "journal").unwrap_or_default();
            !found.starts_with(&(1..=acknowledged).collect::<Vec<_>>())
        });
        assert_eq!(lost.count() == 0, syncs);
    }
}
