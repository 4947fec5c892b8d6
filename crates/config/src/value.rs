//! One value: from text, checked against its declaration, and back to the text Kafka would show.
//!
//! Invariant: parsing what a value prints gives the value again.

use std::fmt;

use crate::declaration::{Declaration, Kind, Rule};
use crate::error::{ConfigError, Reason};
use crate::rules;

/// A value of the declared kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `BOOLEAN`
    Boolean(bool),
    /// `INT`, `SHORT` and `LONG`; within the range of the declared kind.
    Integer(i64),
    /// `DOUBLE`; never NaN.
    Double(f64),
    /// `STRING`, `CLASS` and `PASSWORD`; trimmed.
    Text(Box<str>),
    /// `LIST`; elements are trimmed.
    List(Vec<Box<str>>),
}

impl Value {
    /// The number; 0 for what is none.
    #[must_use]
    pub fn integer(&self) -> i64 {
        if let Self::Integer(number) = self { *number } else { 0 }
    }

    /// The floating point number; an integer is widened, everything else is 0.
    #[must_use]
    pub fn double(&self) -> f64 {
        match self {
            Self::Double(number) => *number,
            Self::Integer(number) => *number as f64,
            _ => 0.0,
        }
    }

    /// The truth value; false for what is none.
    #[must_use]
    pub fn boolean(&self) -> bool {
        matches!(self, Self::Boolean(true))
    }

    /// The text; empty for what is none.
    #[must_use]
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// The elements; none for what is not a list.
    #[must_use]
    pub fn list(&self) -> &[Box<str>] {
        if let Self::List(elements) = self { elements } else { &[] }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Double(number) => java_double(*number, f),
            Self::Text(text) => text.fmt(f),
            Self::List(elements) => f.write_str(&elements.join(",")),
        }
    }
}

/// Reads `text` as a value of `declaration`, surrounding white space set aside.
///
/// # Errors
/// [`ConfigError::InvalidValue`] when it has another type or breaks the rule.
pub fn parse(declaration: &Declaration, text: &str) -> Result<Value, ConfigError> {
    let value = read(declaration.kind, text.trim()).map_err(|reason| invalid(declaration, text, reason))?;
    match rules::broken(declaration, &value) {
        None => Ok(value),
        Some(reason) => Err(invalid(declaration, &value.to_string(), reason)),
    }
}

/// Reads the default. The registry's tests hold every default against its rule.
pub(crate) fn default_of(declaration: &Declaration) -> Option<Value> {
    parse(declaration, declaration.default?).ok()
}

fn invalid(declaration: &Declaration, value: &str, reason: Reason) -> ConfigError {
    let value = if declaration.sensitive() { "[hidden]" } else { value };
    ConfigError::InvalidValue { key: declaration.name.into(), value: clipped(value), reason }
}

/// Enough of a hostile value to recognise it by.
pub(crate) fn clipped(text: &str) -> Box<str> {
    const CHARACTERS_MAX: usize = 200;
    match text.char_indices().nth(CHARACTERS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

fn read(kind: Kind, text: &str) -> Result<Value, Reason> {
    match kind {
        Kind::Boolean => read_boolean(text),
        Kind::Int => read_integer(kind, text, i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::Short => read_integer(kind, text, i64::from(i16::MIN), i64::from(i16::MAX)),
        Kind::Long => read_integer(kind, text, i64::MIN, i64::MAX),
        Kind::Double => read_double(text),
        Kind::List => Ok(Value::List(elements(text))),
        Kind::String | Kind::Class | Kind::Password => Ok(Value::Text(text.into())),
    }
}

fn read_boolean(text: &str) -> Result<Value, Reason> {
    if text.eq_ignore_ascii_case("true") {
        Ok(Value::Boolean(true))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Value::Boolean(false))
    } else {
        Err(Reason::NotBoolean)
    }
}

fn read_integer(kind: Kind, text: &str, least: i64, most: i64) -> Result<Value, Reason> {
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Integer(number)),
        _ => Err(Reason::NotNumber(kind)),
    }
}

// Java takes a suffix d or f; NaN passes no comparison, so it is never let in.
fn read_double(text: &str) -> Result<Value, Reason> {
    let digits =
        text.strip_suffix(['d', 'D', 'f', 'F']).filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit() || c == '.'));
    match digits.unwrap_or(text).parse::<f64>() {
        Ok(number) if !number.is_nan() => Ok(Value::Double(number)),
        _ => Err(Reason::NotNumber(Kind::Double)),
    }
}

pub(crate) fn elements(text: &str) -> Vec<Box<str>> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(|element| element.trim().into()).collect() }
}

// Java writes 0.001 up to 10^7 plainly and the rest with an exponent, always with a fraction.
fn java_double(number: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let magnitude = number.abs();
    if number.is_infinite() {
        return f.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return write!(f, "{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0E{exponent}"),
        _ => f.write_str(&text),
    }
}

impl Rule {
    /// The words it allows; none when it is about something else.
    #[must_use]
    pub fn words(&self) -> &'static [&'static str] {
        match self {
            Self::OneOf(words) | Self::OneOfAnyCase(words) | Self::EachOf(words) => words,
            _ => &[],
        }
    }
}
