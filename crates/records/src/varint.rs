//! Variable-length integers as records use them: little-endian groups of seven bits, signed numbers zigzag-folded.
//!
//! Invariants: at most 5 bytes are read for 32 bits and 10 for 64, and bits beyond the width are an error; the writers
//! give the shortest form.

/// Why no number could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end within the number.
    End,
    /// More bytes or bits than the width allows.
    TooLong,
}

/// Reads a zigzag-folded 32-bit number: the value and how many bytes it took.
#[inline]
pub(crate) fn read_i32(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (folded, len) = match *bytes {
        [a, ..] if a < 0x80 => (u32::from(a), 1),
        [a, b, ..] if b < 0x80 => (u32::from(a & 0x7f) | u32::from(b) << 7, 2),
        _ => {
            let (folded, len) = read_long::<5>(bytes)?;
            (u32::try_from(folded).map_err(|_| VarintError::TooLong)?, len)
        }
    };
    Ok(((folded >> 1) as i32 ^ -((folded & 1) as i32), len))
}

/// Reads a zigzag-folded 64-bit number: the value and how many bytes it took.
#[inline]
pub(crate) fn read_i64(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (folded, len) = match *bytes {
        [a, ..] if a < 0x80 => (u64::from(a), 1),
        [a, b, ..] if b < 0x80 => (u64::from(a & 0x7f) | u64::from(b) << 7, 2),
        _ => read_long::<10>(bytes)?,
    };
    Ok(((folded >> 1) as i64 ^ -((folded & 1) as i64), len))
}

fn read_long<const MAX: usize>(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(MAX).enumerate() {
        let group = u64::from(byte & 0x7f);
        // the tenth group has room for one bit
        if at == 9 && group > 1 {
            return Err(VarintError::TooLong);
        }
        value |= group << (7 * at);
        if byte < 0x80 {
            return Ok((value, at + 1));
        }
    }
    Err(if bytes.len() < MAX { VarintError::End } else { VarintError::TooLong })
}

/// Appends `value`, zigzag-folded; 1 to 5 bytes for what fits 32 bits, otherwise up to 10.
pub(crate) fn write(out: &mut Vec<u8>, value: i64) {
    let mut folded = (value << 1 ^ value >> 63) as u64;
    while folded >= 0x80 {
        out.push(folded as u8 | 0x80);
        folded >>= 7;
    }
    out.push(folded as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_cut_or_too_long_is_an_error() {
        assert_eq!(read_i32(&[]), Err(VarintError::End));
        assert_eq!(read_i32(&[0x80]), Err(VarintError::End));
        assert_eq!(read_i32(&[0xff; 4]), Err(VarintError::End));
        assert_eq!(read_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(VarintError::TooLong));
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(VarintError::TooLong), "33 bits");
        assert_eq!(read_i64(&[0xff; 9]), Err(VarintError::End));
        assert_eq!(read_i64(&[0xff; 11]), Err(VarintError::TooLong));
        assert_eq!(read_i64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(VarintError::TooLong));
    }

    #[test]
    fn what_is_written_reads_back() {
        let values = [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::from(i32::MIN)];
        for value in values.into_iter().chain([i64::MAX, i64::MIN]) {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(read_i64(&bytes), Ok((value, bytes.len())));
            match i32::try_from(value) {
                Ok(small) => assert_eq!(read_i32(&bytes), Ok((small, bytes.len()))),
                Err(_) => assert_eq!(read_i32(&bytes), Err(VarintError::TooLong)),
            }
        }
    }
}
