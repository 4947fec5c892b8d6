//! Messages as JSON, from the text that `derive(Debug)` gives, so that values can be compared with Kafka's rendering
//! without any code in the crate that only tests would use.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

/// The value that a debug text shows. Names of fields are lower case, without underscores.
pub(crate) fn of_debug(text: &str) -> Value {
    let mut parser = Parser { rest: text };
    let value = parser.value();
    assert_eq!(parser.rest, "", "a debug text goes on");
    value
}

/// Whose rendering a value is compared with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// The version of Kafka that the schema follows: it has no field that we have not.
    SameKafka,
    /// A newer one, in which some fields are new or have another name.
    NewerKafka,
}

/// Says where `kafka`'s value is not `ours`. Fields that Kafka does not show are not compared: they are not in that
/// version or hold their default.
pub(crate) fn difference(source: Source, kafka: &Value, ours: &Value) -> Option<String> {
    match (kafka, ours) {
        (Value::Object(fields), Value::Object(_)) => fields.iter().find_map(|(name, kafka)| {
            let field = name.to_lowercase();
            match ours.get(&field) {
                Some(ours) => difference(source, kafka, ours).map(|what| format!("{name}: {what}")),
                None => (source == Source::SameKafka).then(|| format!("{name} is missing")),
            }
        }),
        // A struct without fields.
        (Value::Object(fields), Value::Null) if fields.is_empty() => None,
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| difference(source, a, b))
        }
        // Kafka's converter leaves record data empty.
        (Value::String(data), Value::Object(records)) if data.is_empty() && records.contains_key(RECORDS) => None,
        (data, Value::Object(records)) if records.get(RECORDS) == Some(data) => None,
        (Value::Number(a), Value::Number(b)) if (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64() => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("{a} is not {b}")),
    }
}

/// Marks record data in our values.
const RECORDS: &str = "$records";

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Value {
        match self.rest.as_bytes()[0] {
            b'[' => Value::Array(self.list('[', ']')),
            b'"' => Value::String(self.text()),
            b'b' if self.rest.starts_with("b\"") => {
                self.take("b");
                json!(BASE64_STANDARD.encode(self.bytes()))
            }
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.named(),
        }
    }

    fn named(&mut self) -> Value {
        let name = self.word(|c| c.is_alphanumeric() || c == '_');
        match self.rest.chars().next() {
            Some('(') => wrapped(name, self.list('(', ')').remove(0)),
            Some(' ') if self.rest.starts_with(" {") => self.fields(),
            _ => match name {
                "true" => json!(true),
                "false" => json!(false),
                _ => Value::Null,
            },
        }
    }

    fn fields(&mut self) -> Value {
        self.take(" { ");
        let mut fields = Map::new();
        while !self.rest.starts_with('}') {
            let name = self.word(|c| c != ':').replace("r#", "").replace('_', "");
            self.take(": ");
            let value = self.value();
            fields.insert(name, value);
            self.rest = self.rest.strip_prefix(", ").or_else(|| self.rest.strip_prefix(' ')).expect("a field ends");
        }
        self.take("}");
        Value::Object(fields)
    }

    fn list(&mut self, open: char, close: char) -> Vec<Value> {
        self.rest = self.rest.strip_prefix(open).expect("a list");
        let mut list = Vec::new();
        while !self.rest.starts_with(close) {
            list.push(self.value());
            self.rest = self.rest.strip_prefix(", ").unwrap_or(self.rest);
        }
        self.rest = &self.rest[1..];
        list
    }

    fn number(&mut self) -> Value {
        let text = self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        text.parse::<i64>().map_or_else(|_| json!(text.parse::<f64>().expect("a number")), |number| json!(number))
    }

    fn text(&mut self) -> String {
        let rest = self.rest.strip_prefix('"').expect("a string");
        let mut out = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &rest[at + 1..];
                    return out;
                }
                '\\' => match chars.next().expect("an escape").1 {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    '0' => out.push('\0'),
                    'u' => {
                        let code = chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect::<String>();
                        out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                    }
                    other => out.push(other),
                },
                other => out.push(other),
            }
        }
        panic!("a string does not end")
    }

    fn bytes(&mut self) -> Vec<u8> {
        let rest = self.rest.strip_prefix('"').expect("bytes");
        let mut out = Vec::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &rest[at + 1..];
                    return out;
                }
                '\\' => match chars.next().expect("an escape").1 {
                    'n' => out.push(b'\n'),
                    'r' => out.push(b'\r'),
                    't' => out.push(b'\t'),
                    '0' => out.push(0),
                    'x' => {
                        let code = chars.by_ref().take(2).map(|(_, c)| c).collect::<String>();
                        out.push(u8::from_str_radix(&code, 16).expect("two digits"));
                    }
                    other => out.push(other as u8),
                },
                other => out.push(other as u8),
            }
        }
        panic!("bytes do not end")
    }

    fn word(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, expected: &str) {
        self.rest = self.rest.strip_prefix(expected).unwrap_or_else(|| panic!("{expected:?} before {}", self.rest));
    }
}

fn wrapped(name: &str, inner: Value) -> Value {
    match name {
        "Some" => inner,
        "Bytes" => json!({ RECORDS: inner }),
        "Uuid" => {
            let bytes = inner.as_array().expect("sixteen bytes").iter();
            let bytes = bytes.map(|byte| byte.as_i64().expect("a byte") as u8).collect::<Vec<_>>();
            json!(BASE64_URL_SAFE_NO_PAD.encode(bytes))
        }
        other => panic!("{other} is not a value"),
    }
}
