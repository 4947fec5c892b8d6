//! The wire contract: every message of the Kafka protocol, and the frames they travel in.
//!
//! Messages are generated from the files in `schema/` by `cargo xtask codegen`; the rest of the crate is what the
//! generated code calls. Nothing here knows a socket or a clock.
//!
//! Invariants: bytes from a peer never panic, and decoding them never takes more memory than [`Reader`] allows; the
//! length of an encoded frame is known before its first byte is sent; record data is carried, never looked into.

pub mod frame;
mod kind;
// Fields are the protocol's own; requests differ in size; what is shown is put together field by field.
#[allow(missing_docs, clippy::large_enum_variant, clippy::vec_init_then_push)]
pub mod messages;
mod metadata_record;
mod read;
mod record;
mod records;
mod shown;
mod version;
mod write;

pub use kind::{AnyMessage, ApiRequest, Direction, Message, MessageKind, Role, decode_any};
pub use messages::ApiKey;
pub use metadata_record::{MetadataFrame, MetadataRecordError};
pub use read::{DecodeError, Reader};
pub use record::{
    RecordKey, RecordValue, decode_record_value, encode_record_key, encode_record_value, encode_versioned,
    split_record_key,
};
pub use records::{Encoded, Records, Segment};
pub use shown::{Show, Shown};
pub use version::VersionRange;
pub use write::{EncodeError, STRING_BYTES_MAX, Tags, Writer};
