//! Whether a log directory can be used.
//!
//! Invariants: a directory that failed stays failed until the next start, whatever its disk says later, for what a failed
//! flush was to make durable may be gone; it is told about once; a full directory has not failed, and goes on when there
//! is room.

use std::{
    io,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use ottla_disk::{Disk, is_full};
use rustix::io::Errno;

const GOOD: u8 = 0;
const FULL: u8 = 1;
const FAILED: u8 = 2;

/// What an operation does, as far as its failure says something of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Makes something durable: what it was to cover cannot be relied on after a failure of any kind.
    Sync,
    /// Anything else.
    Other,
}

/// What an error says of the directory that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing: the process has too many files open, say.
    Nothing,
    /// Something is not there; perhaps the directory itself.
    Missing,
    /// There is no room.
    Full,
    /// It cannot be relied on any more.
    Failed,
}

/// Who hears of a directory that fails.
pub(crate) type Listener = Box<dyn Fn() + Send + Sync>;

/// See the file's head.
pub(crate) struct DirHealth {
    path: Arc<Path>,
    state: AtomicU8,
    /// Whether a failure is told about here; until then whoever opens the directory does it.
    opened: AtomicBool,
    listener: Arc<OnceLock<Listener>>,
}

impl DirHealth {
    pub(crate) fn new(path: Arc<Path>, listener: Arc<OnceLock<Listener>>) -> Self {
        Self { path, state: AtomicU8::new(GOOD), opened: AtomicBool::new(false), listener }
    }

    /// From now on a failure is told about when it is met.
    pub(crate) fn opened(&self) {
        self.opened.store(true, Ordering::Release);
    }

    /// Of a log that stands alone.
    #[cfg(test)]
    pub(crate) fn alone() -> Arc<Self> {
        Arc::new(Self::new(Path::new("").into(), Arc::default()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.state.load(Ordering::Acquire) == FAILED
    }

    /// Whether nothing is appended until there is room again.
    pub(crate) fn is_full(&self) -> bool {
        self.state.load(Ordering::Acquire) == FULL
    }

    /// There is room again.
    pub(crate) fn has_room(&self) {
        if self.state.compare_exchange(FULL, GOOD, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            tracing::warn!(path = %self.path.display(), "there is room in the log directory again, appends are taken");
        }
    }

    /// The directory cannot be relied on from now on.
    pub(crate) fn fail(&self, error: &dyn std::fmt::Display) {
        if self.state.swap(FAILED, Ordering::AcqRel) == FAILED {
            return;
        }
        if self.opened.load(Ordering::Acquire) {
            self.tell(error);
        }
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    /// Says so in the broker's log.
    pub(crate) fn tell(&self, error: &dyn std::fmt::Display) {
        tracing::error!(path = %self.path.display(), %error, "a log directory failed; it is offline until the next start");
    }

    /// An operation in the directory failed.
    pub(crate) fn note(&self, disk: &dyn Disk, work: Work, error: &io::Error) {
        match verdict(work, error) {
            Verdict::Nothing => {}
            Verdict::Missing if disk.exists(&self.path) => {}
            Verdict::Missing | Verdict::Failed => self.fail(error),
            Verdict::Full => self.note_full(),
        }
    }

    fn note_full(&self) {
        if self.state.compare_exchange(GOOD, FULL, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            tracing::error!(
                path = %self.path.display(),
                "the log directory is full; nothing is appended there until there is room, what is there is served"
            );
        }
    }
}

impl std::fmt::Debug for DirHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.load(Ordering::Acquire);
        f.debug_struct("DirHealth").field("path", &self.path).field("state", &state).finish_non_exhaustive()
    }
}

/// Errors that are not of the system come from this program, and say nothing of the disk.
fn verdict(work: Work, error: &io::Error) -> Verdict {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else { return Verdict::Nothing };
    // Too many open files: a directory that is to be synced is opened first.
    if [Errno::MFILE, Errno::NFILE, Errno::INTR].contains(&errno) {
        return Verdict::Nothing;
    }
    if error.kind() == io::ErrorKind::NotFound {
        return Verdict::Missing;
    }
    if work == Work::Sync || FATAL.contains(&errno) {
        return Verdict::Failed;
    }
    if is_full(error) { Verdict::Full } else { Verdict::Nothing }
}

/// What a disk, or what stands between it and the process, says when it is gone, broken or locked away.
const FATAL: [Errno; 16] = [
    Errno::IO,
    Errno::NXIO,
    Errno::NODEV,
    Errno::PERM,
    Errno::ACCESS,
    Errno::ROFS,
    Errno::NOTDIR,
    Errno::LOOP,
    Errno::BADMSG,
    Errno::UCLEAN,
    Errno::STALE,
    Errno::REMOTEIO,
    Errno::TIMEDOUT,
    Errno::SHUTDOWN,
    Errno::NOTCONN,
    Errno::HOSTDOWN,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno, work: Work) -> Verdict {
        verdict(work, &io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    #[test]
    fn an_error_says_as_much_as_it_can() {
        for (errno, other, sync) in [
            (Errno::IO, Verdict::Failed, Verdict::Failed),
            (Errno::ROFS, Verdict::Failed, Verdict::Failed),
            (Errno::NOTDIR, Verdict::Failed, Verdict::Failed),
            (Errno::NOSPC, Verdict::Full, Verdict::Failed),
            (Errno::DQUOT, Verdict::Full, Verdict::Failed),
            (Errno::NOENT, Verdict::Missing, Verdict::Missing),
            (Errno::MFILE, Verdict::Nothing, Verdict::Nothing),
            (Errno::EXIST, Verdict::Nothing, Verdict::Failed),
        ] {
            assert_eq!((of(errno, Work::Other), of(errno, Work::Sync)), (other, sync), "{errno:?}");
        }
        assert_eq!(verdict(Work::Sync, &io::ErrorKind::UnexpectedEof.into()), Verdict::Nothing);
    }
}
