//! A stored message as people see it: names and values, printed as JSON.

use std::fmt::{self, Write};

use bytes::Bytes;

use crate::Message;

/// A message that lies in files, where people look at it.
pub trait Show: Message {
    /// Its fields in `version`, by Kafka's names. A tagged field that holds its default is left out.
    fn show(&self, version: i16) -> Shown;
}

/// A value; its `Display` is JSON on one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, printed in base 64.
    Bytes(Bytes),
    /// Several values.
    List(Vec<Self>),
    /// Named values, in their order.
    Fields(Vec<(&'static str, Self)>),
}

impl Shown {
    /// Text of anything that has one.
    #[must_use]
    pub fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<i64> for Shown {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Shown {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Shown {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Shown>> From<Option<T>> for Shown {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Float(number) if number.is_finite() => write!(f, "{number:?}"),
            Self::Float(number) => write!(f, "\"{number}\""),
            Self::Text(text) => quoted(f, text),
            Self::Bytes(bytes) => base64(f, bytes),
            Self::List(values) => {
                f.write_char('[')?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
            Self::Fields(fields) => {
                f.write_char('{')?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}\"{name}\":{value}", if at == 0 { "" } else { "," })?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // What a terminal would obey is told, not done.
            c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn base64(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    f.write_char('"')?;
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for digit in 0..4 {
            let used = digit <= three.len();
            f.write_char(if used { char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]) } else { '=' })?;
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_json() {
        let bytes = |bytes: &'static [u8]| Shown::Bytes(Bytes::from_static(bytes)).to_string();
        assert_eq!(
            [bytes(b""), bytes(b"f"), bytes(b"fo"), bytes(b"foo")],
            ["\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\""]
        );
        let all = Shown::Fields(vec![
            ("text", "a\"\\\n\u{1b}é€".into()),
            ("none", None::<i64>.into()),
            ("list", Shown::List(vec![1.into(), true.into(), Shown::Float(0.5), Shown::Float(f64::NAN)])),
        ]);
        let expected = "{\"text\":\"a\\\"\\\\\\n\\u001bé€\",\"none\":null,\"list\":[1,true,0.5,\"NaN\"]}";
        assert_eq!(all.to_string(), expected);
    }
}
