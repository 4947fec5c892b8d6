//! What all messages have in common, and messages whose type only a table knows.

use std::fmt::Debug;

use bytes::Bytes;

use crate::{ApiKey, DecodeError, EncodeError, Reader, Show, Shown, VersionRange, Writer, messages::KINDS};

/// A message of the protocol. `Default` gives every field the value that versions without it imply.
pub trait Message: Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// Kafka's name.
    const NAME: &'static str;
    /// The versions that exist.
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields; `i16::MAX` where none has them.
    const FLEXIBLE_FROM: i16;

    /// Reads the message; bytes that follow it are left in the reader.
    ///
    /// # Errors
    /// What is wrong with the bytes, or that the version does not exist.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message. A field that the version does not have is left out, whatever it holds.
    ///
    /// # Errors
    /// What the version cannot express; `w` may then hold a part of the message.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A request: it names its API and its response.
pub trait ApiRequest: Message {
    /// The API it calls.
    const API: ApiKey;
    /// What comes back.
    type Response: Message;
}

/// A message of whatever type.
pub trait AnyMessage: Debug + Send + Sync {
    /// Writes the message; see [`Message::encode`].
    ///
    /// # Errors
    /// What the version cannot express.
    fn encode_any(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

impl<M: Message> AnyMessage for M {
    fn encode_any(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        self.encode(w, version)
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Body of a request.
    Request(ApiKey),
    /// Body of a response.
    Response(ApiKey),
    /// Key of a record in an internal topic, with the number that says which.
    Key(i16),
    /// Value of such a record.
    Value(i16),
    /// Record of a metadata log, with its number.
    Metadata(i16),
    /// Part of another protocol or of a header.
    Data,
}

type DecodeAny = fn(&mut Reader, i16) -> Result<Box<dyn AnyMessage>, DecodeError>;
type ShowAny = fn(&mut Reader, i16) -> Result<Shown, DecodeError>;

/// One row of the table of messages, [`KINDS`].
#[derive(Clone, Copy, Debug)]
pub struct MessageKind {
    /// Kafka's name.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// The versions that exist.
    pub versions: VersionRange,
    /// The first flexible one.
    pub flexible_from: i16,
    /// Reads the message; see [`Message::decode`].
    pub decode: DecodeAny,
    /// Reads the message and shows it, where it is one that lies in files.
    pub show: Option<ShowAny>,
}

impl MessageKind {
    pub(crate) const fn of<M: Message>(role: Role) -> Self {
        Self {
            name: M::NAME,
            role,
            versions: M::VERSIONS,
            flexible_from: M::FLEXIBLE_FROM,
            decode: |r, version| Ok(Box::new(M::decode(r, version)?)),
            show: None,
        }
    }

    pub(crate) const fn stored<M: Show>(role: Role) -> Self {
        Self { show: Some(|r, version| Ok(M::decode(r, version)?.show(version))), ..Self::of::<M>(role) }
    }

    /// The message of a role, if there is one.
    #[must_use]
    pub fn by_role(role: Role) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.role == role)
    }

    /// The message of a name, if there is one.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the broker.
    Request,
    /// From it.
    Response,
}

/// Reads the body of any request or response.
///
/// # Errors
/// As [`Message::decode`].
pub fn decode_any(
    api: ApiKey,
    version: i16,
    direction: Direction,
    body: Bytes,
) -> Result<Box<dyn AnyMessage>, DecodeError> {
    let role = match direction {
        Direction::Request => Role::Request(api),
        Direction::Response => Role::Response(api),
    };
    let kind = KINDS.iter().find(|kind| kind.role == role);
    let kind = kind.ok_or(DecodeError::Version { version, known: api.versions() })?;
    (kind.decode)(&mut Reader::new(body), version)
}
