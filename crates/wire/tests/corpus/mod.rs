//! The checked-in byte vectors, and what every message must survive.
//!
//! The vectors are Apache Kafka's own bytes (see `dev/vectors`). A file holds one message; a line of it holds a
//! version, a case, the bytes and, for some cases, the value as JSON.
#![allow(dead_code, missing_docs, unreachable_pub)] // several test programs share this, each needs a part

use std::{fs, path::Path};

use bytes::Bytes;
use ottla_wire::{AnyMessage, Direction, EncodeError, Encoded, MessageKind, Reader, Role, Writer, messages::KINDS};

/// Where the vectors lie, from every crate two folders down.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/wire/testdata/vectors");

pub struct Vector {
    pub kind: &'static MessageKind,
    pub version: i16,
    pub case: String,
    pub bytes: Bytes,
    pub value: Option<String>,
}

impl Vector {
    /// Names the vector in messages of failed assertions.
    pub fn place(&self) -> String {
        format!("{} version {} {}", self.kind.name, self.version, self.case)
    }
}

/// All vectors, in the order of [`KINDS`].
pub fn all() -> Vec<Vector> {
    KINDS.iter().flat_map(of).collect()
}

/// The vectors of one message.
pub fn of(kind: &'static MessageKind) -> Vec<Vector> {
    let folder = Path::new(FOLDER);
    let text = fs::read_to_string(folder.join(format!("{}.txt", kind.name))).expect(kind.name);
    text.lines().map(|line| parse(kind, line)).collect()
}

fn parse(kind: &'static MessageKind, line: &str) -> Vector {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().map(str::to_owned);
    Vector {
        kind,
        version: word().and_then(|text| text.parse().ok()).expect("a version"),
        case: word().expect("a case"),
        bytes: unhex(&word().expect("bytes")),
        value: word(),
    }
}

pub fn unhex(text: &str) -> Bytes {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub fn encode(message: &dyn AnyMessage, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::default();
    message.encode_any(&mut w, version)?;
    let encoded: Encoded = w.finish();
    let bytes = encoded.read().expect("nothing lies in a file");
    assert_eq!(bytes.len() as u64, encoded.len, "a length that is not that of the segments");
    Ok(bytes)
}

/// Decodes a body that anybody may have sent. What is taken for a message can be encoded, and is the same message then.
pub fn fuzz_message(api: ottla_wire::ApiKey, version: i16, direction: Direction, bytes: Bytes) {
    let role = match direction {
        Direction::Request => Role::Request(api),
        Direction::Response => Role::Response(api),
    };
    let kind = KINDS.iter().find(|kind| kind.role == role).expect("every API has both");
    fuzz_kind(kind, version, bytes);
}

/// The same for any message.
pub fn fuzz_kind(kind: &MessageKind, version: i16, bytes: Bytes) {
    if let Ok(message) = (kind.decode)(&mut Reader::new(bytes), version) {
        check_again(kind, version, &*message);
    }
}

/// Checks that a message that was decoded can be encoded, and is the same message then.
pub fn check_again(kind: &MessageKind, version: i16, message: &dyn AnyMessage) {
    let again = encode(message, version).expect("what was decoded can be encoded");
    let mut r = Reader::new(again.clone());
    let message = (kind.decode)(&mut r, version).expect("what was encoded can be decoded");
    assert_eq!(r.left(), 0, "{} version {version} leaves bytes", kind.name);
    assert_eq!(encode(&*message, version).expect("and encoded again"), again, "{} version {version}", kind.name);
}
