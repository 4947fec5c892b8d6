//! Randomness of the operating system, for ids that must not meet.

use ottla_types::Uuid;
use rustix::rand::{GetRandomFlags, getrandom};

/// A random id, never one that stands for none or is reserved, and never one whose text begins with a dash, which tools
/// would take for an option.
pub(crate) fn uuid() -> Uuid {
    loop {
        let id = Uuid(bytes());
        if !id.is_zero() && id != Uuid::METADATA_TOPIC && !id.to_string().starts_with('-') {
            return id;
        }
    }
}

/// A random number.
pub(crate) fn number() -> u64 {
    u64::from_le_bytes(bytes())
}

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // The call only fails when a signal interrupts it, or on kernels older than this decade.
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes
}
