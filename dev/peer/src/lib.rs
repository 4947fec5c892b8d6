//! The neighbours that tests and benchmarks need: programs of others, fetched once and started by hand.
//!
//! - [`cache`]: the folder that everything fetched goes to, outside the checkout.
//! - [`programs`]: which program is missing and how to install it.
//! - [`run`]: a program run to its end with a deadline, its output captured.
//! - [`process`]: a process that stays, stopped by its id, measured through `/proc`.
//! - [`java`]: Apache Kafka's jars, its tools against any broker, Java sources of our own.
//! - [`tools`]: many of those tools in one virtual machine.
//! - [`kafka`]: one Apache Kafka broker.
//! - [`python`]: a virtual environment with pinned packages.
//! - [`go`]: tests of Go modules as programs, with a toolchain from such an environment.
//! - [`probe`]: is a broker ready, asked over the wire.
//!
//! Invariants: nothing here depends on a crate that ships; no process outlives the value that started it.

pub mod cache;
pub mod go;
pub mod java;
pub mod kafka;
pub mod probe;
pub mod process;
pub mod programs;
pub mod python;
pub mod run;
pub mod tools;
