//! Blocks that the file system has set aside for what is going to be appended.
//!
//! Where it looks for blocks only when it writes bytes back, it spends a fifth of the time of each append on the promise that
//! there will be some, and puts those of logs that grow at the same time between each other.
//!
//! Invariants: ahead of its end a segment has no more than a quarter of what it holds, and no more than [`AHEAD_MAX`]; nothing
//! depends on it, and nobody hears of it where it fails.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ottla_disk::DiskFile;

/// Smaller segments get their blocks as they are written: most logs of a broker that has very many stay as small.
const BEGIN_AT: u64 = 1024 * 1024;
/// More gains nothing that could be measured.
const AHEAD_MAX: u64 = 4 * 1024 * 1024;

/// How far it was asked for.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    to: AtomicU64,
}

impl Ahead {
    /// Bytes from `end`, which is that of the file, up to `to` are about to be written.
    pub(super) fn prepare(&self, file: &dyn DiskFile, end: u64, to: u64) {
        if end < BEGIN_AT || to <= self.to.load(Relaxed) {
            return;
        }
        let until = to + (end / 4).min(AHEAD_MAX);
        if let Err(error) = file.set_aside(end, until - end) {
            tracing::debug!(%error, "no blocks were set aside");
        }
        self.to.store(until, Relaxed); // where it failed too: no append is to pay for a second attempt soon
    }

    /// Nothing more is going to be appended behind `size`.
    pub(super) fn give_back(file: &dyn DiskFile, size: u64) {
        if size >= BEGIN_AT
            && let Err(error) = file.set_len(size)
        {
            tracing::debug!(%error, "blocks behind the end of a segment stay until it is deleted");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSlice},
        os::fd::BorrowedFd,
    };

    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;

    /// Notes for which ranges it was asked, and how far it was cut.
    #[derive(Debug, Default)]
    struct Asked {
        aside: Mutex<Vec<(u64, u64)>>,
        cut: Mutex<Vec<u64>>,
        full: bool,
    }

    impl DiskFile for Asked {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn write_all_at(&self, _: &mut [IoSlice<'_>], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn set_aside(&self, from: u64, len: u64) -> io::Result<()> {
            self.aside.lock().push((from, from + len));
            if self.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.cut.lock().push(len);
            Ok(())
        }

        fn len(&self) -> io::Result<u64> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn sync_data(&self) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }
    }

    proptest! {
        #[test]
        fn what_is_set_aside_is_bounded_and_asked_for_seldom(batches in prop::collection::vec(1u64..300_000, 1..400), full: bool) {
            let file = Asked { full, ..Asked::default() };
            let (ahead, mut end) = (Ahead::default(), 0);
            for len in batches {
                let before = file.aside.lock().len();
                ahead.prepare(&file, end, end + len);
                if let Some((from, to)) = file.aside.lock().get(before) {
                    prop_assert!(end >= BEGIN_AT && *from == end);
                    prop_assert!(*to > end + len && to - (end + len) <= AHEAD_MAX.min(end / 4));
                }
                end += len;
            }
            let asked = file.aside.lock().len() as u64;
            prop_assert!(asked <= end.div_ceil(BEGIN_AT / 4), "{asked} times for {end} bytes");
            prop_assert!(end < BEGIN_AT + 300_000 || asked > 0);
            Ahead::give_back(&file, end);
            let cut = if end >= BEGIN_AT { vec![end] } else { Vec::new() };
            prop_assert_eq!(&*file.cut.lock(), &cut);
        }
    }
}
