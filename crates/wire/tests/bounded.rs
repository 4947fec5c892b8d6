//! Broken and hostile bytes: decoding them never panics and never takes more than a small multiple of their length.
//!
//! Every vector is cut at every byte, and lengths that lie are written over every byte; then come seeded random changes.
#![allow(unsafe_code)] // a global allocator that counts can only be written so

mod corpus;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::Bytes;
use corpus::Vector;
use ottla_wire::{AnyMessage, ApiKey, Direction, Reader};

/// Counts the bytes that a thread holds, and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `place` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What decoding `bytes` bytes may take: the reader's budget, and a little for the message itself.
fn allowed(bytes: usize) -> isize {
    (16 * bytes + (64 << 10) + (4 << 10)) as isize
}

fn check(vector: &Vector, bytes: Vec<u8>) {
    if let Some(message) = decode(vector, bytes) {
        corpus::check_again(vector.kind, vector.version, &*message);
    }
}

fn decode(vector: &Vector, bytes: Vec<u8>) -> Option<Box<dyn AnyMessage>> {
    let len = bytes.len();
    let mut r = Reader::new(Bytes::from(bytes));
    let before = HELD.get();
    PEAK.set(before);
    let message = (vector.kind.decode)(&mut r, vector.version);
    let taken = PEAK.get() - before;
    assert!(taken <= allowed(len), "{} of {len} bytes takes {taken}", vector.place());
    message.ok()
}

/// Vectors of these cases, in the versions where the shape of lengths or the set of fields is at an end.
fn chosen(cases: [&str; 2]) -> impl Iterator<Item = Vector> {
    corpus::all().into_iter().filter(move |vector| {
        let kind = vector.kind;
        let turning = [kind.versions.min, kind.versions.max, kind.flexible_from, kind.flexible_from - 1];
        cases.contains(&vector.case.as_str()) && turning.contains(&vector.version)
    })
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read() {
    for vector in chosen(["filled", "nulls"]) {
        for end in 0..vector.bytes.len() {
            check(&vector, vector.bytes[..end].to_vec());
        }
    }
}

#[test]
fn lengths_that_lie_are_refused_or_read() {
    let lies: [&[u8]; 6] = [
        &(-2_i32).to_be_bytes(),
        &0_i32.to_be_bytes(),
        &i32::MAX.to_be_bytes(),
        &[0xff, 0xff, 0xff, 0xff, 0x0f],       // the largest varint
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // one that goes on for too long
        &[0x80, 0x01],                         // a length of 127, where a varint begins to take two bytes
    ];
    for vector in chosen(["edge", "nulls"]) {
        for at in 0..vector.bytes.len() {
            for lie in lies {
                let mut bytes = vector.bytes.to_vec();
                let end = bytes.len().min(at + lie.len());
                bytes[at..end].copy_from_slice(&lie[..end - at]);
                check(&vector, bytes);
            }
        }
    }
}

#[test]
fn random_changes_are_refused_or_read() {
    let mut seed = 0x0774_1a00_u64;
    let mut random = |below: usize| {
        // Xorshift: the same changes in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below.max(1)
    };
    for vector in corpus::all() {
        for _ in 0..8 {
            let mut bytes = vector.bytes.to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(3) {
                    _ if bytes.is_empty() => bytes.push(random(256) as u8),
                    0 => bytes[at] = random(256) as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, random(256) as u8),
                }
            }
            check(&vector, bytes);
        }
    }
}

#[test]
fn large_frames_of_empty_elements_stay_in_the_budget() {
    let zeros = vec![0; 1 << 20];
    for vector in corpus::all().iter().filter(|vector| vector.case == "default") {
        for lie in [&[0, 0x0e, 0xff, 0xff][..], &[0xff, 0xff, 0x3b]] {
            for place in [0, 1, 2, 4, 6, 8, 10] {
                let mut bytes = zeros.clone();
                bytes[place..place + lie.len()].copy_from_slice(lie);
                decode(vector, bytes);
            }
        }
    }
}

#[test]
fn the_entry_of_the_fuzzer_takes_anything() {
    for api in ApiKey::ALL {
        for direction in [Direction::Request, Direction::Response] {
            for version in api.versions().min..=api.versions().max {
                for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
                    corpus::fuzz_message(api, version, direction, Bytes::from(vec![byte; 300]));
                }
            }
        }
    }
}
