use std::os::unix::fs::MetadataExt;

use super::*;

fn at(dir: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
    dir.path().join(name)
}

#[test]
fn open_modes_say_whether_a_file_may_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = at(&dir, "f");
    assert_eq!(StdDisk.open(&path, OpenMode::Read).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(StdDisk.open(&path, OpenMode::Write).unwrap_err().kind(), io::ErrorKind::NotFound);
    let file = StdDisk.open(&path, OpenMode::CreateNew).unwrap();
    assert!(file.is_empty().unwrap());
    assert_eq!(StdDisk.open(&path, OpenMode::CreateNew).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    file.write_all_at(&mut [IoSlice::new(b"kept")], 0).unwrap();
    assert_eq!(StdDisk.open(&path, OpenMode::Create).unwrap().len().unwrap(), 4, "an existing file keeps its bytes");
    let reader = StdDisk.open(&path, OpenMode::Read).unwrap();
    assert!(reader.write_all_at(&mut [IoSlice::new(b"x")], 0).is_err(), "read only");
}

#[test]
fn a_vectored_write_lands_in_order_whatever_the_number_of_parts() {
    let dir = tempfile::tempdir().unwrap();
    let file = StdDisk.open(&at(&dir, "f"), OpenMode::CreateNew).unwrap();
    let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
    let mut parts: Vec<IoSlice<'_>> = bytes.chunks(2).flat_map(|c| [IoSlice::new(&[]), IoSlice::new(c)]).collect();
    file.write_all_at(&mut parts, 10).unwrap();
    file.write_all_at(&mut [], 10).unwrap();
    file.write_all_at(&mut [IoSlice::new(&[])], 10).unwrap();
    let mut back = vec![0; 5000];
    file.read_exact_at(&mut back, 10).unwrap();
    assert_eq!(back, bytes);
    assert_eq!(file.read_at(&mut back, 5000).unwrap(), 10, "short at the end");
    assert_eq!(file.read_exact_at(&mut back, 5000).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    file.set_len(3).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 3);
    assert!(file.fd().is_some());
}

#[test]
fn a_lock_is_held_until_its_guard_goes() {
    let dir = tempfile::tempdir().unwrap();
    let held = StdDisk.lock(&at(&dir, ".lock")).unwrap();
    assert_eq!(StdDisk.lock(&at(&dir, ".lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    StdDisk.lock(&at(&dir, ".lock")).unwrap();
}

#[test]
fn directories_are_listed_by_name() {
    let dir = tempfile::tempdir().unwrap();
    StdDisk.create_dir_all(&at(&dir, "b/c")).unwrap();
    StdDisk.create_dir_all(&at(&dir, "b/c")).unwrap();
    StdDisk.open(&at(&dir, "a"), OpenMode::Create).unwrap();
    StdDisk.rename(&at(&dir, "a"), &at(&dir, "z")).unwrap();
    StdDisk.sync_dir(dir.path()).unwrap();
    let names: Vec<_> = StdDisk.list(dir.path()).unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
    assert_eq!(names, [("b".to_owned(), true), ("z".to_owned(), false)]);
    assert!(StdDisk.exists(&at(&dir, "b")));
    StdDisk.remove_dir_all(&at(&dir, "b")).unwrap();
    assert!(!StdDisk.exists(&at(&dir, "b")));
    StdDisk.remove_file(&at(&dir, "z")).unwrap();
    assert_eq!(StdDisk.remove_file(&at(&dir, "z")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let space = StdDisk.space(dir.path()).unwrap();
    assert!(space.total >= space.usable && space.usable > 0);
}

#[test]
fn it_keeps_the_contract_of_every_disk() {
    let root = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicUsize::new(0);
    ottla_testkit::disk_contract(|| {
        let path = root.path().join(made.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        std::fs::create_dir(&path).unwrap();
        (Arc::new(StdDisk), path)
    });
}

#[test]
fn a_volume_of_an_unknown_kind_is_not_synced_and_says_so() {
    let proc = Path::new("/proc");
    assert!(!StdDisk.syncs_volume(proc));
    assert_eq!(StdDisk.sync_volume(proc).unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert!(!StdDisk.syncs_volume(Path::new("/nowhere")));
}

#[test]
fn what_is_set_aside_changes_no_byte_and_is_given_back() {
    const LEN: u64 = 4 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = at(&dir, "f");
    let file = StdDisk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"kept")], 0).unwrap();
    let held = || std::fs::metadata(&path).unwrap().blocks() * 512;
    file.sync_data().unwrap();
    let before = held();
    file.set_aside(4, LEN).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    let folder = File::open(dir.path()).unwrap();
    let volume = Volume::of_type(rustix::fs::fstatfs(&folder).unwrap().f_type as u64);
    if volume.is_some_and(Volume::gains_from_setting_aside)
        && StdDisk.space(dir.path()).unwrap().usable > LEN + SET_ASIDE_ROOM_MIN
    {
        assert!(held() >= before + LEN - 4096, "{before} bytes before, {} after", held());
    }
    file.set_len(4).unwrap();
    assert_eq!(held(), before);
    let mut back = [0; 4];
    file.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(&back, b"kept");
}
