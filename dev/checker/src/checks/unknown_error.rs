//! A client was given UNKNOWN_SERVER_ERROR, which says neither what happened nor what to do about it.

use crate::anomaly::{Anomaly, Kind};
use crate::index::Index;

/// How clients put it: the protocol and franz-go, Java's, librdkafka's.
const WORDS: [&str; 3] = ["UNKNOWN_SERVER_ERROR", "UnknownServerException", "Unknown broker error"];

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let notes = index.history.notes.iter().filter(|note| WORDS.iter().any(|words| note.text.contains(words)));
    let shown = notes.map(|note| {
        let name = &index.history.processes[note.process.0];
        Anomaly::new(Kind::UnknownError, format!("{name} at {}: {}", note.time, note.text))
    });
    shown.collect()
}
