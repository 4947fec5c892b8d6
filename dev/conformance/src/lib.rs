//! Clients that others wrote, against a real broker process.
//!
//! One file under `tests/` is one suite: one broker, many cases in order, then a clean stop and a judgement over every
//! file that the broker left. The broker is, by environment:
//!
//! | variable | broker |
//! |---|---|
//! | `OTTLA_BINARY` | that binary, started and stopped by the suite |
//! | `OTTLA_CONFORMANCE_BROKER=kafka` | Apache Kafka, to check the suites themselves |
//! | `OTTLA_BOOTSTRAP=HOST:PORT` | one that runs already; cases that stop it are left out |

pub mod broker;
pub mod careful;
pub mod crew;
pub mod dump;
pub mod go;
pub mod groups;
pub mod lines;
pub mod namespace;
pub mod programs;
pub mod raw;
pub mod rust_client;
pub mod suite;
pub mod text;
pub mod tools;
pub mod transactions;

pub use broker::Broker;
pub use suite::{Body, Suite, run};
