//! What is known of file systems: where `syncfs` makes durable what was written, and whether what a sync says can be believed.
//!
//! `syncfs` succeeds on every file system, also on those that do nothing then. So it is used on a few that are known, on
//! kernels that are known; elsewhere files are synced one by one, as `fsync` promises everywhere. Left out, with reasons:
//!
//! - FUSE: the kernel does not pass the call on to the program that holds the files (virtiofs is an exception that the type of
//!   the file system does not show);
//! - overlayfs: errors of the file system below, which holds the files, are not told through the one above;
//! - f2fs: after a checkpoint that failed the call succeeds and does nothing;
//! - ZFS: the call waits for the next group of transactions, seconds with nothing done, and some versions leave out files;
//! - NFS, SMB, Ceph and other network file systems: what the server does is its own affair.

use std::{fs::File, io};

use rustix::{
    fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};

/// Since when `syncfs` tells all errors: since 5.8 those of writing data back, since 5.17 those of the file system itself, which
/// it had ignored (Linux commits 735e4ae5ba28 and 5679897eb104). Older kernels have the second repair in some versions, which
/// the number does not show.
const LINUX_MIN: (u32, u32) = (5, 17);

/// A file system that is known; its volumes are synced with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// ext2, ext3 and ext4, which have one number.
    Ext,
    Xfs,
    Btrfs,
    /// In memory: durable as long as the machine runs, which is all that any sync can do there.
    Tmpfs,
}

impl Volume {
    /// By the number that `statfs` gives (`linux/magic.h`).
    pub(super) fn of_type(number: u64) -> Option<Self> {
        match number {
            0xEF53 => Some(Self::Ext),
            0x5846_5342 => Some(Self::Xfs),
            0x9123_683E => Some(Self::Btrfs),
            0x0102_1994 => Some(Self::Tmpfs),
            _ => None,
        }
    }

    /// Whether appending costs less where blocks were set aside before: it was measured of ext4 (docs/figures.md). XFS does it by
    /// itself, Btrfs writes elsewhere anyway.
    pub(super) fn gains_from_setting_aside(self) -> bool {
        self == Self::Ext
    }

    /// Whether a sync that succeeded has to be confirmed ([`confirm`]). A journal that cannot be written is told to those only
    /// who wait for it at that time; who syncs afterwards what was in it may be told that all is well, until somebody's change
    /// is refused. On Linux 6.18 that was seen of every sync on ext4, and of `fsync` of a directory on XFS. Btrfs told
    /// all of them.
    fn may_call_durable_what_is_lost(self) -> bool {
        matches!(self, Self::Ext | Self::Xfs)
    }

    /// Whether the device has to be told to empty its cache afterwards. Without a journal the directories are written after
    /// the call has done that, and whether there is a journal the number does not show.
    pub(super) fn wants_flush(self) -> bool {
        self == Self::Ext
    }
}

/// The file system of an open file or directory; none where it is not a known one.
///
/// # Errors
/// As the file system says.
pub(super) fn around(file: &File) -> io::Result<Option<Volume>> {
    Ok(Volume::of_type(rustix::fs::fstatfs(file)?.f_type as u64))
}

/// As [`around`], of a directory whose volume may be synced with one call; none where it is not a known one, or the kernel
/// not new enough.
///
/// # Errors
/// As the file system says.
pub(super) fn of(dir: &File) -> io::Result<Option<Volume>> {
    Ok(around(dir)?.filter(|_| tells_all_errors(&rustix::system::uname().release().to_string_lossy())))
}

/// Makes sure of a sync of `file` that succeeded, or of its volume.
///
/// A change is refused where the journal failed, and it failed before any sync of what was in it succeeded. The smallest change
/// is the time of the last access. It is made twice: the first finds out and keeps it to itself, the second is refused.
///
/// # Errors
/// What was synced cannot be relied on: the change is refused.
pub(super) fn confirm(file: &File, volume: Option<Volume>) -> io::Result<()> {
    if !volume.is_some_and(Volume::may_call_durable_what_is_lost) {
        return Ok(());
    }
    touch(file)?;
    touch(file)
}

/// Makes now the time of the last access; of somebody else's file that of the last change too, which only needs permission to
/// write. Where neither is permitted nothing is done, and nothing found out.
fn touch(file: &File) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let as_it_is = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    for last_modification in [as_it_is, now] {
        match rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification }) {
            Err(Errno::PERM | Errno::ACCESS) => {}
            done => return Ok(done?),
        }
    }
    Ok(())
}

/// Whether a kernel of this release is one; not where that cannot be told.
fn tells_all_errors(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= LINUX_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_file_systems_are_synced_with_one_call() {
        for (number, what) in [
            (0x6573_5546, "FUSE"),
            (0x794C_7630, "overlayfs"),
            (0xF2F5_2010, "f2fs"),
            (0x2FC1_2FC1, "ZFS"),
            (0x6969, "NFS"),
            (0xFF53_4D42, "SMB"),
            (0x00C3_6400, "Ceph"),
            (0x0102_1997, "9p"),
            (0x4d44, "FAT"),
            (0, "nothing"),
        ] {
            assert_eq!(Volume::of_type(number), None, "{what}");
        }
        for (number, volume) in [
            (0xEF53, Volume::Ext),
            (0x5846_5342, Volume::Xfs),
            (0x9123_683E, Volume::Btrfs),
            (0x0102_1994, Volume::Tmpfs),
        ] {
            assert_eq!(Volume::of_type(number), Some(volume));
        }
    }

    #[test]
    fn a_kernel_that_keeps_errors_to_itself_is_not_asked() {
        for old in
            ["5.7.19", "5.8.0-arch1", "5.16.20-200.fc35", "4.18.0-553.el8_10.x86_64", "2.6.32", "5", "", "linux", "6.x"]
        {
            assert!(!tells_all_errors(old), "{old}");
        }
        for new in ["5.17.0", "5.17-rc2", "5.18", "6.1.0-37-amd64", "6.18.44-fc", "10.0"] {
            assert!(tells_all_errors(new), "{new}");
        }
    }

    #[test]
    fn what_has_no_disk_below_it_is_not_synced() {
        let proc = File::open("/proc").unwrap();
        assert_eq!(of(&proc).unwrap(), None);
    }
}
