//! The log engine: what a partition's records are stored in and read from.
//!
//! - [`LogDirs`] is the set of data directories of a broker, in Apache Kafka's own format;
//! - [`Log`] is one partition: appends, reads, lookups by time, cuts, flushes;
//! - [`StdDisk`] is the real disk.
//!
//! Everything is synchronous, knows no clock (`now` is an argument) and sees files only through
//! [`Disk`](ottla_disk::Disk).
//!
//! Invariants: a batch is stored as it came, only its base offset and leader epoch are written into the header; what was
//! flushed survives a crash; readers never see part of a batch that was not written whole, and never wait for writers.

mod batch;
mod checkpoint;
mod cleaner;
mod config;
mod damage;
mod deletions;
mod dirs;
mod epochs;
pub mod files;
mod flusher;
mod handles;
mod health;
mod index;
mod log;
mod producer_state;
mod retention;
mod segment;
mod std_disk;
mod unsynced;
mod watched_disk;

pub use self::{
    checkpoint::{CheckpointError, meta_properties::MetaProperties},
    cleaner::{CleanError, CleanStats, CleanerSettings, Pace, plan::Cleanable},
    config::{Cleanup, LogConfig, LogDirsConfig},
    damage::{Damage, DamageCounts, FoundBy},
    dirs::{
        Assigned, BadDir, CleanReport, CleaningView, CreateError, DirDescription, DirError, Identity, Known,
        LogConfigs, LogDirs, MoveError, MoveProgress, MoveState, OpenError, PartitionDescription, Recovery, Scrubbed,
    },
    epochs::{EpochEnd, EpochStart},
    flusher::Flushed,
    index::txn_index::AbortedTransaction,
    log::{
        AppendError, Appended, CutError, Expired, FlushError, LoadError, LoadReport, Log, LogState, LookupError,
        ReadBound, ReadError, ReadOut, StartPoint, TimestampOffset,
    },
    producer_state::{BatchMark, Origin, ProducerError, ProducerView, ToVerify, Verification, VerificationGuard},
    retention::Reason,
    std_disk::StdDisk,
};
