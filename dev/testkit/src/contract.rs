//! The suite that every [`Disk`] must pass, simulated or real. It asks for what the trait promises, without crashes.
#![allow(clippy::unwrap_used)] // a suite of tests: a broken promise is to panic

use std::{
    io::{ErrorKind, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::{Disk, DiskFile, FileSlice, OpenMode};

/// Runs the suite. `make` gives a disk and an existing, empty directory on it, fresh at each call.
///
/// # Panics
/// Where the disk breaks a promise.
pub fn disk_contract(make: impl Fn() -> (Arc<dyn Disk>, PathBuf)) {
    let suite: [fn(&dyn Disk, &Path); 14] = [
        open_modes_differ_in_what_must_exist,
        bytes_are_read_where_they_were_written,
        a_vectored_write_is_one_after_the_other,
        a_gap_reads_as_zeros,
        set_len_cuts_and_extends_with_zeros,
        reads_end_with_the_file,
        a_read_only_handle_writes_nothing,
        rename_replaces_and_follows_handles,
        rename_moves_directories,
        a_removed_file_stays_readable,
        remove_dir_all_takes_what_is_below,
        lists_are_sorted_and_tell_directories,
        syncing_changes_nothing_that_is_seen,
        a_lock_is_exclusive_until_dropped,
    ];
    for check in suite {
        let (disk, dir) = make();
        check(&*disk, &dir);
    }
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("succeeded, but must fail"),
        Err(error) => error.kind(),
    }
}

fn file_of(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(path, OpenMode::Create).unwrap();
    write(&*file, bytes, 0);
    file
}

fn write(file: &dyn DiskFile, bytes: &[u8], position: u64) {
    file.write_all_at(&mut [IoSlice::new(bytes)], position).unwrap();
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0xEE; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn names(disk: &dyn Disk, dir: &Path) -> Vec<String> {
    disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn open_modes_differ_in_what_must_exist(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("a");
    assert_eq!(kind(disk.open(&path, OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&path, OpenMode::Write)), ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&dir.join("no/a"), OpenMode::Create)), ErrorKind::NotFound);
    assert!(!disk.exists(&path));
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    write(&*file, b"kept", 0);
    assert_eq!(kind(disk.open(&path, OpenMode::CreateNew)), ErrorKind::AlreadyExists);
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        assert_eq!(content(&*disk.open(&path, mode).unwrap()), b"kept", "{mode:?} must not cut the file");
    }
    assert!(disk.exists(&path) && disk.exists(dir));
}

fn bytes_are_read_where_they_were_written(disk: &dyn Disk, dir: &Path) {
    let file = file_of(disk, &dir.join("a"), b"0123456789");
    let reader = disk.open(&dir.join("a"), OpenMode::Read).unwrap();
    write(&*file, b"AB", 4);
    write(&*file, b"end", 9);
    assert_eq!(content(&*reader), b"0123AB678end");
    let mut buf = [0; 3];
    assert_eq!(reader.read_at(&mut buf, 3).unwrap(), 3);
    assert_eq!(&buf, b"3AB");
    let slice = FileSlice { file: reader, position: 9, len: 3 };
    assert_eq!(&slice.read().unwrap()[..], b"end");
}

fn a_vectored_write_is_one_after_the_other(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("a"), OpenMode::Create).unwrap();
    let big = vec![7; 100_000];
    let mut parts = vec![IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(&big)];
    let many: Vec<Vec<u8>> = (0..3000_u32).map(|i| i.to_be_bytes().to_vec()).collect();
    parts.extend(many.iter().map(|part| IoSlice::new(part)));
    file.write_all_at(&mut parts, 5).unwrap();
    let expected = [&[0; 5][..], b"head", &big, &many.concat()].concat();
    assert_eq!(content(&*file), expected);
    file.write_all_at(&mut [], 1 << 30).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"")], 1 << 30).unwrap();
    assert_eq!(file.len().unwrap(), expected.len() as u64, "nothing written must not grow the file");
}

fn a_gap_reads_as_zeros(disk: &dyn Disk, dir: &Path) {
    let file = file_of(disk, &dir.join("a"), b"x");
    write(&*file, b"y", 10_000);
    let bytes = content(&*file);
    assert_eq!((bytes.len(), bytes[0], bytes[10_000]), (10_001, b'x', b'y'));
    assert!(bytes[1..10_000].iter().all(|byte| *byte == 0));
}

fn set_len_cuts_and_extends_with_zeros(disk: &dyn Disk, dir: &Path) {
    let file = file_of(disk, &dir.join("a"), b"0123456789");
    file.set_len(4).unwrap();
    assert_eq!(content(&*file), b"0123");
    file.set_len(8).unwrap();
    assert_eq!(content(&*file), b"0123\0\0\0\0", "what was cut must not come back");
    file.set_len(0).unwrap();
    assert!(file.is_empty().unwrap());
}

