//! The group coordinator: members, their assignments and their offsets, as one machine per partition of
//! `__consumer_offsets`.
//!
//! Three families share a shard: [`classic`] groups, whose clients agree among themselves, [`consumer`] groups, whose
//! assignment the broker works out, and the [`offsets`] of both. Pure: no clock, no randomness, no I/O.

mod admin;
mod classic;
mod consumer;
mod offsets;
mod record;
mod request;
mod settings;
mod shard;
mod tally;

pub use consumer::{Matched, Matching};
pub use offsets::CommittedOffset;
pub use record::{GroupRecord, RecordError};
pub use request::{Client, GroupReply, GroupRequest};
pub use settings::Settings;
pub use shard::GroupShard;
pub use tally::Tally;

/// How many random schedules a test tries: its own number, or for a long run what `PROPTEST_CASES` says.
#[cfg(test)]
fn schedules(cases: u32) -> proptest::prelude::ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    proptest::prelude::ProptestConfig {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    }
}
