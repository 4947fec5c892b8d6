//! RE2J's syntax to that of the `regex` crate.
//!
//! Both descend from RE2, and most of what one takes the other does. A pattern is read here as RE2J reads it, so that
//! its errors come out; written is the least that the crate understands: every character that could mean something to
//! it as its number, groups without names, classes in full. `\d`, `\s` and `\w` are ASCII, as in RE2J. Word
//! boundaries are the crate's, which see the same in topic names. One difference is left: under `(?i)` RE2J does not take
//! capitals for `\p{Ll}`, and the crate does.
//!
//! Invariant: parentheses of what is written are balanced, so that it can be put between others.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    InvalidPattern as Invalid,
    names::{CATEGORIES, NAMED_CLASSES, SCRIPTS},
};

/// RE2J's limit of `{n,m}`.
const REPEAT_MAX: u32 = 1_000;

/// The pattern in the crate's syntax.
pub(super) fn translate(pattern: &str) -> Result<String, Invalid> {
    let mut reader = Reader { rest: pattern, ..Reader::default() };
    while let Some(next) = reader.peek() {
        reader.step(next)?;
    }
    if reader.groups.is_empty() { Ok(reader.out) } else { Err(Invalid::MissingParenthesis) }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    /// `i`
    ignore_case: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_all: bool,
    /// `U`
    ungreedy: bool,
}

