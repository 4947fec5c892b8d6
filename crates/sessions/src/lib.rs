//! Incremental fetch sessions (KIP-227): the broker remembers what a fetcher wants and what it was told, so that
//! requests carry only what changed and responses only what is new.
//!
//! A fetch goes through three calls: [`FetchSessions::begin`] finds or opens the session, [`FetchContext::for_each`]
//! walks over what is to be fetched (as often as the caller likes), and [`FetchSessions::finish`] picks from the results
//! what goes into the response. No call copies the session's partitions.
//!
//! Invariants: a session's epoch grows by one with each request, so a request or response that was lost or doubled is
//! found out; a partition whose news were dropped from a response is news again in the next.

mod cache;
mod context;
mod partitions;
mod session;
mod types;

#[cfg(test)]
mod tests;

pub use cache::SessionLimits;
pub use context::{Answer, FetchContext, FetchSessions, Metrics};
pub use partitions::PartitionHandle;
pub use session::Visit;
pub use types::{FetchRequest, Fetched, Known, PartitionKey, Requested, SessionError, TopicKey};
