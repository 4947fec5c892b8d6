use super::*;
use crate::StdDisk;

#[test]
fn files_beyond_the_bound_are_closed_and_open_again_when_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 4);
    let path: Arc<Path> = dir.path().into();
    let handles: Vec<_> = (0..20).map(|i| cache.handle(&path, i.to_string())).collect();
    for handle in &handles {
        assert!(handle.get_if_exists().unwrap().is_none());
        handle.get_or_create().unwrap();
    }
    let open = |handles: &[Arc<Handle>]| handles.iter().filter(|h| h.file.lock().is_some()).count();
    assert_eq!(open(&handles), 4);
    for _ in 0..3 {
        for handle in &handles {
            handle.get().unwrap();
            assert!(open(&handles) <= 4);
        }
    }
    drop(handles);
    cache.handle(&path, "new".into()).get_or_create().unwrap();
    assert!(cache.open.lock().len() <= 4, "handles that are gone leave the cache");
}

#[test]
fn a_file_in_use_is_spared() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 3);
    let path: Arc<Path> = dir.path().into();
    let hot = cache.handle(&path, "hot".into());
    hot.get_or_create().unwrap();
    let mut kept = 0;
    for i in 0..30 {
        cache.handle(&path, i.to_string()).get_or_create().unwrap();
        kept += usize::from(hot.file.lock().is_some());
        hot.get().unwrap();
    }
    assert!(kept > 20, "the hot file was closed in {} of 30 rounds", 30 - kept);
}

#[test]
fn a_removed_file_is_gone_and_removing_twice_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 3);
    let handle = cache.handle(&dir.path().into(), "f".into());
    let file = handle.get_or_create().unwrap();
    file.write_all_at(&mut [io::IoSlice::new(b"abc")], 0).unwrap();
    handle.remove().unwrap();
    handle.remove().unwrap();
    assert!(handle.get_if_exists().unwrap().is_none());
    let mut buf = [0; 3];
    file.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"abc", "who holds the file still reads it");
}

#[test]
fn a_retired_file_is_read_under_its_new_name_and_its_old_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 3);
    let path: Arc<Path> = dir.path().into();
    let old = cache.handle(&path, "f".into());
    old.get_or_create().unwrap().write_all_at(&mut [io::IoSlice::new(b"abc")], 0).unwrap();
    assert_eq!(old.retire().unwrap(), Some(dir.path().join("f.deleted")));
    assert_eq!(cache.handle(&path, "none".into()).retire().unwrap(), None);
    cache.handle(&path, "f".into()).get_or_create().unwrap();
    for _ in 0..2 {
        let mut buf = [0; 3];
        old.get().unwrap().read_exact_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"abc");
        old.close();
    }
    std::fs::remove_file(old.path()).unwrap();
    assert!(old.get_if_exists().unwrap().is_none());
    old.get_or_create().unwrap_err();
}

#[test]
fn who_opens_a_file_while_it_is_retired_gets_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 3);
    let path: Arc<Path> = dir.path().into();
    for round in 0..200 {
        let handle = cache.handle(&path, round.to_string());
        handle.get_or_create().unwrap().set_len(7).unwrap();
        handle.close();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(handle.get().unwrap().len().unwrap(), 7);
                    handle.close();
                }
            });
            handle.retire().unwrap();
            cache.handle(&path, round.to_string()).get_or_create().unwrap();
        });
    }
}

#[test]
fn where_the_process_may_open_no_more_half_of_the_files_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HandleCache::new(Arc::new(StdDisk), 100);
    let path: Arc<Path> = dir.path().into();
    let handles: Vec<_> = (0..10).map(|i| cache.handle(&path, i.to_string())).collect();
    assert!(!cache.close_half(), "there is nothing to close");
    for handle in &handles {
        handle.get_or_create().unwrap();
    }
    assert!(cache.close_half());
    assert_eq!(handles.iter().filter(|handle| handle.file.lock().is_some()).count(), 5);
    assert!(is_too_many(&rustix::io::Errno::MFILE.into()) && is_too_many(&rustix::io::Errno::NFILE.into()));
    assert!(!is_too_many(&io::ErrorKind::NotFound.into()));
}
