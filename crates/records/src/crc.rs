//! The checksum of a batch: CRC-32C (Castagnoli) over everything from the attributes to the end.
//!
//! Base offset, length, leader epoch, magic and the checksum itself lie outside it, so that a broker may stamp the
//! first and third without computing it again.

use crate::{BatchError, HEADER_LEN};

/// Where the checksum stands.
const CRC_AT: usize = 17;
/// First byte that the checksum covers.
const COVERED_FROM: usize = 21;

/// Computes the checksum of a whole batch; bytes before the 21st do not matter, and a shorter slice counts as empty.
#[must_use]
pub fn crc_of(batch: &[u8]) -> u32 {
    crc32c(batch.get(COVERED_FROM..).unwrap_or_default())
}

/// Computes the checksum of a batch whose header and body lie apart.
#[must_use]
pub fn crc_of_parts(head: &[u8; HEADER_LEN], body: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&head[COVERED_FROM..]);
    digest.update(body);
    digest.finalize() as u32
}

/// Compares the checksum in the header of a whole batch with what its bytes give.
///
/// # Errors
/// [`BatchError::Crc`], or [`BatchError::Incomplete`] for fewer bytes than a header.
pub fn verify_crc(batch: &[u8]) -> Result<(), BatchError> {
    let incomplete = BatchError::Incomplete { have: batch.len(), need: HEADER_LEN };
    let header: &[u8; HEADER_LEN] = batch.first_chunk().ok_or(incomplete)?;
    let stored = u32::from_be_bytes([header[CRC_AT], header[CRC_AT + 1], header[CRC_AT + 2], header[CRC_AT + 3]]);
    let computed = crc_of(batch);
    if stored == computed { Ok(()) } else { Err(BatchError::Crc { stored, computed }) }
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
