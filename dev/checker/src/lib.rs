//! Was a history of clients one that a correct broker can give?
//!
//! A [`History`] is what clients asked for and what they were told: transactions of sends and polls with offsets, commits of
//! offsets, outcomes. Each file of [`checks`] looks for one kind of fault and knows no other; together they are the
//! anomalies that Jepsen's tests of Kafka look for, and what processing exactly once asks for beyond them.
//!
//! Invariants: what may have happened is never called wrong (a transaction whose outcome nobody was told may be there or
//! not, but whole); nothing is judged by time except that one operation ended before another began.

pub mod anomaly;
pub mod checks;
mod graph;
pub mod history;
mod index;

pub use anomaly::{Anomaly, Kind};
pub use checks::{Checker, check, check_with};
pub use history::{History, ReadError};
