//! What a crash leaves of the un-synced.
//!
//! Durable bytes and names always survive. Of each file's pending writes any subset does, of a write any subset of its
//! 512-byte sectors, and the length of a lost write may stay as a hole; of each directory's pending names any subset
//! does. Per file and directory the dice first choose between nothing, everything, a prefix and each for itself, so that
//! the extremes are seen as often as the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    content::Content,
    tree::{ByteChange, DirNode, DirState, FileNode, FileState, Names, Node},
};
use crate::Dice;

/// Smallest unit that a device writes whole, bytes.
const SECTOR: u64 = 512;

/// How much of the un-synced is lost.
pub(super) enum Loss {
    /// All of it: the worst power cut.
    Everything,
    /// As the dice fall.
    Some(Dice),
}

/// Builds the tree that survives.
pub(super) struct Survivors {
    loss: Loss,
    /// Renames between directories of which one side was synced.
    committed: BTreeSet<u64>,
    /// What was thrown for changes that stand in two directories.
    thrown: BTreeMap<u64, bool>,
    /// Nodes that have a name already: a node never ends under two.
    placed: BTreeSet<usize>,
    /// Bytes of the volume that the surviving files take.
    pub(super) used: u64,
}

/// Whether one more pending change of a file or directory is kept.
enum Pattern {
    None,
    All,
    Prefix(u64),
    Each,
}

impl Pattern {
    /// Whether nothing is left of change `index`, not even a part.
    fn ends_before(&self, index: usize) -> bool {
        match self {
            Self::None => true,
            Self::Prefix(kept) => *kept < index as u64,
            Self::All | Self::Each => false,
        }
    }
}

impl Survivors {
    pub(super) fn new(loss: Loss, committed: BTreeSet<u64>) -> Self {
        Self { loss, committed, thrown: BTreeMap::new(), placed: BTreeSet::new(), used: 0 }
    }

    pub(super) fn dir(&mut self, dir: &DirNode) -> Arc<DirNode> {
        let names = self.names(&dir.0.lock());
        let mut survived = Names::new();
        for (name, node) in names {
            if self.placed.insert(node.address()) {
                survived.insert(name, self.node(&node));
            }
        }
        let state = DirState { live: survived.clone(), durable: survived, pending: Vec::new() };
        Arc::new(DirNode(state.into()))
    }

    fn node(&mut self, node: &Node) -> Node {
        match node {
            Node::Dir(dir) => Node::Dir(self.dir(dir)),
            Node::File(file) => Node::File(self.file(file)),
        }
    }

    fn names(&mut self, dir: &DirState) -> Names {
        let mut names = dir.durable.clone();
        let pattern = self.pattern(dir.pending.len());
        for (index, change) in dir.pending.iter().enumerate() {
            let thrown = self.keeps(&pattern, index);
            let kept = self.committed.contains(&change.id) || *self.thrown.entry(change.id).or_insert(thrown);
            if kept {
                change.apply(&mut names);
            }
        }
        names
    }

    fn file(&mut self, file: &FileNode) -> Arc<FileNode> {
        let content = self.bytes(&file.0.lock());
        self.used += content.allocated();
        let state = FileState { live: content.clone(), durable: content, linked: true, ..FileState::default() };
        Arc::new(FileNode(state.into()))
    }

    fn bytes(&mut self, file: &FileState) -> Content {
        let mut content = file.durable.clone();
        let pattern = self.pattern(file.pending.len());
        for (index, change) in file.pending.iter().enumerate() {
            if self.keeps(&pattern, index) {
                change.apply(&mut content);
            } else if pattern.ends_before(index) {
                break;
            } else {
                self.tear(change, &mut content);
            }
        }
        content
    }

    /// A write that was not kept whole: some sectors of it, perhaps its length, mostly nothing.
    fn tear(&mut self, change: &ByteChange, content: &mut Content) {
        let (Loss::Some(dice), ByteChange::Write { position, bytes }) = (&mut self.loss, change) else { return };
        let end = position + bytes.len() as u64;
        match dice.below(6) {
            0 => content.set_len(content.len().max(end)),
            1 => {
                let cut = dice.below(end / SECTOR + 1) * SECTOR;
                if cut > *position {
                    content.write(&bytes[..(cut.min(end) - position) as usize], *position);
                }
            }
            2 => {
                for (at, sector) in sectors(*position, bytes) {
                    if dice.coin() {
                        content.write(sector, at);
                    }
                }
            }
            _ => {}
        }
    }

    fn pattern(&mut self, changes: usize) -> Pattern {
        match &mut self.loss {
            Loss::Everything => Pattern::None,
            Loss::Some(dice) => match dice.below(5) {
                0 => Pattern::None,
                1 => Pattern::All,
                2 => Pattern::Prefix(dice.below(changes as u64 + 1)),
                _ => Pattern::Each,
            },
        }
    }

    fn keeps(&mut self, pattern: &Pattern, index: usize) -> bool {
        match (pattern, &mut self.loss) {
            (Pattern::All, _) => true,
            (Pattern::Prefix(kept), _) => (index as u64) < *kept,
            (Pattern::Each, Loss::Some(dice)) => dice.coin(),
            _ => false,
        }
    }
}

/// `bytes` cut where the device's sectors end, each with its position.
fn sectors(position: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = position;
    let end = position + bytes.len() as u64;
    std::iter::from_fn(move || {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        let sector = (at < end).then(|| (at, &bytes[(at - position) as usize..(next - position) as usize]));
        at = next;
        sector
    })
}
