//! A configuration file's bytes become settings. Reading the file is the caller's.
//!
//! Bytes that are UTF-8 are read as such, others as ISO-8859-1, Java's encoding of properties. TOML is UTF-8.

use std::borrow::Cow;
use std::sync::Arc;

use crate::{properties, toml_file};

/// A file as the caller found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// What messages call it, as in `server.properties`.
    pub name: Arc<str>,
    /// How it is written.
    pub format: Format,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// How a configuration file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Java properties.
    Properties,
    /// TOML.
    Toml,
}

impl Format {
    /// TOML for a name that ends in `.toml`, properties for every other.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if name.to_ascii_lowercase().ends_with(".toml") { Self::Toml } else { Self::Properties }
    }
}

/// Largest file that is read, bytes. A full `server.properties` has a few thousand.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// One setting as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: Option<u32>,
}

/// What is not in the file's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: Option<u32>,
    pub(crate) reason: SyntaxReason,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxReason {
    /// A `\u` escape that is not one.
    #[error("\\u needs four hexadecimal digits that make a character")]
    Escape,
    /// Not TOML; the parser's words.
    #[error("{0}")]
    Toml(Box<str>),
    /// A date, or arrays within arrays.
    #[error("a value is text, a number, true, false or an array of these")]
    ValueType,
    /// TOML has to be UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Over [`FILE_BYTES_MAX`].
    #[error("larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

impl ConfigFile {
    pub(crate) fn settings(&self) -> Result<Vec<Setting>, SyntaxError> {
        if self.bytes.len() > FILE_BYTES_MAX {
            return Err(SyntaxError { line: None, reason: SyntaxReason::TooLarge });
        }
        match (self.format, std::str::from_utf8(&self.bytes)) {
            (Format::Properties, text) => properties::parse(&text.map_or_else(|_| latin1(&self.bytes), Cow::Borrowed)),
            (Format::Toml, Ok(text)) => toml_file::parse(text),
            (Format::Toml, Err(_)) => Err(SyntaxError { line: None, reason: SyntaxReason::NotUtf8 }),
        }
    }
}

fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests;
