//! The metadata quorum: every change of the cluster's metadata is decided by the controller, committed by raft and made
//! durable before it is answered, and replayed into an image that everybody reads.
//!
//! Invariants: an answer means that the change survives a crash; changes reach the listener in order and before they are
//! visible; nothing here blocks a worker of the runtime.

mod driver;
pub mod look;
mod metadata_log;
mod quorum;
mod raft;
mod seed;
mod store;

pub use quorum::{
    METADATA_DIR, MetadataListener, NoRandomness, NodeRegistration, Quorum, StartError, SubmitError, random_uuid,
};
pub use seed::seed;
pub use store::{FormatError, OpenError};
