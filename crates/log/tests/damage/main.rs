//! What each kind of damage to the files of a log does, row by row of `docs/damage.md`.
//!
//! Every look reads every offset. What is served has to be what was written, down to the last byte; what is refused has to be
//! what the row names, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod batches;
mod bed;
mod beside;
mod compaction;
mod files;
mod indexes;
mod scrub;
