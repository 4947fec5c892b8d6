//! How entries lie in a segment of the metadata log.
//!
//! A frame is `magic u32 | length u32 | crc32c u32 | synced u64 | body`, all big endian; the checksum covers length,
//! `synced` and body. `synced` is the length of the file that was durable before this frame was written: a bad frame
//! below the `synced` of any good one was durable once, so it is damage; above it, a write that a crash tore.
//!
//! Invariant: no bytes make reading panic or allocate more than they are.

/// First bytes of every frame, so that a search for a good frame behind a bad one is cheap.
const MAGIC: [u8; 4] = *b"OMF1";
/// Bytes before the body.
pub(crate) const HEAD_LEN: usize = 20;

/// A frame that checks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Durable length of the file when this frame was written.
    pub(crate) synced: u64,
    /// What it carries.
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that the frame takes in the file.
    pub(crate) fn len(&self) -> usize {
        HEAD_LEN + self.body.len()
    }
}

/// Appends a frame. Bodies are bounded by what one batch of decisions makes: far below 4 GiB.
pub(crate) fn put_frame(out: &mut Vec<u8>, synced: u64, body: &[u8]) {
    let len = (body.len() as u32).to_be_bytes();
    let synced = synced.to_be_bytes();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&len);
    out.extend_from_slice(&checksum(len, synced, body).to_be_bytes());
    out.extend_from_slice(&synced);
    out.extend_from_slice(body);
}

/// The frame at the start of `bytes`; none where there is no good one.
pub(crate) fn read_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (synced, rest) = rest.split_first_chunk::<8>()?;
    if *magic != MAGIC {
        return None;
    }
    let body = rest.get(..u32::from_be_bytes(*len) as usize)?;
    (checksum(*len, *synced, body).to_be_bytes() == *crc).then_some(Frame { synced: u64::from_be_bytes(*synced), body })
}

/// Whether some good frame behind `bad_at` was written when `bad_at` was durable already.
pub(crate) fn durable_before_a_later_frame(bytes: &[u8], bad_at: usize) -> bool {
    let mut at = bad_at + 1;
    while let Some(found) = next_magic(bytes, at) {
        match read_frame(&bytes[found..]) {
            Some(frame) if frame.synced > bad_at as u64 => return true,
            Some(frame) => at = found + frame.len(),
            None => at = found + 1,
        }
    }
    false
}

/// Where the next good frame lies, from `from` on.
pub(crate) fn next_frame(bytes: &[u8], mut from: usize) -> Option<usize> {
    while let Some(found) = next_magic(bytes, from) {
        if read_frame(&bytes[found..]).is_some() {
            return Some(found);
        }
        from = found + 1;
    }
    None
}

fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(MAGIC.len()).position(|window| window == MAGIC).map(|at| from + at)
}

fn checksum(len: [u8; 4], synced: [u8; 8], body: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&len);
    digest.update(&synced);
    digest.update(body);
    digest.finalize() as u32
}
