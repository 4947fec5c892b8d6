//! Frames: what goes before the body of a request and of a response.
//!
//! A frame is its length (32 bits), a header and a body. The header of a request names API, version, a correlation id
//! and the client; that of a response repeats the correlation id.
//!
//! Invariant: the header of a request can be read whatever the version, because a client that asks for the versions
//! (`ApiVersions`) cannot know which to ask in.

use bytes::Bytes;

use crate::{ApiKey, ApiRequest, DecodeError, EncodeError, Encoded, Message, Reader, Writer, messages::Response};

/// Header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API that is called.
    pub api: ApiKey,
    /// The version of request and response; [`Self::is_supported`] says whether it is known.
    pub version: i16,
    /// Chosen by the client, repeated in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Whether the codec knows this version of the API.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.api.versions().contains(self.version)
    }
}

/// Why a frame has no header that can be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No API of this number is served. The connection must be closed, for nothing is known of the answer's shape.
    #[error("no API has the key {key} (version {version}, correlation id {correlation_id})")]
    UnknownApi {
        /// The number.
        key: i16,
        /// The version.
        version: i16,
        /// The client's id of the request.
        correlation_id: i32,
    },
    /// The bytes are no header.
    #[error("no request header: {0}")]
    Malformed(#[from] DecodeError),
}

/// Version of the request header that goes before `version` of a request: 2 has tagged fields, 1 has none.
#[must_use]
pub fn request_header_version(api: ApiKey, version: i16) -> i16 {
    if version >= api.flexible_from() { 2 } else { 1 }
}

/// Version of the response header that goes before `version` of a response: 1 has tagged fields, 0 has none.
///
/// `ApiVersions` stays at 0, so that a client can read the answer to a version that the broker does not know.
#[must_use]
pub fn response_header_version(api: ApiKey, version: i16) -> i16 {
    i16::from(api != ApiKey::ApiVersions && version >= api.flexible_from())
}

/// Reads the header of a request, given the frame without its length. The reader is left at the body.
///
/// # Errors
/// That nothing can be answered; see [`HeaderError`].
pub fn parse_request(frame: Bytes) -> Result<(RequestHeader, Reader), HeaderError> {
    let mut r = Reader::new(frame);
    let (key, version, correlation_id) = (r.i16()?, r.i16()?, r.i32()?);
    let api = ApiKey::from_code(key).ok_or(HeaderError::UnknownApi { key, version, correlation_id })?;
    let client_id = r.nullable_string(false);
    let mut header = RequestHeader { api, version, correlation_id, client_id: None };
    // What follows in a version that nobody knows need not be what is expected; the answer does not depend on it.
    if !header.is_supported() {
        header.client_id = client_id.ok().flatten();
        return Ok((header, r));
    }
    header.client_id = client_id?;
    if request_header_version(api, version) == 2 {
        r.skip_tags()?;
    }
    Ok((header, r))
}

/// The frame of a request.
///
/// # Errors
/// What the version cannot express.
pub fn encode_request<M: ApiRequest>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &M,
) -> Result<Encoded, EncodeError> {
    let mut w = Writer::frame();
    w.i16(M::API as i16);
    w.i16(version);
    w.i32(correlation_id);
    w.nullable_string(false, client_id)?;
    if request_header_version(M::API, version) == 2 {
        w.no_tags();
    }
    body.encode(&mut w, version)?;
    w.finish_frame()
}

/// The frame of a response.
///
/// # Errors
/// What the version cannot express.
pub fn encode_response(version: i16, correlation_id: i32, body: &Response) -> Result<Encoded, EncodeError> {
    let mut w = response_writer(body.api(), version, correlation_id);
    body.encode(version, &mut w)?;
    w.finish_frame()
}

/// The frame of a response whose type is known.
///
/// # Errors
/// What the version cannot express.
pub fn encode_response_of<M: Message>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Encoded, EncodeError> {
    let mut w = response_writer(api, version, correlation_id);
    body.encode(&mut w, version)?;
    w.finish_frame()
}

fn response_writer(api: ApiKey, version: i16, correlation_id: i32) -> Writer {
    let mut w = Writer::frame();
    w.i32(correlation_id);
    if response_header_version(api, version) == 1 {
        w.no_tags();
    }
    w
}

/// Reads the header of a response, given the frame without its length: the correlation id, and a reader on the body.
///
/// # Errors
/// What is wrong with the bytes.
pub fn parse_response(api: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Reader), DecodeError> {
    let mut r = Reader::new(frame);
    let correlation_id = r.i32()?;
    if response_header_version(api, version) == 1 {
        r.skip_tags()?;
    }
    Ok((correlation_id, r))
}

#[cfg(test)]
mod tests;
