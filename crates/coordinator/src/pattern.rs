//! Regular expressions of clients: RE2J's syntax, matched against whole names.
//!
//! What Kafka's broker takes for valid is valid here and what it refuses is refused, with the same words; see
//! [`translate`] for how. Invariants: compiling is bounded by [`SIZE_BYTES_MAX`]; matching takes time linear in the
//! name, whatever the pattern.

mod names;
#[cfg(test)]
mod tests;
mod translate;

use regex::{Error, Regex, RegexBuilder};

/// Bytes of a compiled pattern, and of what matching may remember. A list of two hundred topics fits, and so does any
/// length that a name can have; repetitions of repetitions do not. Four times as much would let a pattern hold the
/// coordinator up for minutes where there are many topics.
const SIZE_BYTES_MAX: usize = 1 << 20;

/// Bytes of a pattern: what is learnt about it is kept under a key in which its length has two bytes.
const PATTERN_BYTES_MAX: usize = i16::MAX as usize;

/// A pattern that was compiled.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is no pattern. The messages are those of RE2J, which users of Kafka see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A range that runs backwards, or a class of unknown name.
    #[error("invalid character class range")]
    CharacterRange,
    /// A letter or a digit behind a backslash that means nothing.
    #[error("invalid escape sequence")]
    Escape,
    /// A group whose name is none.
    #[error("invalid named capture")]
    NamedCapture,
    /// A group whose name another one has.
    #[error("duplicate capture group name")]
    DuplicateNamedCapture,
    /// `(?` with something behind it that means nothing.
    #[error("invalid or unsupported Perl syntax")]
    PerlSyntax,
    /// A repetition of a repetition: `a**`, and possessive forms.
    #[error("invalid nested repetition operator")]
    NestedRepetition,
    /// More than a thousand, or backwards.
    #[error("invalid repeat count")]
    RepeatCount,
    /// A class without end.
    #[error("missing closing ]")]
    MissingBracket,
    /// A group without end.
    #[error("missing closing )")]
    MissingParenthesis,
    /// An end of a group without its begin.
    #[error("regexp/syntax: internal error")]
    UnopenedParenthesis,
    /// Nothing to repeat.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// A backslash at the end.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// RE2J would take it, and take its time.
    #[error("expression too large")]
    TooLarge,
    /// RE2J would take it: groups nested very deeply, or a repetition of one with but flags in between.
    #[error("unsupported expression")]
    Unsupported,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// See [`InvalidPattern`].
    pub fn compile(pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(InvalidPattern::TooLarge);
        }
        let whole = format!(r"\A(?:{})\z", translate::translate(pattern)?);
        let built = RegexBuilder::new(&whole).size_limit(SIZE_BYTES_MAX).dfa_size_limit(SIZE_BYTES_MAX).build();
        built.map(Self).map_err(|error| match error {
            Error::CompiledTooBig(_) => InvalidPattern::TooLarge,
            _ => InvalidPattern::Unsupported,
        })
    }

    /// Whether the whole of `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}
