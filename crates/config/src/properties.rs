//! Java's properties format, as in `server.properties`.
//!
//! A line is `key=value`, `key:value` or `key value`; `#` and `!` start a comment; an odd number of backslashes at the
//! end joins the next line; `\t \n \f \r \uXXXX` are read, a backslash before anything else stands for what follows.
//! Written here because a comment must not be read for escapes (`# C:\users`) and the last line may end in a backslash.

use crate::file::{Setting, SyntaxError, SyntaxReason};

/// The settings of `text` in the order of their lines.
///
/// # Errors
/// A `\u` without four hexadecimal digits, or with half a surrogate pair.
pub(crate) fn parse(text: &str) -> Result<Vec<Setting>, SyntaxError> {
    let mut settings = Vec::new();
    let mut lines = (1u32..).zip(natural_lines(text));
    while let Some((line, first)) = lines.next() {
        let start = first.trim_start_matches(is_blank);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = String::from(start);
        while ends_in_open_backslash(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        settings.extend(setting(line, &logical)?);
    }
    Ok(settings)
}

fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).flat_map(|line| line.split('\r'))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn ends_in_open_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn setting(line: u32, logical: &str) -> Result<Option<Setting>, SyntaxError> {
    let key_end = end_of_key(logical);
    let rest = logical[key_end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).map_or(rest, |value| value.trim_start_matches(is_blank));
    let key = unescape(line, &logical[..key_end])?;
    let value = unescape(line, value)?;
    Ok((!key.is_empty() || !value.is_empty()).then_some(Setting { key, value, line: Some(line) }))
}

fn end_of_key(logical: &str) -> usize {
    let mut escaped = false;
    for (at, c) in logical.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' => return at,
            _ if is_blank(c) => return at,
            _ => {}
        }
    }
    logical.len()
}

fn unescape(line: u32, text: &str) -> Result<String, SyntaxError> {
    let bad = || SyntaxError { line: Some(line), reason: SyntaxReason::Escape };
    let mut units = Vec::new();
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        if escaped == Some('u') {
            let digits =
                chars.as_str().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(bad)?;
            units.push(u16::from_str_radix(digits, 16).map_err(|_| bad())?);
            chars = chars.as_str()[4..].chars();
            continue;
        }
        flush(&mut units, &mut plain).ok_or_else(bad)?;
        match (c, escaped) {
            ('\\', Some(other)) => plain.push(control(other)),
            ('\\', None) => {}
            (other, _) => plain.push(other),
        }
    }
    flush(&mut units, &mut plain).ok_or_else(bad)?;
    Ok(plain)
}

fn flush(units: &mut Vec<u16>, plain: &mut String) -> Option<()> {
    for decoded in char::decode_utf16(units.drain(..)) {
        plain.push(decoded.ok()?);
    }
    Some(())
}

fn control(c: char) -> char {
    match c {
        't' => '\t',
        'n' => '\n',
        'f' => '\u{c}',
        'r' => '\r',
        other => other,
    }
}
