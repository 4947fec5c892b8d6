//! Every message in every version against Apache Kafka's own bytes.

mod corpus;

use std::collections::HashMap;

use bytes::Bytes;
use corpus::Vector;
use ottla_wire::{Reader, messages::KINDS};

fn again(vector: &Vector) -> Bytes {
    let mut r = Reader::new(vector.bytes.clone());
    let message = (vector.kind.decode)(&mut r, vector.version).unwrap_or_else(|e| panic!("{}: {e}", vector.place()));
    assert_eq!(r.left(), 0, "{} leaves bytes", vector.place());
    corpus::encode(&*message, vector.version).unwrap_or_else(|e| panic!("{}: {e}", vector.place()))
}

#[test]
fn what_is_decoded_is_encoded_to_the_same_bytes() {
    for vector in corpus::all().iter().filter(|vector| vector.case != "unknown") {
        assert_eq!(again(vector), vector.bytes, "{}", vector.place());
    }
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    for kind in &KINDS {
        let vectors = corpus::of(kind);
        let case = |name: &str| {
            let chosen = vectors.iter().filter(|vector| vector.case == name);
            chosen.map(|vector| (vector.version, vector)).collect::<HashMap<_, _>>()
        };
        let filled = case("filled");
        for (version, unknown) in case("unknown") {
            assert_eq!(again(unknown), filled[&version].bytes, "{}", unknown.place());
        }
    }
}

#[test]
fn every_version_of_every_message_has_vectors() {
    for kind in &KINDS {
        let vectors = corpus::of(kind);
        for version in kind.versions.min..=kind.versions.max {
            let cases = vectors.iter().filter(|vector| vector.version == version).count();
            let wanted = if version >= kind.flexible_from { 6 } else { 5 };
            assert_eq!(cases, wanted, "{} version {version}", kind.name);
        }
    }
}

#[test]
fn versions_outside_the_range_are_refused() {
    for kind in &KINDS {
        for version in [kind.versions.min - 1, kind.versions.max + 1, i16::MIN, i16::MAX] {
            let read = (kind.decode)(&mut Reader::new(Bytes::from_static(&[0; 64])), version);
            assert!(read.is_err(), "{} was read in version {version}", kind.name);
        }
    }
}
