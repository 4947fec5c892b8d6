//! Ranges of protocol versions and the conditions they become in generated code.
//!
//! Invariant: a range is never empty; "no versions at all" is `None` of an `Option<Versions>`.

use anyhow::{Context, Result, ensure};

/// Versions `min..=max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Versions {
    /// Reads `5`, `3-7` or `3+`; the last reaches to `newest`.
    pub(super) fn parse(text: &str, newest: i16) -> Result<Self> {
        let number = |part: &str| part.parse::<i16>().with_context(|| format!("{text:?} names no versions"));
        let (min, max) = if let Some(min) = text.strip_suffix('+') {
            (number(min)?, newest)
        } else if let Some((min, max)) = text.split_once('-') {
            (number(min)?, number(max)?)
        } else {
            (number(text)?, number(text)?)
        };
        ensure!(0 <= min && min <= max, "versions {text} are empty");
        Ok(Self { min, max })
    }

    /// Versions in both.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        let (min, max) = (self.min.max(other.min), self.max.min(other.max));
        (min <= max).then_some(Self { min, max })
    }

    /// The least range that holds both.
    pub(super) fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// How `version`, known to lie in `known`, is tested for lying in `part`.
    pub(super) fn test(known: Self, part: Option<Self>) -> Test {
        let Some(both) = part.and_then(|part| part.and(known)) else { return Test::Never };
        match (both.min == known.min, both.max == known.max) {
            (true, true) => Test::Always,
            (false, true) => Test::If(format!("version >= {}", both.min)),
            (true, false) => Test::If(format!("version <= {}", both.max)),
            (false, false) if both.min == both.max => Test::If(format!("version == {}", both.min)),
            (false, false) => Test::If(format!("({}..={}).contains(&version)", both.min, both.max)),
        }
    }
}

/// A question about the version, as far as it is open when code is generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Always,
    Never,
    If(String),
}
