//! Record batches, version 2 of the format: the unit that producers send, logs store and consumers fetch.
//!
//! - [`BatchHeader`] and [`Batches`] look at batches without touching their records;
//! - [`Records`] reads uncompressed records in place, [`records_of`] those of any codec;
//! - [`check_produce`] is what a broker checks before it appends;
//! - [`BatchBuilder`] makes batches, [`Retainer`] takes records out of them.
//!
//! Invariants: bytes from a peer or a disk never panic; no decoder allocates more than a fixed window beside what it is
//! given; nothing here knows a clock, a socket or a file.

mod attributes;
mod batches;
mod builder;
mod crc;
mod fuzz;
mod header;
mod input;
mod produce;
mod reader;
mod record;
mod records;
mod retain;
mod varint;
mod walk;
mod window;

pub mod compression;

pub use attributes::Attributes;
pub use batches::{BatchRef, Batches};
pub use builder::{BatchBuilder, BuildError, ControlType, HeaderToAdd};
pub use compression::DecompressError;
pub use crc::{crc_of, crc_of_parts, verify_crc};
#[doc(hidden)]
pub use fuzz::fuzz_batch;
pub use header::{
    BatchError, BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC, NO_SEQUENCE, sequence_minus, sequence_plus,
};
pub use produce::{
    CheckedBatch, Depth, FaultyRecord, ProduceRejection, ProduceRules, RecordFault, TargetCompression, check_produce,
};
pub use reader::{RecordReader, records_of};
pub use record::{Headers, Record, RecordError, RecordHeader};
pub use records::Records;
pub use retain::{RetainError, Retained, Retainer, emptied};
