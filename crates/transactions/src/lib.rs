//! The transaction coordinator: producers with a transactional id, their epochs and their transactions, as one machine per
//! partition of `__transaction_state`.
//!
//! Pure: no clock, no randomness, no I/O. What has to be done elsewhere (markers in the logs of other partitions) is
//! handed out as the reply to a request that is parked until there is such work, [`TransactionRequest::NextMarkers`], so
//! that it waits for the records that decided it like every other reply.

mod add;
mod admin;
mod end;
mod expire;
#[cfg(test)]
mod exploration;
mod init;
mod markers;
mod record;
mod refused;
mod request;
mod shard;
mod state;
#[cfg(test)]
mod tests;

pub use record::{RecordError, TransactionRecord};
pub use request::{MarkerOrder, TransactionReply, TransactionRequest};
pub use shard::TransactionShard;
