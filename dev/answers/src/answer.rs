//! An answer as lines of text: a path, and the fields that stand there.
//!
//! ```text
//! topics[~a].partitions[0] error_code=NOT_LEADER_OR_FOLLOWER(6) leader_id=-1
//! ```
//!
//! Elements of arrays are named by what identifies them, not by their position, and sorted: no client may rely on an
//! order. Left out are numbers and ids that are 0, `false`, empty text and empty lists, which no field of the same type can be
//! without being so; null is left out where it can be. Invariant: different trees give different lines.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::value::Value;

/// The fields that identify an element among its neighbours: the first that an element has.
const KEYS: [&str; 25] = [
    "transactional_id",
    "name",
    "topic",
    "topic_name",
    "topic_id",
    "resource_name",
    "partition_index",
    "partition",
    "partition_id",
    "index",
    "batch_index",
    "key",
    "node_id",
    "broker_id",
    "replica_id",
    "base_offset",
    "producer_id",
    "api_key",
    "user",
    "entity_type",
    "log_dir",
    "principal",
    "group_id",
    "member_id",
    "group_instance_id",
];
/// Lists that are sets: no client may rely on an order.
const SETS: [&str; 2] = ["partitions", "subscribed_topic_names"];

/// What the id of nothing is called; left out like a zero.
pub const NO_ID: &str = "none";

/// One place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where: field names with dots between, elements in brackets; empty for the answer itself.
    pub path: String,
    /// Field and value, in the order of declaration.
    pub fields: Vec<(String, String)>,
}

/// The lines of `value`.
#[must_use]
pub fn lines(value: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    flatten(value, String::new(), None, &mut lines);
    lines
}

/// All places with their values: `path.field`, and the path itself with an empty value.
#[must_use]
pub fn places(lines: &[Line]) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for line in lines {
        places.insert(line.path.clone(), String::new());
        for (field, value) in &line.fields {
            let dot = if line.path.is_empty() { "" } else { "." };
            places.insert(format!("{}{dot}{field}", line.path), value.clone());
        }
    }
    places
}

impl Line {
    /// The line as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = if self.path.is_empty() { ".".to_owned() } else { self.path.clone() };
        for (field, value) in &self.fields {
            let _ = write!(text, " {field}={value}");
        }
        text
    }

    /// Reads [`render`](Self::render)'s text.
    #[must_use]
    pub fn parse(text: &str) -> Line {
        let mut words = split_words(text).into_iter();
        let path = words.next().unwrap_or_default();
        let fields = words.map(|word| match word.split_once('=') {
            Some((field, value)) => (field.to_owned(), value.to_owned()),
            None => (word, String::new()),
        });
        Line { path: if path == "." { String::new() } else { path }, fields: fields.collect() }
    }
}

/// Words between blanks, where blanks inside quotes and brackets do not count.
fn split_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    for c in text.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        match words.last_mut() {
            Some(word) if c != ' ' || quoted || depth > 0 => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words
}

/// `key` is the field that the path already names.
fn flatten(value: &Value, path: String, key: Option<&str>, lines: &mut Vec<Line>) {
    let at = lines.len();
    lines.push(Line { path: path.clone(), fields: Vec::new() });
    let Value::Struct(fields) = value else {
        lines[at].fields.push(("value".to_owned(), text(value)));
        return;
    };
    for (name, value) in fields.iter().filter(|(name, _)| Some(name.as_str()) != key) {
        match value.inner() {
            Value::List(items) if items.iter().any(|item| matches!(item, Value::Struct(_))) => {
                elements(items, &join(&path, name), lines);
            }
            Value::Struct(inner) => nested(name, inner, at, &path, lines),
            _ if is_left_out(value) => {}
            inner => lines[at].fields.push((name.clone(), text_of(name, inner))),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A struct in a field stands on the same line, with every field, unless it is absent: all of it -1. Its arrays of structs
/// have lines of their own.
fn nested(name: &str, fields: &[(String, Value)], at: usize, path: &str, lines: &mut Vec<Line>) {
    if fields.iter().all(|(_, value)| *value == Value::Word("-1".to_owned())) {
        return;
    }
    for (field, value) in fields {
        let name = format!("{name}.{field}");
        match value.inner() {
            Value::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Value::Struct(_))) => {
                elements(items, &join(path, &name), lines);
            }
            _ => lines[at].fields.push((name, text(value))),
        }
    }
}

fn elements(items: &[Value], path: &str, lines: &mut Vec<Line>) {
    let mut keyed: Vec<(Option<&str>, String, &Value)> = items.iter().map(key_of).collect();
    keyed.sort_by_cached_key(|(_, key, item)| (key.parse::<i64>().ok(), key.clone(), text(item)));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (field, key, item) in &keyed {
        let times = seen.entry(key).or_default();
        *times += 1;
        let suffix = if *times > 1 { format!("#{times}") } else { String::new() };
        flatten(item, format!("{path}[{key}{suffix}]"), *field, lines);
    }
}

/// The field that identifies `item`, and its text; an empty one identifies nothing.
fn key_of(item: &Value) -> (Option<&'static str>, String, &Value) {
    for name in KEYS {
        match item.field(name) {
            Some(Value::Text(text)) if !text.is_empty() => {
                return (Some(name), text.escape_debug().to_string().replace(['[', ']', ' '], "?"), item);
            }
            Some(Value::Word(word)) if word != NO_ID => return (Some(name), word.clone(), item),
            _ => {}
        }
    }
    (None, String::new(), item)
}

fn is_left_out(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Word(word) => word == "0" || word == "false" || word == NO_ID,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Some(_) | Value::Struct(_) => false,
    }
}

fn text_of(name: &str, value: &Value) -> String {
    match value {
        Value::Word(code) if matches!(name, "error_code" | "topic_config_error_code" | "partition_error_code") => {
            error_name(code)
        }
        Value::List(items) if SETS.contains(&name) => {
            let mut items: Vec<String> = items.iter().map(text).collect();
            items.sort_by_key(|item| (item.len(), item.clone()));
            format!("[{}]", items.join(","))
        }
        value => text(value),
    }
}

fn error_name(code: &str) -> String {
    match code.parse::<i16>() {
        Ok(number) => match crate::errors::name(number) {
            Some(name) => format!("{name}({number})"),
            None => code.to_owned(),
        },
        Err(_) => code.to_owned(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Word(word) => word.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("0x{}", hex(bytes)),
        Value::Some(value) => text(value),
        Value::List(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        Value::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}:{}", text(value))).collect();
            format!("[{}]", fields.join(","))
        }
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
