//! Files and directories of the simulated disk: what a running process sees, what is durable, and the changes between.
//!
//! Invariants: a directory's live names are its durable names with its pending changes applied in order; so are a
//! file's live bytes, unless a sync of it failed. All state is touched under the disk's one lock.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path},
    sync::Arc,
};

use parking_lot::Mutex;

use super::content::Content;

/// A change of a file's bytes that no sync confirmed yet.
pub(super) enum ByteChange {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl ByteChange {
    pub(super) fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { position, bytes } => content.write(bytes, *position),
            Self::SetLen(len) => content.set_len(*len),
        }
    }
}

#[derive(Default)]
pub(super) struct FileState {
    pub(super) live: Content,
    pub(super) durable: Content,
    pub(super) pending: Vec<ByteChange>,
    /// Whether a sync of the volume could not write all of it: its own next sync says so.
    pub(super) write_failed: bool,
    /// Whether a live name leads to the file.
    pub(super) linked: bool,
    /// Open handles.
    pub(super) handles: usize,
}

impl FileState {
    pub(super) fn change(&mut self, change: ByteChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// Makes the pending changes durable, or of each whether `keep` says so.
    pub(super) fn settle(&mut self, mut keep: impl FnMut() -> bool) {
        for change in self.pending.drain(..) {
            if keep() {
                change.apply(&mut self.durable);
            }
        }
    }

    /// Whether its space is still taken.
    pub(super) fn in_use(&self) -> bool {
        self.linked || self.handles > 0
    }
}

#[derive(Default)]
pub(super) struct FileNode(pub(super) Mutex<FileState>);

pub(super) type Names = BTreeMap<String, Node>;

/// A change of a directory's names that no sync confirmed yet.
pub(super) struct NameChange {
    /// The same in both directories where a rename moved a node from one to another: both happen or none.
    pub(super) id: u64,
    pub(super) kind: NameChangeKind,
}

pub(super) enum NameChangeKind {
    Put { name: String, node: Node },
    Remove { name: String },
    Rename { to: String, node: Node },
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match &self.kind {
            NameChangeKind::Put { name, node } => {
                names.insert(name.clone(), node.clone());
            }
            NameChangeKind::Remove { name } => {
                names.remove(name);
            }
            NameChangeKind::Rename { to, node } => {
                names.retain(|_, other| !other.is(node));
                names.insert(to.clone(), node.clone());
            }
        }
    }
}

#[derive(Default)]
pub(super) struct DirState {
    pub(super) live: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<NameChange>,
}

impl DirState {
    pub(super) fn change(&mut self, id: u64, kind: NameChangeKind) {
        let change = NameChange { id, kind };
        change.apply(&mut self.live);
        self.pending.push(change);
    }
}

#[derive(Default)]
pub(super) struct DirNode(pub(super) Mutex<DirState>);

#[derive(Clone)]
pub(super) enum Node {
    File(Arc<FileNode>),
    Dir(Arc<DirNode>),
}

impl Node {
    /// Whether both are the same file or directory.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    pub(super) fn address(&self) -> usize {
        match self {
            Self::File(file) => Arc::as_ptr(file) as usize,
            Self::Dir(dir) => Arc::as_ptr(dir) as usize,
        }
    }
}

impl DirNode {
    pub(super) fn get(&self, name: &str) -> Option<Node> {
        self.0.lock().live.get(name).cloned()
    }
}

/// The names on the way from the root; a path without a leading `/` starts there as well.
pub(super) fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(parts)
}

/// What `parts` lead to from `root`.
pub(super) fn find(root: &Arc<DirNode>, parts: &[&str]) -> io::Result<Node> {
    let mut at = Node::Dir(root.clone());
    for name in parts {
        let Node::Dir(dir) = at else { return Err(io::ErrorKind::NotADirectory.into()) };
        at = dir.get(name).ok_or(io::ErrorKind::NotFound)?;
    }
    Ok(at)
}

/// As [`find`], of a directory.
pub(super) fn find_dir(root: &Arc<DirNode>, parts: &[&str]) -> io::Result<Arc<DirNode>> {
    match find(root, parts)? {
        Node::Dir(dir) => Ok(dir),
        Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// The directory that holds the last of `parts`, and that name.
pub(super) fn find_parent<'a>(root: &Arc<DirNode>, parts: &[&'a str]) -> io::Result<(Arc<DirNode>, &'a str)> {
    let (name, above) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((find_dir(root, above)?, name))
}
