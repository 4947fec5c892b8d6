//! A topic that names a codec stores every batch with it.
//!
//! Invariant: the records' bytes stay what they were; memory is the two codecs' windows and the result, which never
//! exceeds what the topic allows.

use std::io;

use bytes::Bytes;

use super::{ProduceRejection, ProduceRules, TargetCompression, check_size};
use crate::{
    BatchHeader, DecompressError, HEADER_LEN, LOG_OVERHEAD,
    compression::{Compressor, Decompressor, decompressed_max},
};

/// The body to store; changes codec and length in `header` when it is not the one that was sent.
pub(super) fn stored_body(
    batch: &Bytes,
    header: &mut BatchHeader,
    rules: &ProduceRules,
) -> Result<Bytes, ProduceRejection> {
    let sent = header.attributes.compression()?;
    let (codec, level) = match rules.compression {
        TargetCompression::Codec(codec, level) if codec != sent => (codec, level),
        _ => return Ok(batch.slice(HEADER_LEN..)),
    };
    let body = &batch[HEADER_LEN..];
    let mut from = Decompressor::new(sent, body, decompressed_max(body.len())).map_err(crate::RecordError::from)?;
    let room = rules.max_message_bytes.min(i32::MAX as usize).saturating_sub(HEADER_LEN);
    let mut to = Compressor::new(codec, level, room)?;
    match io::copy(&mut from, &mut to) {
        Ok(_) => {}
        Err(error) => return Err(why(&error, room, rules)),
    }
    let body = to.finish().map_err(|error| why(&error, room, rules))?;
    let size = HEADER_LEN + body.len();
    check_size(size, rules)?;
    header.attributes = header.attributes.with_compression(codec);
    header.batch_length = (size - LOG_OVERHEAD) as i32;
    Ok(body.into())
}

/// The records were walked before, so what fails here is the room in the result, or the codec.
fn why(error: &io::Error, room: usize, rules: &ProduceRules) -> ProduceRejection {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<DecompressError>()) {
        Some(broken) => ProduceRejection::Unreadable((*broken).into()),
        None => ProduceRejection::TooLarge { size: HEADER_LEN + room + 1, max: rules.max_message_bytes },
    }
}
