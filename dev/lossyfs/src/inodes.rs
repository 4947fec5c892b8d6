//! The kernel's numbers of files and directories, and the paths that the disk knows them by.
//!
//! Invariants: a number stays the same over renames, of the file itself and of the directories above; one whose name is gone
//! has no path, and is forgotten once the kernel has forgotten it.

use std::{collections::HashMap, path::PathBuf, time::SystemTime};

/// The kernel's number of the root.
pub(crate) const ROOT: u64 = 1;

/// What is known of a file or directory beside its content.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    parent: u64,
    name: String,
    pub(crate) is_dir: bool,
    pub(crate) permissions: u16,
    pub(crate) changed: SystemTime,
    /// How often the kernel was told of it.
    lookups: u64,
    is_named: bool,
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Inodes {
    by_number: HashMap<u64, Inode>,
    by_name: HashMap<(u64, String), u64>,
    next: u64,
}

impl Inodes {
    pub(crate) fn new(now: SystemTime) -> Self {
        let root = Inode {
            parent: ROOT,
            name: String::new(),
            is_dir: true,
            permissions: 0o755,
            changed: now,
            lookups: 1,
            is_named: true,
        };
        Self { by_number: HashMap::from([(ROOT, root)]), by_name: HashMap::new(), next: ROOT + 1 }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Inode> {
        self.by_number.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Inode> {
        self.by_number.get_mut(&number)
    }

    /// Where it is; none where its name, or one above, is gone.
    pub(crate) fn path(&self, number: u64) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut at = number;
        while at != ROOT {
            let inode = self.by_number.get(&at).filter(|inode| inode.is_named)?;
            names.push(&*inode.name);
            at = inode.parent;
        }
        Some(std::iter::once("/").chain(names.into_iter().rev()).collect())
    }

    /// The number of `name` in `parent`, which the kernel is told now.
    pub(crate) fn tell(&mut self, parent: u64, name: &str, is_dir: bool, permissions: u16, now: SystemTime) -> u64 {
        let key = (parent, name.to_owned());
        if let Some(number) = self.by_name.get(&key) {
            if let Some(inode) = self.by_number.get_mut(number) {
                inode.lookups += 1;
            }
            return *number;
        }
        let number = self.next;
        self.next += 1;
        let name = name.to_owned();
        let inode = Inode { parent, name, is_dir, permissions, changed: now, lookups: 1, is_named: true };
        self.by_number.insert(number, inode);
        self.by_name.insert(key, number);
        number
    }

    /// The name is gone.
    pub(crate) fn remove(&mut self, parent: u64, name: &str) {
        let number = self.by_name.remove(&(parent, name.to_owned()));
        if let Some(inode) = number.and_then(|number| self.by_number.get_mut(&number)) {
            inode.is_named = false;
        }
    }

    /// What had a name has another one, and what had that has none.
    pub(crate) fn rename(&mut self, from: (u64, &str), to: (u64, &str)) {
        let Some(number) = self.by_name.remove(&(from.0, from.1.to_owned())) else { return self.remove(to.0, to.1) };
        self.remove(to.0, to.1);
        if let Some(inode) = self.by_number.get_mut(&number) {
            (inode.parent, inode.name) = (to.0, to.1.to_owned());
        }
        self.by_name.insert((to.0, to.1.to_owned()), number);
    }

    /// The kernel has forgotten what it was told so many times.
    pub(crate) fn forget(&mut self, number: u64, times: u64) {
        let Some(inode) = self.by_number.get_mut(&number) else { return };
        inode.lookups = inode.lookups.saturating_sub(times);
        if inode.lookups == 0 && !inode.is_named {
            self.by_number.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn inodes() -> Inodes {
        Inodes::new(SystemTime::UNIX_EPOCH)
    }

    fn file(inodes: &mut Inodes, parent: u64, name: &str) -> u64 {
        inodes.tell(parent, name, false, 0o644, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_number_stays_whatever_is_renamed() {
        let mut inodes = inodes();
        let dir = inodes.tell(ROOT, "dir", true, 0o755, SystemTime::UNIX_EPOCH);
        let a = file(&mut inodes, dir, "a");
        assert_eq!(inodes.path(a).as_deref(), Some(Path::new("/dir/a")));
        assert_eq!(file(&mut inodes, dir, "a"), a);
        let replaced = file(&mut inodes, dir, "b");
        inodes.rename((dir, "a"), (dir, "b"));
        inodes.rename((ROOT, "dir"), (ROOT, "other"));
        assert_eq!(inodes.path(a).as_deref(), Some(Path::new("/other/b")));
        assert_eq!(inodes.path(replaced), None);
        assert_ne!(file(&mut inodes, dir, "a"), a, "the old name is free");
        assert_eq!(inodes.path(ROOT).as_deref(), Some(Path::new("/")));
    }

    #[test]
    fn what_is_gone_is_forgotten_with_the_kernel() {
        let mut inodes = inodes();
        let a = file(&mut inodes, ROOT, "a");
        file(&mut inodes, ROOT, "a");
        inodes.remove(ROOT, "a");
        inodes.forget(a, 1);
        assert!(inodes.get(a).is_some(), "it is still open");
        inodes.forget(a, 1);
        assert!(inodes.get(a).is_none());
        let kept = file(&mut inodes, ROOT, "b");
        inodes.forget(kept, 1);
        assert_eq!(file(&mut inodes, ROOT, "b"), kept, "its permissions are here alone");
    }
}
