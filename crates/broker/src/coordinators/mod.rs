//! Coordinators: shards of internal topics, driven by what clients ask and by time.
//!
//! `running.rs` keeps one shard beside its partition's log, `shards.rs` has all of one topic; `groups.rs` is the coordinator in
//! `__consumer_offsets`.

mod batch;
mod follow;
mod groups;
mod partitioner;
mod running;
mod shards;

pub(crate) use follow::FollowMetadata;
pub(crate) use groups::{Groups, TOPIC as OFFSETS_TOPIC};
