//! `cargo +nightly fuzz run batches`: record batches as a producer sends them, and what is compressed in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| ottla_records::fuzz_batch(data));
