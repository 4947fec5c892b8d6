use std::cell::Cell;

use super::*;

#[test]
fn is_made_once_and_again_when_the_recipe_changes() {
    let base = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let make = |folder: &Path| {
        made.set(made.get() + 1);
        Ok(fs::write(folder.join("file"), "x")?)
    };
    let first = entry_in(base.path(), "a/b", "recipe 1", make).unwrap();
    assert!(first.join("file").is_file());
    entry_in(base.path(), "a/b", "recipe 1", make).unwrap();
    assert_eq!(made.get(), 1);
    entry_in(base.path(), "a/b", "recipe 2", make).unwrap();
    assert_eq!(made.get(), 2);
}

#[test]
fn what_failed_half_way_is_not_used() {
    let base = tempfile::tempdir().unwrap();
    let broken = entry_in(base.path(), "e", "r", |folder| {
        fs::write(folder.join("half"), "x")?;
        anyhow::bail!("network down")
    });
    assert!(broken.is_err());
    let folder = entry_in(base.path(), "e", "r", |_| Ok(())).unwrap();
    assert!(!folder.join("half").exists());
}
