//! When an operation on the simulated disk goes wrong, and how.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// What kind of operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `open` of a file that is there.
    Open,
    /// `open` or `lock` that creates a file.
    Create,
    /// Each directory that `create_dir_all` adds.
    CreateDir,
    /// `rename`.
    Rename,
    /// `remove_file`, and each name that `remove_dir_all` takes away.
    Remove,
    /// `list`.
    List,
    /// `sync_dir`.
    SyncDir,
    /// `sync_volume`.
    SyncVolume,
    /// `read_at`, `len`.
    Read,
    /// `write_all_at`.
    Write,
    /// `set_len`.
    SetLen,
    /// `sync_data`.
    SyncData,
}

impl OperationKind {
    /// Whether it changes the disk, or what of it is durable.
    #[must_use]
    pub fn is_mutation(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Read)
    }

    /// Whether it makes earlier operations durable.
    #[must_use]
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncData | Self::SyncDir | Self::SyncVolume)
    }
}

/// An operation about to happen.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What is done.
    pub kind: OperationKind,
    /// To which path (for an open file, the one it was opened by).
    pub path: PathBuf,
    /// Which operation of this disk it is, from 0.
    pub number: u64,
    /// Which mutating operation it is, from 0; that of the next one where it is none.
    pub mutation: u64,
}

/// An error to be returned in place of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    error: Cause,
    written: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Os(i32),
    Kind(io::ErrorKind),
}

impl Fault {
    /// `EIO`, as of a broken device.
    #[must_use]
    pub fn eio() -> Self {
        Self { error: Cause::Os(5), written: 0 }
    }

    /// `ENOSPC`, as of a full volume.
    #[must_use]
    pub fn enospc() -> Self {
        Self { error: Cause::Os(28), written: 0 }
    }

    /// Any other error.
    #[must_use]
    pub fn of(kind: io::ErrorKind) -> Self {
        Self { error: Cause::Kind(kind), written: 0 }
    }

    /// A write first writes `bytes` of what it was given. No effect on other operations.
    #[must_use]
    pub fn after_writing(self, bytes: usize) -> Self {
        Self { written: bytes, ..self }
    }

    fn error(self) -> io::Error {
        match self.error {
            Cause::Os(code) => io::Error::from_raw_os_error(code),
            Cause::Kind(kind) => kind.into(),
        }
    }
}

/// The machine is off: what every operation says from the crash on.
#[derive(Debug, thiserror::Error)]
#[error("the simulated machine crashed")]
struct Crashed;

/// Whether an error comes from the simulated crash, not from a simulated fault.
#[must_use]
pub fn is_crash(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Crashed>())
}

pub(super) fn crash_error() -> io::Error {
    io::Error::other(Crashed)
}

type Hook = Box<dyn FnMut(&Operation) -> Option<Fault> + Send>;

/// The plan of faults, and the count of operations that it is keyed by.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) operations: u64,
    pub(super) mutations: u64,
    pub(super) crashed: bool,
    fail_at: Vec<(u64, Fault)>,
    crash_at: Option<u64>,
    hook: Option<Hook>,
}

/// What may happen of an operation that [`Faults::admit`] let through.
pub(super) struct Admitted {
    outcome: Option<io::Error>,
    /// For a write: not more than this many bytes.
    pub(super) bytes_max: usize,
}

impl Admitted {
    /// The operation's result, after what may happen of it happened.
    pub(super) fn finish<T>(self, value: T) -> io::Result<T> {
        self.outcome.map_or(Ok(value), Err)
    }
}

impl Faults {
    pub(super) fn fail_at(&mut self, number: u64, fault: Fault) {
        self.fail_at.push((number, fault));
    }

    pub(super) fn crash_at(&mut self, mutation: u64) {
        self.crash_at = Some(mutation);
    }

    pub(super) fn hook(&mut self, hook: Option<Hook>) {
        self.hook = hook;
    }

    /// Counts an operation and says whether it happens. A mutation in flight at the crash happens, un-synced, so that
    /// the crash may keep or lose it; a sync in flight does not.
    pub(super) fn admit(&mut self, kind: OperationKind, path: &Path) -> io::Result<Admitted> {
        if self.crashed {
            return Err(crash_error());
        }
        let operation = Operation { kind, path: path.to_owned(), number: self.operations, mutation: self.mutations };
        self.operations += 1;
        self.mutations += u64::from(kind.is_mutation());
        if kind.is_mutation() && self.crash_at == Some(operation.mutation) {
            return self.crash(kind);
        }
        match self.fault_of(&operation) {
            None => Ok(Admitted { outcome: None, bytes_max: usize::MAX }),
            Some(fault) if kind == OperationKind::Write && fault.written > 0 => {
                Ok(Admitted { outcome: Some(fault.error()), bytes_max: fault.written })
            }
            Some(fault) => Err(fault.error()),
        }
    }

    fn crash(&mut self, kind: OperationKind) -> io::Result<Admitted> {
        self.crashed = true;
        if kind.is_sync() {
            return Err(crash_error());
        }
        Ok(Admitted { outcome: Some(crash_error()), bytes_max: usize::MAX })
    }

    fn fault_of(&mut self, operation: &Operation) -> Option<Fault> {
        let planned = self.fail_at.iter().position(|(number, _)| *number == operation.number);
        match planned {
            Some(at) => Some(self.fail_at.swap_remove(at).1),
            None => self.hook.as_mut().and_then(|hook| hook(operation)),
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("operations", &self.operations)
            .field("mutations", &self.mutations)
            .field("crashed", &self.crashed)
            .finish_non_exhaustive()
    }
}
