//! The bytes of one file, in pages: holes cost nothing and a copy shares what neither side writes.
//!
//! Invariant: bytes of a page beyond the file's length are zero, so that growing the file shows zeros.

use std::{collections::BTreeMap, sync::Arc};

/// Unit of storage and of the space account, bytes.
pub(super) const PAGE: u64 = 4096;

#[derive(Clone, Default)]
pub(super) struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE as usize]>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of the volume that this content occupies.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// Reads what there is from `position`; the number of bytes read.
    pub(super) fn read(&self, buf: &mut [u8], position: u64) -> usize {
        let len = self.len.saturating_sub(position).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < len {
            let (page, from, take) = span(position + done as u64, len - done);
            let part = &mut buf[done..done + take];
            match self.pages.get(&page) {
                Some(bytes) => part.copy_from_slice(&bytes[from..from + take]),
                None => part.fill(0),
            }
            done += take;
        }
        len
    }

    /// Writes all of `bytes` and grows the file where they reach beyond its end.
    pub(super) fn write(&mut self, bytes: &[u8], position: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, from, take) = span(position + done as u64, bytes.len() - done);
            let stored = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE as usize]));
            Arc::make_mut(stored)[from..from + take].copy_from_slice(&bytes[done..done + take]);
            done += take;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(position + bytes.len() as u64);
        }
    }

    /// Cuts, or grows with a hole.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(last) = self.pages.get_mut(&(len / PAGE)) {
                Arc::make_mut(last)[(len % PAGE) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// How many of `len` bytes at `position` can be written when `free` more bytes of the volume may be taken.
    pub(super) fn fitting(&self, position: u64, len: usize, free: u64) -> usize {
        let (mut done, mut left) = (0, free);
        while done < len {
            let (page, _, take) = span(position + done as u64, len - done);
            if !self.pages.contains_key(&page) {
                if left < PAGE {
                    break;
                }
                left -= PAGE;
            }
            done += take;
        }
        done
    }
}

/// The page that holds `position`, where in it, and how many of `len` bytes lie in it.
fn span(position: u64, len: usize) -> (u64, usize, usize) {
    let from = (position % PAGE) as usize;
    (position / PAGE, from, len.min(PAGE as usize - from))
}
