//! The kernel's requests, answered from a simulated disk.
//!
//! The kernel writes through to here at once, so that nothing un-synced is kept from a cut but what the disk itself keeps. Links,
//! devices and extended attributes there are none.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use ottla_disk::{Disk, DiskFile, OpenMode};
use ottla_testkit::SimDisk;
use parking_lot::Mutex;

use crate::{
    attributes::{attributes, errno},
    inodes::Inodes,
};

/// How long the kernel may believe what it was told: nothing changes but through it.
const BELIEVED: Duration = Duration::from_secs(60);
/// Numbers are not used again.
const GENERATION: Generation = Generation(0);
/// The number of an entry that the kernel has to look up by its name.
const UNKNOWN: INodeNo = INodeNo(0xffff_ffff);
/// Bytes of a block of the volume.
const BLOCK: u64 = 4096;
/// Longest name.
const NAME_MAX: u32 = 255;

/// See the file's head.
pub(crate) struct Service {
    disk: SimDisk,
    state: Mutex<State>,
}

struct State {
    inodes: Inodes,
    open: HashMap<u64, Open>,
    next_handle: u64,
}

struct Open {
    number: u64,
    file: Arc<dyn DiskFile>,
}

impl State {
    fn opened(&mut self, number: u64, file: Arc<dyn DiskFile>) -> FileHandle {
        self.next_handle += 1;
        self.open.insert(self.next_handle, Open { number, file });
        FileHandle(self.next_handle)
    }

    fn path(&self, number: u64) -> io::Result<PathBuf> {
        self.inodes.path(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn path_of(&self, parent: INodeNo, name: &OsStr) -> io::Result<(PathBuf, String)> {
        let text = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.path(parent.0)?.join(text), text.to_owned()))
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<dyn DiskFile>> {
        self.open.get(&handle.0).map(|open| Arc::clone(&open.file)).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn note_change(&mut self, number: u64) {
        if let Some(inode) = self.inodes.get_mut(number) {
            inode.changed = SystemTime::now();
        }
    }
}

impl Service {
    pub(crate) fn new(disk: SimDisk) -> Self {
        let inodes = Inodes::new(SystemTime::now());
        Self { disk, state: Mutex::new(State { inodes, open: HashMap::new(), next_handle: 0 }) }
    }

    /// The file behind a number, open or not.
    fn file_of(&self, state: &State, number: u64, handle: Option<FileHandle>) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(handle) = handle {
            return state.file(handle);
        }
        match state.path(number) {
            Ok(path) => self.disk.open(&path, OpenMode::Write),
            Err(gone) => {
                let open = state.open.values().find(|open| open.number == number);
                open.map(|open| Arc::clone(&open.file)).ok_or(gone)
            }
        }
    }

    fn attributes_of(&self, state: &State, number: u64, handle: Option<FileHandle>) -> io::Result<FileAttr> {
        let inode = state.inodes.get(number).ok_or(io::ErrorKind::NotFound)?;
        let len = if inode.is_dir { 0 } else { self.file_of(state, number, handle)?.len()? };
        Ok(attributes(number, inode, len))
    }

    fn look_up(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let mut state = self.state.lock();
        let (path, name) = state.path_of(parent, name)?;
        let is_dir = match self.disk.open(&path, OpenMode::Read) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => true,
            Err(error) => return Err(error),
        };
        let permissions = if is_dir { 0o755 } else { 0o644 };
        let number = state.inodes.tell(parent.0, &name, is_dir, permissions, SystemTime::now());
        self.attributes_of(&state, number, None)
    }

