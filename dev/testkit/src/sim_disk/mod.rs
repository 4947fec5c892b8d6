//! A disk in memory that forgets what was not synced, fails when told to, and crashes on demand; all of it from a seed.
//!
//! It promises what [`ottla_disk`] promises and not a bit more: after [`SimDisk::crash`] any subset of the un-synced
//! writes is lost, torn at sectors, and any subset of the un-synced names. The disk itself is dead from then on (see
//! [`is_crash`]); the call returns what the next start would find.
//!
//! Invariants: one lock orders all operations; the same seed and the same operations give the same disk.

mod content;
mod crash;
mod fault;
mod file;
mod tree;
mod world;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, io, path::Path, sync::Arc};

use ottla_disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Space};
use parking_lot::Mutex;

pub use self::fault::{Fault, Operation, OperationKind, is_crash};
use self::{
    crash::{Loss, Survivors},
    fault::Faults,
    file::SimFile,
    tree::{DirNode, FileNode, NameChangeKind, Node, find, find_dir, find_parent, parts},
    world::{World, forget_handles},
};
use crate::Dice;

/// Size of a volume that nobody gave a size, bytes.
const SPACE_DEFAULT: u64 = 1 << 40;

/// The simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_tree(Arc::default(), Dice::new(seed), SPACE_DEFAULT, 0)
    }

    fn from_tree(root: Arc<DirNode>, dice: Dice, total: u64, used: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            root,
            faults: Faults::default(),
            dice,
            total,
            used,
            short_reads: false,
            volume_syncs: true,
            locked: Vec::new(),
            name_changes: 0,
            committed: BTreeSet::new(),
        })))
    }

    /// Crashes the machine; returns the disk as it is found afterwards, all of it durable. Faults are not carried over.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        self.survivors(Loss::Some(Dice::new(seed)), Dice::new(!seed))
    }

    /// The worst crash: all that was not synced is lost.
    #[must_use]
    pub fn power_cut(&self) -> Self {
        self.survivors(Loss::Everything, Dice::new(0))
    }

    /// Only the process dies: nothing is lost, locks and handles are gone, what was not synced still is not.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut world = self.0.lock();
        world.faults.crashed = true;
        let used = forget_handles(&world.root);
        let next = Self::from_tree(world.root.clone(), world.dice.clone(), world.total, used);
        let mut next_world = next.0.lock();
        next_world.volume_syncs = world.volume_syncs;
        next_world.name_changes = world.name_changes;
        next_world.committed = world.committed.clone();
        drop(next_world);
        next
    }

    fn survivors(&self, loss: Loss, dice: Dice) -> Self {
        let mut world = self.0.lock();
        world.faults.crashed = true;
        let mut survivors = Survivors::new(loss, world.committed.clone());
        let root = survivors.dir(&world.root);
        let next = Self::from_tree(root, dice, world.total, survivors.used);
        next.0.lock().volume_syncs = world.volume_syncs;
        next
    }

    /// The `number`th operation (see [`operations`](Self::operations)) fails.
    pub fn fail_at(&self, number: u64, fault: Fault) {
        self.0.lock().faults.fail_at(number, fault);
    }

    /// The machine crashes in the middle of the `mutation`th mutating operation (see [`mutations`](Self::mutations)).
    pub fn crash_at(&self, mutation: u64) {
        self.0.lock().faults.crash_at(mutation);
    }

    /// Asks `hook` before each operation whether it fails. The hook must not use the disk.
    pub fn inject(&self, hook: impl FnMut(&Operation) -> Option<Fault> + Send + 'static) {
        self.0.lock().faults.hook(Some(Box::new(hook)));
    }

    /// Takes back what [`inject`](Self::inject) set.
    pub fn heal(&self) {
        self.0.lock().faults.hook(None);
    }

    /// Operations so far, and so the number of the next one. `exists` and `space` do not count.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.lock().faults.operations
    }

    /// Mutating operations so far, syncs among them, and so the number of the next one.
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.0.lock().faults.mutations
    }

    /// Whether the machine is off.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.0.lock().faults.crashed
    }

    /// Gives the volume a size, bytes; files take whole pages of 4096. A size below what is used means: full.
    pub fn set_space(&self, total: u64) {
        self.0.lock().total = total;
    }

    /// Whether the volume can be synced with one call, as it can at first.
    pub fn set_volume_syncs(&self, on: bool) {
        self.0.lock().volume_syncs = on;
    }

    /// Whether `read_at` may give fewer bytes than there are. That breaks the contract of [`DiskFile::read_at`]; it is
    /// for code that claims not to rely on it.
    pub fn set_short_reads(&self, on: bool) {
        self.0.lock().short_reads = on;
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.0.lock();
        let file = world.open(path, mode)?;
        Ok(Arc::new(SimFile::new(self.0.clone(), file, path.to_owned(), mode != OpenMode::Read)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let mut dir = world.root.clone();
        for name in parts(path)? {
            dir = match dir.get(name) {
                Some(Node::Dir(below)) => below,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let admitted = world.faults.admit(OperationKind::CreateDir, path)?;
                    let below = Arc::<DirNode>::default();
                    let node = Node::Dir(below.clone());
                    world.change(&dir, NameChangeKind::Put { name: name.to_owned(), node });
                    admitted.finish(below)?
                }
            };
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let (dir, name) = find_parent(&world.root, &parts(path)?)?;
        match dir.get(name) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(_)) => world.unlink(&dir, name, path),
        }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let (parent, name) = find_parent(&world.root, &parts(path)?)?;
        let dir = find_dir(&world.root, &parts(path)?)?;
        world.remove_tree(&dir, path)?;
        world.unlink(&parent, name, path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut world = self.0.lock();
        let found = find_dir(&world.root, &parts(dir)?)?;
        let admitted = world.faults.admit(OperationKind::List, dir)?;
        let entry =
            |(name, node): (&String, &Node)| DirEntry { name: name.clone(), is_dir: matches!(node, Node::Dir(_)) };
        let entries = found.0.lock().live.iter().map(entry).collect();
        admitted.finish(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        let world = self.0.lock();
        !world.faults.crashed && parts(path).and_then(|parts| find(&world.root, &parts)).is_ok()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().sync_dir(dir)
    }

    fn sync_volume(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().sync_volume(dir)
    }

    fn syncs_volume(&self, _dir: &Path) -> bool {
        self.0.lock().volume_syncs
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let world = self.0.lock();
        Ok(Space { total: world.total, usable: world.free() })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut world = self.0.lock();
        let file = world.open(path, OpenMode::Create)?;
        if world.locked.iter().any(|held| Arc::ptr_eq(held, &file)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        world.locked.push(file.clone());
        Ok(Box::new(SimLock { world: self.0.clone(), file }))
    }
}

struct SimLock {
    world: Arc<Mutex<World>>,
    file: Arc<FileNode>,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.world.lock().locked.retain(|held| !Arc::ptr_eq(held, &self.file));
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimLock")
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimDisk").field(&self.0.lock().faults).finish()
    }
}
