//! `cargo +nightly fuzz run message`: bodies of any request and response. The first three bytes choose which.
#![no_main]

#[path = "../../tests/corpus/mod.rs"]
mod corpus;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla_wire::{ApiKey, Direction};

fuzz_target!(|data: &[u8]| {
    let [api, version, direction, body @ ..] = data else { return };
    let api = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let versions = api.versions();
    let version = versions.min + i16::from(*version) % (versions.max - versions.min + 1);
    let direction = if direction % 2 == 0 { Direction::Request } else { Direction::Response };
    corpus::fuzz_message(api, version, direction, Bytes::copy_from_slice(body));
});
