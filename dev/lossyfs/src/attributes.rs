//! Attributes and errors as the kernel wants them.

use std::io;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use crate::inodes::Inode;

/// What a directory is said to be long, and blocks.
const BLOCK: u64 = 4096;

pub(crate) fn attributes(number: u64, inode: &Inode, len: u64) -> FileAttr {
    let size = if inode.is_dir { BLOCK } else { len };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: inode.changed,
        mtime: inode.changed,
        ctime: inode.changed,
        crtime: inode.changed,
        kind: if inode.is_dir { FileType::Directory } else { FileType::RegularFile },
        perm: inode.permissions,
        nlink: if inode.is_dir { 2 } else { 1 },
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK as u32,
        flags: 0,
    }
}

/// The kernel's word for an error; what the simulated disk says once it has no power is an I/O error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        _ if error.raw_os_error().is_some() => Errno::from_i32(error.raw_os_error().unwrap_or_default()),
        io::ErrorKind::NotFound => Errno::ENOENT,
        io::ErrorKind::AlreadyExists => Errno::EEXIST,
        io::ErrorKind::IsADirectory => Errno::EISDIR,
        io::ErrorKind::NotADirectory => Errno::ENOTDIR,
        io::ErrorKind::DirectoryNotEmpty => Errno::ENOTEMPTY,
        io::ErrorKind::InvalidInput => Errno::EINVAL,
        io::ErrorKind::FileTooLarge => Errno::EFBIG,
        _ => Errno::EIO,
    }
}
