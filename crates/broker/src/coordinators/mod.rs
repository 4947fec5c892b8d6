//! Coordinators: shards of internal topics, driven by what clients ask and by time.
//!
//! `running.rs` keeps one shard beside its partition's log, `shards.rs` has all of one topic; `groups.rs` is the coordinator in
//! `__consumer_offsets`, `transactions.rs` the one in `__transaction_state`, whose word `markers.rs` carries to the partitions.

mod batch;
mod follow;
mod groups;
mod markers;
mod partitioner;
mod patterns;
mod running;
mod shards;
#[cfg(test)]
mod tests;
mod transactions;

pub(crate) use follow::FollowMetadata;
pub(crate) use groups::{Groups, TOPIC as OFFSETS_TOPIC};
pub(crate) use markers::Markers;
pub(crate) use transactions::{TOPIC as TRANSACTIONS_TOPIC, Transactions};
