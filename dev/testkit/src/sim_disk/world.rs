//! The simulated disk's state, and the operations on names.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use ottla_disk::OpenMode;

use super::{
    fault::{Faults, OperationKind},
    tree::{DirNode, FileNode, NameChangeKind, Node, find, find_dir, find_parent, parts},
};
use crate::Dice;

pub(super) struct World {
    pub(super) root: Arc<DirNode>,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) short_reads: bool,
    pub(super) volume_syncs: bool,
    pub(super) locked: Vec<Arc<FileNode>>,
    pub(super) name_changes: u64,
    pub(super) committed: BTreeSet<u64>,
}

impl World {
    pub(super) fn free(&self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    pub(super) fn read_len(&mut self, asked: usize) -> usize {
        if self.short_reads && asked > 1 { 1 + self.dice.below(asked as u64) as usize } else { asked }
    }

    pub(super) fn change(&mut self, dir: &DirNode, kind: NameChangeKind) {
        dir.0.lock().change(self.name_changes, kind);
        self.name_changes += 1;
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Arc<FileNode>> {
        let (dir, name) = find_parent(&self.root, &parts(path)?)?;
        let admitted = self.faults.admit(OperationKind::Create, path)?;
        let file = Arc::<FileNode>::default();
        file.0.lock().linked = true;
        self.change(&dir, NameChangeKind::Put { name: name.to_owned(), node: Node::File(file.clone()) });
        admitted.finish(file)
    }

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<Arc<FileNode>> {
        let creates = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
        match find(&self.root, &parts(path)?) {
            Ok(_) if mode == OpenMode::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            Ok(Node::File(file)) => self.faults.admit(OperationKind::Open, path)?.finish(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound && creates => self.create(path),
            Err(error) => Err(error),
        }
    }

    pub(super) fn unlink(&mut self, dir: &DirNode, name: &str, path: &Path) -> io::Result<()> {
        let admitted = self.faults.admit(OperationKind::Remove, path)?;
        if let Some(Node::File(file)) = dir.get(name) {
            self.release(&file);
        }
        self.change(dir, NameChangeKind::Remove { name: name.to_owned() });
        admitted.finish(())
    }

    /// A file lost its last live name.
    pub(super) fn release(&mut self, file: &FileNode) {
        let mut file = file.0.lock();
        file.linked = false;
        if !file.in_use() {
            self.used -= file.live.allocated();
        }
    }

    pub(super) fn remove_tree(&mut self, dir: &DirNode, path: &Path) -> io::Result<()> {
        let names = dir.0.lock().live.clone();
        for (name, node) in names {
            let path = path.join(&name);
            if let Node::Dir(below) = &node {
                self.remove_tree(below, &path)?;
            }
            self.unlink(dir, &name, &path)?;
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_parts, to_parts) = (parts(from)?, parts(to)?);
        let (from_dir, from_name) = find_parent(&self.root, &from_parts)?;
        let (to_dir, to_name) = find_parent(&self.root, &to_parts)?;
        let node = from_dir.get(from_name).ok_or(io::ErrorKind::NotFound)?;
        let replaced = to_dir.get(to_name);
        check_replacement(&node, replaced.as_ref())?;
        let admitted = self.faults.admit(OperationKind::Rename, from)?;
        if to_parts == from_parts {
            return admitted.finish(());
        }
        if to_parts.starts_with(&from_parts) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(Node::File(file)) = replaced {
            self.release(&file);
        }
        let to = to_name.to_owned();
        if Arc::ptr_eq(&from_dir, &to_dir) {
            self.change(&to_dir, NameChangeKind::Rename { to, node });
        } else {
            to_dir.0.lock().change(self.name_changes, NameChangeKind::Put { name: to, node });
            self.change(&from_dir, NameChangeKind::Remove { name: from_name.to_owned() });
        }
        admitted.finish(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = find_dir(&self.root, &parts(path)?)?;
        let admitted = self.faults.admit(OperationKind::SyncDir, path)?;
        let mut dir = dir.0.lock();
        dir.durable = dir.live.clone();
        self.committed.extend(dir.pending.drain(..).map(|change| change.id));
        admitted.finish(())
    }

    /// The whole disk is one volume.
    pub(super) fn sync_volume(&mut self, path: &Path) -> io::Result<()> {
        find_dir(&self.root, &parts(path)?)?;
        let root = Arc::clone(&self.root);
        match self.faults.admit(OperationKind::SyncVolume, path) {
            Ok(_) if !self.volume_syncs => Err(io::ErrorKind::Unsupported.into()),
            Ok(admitted) => {
                self.settle_below(&root);
                admitted.finish(())
            }
            Err(error) if self.faults.crashed => Err(error),
            Err(error) => {
                self.spoil_below(&root);
                Err(error)
            }
        }
    }

    fn settle_below(&mut self, dir: &DirNode) {
        let mut state = dir.0.lock();
        state.durable = state.live.clone();
        self.committed.extend(state.pending.drain(..).map(|change| change.id));
        let nodes: Vec<Node> = state.live.values().cloned().collect();
        drop(state);
        for node in nodes {
            match node {
                Node::Dir(below) => self.settle_below(&below),
                Node::File(file) => file.0.lock().settle(|| true),
            }
        }
    }

    /// Of each file that had something to write, some was written; names stay as they were.
    fn spoil_below(&mut self, dir: &DirNode) {
        let nodes: Vec<Node> = dir.0.lock().live.values().cloned().collect();
        for node in nodes {
            match node {
                Node::Dir(below) => self.spoil_below(&below),
                Node::File(file) => {
                    let mut file = file.0.lock();
                    file.write_failed |= !file.pending.is_empty();
                    file.settle(|| self.dice.coin());
                }
            }
        }
    }
}

/// What `rename(2)` refuses to replace.
fn check_replacement(node: &Node, replaced: Option<&Node>) -> io::Result<()> {
    match (node, replaced) {
        (_, None) | (Node::File(_), Some(Node::File(_))) => Ok(()),
        (Node::File(_), Some(Node::Dir(_))) => Err(io::ErrorKind::IsADirectory.into()),
        (Node::Dir(_), Some(Node::File(_))) => Err(io::ErrorKind::NotADirectory.into()),
        (Node::Dir(_), Some(other @ Node::Dir(dir))) if node.is(other) || dir.0.lock().live.is_empty() => Ok(()),
        (Node::Dir(_), Some(Node::Dir(_))) => Err(io::ErrorKind::DirectoryNotEmpty.into()),
    }
}

/// Closes the handles of a dead process; the bytes that the files left take.
pub(super) fn forget_handles(dir: &DirNode) -> u64 {
    let names = dir.0.lock().live.clone();
    let bytes_of = |node: &Node| match node {
        Node::Dir(below) => forget_handles(below),
        Node::File(file) => {
            let mut file = file.0.lock();
            file.handles = 0;
            file.live.allocated()
        }
    };
    names.values().map(bytes_of).sum()
}
