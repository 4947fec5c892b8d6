//! Ranges of message versions.

use std::fmt;

use crate::{DecodeError, EncodeError};

/// The versions `min..=max` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Oldest.
    pub min: i16,
    /// Newest.
    pub max: i16,
}

impl VersionRange {
    /// The versions `min..=max`.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` is one of them.
    #[must_use]
    pub fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    pub(crate) fn check_decode(self, version: i16) -> Result<(), DecodeError> {
        if self.contains(version) { Ok(()) } else { Err(DecodeError::Version { version, known: self }) }
    }

    pub(crate) fn check_encode(self, version: i16) -> Result<(), EncodeError> {
        if self.contains(version) { Ok(()) } else { Err(EncodeError::Version { version, known: self }) }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}
