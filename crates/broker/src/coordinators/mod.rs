//! Coordinators: shards of internal topics, driven by what clients ask and by time.
//!
//! `running.rs` keeps one shard beside its partition's log, `groups.rs` has those of `__consumer_offsets`.

mod batch;
mod groups;
mod partitioner;
mod running;

pub(crate) use groups::{FollowMetadata, Groups, TOPIC as OFFSETS_TOPIC};
