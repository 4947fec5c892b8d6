//! Where requests wait: for data, for replicas, for members, or for their time to run out.
//!
//! An operation watches keys and has a deadline. It completes exactly once: by an event on one of its keys that makes
//! it say yes, by its deadline, or because its owner takes it back. Nothing here knows a clock or a runtime: `now` is an
//! argument, operations are opaque, and the one who completes an operation gets it back and wakes whom it concerns.
//!
//! | type | what it is |
//! |---|---|
//! | [`TimingWheel`] | deadlines: O(1) insert and cancel, any distance |
//! | [`WatchLists`] | operations by watched key |
//! | [`Purgatory`] | both, for one owner |
//! | [`SharedPurgatory`] | both, for many threads: a check of a key that nobody watches is mostly one atomic load |
//!
//! **Invariant:** a completed operation is in no list and no wheel; memory is bounded by the operations that wait and the
//! keys they named (and by the peak of it: slots are reused, not given back).

mod purgatory;
mod shared;
mod slab;
mod watch;
mod wheel;

pub use purgatory::{OperationKey, Purgatory};
pub use shared::{SharedPurgatory, Ticket, Watch};
pub use watch::{WatchKey, WatchLists};
pub use wheel::{TimerKey, TimingWheel};
