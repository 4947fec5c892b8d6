//! A response as a tree of fields, whatever its type.
//!
//! Every message derives `Debug`, whose text follows one grammar; reading that text back gives all messages a common shape
//! without a line of code for each. Invariant: two messages of one type have equal trees exactly when they are equal.

use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Fields in the order of declaration.
    Struct(Vec<(String, Value)>),
    /// An array.
    List(Vec<Value>),
    /// A string.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number, a truth value, an id, or a name that stands for one of these.
    Word(String),
    /// What is null.
    Null,
    /// What could be null and is not.
    Some(Box<Value>),
}

impl Value {
    /// The tree of `message`.
    ///
    /// # Errors
    /// Where its `Debug` is not the derived one.
    pub fn of(message: &impl Debug) -> Result<Value> {
        let text = format!("{message:?}");
        let mut parser = Parser { rest: &text };
        let value = parser.value().with_context(|| format!("in {text}"))?;
        ensure!(parser.rest.is_empty(), "{:?} follows the value in {text}", parser.rest);
        Ok(value)
    }

    /// The field `name`, with [`Value::Some`] taken off.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        let Value::Struct(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.inner())
    }

    /// Without [`Value::Some`] around it.
    #[must_use]
    pub fn inner(&self) -> &Value {
        match self {
            Value::Some(value) => value.inner(),
            value => value,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Value> {
        if self.eat("b\"") {
            return Ok(Value::Bytes(self.quoted()?));
        }
        match self.rest.chars().next() {
            Some('"') => {
                self.rest = &self.rest[1..];
                Ok(Value::Text(String::from_utf8(self.quoted()?)?))
            }
            Some('[') => {
                self.rest = &self.rest[1..];
                Ok(Value::List(self.until(']', Self::value)?))
            }
            _ => self.named(),
        }
    }

    /// A word; a struct; or one value in a wrapper.
    fn named(&mut self) -> Result<Value> {
        let word = self.word()?;
        if self.eat(" {") {
            return Ok(Value::Struct(self.until('}', Self::struct_field)?));
        }
        if self.eat("(") {
            let inside = self.value()?;
            ensure!(self.eat(")"), "no ) after {word}");
            return Ok(match (word, inside) {
                ("Some", inside) => Value::Some(Box::new(inside)),
                ("Uuid", Value::List(bytes)) => Value::Word(uuid(&bytes)?),
                (_, inside) => inside,
            });
        }
        Ok(if word == "None" { Value::Null } else { Value::Word(word.to_owned()) })
    }

    fn struct_field(&mut self) -> Result<(String, Value)> {
        let name = self.word()?.trim_start_matches("r#").to_owned();
        ensure!(self.eat(": "), "no value of the field {name}");
        Ok((name, self.value()?))
    }

    /// Items with commas between, up to `end`.
    fn until<T>(&mut self, end: char, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([',', ' ']);
            if self.rest.starts_with(end) {
                self.rest = &self.rest[1..];
                return Ok(items);
            }
            items.push(item(self)?);
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "_-.#+".contains(c))).unwrap_or(self.rest.len());
        ensure!(end > 0, "a value is expected at {:?}", self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    fn eat(&mut self, what: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(what) else { return false };
        self.rest = rest;
        true
    }

    /// What stands before the closing quote, with its escapes resolved.
    fn quoted(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(bytes);
                }
                '\\' => escape(&mut chars, &mut bytes)?,
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bail!("no closing quote")
    }
}

/// What follows a backslash.
fn escape(chars: &mut std::str::CharIndices<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    let mut next = || chars.next().map(|(_, c)| c).context("text ends inside an escape");
    let byte = match next()? {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        '0' => 0,
        'x' => u8::from_str_radix(&[next()?, next()?].iter().collect::<String>(), 16)?,
        'u' => {
            next()?;
            let mut digits = String::new();
            loop {
                match next()? {
                    '}' => break,
                    digit => digits.push(digit),
                }
            }
            let c = char::from_u32(u32::from_str_radix(&digits, 16)?).context("no character")?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        c @ ('"' | '\\' | '\'') => c as u8,
        c => bail!("unknown escape \\{c}"),
    };
    bytes.push(byte);
    Ok(())
}

fn uuid(bytes: &[Value]) -> Result<String> {
    let mut id = [0; 16];
    ensure!(bytes.len() == id.len(), "an id of {} bytes", bytes.len());
    for (byte, value) in id.iter_mut().zip(bytes) {
        let Value::Word(word) = value else { bail!("an id of {value:?}") };
        *byte = word.parse()?;
    }
    Ok(ottla_types::Uuid(id).to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ottla_types::Uuid;
    use ottla_wire::Records;

    use super::*;

    #[derive(Debug)]
    #[allow(dead_code)] // read through Debug only
    struct Sample {
        r#type: i32,
        text: Option<String>,
        ids: Vec<Uuid>,
        rate: f64,
        inner: Inner,
        records: Option<Records>,
        none: Option<Vec<i32>>,
    }

    #[derive(Debug, Default)]
    #[allow(dead_code)]
    struct Inner {
        a: bool,
        empty: Vec<i32>,
    }

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    #[test]
    fn every_shape_is_read_back() {
        let sample = Sample {
            r#type: -7,
            text: Some("\"a\\b\u{7f}\u{e9}\n, {[(".to_owned()),
            ids: vec![Uuid::ZERO, Uuid::METADATA_TOPIC],
            rate: 1.5,
            inner: Inner::default(),
            records: Some(Records::Bytes(Bytes::from_static(b"\x00\xff\"\\,\n"))),
            none: None,
        };
        let value = Value::of(&sample).unwrap();
        let field = |name| value.field(name).cloned().unwrap();
        assert_eq!(field("type"), word("-7"));
        assert_eq!(field("text"), Value::Text(sample.text.unwrap()));
        assert_eq!(field("ids"), Value::List(vec![word(&"A".repeat(22)), word("AAAAAAAAAAAAAAAAAAAAAQ")]));
        assert_eq!(field("rate"), word("1.5"));
        let inner = vec![("a".to_owned(), word("false")), ("empty".to_owned(), Value::List(vec![]))];
        assert_eq!(field("inner"), Value::Struct(inner));
        assert_eq!(field("records"), Value::Bytes(b"\x00\xff\"\\,\n".to_vec()));
        assert_eq!(field("none"), Value::Null);
    }

    #[test]
    fn what_is_no_debug_text_is_an_error() {
        struct Odd(&'static str);
        impl Debug for Odd {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        for odd in ["", "A { b", "A { b: }", "[1", "\"x", "Some(1", "1 2", "\"\\q\""] {
            assert!(Value::of(&Odd(odd)).is_err(), "{odd}");
        }
    }
}
