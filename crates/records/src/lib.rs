//! Record batches, version 2 of the format: the unit that producers send, logs store and consumers fetch.
//!
//! - [`BatchHeader`] and [`Batches`] look at batches without touching their records;
//! - [`Records`] reads uncompressed records in place;
//! - [`BatchBuilder`] makes batches.
//!
//! Invariants: bytes from a peer or a disk never panic; no decoder allocates more than a fixed window beside what it is
//! given; nothing here knows a clock, a socket or a file.

mod attributes;
mod batches;
mod builder;
mod crc;
mod header;
mod input;
mod record;
mod records;
mod varint;

pub mod compression;

pub use attributes::Attributes;
pub use batches::{BatchRef, Batches};
pub use builder::{BatchBuilder, BuildError, ControlType, HeaderToAdd};
pub use compression::DecompressError;
pub use crc::{crc_of, crc_of_parts, verify_crc};
pub use header::{
    BatchError, BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_SEQUENCE, sequence_minus, sequence_plus,
};
pub use record::{Headers, Record, RecordError, RecordHeader};
pub use records::Records;