    fn make_dir(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<FileAttr> {
        let mut state = self.state.lock();
        let (path, name) = state.path_of(parent, name)?;
        if self.disk.exists(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.disk.create_dir_all(&path)?;
        let number = state.inodes.tell(parent.0, &name, true, (mode & 0o7777) as u16, SystemTime::now());
        self.attributes_of(&state, number, None)
    }

    fn make_file(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<(FileAttr, FileHandle)> {
        let mut state = self.state.lock();
        let (path, name) = state.path_of(parent, name)?;
        let file = self.disk.open(&path, OpenMode::Create)?;
        let number = state.inodes.tell(parent.0, &name, false, (mode & 0o7777) as u16, SystemTime::now());
        let handle = state.opened(number, file);
        Ok((self.attributes_of(&state, number, Some(handle))?, handle))
    }

    fn open_file(&self, number: INodeNo) -> io::Result<FileHandle> {
        let mut state = self.state.lock();
        let file = self.file_of(&state, number.0, None)?;
        Ok(state.opened(number.0, file))
    }

    fn set_attributes(
        &self,
        number: INodeNo,
        mode: Option<u32>,
        len: Option<u64>,
        handle: Option<FileHandle>,
    ) -> io::Result<FileAttr> {
        let mut state = self.state.lock();
        if let Some(len) = len {
            self.file_of(&state, number.0, handle)?.set_len(len)?;
            state.note_change(number.0);
        }
        if let (Some(mode), Some(inode)) = (mode, state.inodes.get_mut(number.0)) {
            inode.permissions = (mode & 0o7777) as u16;
        }
        self.attributes_of(&state, number.0, handle)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr, is_dir: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        let (path, name) = state.path_of(parent, name)?;
        if !is_dir {
            self.disk.remove_file(&path)?;
        } else if self.disk.list(&path)?.is_empty() {
            self.disk.remove_dir_all(&path)?;
        } else {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.inodes.remove(parent.0, &name);
        Ok(())
    }

    fn move_to(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr), flags: RenameFlags) -> io::Result<()> {
        if !flags.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut state = self.state.lock();
        let (from_path, from_name) = state.path_of(from.0, from.1)?;
        let (to_path, to_name) = state.path_of(to.0, to.1)?;
        self.disk.rename(&from_path, &to_path)?;
        state.inodes.rename((from.0.0, &from_name), (to.0.0, &to_name));
        Ok(())
    }

    fn read_at(&self, handle: FileHandle, position: u64, len: u32) -> io::Result<Vec<u8>> {
        let file = self.state.lock().file(handle)?;
        let mut bytes = vec![0; len as usize];
        let read = file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn write_at(&self, number: INodeNo, handle: FileHandle, position: u64, bytes: &[u8]) -> io::Result<u32> {
        let mut state = self.state.lock();
        state.note_change(number.0);
        let file = state.file(handle)?;
        drop(state);
        file.write_all_at(&mut [IoSlice::new(bytes)], position)?;
        Ok(bytes.len() as u32) // what a request may hold fits
    }

    fn sync_dir(&self, number: INodeNo) -> io::Result<()> {
        let path = self.state.lock().path(number.0)?;
        self.disk.sync_dir(&path)
    }

    fn fill(&self, number: INodeNo, from: u64, reply: &mut ReplyDirectory) -> io::Result<()> {
        let path = self.state.lock().path(number.0)?;
        let dots = [".", ".."].map(|name| (name.to_owned(), true));
        let entries = self.disk.list(&path)?.into_iter().map(|entry| (entry.name, entry.is_dir));
        for (next, (name, is_dir)) in (1..).zip(dots.into_iter().chain(entries)).skip(from as usize) {
            let kind = if is_dir { FileType::Directory } else { FileType::RegularFile };
            if reply.add(UNKNOWN, next, kind, name) {
                break;
            }
        }
        Ok(())
    }
}

fn answer(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

fn answer_entry(result: io::Result<FileAttr>, reply: ReplyEntry) {
    match result {
        Ok(found) => reply.entry(&BELIEVED, &found, GENERATION),
        Err(error) => reply.error(errno(&error)),
    }
}

fn answer_attributes(result: io::Result<FileAttr>, reply: ReplyAttr) {
    match result {
        Ok(found) => reply.attr(&BELIEVED, &found),
        Err(error) => reply.error(errno(&error)),
    }
}

impl Filesystem for Service {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer_entry(self.look_up(parent, name), reply);
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.state.lock().inodes.forget(number.0, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        answer_attributes(self.attributes_of(&self.state.lock(), number.0, handle), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        len: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        answer_attributes(self.set_attributes(number, mode, len, handle), reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        answer_entry(self.make_dir(parent, name, mode & !umask), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.remove(parent, name, false), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.remove(parent, name, true), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer(self.move_to((parent, name), (new_parent, new_name), flags), reply);
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        match self.make_file(parent, name, mode & !umask) {
            Ok((found, handle)) => reply.created(&BELIEVED, &found, GENERATION, handle, FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        position: u64,
        len: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_at(handle, position, len) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        position: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.write_at(number, handle, position, bytes) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(errno(&error)),
        }
    }

    /// A descriptor was closed; that syncs nothing.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let closed = self.state.lock().open.remove(&handle.0);
        drop(closed);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let file = self.state.lock().file(handle);
        answer(file.and_then(|file| file.sync_data()), reply);
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectory) {
        match self.fill(number, from, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.sync_dir(number), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.disk.space(std::path::Path::new("/")) {
            Ok(space) => {
                let (all, free) = (space.total / BLOCK, space.usable / BLOCK);
                reply.statfs(all, free, free, u64::MAX, u64::MAX, BLOCK as u32, NAME_MAX, BLOCK as u32);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }
}
