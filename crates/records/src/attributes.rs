//! The attributes of a record batch: 16 bits, of which 7 have a meaning.
//!
//! Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 "base timestamp is a delete horizon".

use ottla_types::{Compression, TimestampType, UnknownCompression};

/// Attribute bits as they stand in the header. Unknown bits are carried along untouched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

const CODEC: i16 = 0b0000_0111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

impl Attributes {
    /// The codec of the body.
    ///
    /// # Errors
    /// Numbers 5 to 7 name no codec.
    pub fn compression(self) -> Result<Compression, UnknownCompression> {
        Compression::try_from((self.0 & CODEC) as u8)
    }

    /// Whose clock the timestamps come from.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(LOG_APPEND_TIME) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// Whether the batch belongs to a transaction; also set on the markers that end one.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.has(TRANSACTIONAL)
    }

    /// Whether the batch holds a control record instead of a client's records.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.has(CONTROL)
    }

    /// Whether the header's base timestamp is the time from which tombstones and markers may go.
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.has(DELETE_HORIZON)
    }

    /// The same attributes with another codec.
    #[must_use]
    pub fn with_compression(self, codec: Compression) -> Self {
        Self(self.0 & !CODEC | codec as i16)
    }

    /// The same attributes with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, kind: TimestampType) -> Self {
        self.with(LOG_APPEND_TIME, kind == TimestampType::LogAppendTime)
    }

    /// The same attributes with the transactional bit as told.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// The same attributes with the control bit as told.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// The same attributes with the delete-horizon bit as told.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }

    fn with(self, bit: i16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}
