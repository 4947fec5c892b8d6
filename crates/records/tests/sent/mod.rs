//! The records that every file under `testdata/batches` holds; `testdata/java/Batches.java` has the same list.

use ottla_records::{BatchBuilder, Record};
use ottla_types::{Millis, Offset};

/// First record's time.
pub(crate) const T: i64 = 1_700_000_000_000;

/// A record as it was given to the client.
pub(crate) struct Sent {
    /// Its time.
    pub(crate) timestamp: Millis,
    /// Its key.
    pub(crate) key: Option<Vec<u8>>,
    /// Its value.
    pub(crate) value: Option<Vec<u8>>,
    /// Its headers.
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// All of them, in order.
#[must_use]
pub(crate) fn sent() -> Vec<Sent> {
    let text = |s: &str| Some(s.as_bytes().to_vec());
    let plain = |delta, key, value| Sent { timestamp: Millis(T + delta), key, value, headers: Vec::new() };
    let big = (0..40_000).map(|i| (i * 31 % 251) as u8).collect();
    let headers = [("h", text("1")), ("h", text("2")), ("n", None), ("", text("")), ("ü", text("ß"))];
    vec![
        plain(0, text("k0"), text("v0")),
        plain(10, None, text("only value")),
        plain(-5, text("tombstone"), None),
        Sent {
            headers: headers.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect(),
            ..plain(10, text(""), text(""))
        },
        plain(1, text("big"), Some(big)),
        plain(2, None, None),
    ]
}

impl Sent {
    /// Adds it to `builder`.
    #[allow(dead_code)] // one of the programs that share this file only reads
    pub(crate) fn append_to(&self, builder: &mut BatchBuilder) {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        builder.append_with_headers(self.timestamp, self.key.as_deref(), self.value.as_deref(), &headers);
    }

    /// Asserts that `found` is this record, at offset `at`.
    #[allow(dead_code)] // one of the programs that share this file only writes
    #[track_caller]
    pub(crate) fn assert_is(&self, found: &Record<'_>, at: usize, timestamp: Millis) {
        assert_eq!((found.offset, found.timestamp), (Offset(at as i64), timestamp));
        assert_eq!((found.key, found.value), (self.key.as_deref(), self.value.as_deref()));
        let headers: Vec<_> = found.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
        assert_eq!(headers, self.headers);
    }
}
