//! Which partition of an internal topic an id belongs to.

/// Partition of `count` for `id`: Java's hash of the string, without its sign.
pub(super) fn partition_of(id: &str, count: i32) -> i32 {
    let hash = id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn is_where_java_puts_it() {
        // "group".hashCode() is 98629247; "polygenelubricants" has the one hash without an absolute value.
        assert_eq!(partition_of("group", 50), 47);
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("\u{1F600}", 50), (0xD83D_i32 * 31 + 0xDE00) % 50);
    }
}