#[derive(Default)]
struct Reader<'a> {
    rest: &'a str,
    out: String,
    flags: Flags,
    /// Flags outside of each open group.
    groups: Vec<Flags>,
    names: BTreeSet<&'a str>,
    /// Whether it is known that no `:]` follows, so that it is not looked for again and again.
    no_class_end: bool,
    /// Whether there is something that a repetition could repeat.
    repeatable: bool,
    /// Whether the last thing was a repetition.
    repeated: bool,
    /// Where the last repetition ended in `out`.
    operator_end: usize,
    /// Whether `flags` are to be written before anything else.
    flags_due: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn pop(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes what comes before `end`, and `end`.
    fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, behind) = self.rest.split_once(end)?;
        self.rest = behind;
        Some(before)
    }

    fn step(&mut self, next: char) -> Result<(), Invalid> {
        let repeated = std::mem::take(&mut self.repeated);
        match next {
            '*' | '+' | '?' => {
                self.pop();
                return self.repeat(repeated, &next.to_string());
            }
            '{' => {
                if let Some(range) = self.repeat_range()? {
                    return self.repeat(repeated, &range);
                }
                // It stands for itself, but RE2J takes it for a repetition when it looks at what follows.
                self.repeated = true;
            }
            '(' => return self.open(),
            ')' => return self.close(),
            '\\' if self.eat("\\Q") => {
                self.quote();
                return Ok(());
            }
            _ => {}
        }
        self.write_flags();
        self.repeatable = next != '|';
        match next {
            '[' => self.class(),
            '\\' => self.backslash(),
            '^' | '$' | '.' | '|' => {
                self.pop();
                self.out.push(next);
                Ok(())
            }
            _ => {
                self.pop();
                self.literal(next);
                Ok(())
            }
        }
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii_alphanumeric() {
            self.out.push(character);
        } else {
            self.number(character);
        }
    }

    fn number(&mut self, character: char) {
        // Writing to a string does not fail.
        let _ = write!(self.out, "\\x{{{:X}}}", u32::from(character));
    }

    // Groups

    fn open(&mut self) -> Result<(), Invalid> {
        if self.rest.starts_with("(?P<") || self.rest.starts_with("(?<") {
            self.name()?;
            self.enter("(?:");
        } else if self.eat("(?") {
            self.perl_flags()?;
        } else {
            self.pop();
            self.enter("(?:");
        }
        Ok(())
    }

    fn enter(&mut self, opening: &str) {
        self.write_flags();
        self.out.push_str(opening);
        self.groups.push(self.flags);
        self.repeatable = false;
    }

    fn name(&mut self) -> Result<(), Invalid> {
        let _ = self.eat("(?P<") || self.eat("(?<");
        let name = self.take_until(">").ok_or(Invalid::NamedCapture)?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Invalid::NamedCapture);
        }
        if self.names.insert(name) { Ok(()) } else { Err(Invalid::DuplicateNamedCapture) }
    }

    /// What follows `(?`: flags, and a group unless `)` comes at once.
    fn perl_flags(&mut self) -> Result<(), Invalid> {
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        loop {
            match self.pop().ok_or(Invalid::PerlSyntax)? {
                'i' => flags.ignore_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'U' => flags.ungreedy = on,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                end @ (':' | ')') if on || seen => {
                    if end == ':' {
                        self.enter(&format!("{}:", flags.opening()));
                    }
                    self.flags_due |= end == ')';
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(Invalid::PerlSyntax),
            }
            seen = true;
        }
    }

    /// Flags that were set are written before what they are about, so that a repetition can follow what it repeats.
    fn write_flags(&mut self) {
        if std::mem::take(&mut self.flags_due) {
            let _ = write!(self.out, "{})", self.flags.opening());
        }
    }

    fn close(&mut self) -> Result<(), Invalid> {
        self.pop();
        self.flags_due = false;
        self.flags = self.groups.pop().ok_or(Invalid::UnopenedParenthesis)?;
        self.out.push(')');
        self.repeatable = true;
        Ok(())
    }

    // Repetitions

    fn repeat(&mut self, repeated: bool, operator: &str) -> Result<(), Invalid> {
        let lazy = self.eat("?");
        if repeated {
            return Err(Invalid::NestedRepetition);
        }
        if !self.repeatable {
            return Err(Invalid::MissingRepeatArgument);
        }
        // With nothing but flags in between RE2J repeats the repetition, of which the crate would make another one.
        if self.operator_end == self.out.len() {
            return Err(Invalid::Unsupported);
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        self.operator_end = self.out.len();
        self.repeated = true;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; nothing where the brace stands for itself.
    fn repeat_range(&mut self) -> Result<Option<String>, Invalid> {
        let length = self.rest[1..].bytes().take_while(|c| c.is_ascii_digit() || *c == b',').count();
        let (inside, behind) = self.rest[1..].split_at(length);
        let Some(behind) = behind.strip_prefix('}') else { return Ok(None) };
        let (min, max) = match inside.split_once(',') {
            None => (inside, Some(inside)),
            Some((min, "")) => (min, None),
            Some((min, max)) => (min, Some(max)),
        };
        if !is_number(min) || max.is_some_and(|max| !is_number(max)) {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= REPEAT_MAX).ok_or(Invalid::RepeatCount);
        let min_count = number(min)?;
        if max.map(number).transpose()?.is_some_and(|max| max < min_count) {
            return Err(Invalid::RepeatCount);
        }
        self.rest = behind;
        Ok(Some(format!("{{{inside}}}")))
    }

    // What stands behind a backslash

    fn quote(&mut self) {
        let quoted = self.take_until("\\E").unwrap_or_else(|| std::mem::take(&mut self.rest));
        if !quoted.is_empty() {
            self.write_flags();
            self.repeatable = true;
        }
        quoted.chars().for_each(|c| self.literal(c));
    }

    fn backslash(&mut self) -> Result<(), Invalid> {
        let assertion = ["\\A", "\\b", "\\B", "\\z"].into_iter().find(|assertion| self.rest.starts_with(assertion));
        if let Some(assertion) = assertion {
            self.eat(assertion);
            self.out.push_str(assertion);
        } else if !self.unicode_class()? && !self.perl_class() {
            let escaped = self.escape()?;
            self.literal(escaped);
        }
        Ok(())
    }

    /// `\d` and its like.
    fn perl_class(&mut self) -> bool {
        const SPACES: &str = r"\x{9}\x{A}\x{C}\x{D}\x{20}";
        const WORDS: &str = "0-9A-Z_a-z";
        let (negation, set) = match self.rest.as_bytes() {
            [b'\\', b'd', ..] => ("", "0-9"),
            [b'\\', b'D', ..] => ("^", "0-9"),
            [b'\\', b's', ..] => ("", SPACES),
            [b'\\', b'S', ..] => ("^", SPACES),
            [b'\\', b'w', ..] => ("", WORDS),
            [b'\\', b'W', ..] => ("^", WORDS),
            _ => return false,
        };
        self.rest = &self.rest[2..];
        // A class of its own also within another.
        let _ = write!(self.out, "[{negation}{set}]");
        true
    }

    /// `\p{Greek}` and its like.
    fn unicode_class(&mut self) -> Result<bool, Invalid> {
        let mut negated = self.rest.starts_with("\\P");
        if !self.eat("\\p") && !self.eat("\\P") {
            return Ok(false);
        }
        let start = self.rest;
        let name = match self.pop() {
            None => return Err(Invalid::CharacterRange),
            Some('{') => self.take_until("}").ok_or(Invalid::CharacterRange)?,
            Some(letter) => &start[..letter.len_utf8()],
        };
        let bare = name.strip_prefix('^').unwrap_or(name);
        negated ^= bare.len() < name.len();
        let sign = if negated { 'P' } else { 'p' };
        let _ = match bare {
            "Any" | "Cs" => {
                // Surrogates are no characters of a text, so that none of them is a class that nothing fits.
                let all = negated != (bare == "Any");
                write!(self.out, "[{}\\x{{0}}-\\x{{10FFFF}}]", if all { "" } else { "^" })
            }
            _ if CATEGORIES.contains(&bare) => write!(self.out, "\\{sign}{{gc={bare}}}"),
            _ if SCRIPTS.contains(&bare) => write!(self.out, "\\{sign}{{sc={bare}}}"),
            // To RE2J that is what is private, and surrogates.
            "Unknown" => write!(self.out, "\\{sign}{{gc=Co}}"),
            _ => return Err(Invalid::CharacterRange),
        };
        Ok(true)
    }

    /// A backslash and what makes one character of it.
    fn escape(&mut self) -> Result<char, Invalid> {
        self.pop();
        let next = self.pop().ok_or(Invalid::TrailingBackslash)?;
        let octal = |c: Option<char>| c.and_then(|c| c.to_digit(8));
        Ok(match next {
            // A single digit would refer back to a group.
            '1'..='7' if octal(self.peek()).is_none() => return Err(Invalid::Escape),
            '0'..='7' => {
                let mut code = octal(Some(next)).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = octal(self.peek()) else { break };
                    self.pop();
                    code = code * 8 + digit;
                }
                char::from_u32(code).ok_or(Invalid::Escape)?
            }
            'x' => self.hex()?,
            'a' => '\x07',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            _ if next.is_ascii_alphanumeric() => return Err(Invalid::Escape),
            _ => next,
        })
    }

    /// What follows `\x`: two digits, or any number of them in braces.
    fn hex(&mut self) -> Result<char, Invalid> {
        let digits = if self.eat("{") {
            self.take_until("}").ok_or(Invalid::Escape)?
        } else {
            let digits = self.rest.get(..2).ok_or(Invalid::Escape)?;
            self.rest = &self.rest[2..];
            digits
        };
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Invalid::Escape);
        }
        let code = u32::from_str_radix(digits, 16).map_err(|_| Invalid::Escape)?;
        char::from_u32(code).ok_or(Invalid::Escape)
    }

    // Classes

    fn class(&mut self) -> Result<(), Invalid> {
        self.pop();
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if !self.named_class()? && !self.unicode_class()? && !self.perl_class() {
                self.class_range()?;
            }
        }
        self.pop();
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]` and its like.
    fn named_class(&mut self) -> Result<bool, Invalid> {
        if !self.rest.starts_with("[:") || self.no_class_end {
            return Ok(false);
        }
        // The colon may be the first of `:]`, which then has no name before it.
        let Some((name, behind)) = self.rest[1..].split_once(":]") else {
            self.no_class_end = true;
            return Ok(false);
        };
        let name = name.strip_prefix(':').unwrap_or(name);
        if !NAMED_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(Invalid::CharacterRange);
        }
        self.rest = behind;
        let _ = write!(self.out, "[:{name}:]");
        Ok(true)
    }

    fn class_range(&mut self) -> Result<(), Invalid> {
        let low = self.class_character()?;
        self.number(low);
        // At the end a hyphen stands for itself.
        if !self.rest.starts_with("-]") && self.eat("-") {
            let high = self.class_character()?;
            if high < low {
                return Err(Invalid::CharacterRange);
            }
            self.out.push('-');
            self.number(high);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, Invalid> {
        match self.peek().ok_or(Invalid::MissingBracket)? {
            '\\' => self.escape(),
            character => {
                self.pop();
                Ok(character)
            }
        }
    }
}

impl Flags {
    /// `(?` and these flags, whatever was set before.
    fn opening(self) -> String {
        let all = [(self.ignore_case, 'i'), (self.multi_line, 'm'), (self.dot_all, 's'), (self.ungreedy, 'U')];
        let of = |on: bool| all.iter().filter(move |(set, _)| *set == on).map(|(_, letter)| *letter);
        let off: String = of(false).collect();
        format!("(?{}{}{off}", of(true).collect::<String>(), if off.is_empty() { "" } else { "-" })
    }
}

/// Whether this is a number to RE2J: digits without a leading zero.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'))
}
