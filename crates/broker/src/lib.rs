//! The broker: sockets, request handlers and the partitions behind them.
//!
//! This crate is a shell: what a request means is decided by the machines and the log engine below; here bytes come in,
//! the right one is asked, and the answer goes out.

mod clock;
mod config_rules;
mod coordinators;
mod durability;
mod features;
mod foreign;
mod handlers;
mod internal_topics;
mod latency;
mod metrics;
mod net;
mod node;
mod operations;
mod producer_ids;
mod random;
mod replicas;
mod scrape;
mod served;
mod service;
mod start;
mod upkeep;
mod waits;

pub use clock::SystemClock;
pub use features::supported_features;
pub use foreign::Foreign;
pub use start::{Broker, Failed, Options, StartError, StopError};
