//! TOML with Kafka's names: `log.retention.ms = 1`, `"log.retention.ms" = 1` and `[log.retention]` `ms = 1` are the same.
//!
//! A value is text, a number, a truth value, or an array of these, which becomes a list.

use toml::de::{DeTable, DeValue};

use crate::file::{Setting, SyntaxError, SyntaxReason};

/// The settings of `text`.
///
/// # Errors
/// What is not TOML, a date, and an array that holds arrays or tables.
pub(crate) fn parse(text: &str) -> Result<Vec<Setting>, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: error.span().map(|span| line_at(text, span.start)),
        reason: SyntaxReason::Toml(crate::value::clipped(error.message())),
    })?;
    let mut settings = Vec::new();
    flatten(text, "", table.get_ref(), &mut settings)?;
    settings.sort_by_key(|setting| setting.line);
    Ok(settings)
}

// Depth is bounded by the parser, which refuses to nest further than 80 levels.
fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, into: &mut Vec<Setting>) -> Result<(), SyntaxError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let line = Some(line_at(text, value.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => flatten(text, &key, inner, into)?,
            other => {
                let value = scalar_or_list(other).ok_or(SyntaxError { line, reason: SyntaxReason::ValueType })?;
                into.push(Setting { key, value, line });
            }
        }
    }
    Ok(())
}

fn scalar_or_list(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(elements) => {
            let texts: Option<Vec<_>> = elements.iter().map(|element| scalar(element.get_ref())).collect();
            Some(texts?.join(","))
        }
        other => scalar(other),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(number.to_string()),
            Err(_) => Some(number.as_str().to_owned()), // too large; the key's type says so
        },
        _ => None,
    }
}

fn line_at(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|b| **b == b'\n').count() as u32
}
