//! Are the answers equal to Kafka's? One list of requests for any broker, and what Apache Kafka answered to it.
//!
//! - [`cases`]: the requests, a file for each API; every documented error has a case.
//! - [`session`]: what a case speaks through: one connection, names of its own, a transcript.
//! - [`value`], [`normal`], [`answer`]: a response as a tree, without what differs from run to run, as lines of text.
//! - [`transcript`]: the answers of all cases, as text files that people can read.
//! - [`compare`], [`differences`]: where two transcripts differ, and where they may.
//! - [`broker`]: the brokers that are asked.
//!
//! Invariants: a recorded answer holds facts only, no sentence of another's: messages are recorded as being there or not;
//! a difference is either a failure or stands in `differences.txt` with its reason; a line there that explains nothing any
//! more is a failure.

pub mod answer;
pub mod broker;
pub mod cases;
pub mod compare;
pub mod differences;
pub mod errors;
pub mod normal;
pub mod records;
pub mod session;
pub mod transcript;
pub mod value;