fn reads_end_with_the_file(disk: &dyn Disk, dir: &Path) {
    let file = file_of(disk, &dir.join("a"), b"0123456789");
    let mut buf = [0; 8];
    assert_eq!(file.read_at(&mut buf, 6).unwrap(), 4);
    assert_eq!(&buf[..4], b"6789");
    assert_eq!(file.read_at(&mut buf, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
    assert_eq!(kind(file.read_exact_at(&mut buf, 3)), ErrorKind::UnexpectedEof);
}

fn a_read_only_handle_writes_nothing(disk: &dyn Disk, dir: &Path) {
    file_of(disk, &dir.join("a"), b"kept");
    let reader = disk.open(&dir.join("a"), OpenMode::Read).unwrap();
    assert!(reader.write_all_at(&mut [IoSlice::new(b"lost")], 0).is_err());
    assert!(reader.set_len(0).is_err());
    assert_eq!(content(&*reader), b"kept");
}

fn rename_replaces_and_follows_handles(disk: &dyn Disk, dir: &Path) {
    let (from, to) = (dir.join("new"), dir.join("old"));
    let replaced = file_of(disk, &to, b"old");
    let moved = file_of(disk, &from, b"new");
    disk.rename(&from, &to).unwrap();
    assert_eq!(names(disk, dir), ["old"]);
    write(&*moved, b"er", 3);
    assert_eq!(content(&*disk.open(&to, OpenMode::Read).unwrap()), b"newer");
    assert_eq!(content(&*replaced), b"old");
    disk.rename(&to, &to).unwrap();
    assert_eq!(kind(disk.rename(&from, &to)), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(&to, &dir.join("no/a"))), ErrorKind::NotFound);
}

fn rename_moves_directories(disk: &dyn Disk, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    disk.create_dir_all(&from.join("below")).unwrap();
    let file = file_of(disk, &from.join("below/a"), b"a");
    disk.rename(&from, &to).unwrap();
    assert!(!disk.exists(&from));
    write(&*file, b"b", 1);
    assert_eq!(content(&*disk.open(&to.join("below/a"), OpenMode::Read).unwrap()), b"ab");
    disk.create_dir_all(&from).unwrap();
    assert!(disk.rename(&from, &to).is_err(), "a directory that holds something is not replaced");
    assert!(disk.rename(&to, &to.join("below/in")).is_err(), "a directory cannot move into itself");
    disk.rename(&to.join("below/a"), &from.join("a")).unwrap();
    assert_eq!((names(disk, &from), names(disk, &to.join("below"))), (vec!["a".to_owned()], vec![]));
}

fn a_removed_file_stays_readable(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("a");
    let file = file_of(disk, &path, b"still here");
    disk.remove_file(&path).unwrap();
    assert!(!disk.exists(&path));
    assert_eq!(kind(disk.remove_file(&path)), ErrorKind::NotFound);
    write(&*file, b"!", 10);
    file.sync_data().unwrap();
    assert_eq!(content(&*file), b"still here!");
    assert!(disk.open(&path, OpenMode::CreateNew).unwrap().is_empty().unwrap());
}

fn remove_dir_all_takes_what_is_below(disk: &dyn Disk, dir: &Path) {
    let top = dir.join("top");
    disk.create_dir_all(&top.join("x/y")).unwrap();
    disk.create_dir_all(&top.join("x/y")).unwrap();
    let file = file_of(disk, &top.join("x/y/a"), b"a");
    assert!(disk.remove_file(&top).is_err(), "a directory is not removed as a file");
    disk.remove_dir_all(&top).unwrap();
    assert!(!disk.exists(&top) && !disk.exists(&top.join("x/y/a")));
    assert_eq!(kind(disk.remove_dir_all(&top)), ErrorKind::NotFound);
    assert_eq!(content(&*file), b"a");
    file_of(disk, &dir.join("plain"), b"");
    assert!(disk.create_dir_all(&dir.join("plain/x")).is_err());
}

fn lists_are_sorted_and_tell_directories(disk: &dyn Disk, dir: &Path) {
    for name in ["b", "a", "C", "10", "9"] {
        file_of(disk, &dir.join(name), b"");
    }
    disk.create_dir_all(&dir.join("aa/below")).unwrap();
    assert_eq!(names(disk, dir), ["10", "9", "C", "a", "aa", "b"]);
    let dirs: Vec<_> = disk.list(dir).unwrap().into_iter().filter(|entry| entry.is_dir).collect();
    assert_eq!(dirs.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["aa"]);
    assert_eq!(kind(disk.list(&dir.join("no"))), ErrorKind::NotFound);
    assert!(disk.list(&dir.join("a")).is_err(), "a file has no entries");
}

fn syncing_changes_nothing_that_is_seen(disk: &dyn Disk, dir: &Path) {
    let file = file_of(disk, &dir.join("a"), b"a");
    file.sync_data().unwrap();
    disk.sync_dir(dir).unwrap();
    if disk.syncs_volume(dir) {
        disk.sync_volume(dir).unwrap();
    } else {
        assert_eq!(kind(disk.sync_volume(dir)), ErrorKind::Unsupported);
    }
    assert_eq!((content(&*file), names(disk, dir)), (b"a".to_vec(), vec!["a".to_owned()]));
    assert_eq!(kind(disk.sync_dir(&dir.join("no"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_volume(&dir.join("no"))), ErrorKind::NotFound);
    let space = disk.space(dir).unwrap();
    assert!(space.usable > 0 && space.usable <= space.total);
}

fn a_lock_is_exclusive_until_dropped(disk: &dyn Disk, dir: &Path) {
    let path = dir.join(".lock");
    let held = disk.lock(&path).unwrap();
    assert!(disk.exists(&path));
    assert_eq!(kind(disk.lock(&path)), ErrorKind::WouldBlock);
    let _other = disk.lock(&dir.join(".other")).unwrap();
    drop(held);
    drop(disk.lock(&path).unwrap());
    assert_eq!(kind(disk.lock(&dir.join("no/.lock"))), ErrorKind::NotFound);
}
