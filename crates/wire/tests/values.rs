//! Every field against Apache Kafka's own reading of the same bytes, so that no two fields are mistaken for one another.

mod corpus;
#[path = "corpus/value.rs"]
mod value;

use std::{env, fs, path::Path};

use bytes::Bytes;
use ottla_wire::{MessageKind, Reader};
use serde_json::Value;
use value::Source;

struct Case<'a> {
    kind: &'a MessageKind,
    version: i16,
    bytes: Bytes,
    source: Source,
    value: &'a Value,
    place: String,
}

fn check(case: &Case<'_>) {
    let place = &case.place;
    let message = (case.kind.decode)(&mut Reader::new(case.bytes.clone()), case.version);
    let message = message.unwrap_or_else(|e| panic!("{place}: {e}"));
    let ours = value::of_debug(&format!("{message:?}"));
    assert_eq!(value::difference(case.source, case.value, &ours), None, "{place}");
    // Tagged fields that nobody knows are not kept.
    if !place.contains("unknown") {
        assert_eq!(corpus::encode(&*message, case.version).as_ref(), Ok(&case.bytes), "{place}");
    }
}

#[test]
fn values_are_those_that_kafka_reads() {
    let mut compared = 0;
    for vector in corpus::all() {
        let Some(value) = &vector.value else { continue };
        check(&Case {
            kind: vector.kind,
            version: vector.version,
            bytes: vector.bytes.clone(),
            source: Source::SameKafka,
            value: &serde_json::from_str(value).expect("JSON"),
            place: vector.place(),
        });
        compared += 1;
    }
    assert!(compared > 900, "only {compared} values were compared");
}

/// A second source: vectors that others made, in the folder that `OTTLA_KAFKA_VECTORS` names.
#[test]
fn values_are_those_of_the_second_source() {
    let Some(folder) = env::var_os("OTTLA_KAFKA_VECTORS") else {
        eprintln!("skipped: OTTLA_KAFKA_VECTORS does not name a folder of vectors");
        return;
    };
    let mut compared = 0;
    for message in ottla_wire::messages::KINDS.iter().filter(|kind| Path::new(&folder).join(kind.name).is_dir()) {
        compared += second_source(&Path::new(&folder).join(message.name), message);
    }
    println!("{compared} vectors of the second source compared");
    assert!(compared > 300, "only {compared} vectors were compared");
}

fn second_source(folder: &Path, kind: &MessageKind) -> usize {
    let mut compared = 0;
    for version in kind.versions.min..=kind.versions.max {
        let Ok(text) = fs::read_to_string(folder.join(format!("v{version}.json"))) else { continue };
        let file = serde_json::from_str::<Value>(&text).expect("JSON");
        for vector in file["vectors"].as_array().expect("vectors") {
            check(&Case {
                kind,
                version,
                bytes: corpus::unhex(vector["hex"].as_str().expect("bytes")),
                source: Source::NewerKafka,
                value: &vector["json_value"],
                place: format!("{} version {version} {}", kind.name, vector["name"]),
            });
            compared += 1;
        }
    }
    compared
}

/// What lies in files is shown with the names and values that Kafka's own rendering has.
#[test]
fn what_is_shown_is_what_kafka_shows() {
    let mut compared = 0;
    for vector in corpus::all() {
        let (Some(value), Some(show)) = (&vector.value, vector.kind.show) else { continue };
        let shown = show(&mut Reader::new(vector.bytes.clone()), vector.version).expect("a message");
        let ours: Value = serde_json::from_str(&shown.to_string()).expect("JSON");
        let theirs: Value = serde_json::from_str(value).expect("JSON");
        assert_eq!(ours, theirs, "{}", vector.place());
        compared += 1;
    }
    assert!(compared > 100, "only {compared} values were compared");
}
